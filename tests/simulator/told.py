"""A simulated pod, and what a watch tells of it."""

import json
from typing import Any

from exporter.simulator import Simulation
from exporter.simulator.resources import PODS
from exporter.simulator.templates import Container, Probe, Run, Template
from exporter.simulator.timings import Timings
from exporter.simulator.workloads import bare_pod

START = 1_795_381_620.0
ALIVE, UP = Probe("httpGet", 3, 2), Probe("exec", 2, 3)
W = ("demo", "Pod", "story")


def simulation() -> Simulation:
    return Simulation(start=START, timings=Timings())


def told(sim: Simulation, name: str = "") -> list[Any]:
    """All that a watch from the beginning hears of pods whose name begins so."""
    events = sim.store.since(PODS, 0)
    lines = [{"type": e.kind, "object": json.loads(e.version.body)} for e in events]
    return [line for line in lines if line["object"]["metadata"]["name"].startswith(name)]


def status_of(pod: Any, container: str) -> Any:
    found = pod["status"].get("initContainerStatuses", []) + pod["status"].get("containerStatuses", [])
    return next((status for status in found if status["name"] == container), None)


def shown(status: Any) -> str:
    """A container's state in a word, with its restartCount."""
    (kind, state) = next(iter(status["state"].items()))
    return f"{state.get('reason', kind)} {status['restartCount']}"


def sequence(sim: Simulation, container: str = "main", name: str = "") -> list[str]:
    """A container's states in their order, each once."""
    statuses = [status_of(line["object"], container) for line in told(sim, name)]
    words = [shown(status) for status in statuses if status]
    return [word for n, word in enumerate(words) if n == 0 or word != words[n - 1]]


def story(*containers: Container, seconds: float = 60.0, **options: Any) -> Simulation:
    """A bare pod of these containers, so many virtual seconds later."""
    sim = simulation()
    bare_pod(sim.cluster, "demo", "story", Template(containers, grace_seconds=5, **options))
    sim.advance(seconds)
    return sim


def main(*runs: Run, **options: Any) -> Container:
    return Container("main", runs=runs or (Run(),), **options)
