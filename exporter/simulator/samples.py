"""What the demo's and the tests' pods are made of."""

from __future__ import annotations

from exporter.simulator.templates import Container, Probe, Run, Template
from exporter.simulator.timings import Timings

TIMINGS = Timings(back_off=5.0, back_off_max=40.0)
REGISTRY = "registry.example.com"
HTTP = Probe("httpGet", period=5)
SMALL = {"cpu": "100m", "memory": "128Mi"}
LIMIT = {"memory": "256Mi"}
GPU = {"nvidia.com/gpu": "1", "memory": "40Gi"}


def app(name: str = "main", *runs: Run, image: str = "shop/app:1.4.2", probe: bool = True) -> Container:
    """An ordinary container with a readiness probe."""
    return Container(
        name=name,
        image=f"{REGISTRY}/{image}",
        runs=runs or (Run(),),
        readiness=HTTP if probe else None,
        requests=SMALL,
        limits=LIMIT,
    )


def template(*containers: Container, grace: int = 5) -> Template:
    """A pod template of containers that run for ever."""
    return Template(containers=containers, grace_seconds=grace)
