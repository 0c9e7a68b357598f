"""Objects look like those of a real cluster, and hide secrets where real ones do."""

import gzip
import json
import time
from pathlib import Path
from typing import Any

import pytest

from exporter.simulator import Simulation, demo
from exporter.simulator.resources import JOBS, PODS, REPLICA_SETS, RESOURCES

START = 1_795_381_620.0
RECORDED = Path(__file__).parent.parent / "recorded" / "pods.watch.jsonl.gz"
ONLY_THERE = {"automountServiceAccountToken", "ephemeralContainers", "schedulingGates", "activeDeadlineSeconds"}
ONLY_THERE |= {"hostname", "subdomain", "affinity", "ephemeralContainerStatuses", "allocatedResources"}
ONLY_THERE |= {"message", "reason"}
"""Keys of recorded pods that come from their scenarios: nothing here is told in them."""


@pytest.fixture(scope="module")
def ours() -> list[Any]:
    """All pod versions of two minutes of the demo."""
    sim = Simulation(start=START, scenario=demo)
    sim.advance(120)
    return [json.loads(event.version.body) for event in sim.store.since(PODS, 0)]


@pytest.fixture(scope="module")
def recorded() -> list[Any]:
    """All pod versions of a real cluster's recording; its last line may be cut."""
    with gzip.open(RECORDED, "rt") as lines:
        objects = [json.loads(line) for line in lines if line.endswith("\n")]
    return [line["object"] for line in objects if line["type"] != "BOOKMARK"]


def container_statuses(pods: list[Any]) -> list[Any]:
    return [status for pod in pods for status in pod["status"].get("containerStatuses", [])]


def keys(objects: list[Any]) -> tuple[set[str], set[str]]:
    """Keys that all objects have, and keys that any has."""
    found = [set(each) for each in objects]
    return set.intersection(*found), set.union(*found)


@pytest.mark.parametrize("part", ["metadata", "spec", "status"])
def test_every_part_has_the_keys_that_recorded_ones_have(ours: list[Any], recorded: list[Any], part: str) -> None:
    always, ever = keys([pod[part] for pod in recorded])
    always_here, ever_here = keys([pod[part] for pod in ours])
    assert always - ONLY_THERE <= always_here
    assert ever - ONLY_THERE <= ever_here


def test_container_statuses_have_the_keys_that_recorded_ones_have(ours: list[Any], recorded: list[Any]) -> None:
    always, ever = keys(container_statuses(recorded))
    always_here, ever_here = keys(container_statuses(ours))
    assert always <= always_here
    assert ever - ONLY_THERE <= ever_here


def test_states_have_the_keys_that_recorded_ones_have(ours: list[Any], recorded: list[Any]) -> None:
    def states(pods: list[Any]) -> set[tuple[str, tuple[str, ...]]]:
        shown = [(kind, state) for s in container_statuses(pods) for kind, state in s["state"].items()]
        return {(kind, tuple(sorted(state))) for kind, state in shown}

    assert states(recorded) <= states(ours) | {("waiting", ("reason",))}
    assert states(ours) - states(recorded) <= {
        ("terminated", ("containerID", "exitCode", "finishedAt", "message", "reason", "startedAt")),
        ("terminated", ("exitCode", "finishedAt", "message", "reason", "startedAt")),
    }


def test_conditions_have_the_keys_and_order_of_recorded_ones(ours: list[Any], recorded: list[Any]) -> None:
    def conditions(pods: list[Any]) -> set[tuple[str, ...]]:
        return {tuple(c["type"] for c in pod["status"].get("conditions", [])) for pod in pods}

    bound = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    assert {(), ("PodScheduled",), bound} <= conditions(ours) & conditions(recorded)


def test_a_running_container_never_shares_its_id_with_its_last_end(ours: list[Any]) -> None:
    for status in container_statuses(ours):
        if "running" in status["state"]:
            assert status["lastState"].get("terminated", {}).get("containerID") != status["containerID"]
        assert bool(status["lastState"]) >= (status["restartCount"] > 0)


def test_owners_name_their_controllers() -> None:
    sim = Simulation(start=START, scenario=demo)
    sim.advance(120)
    sets = [json.loads(version.body) for version in sim.store.versions(REPLICA_SETS)]
    jobs = [json.loads(version.body) for version in sim.store.versions(JOBS)]
    assert {obj["metadata"]["ownerReferences"][0]["kind"] for obj in sets} == {"Deployment"}
    owned = {obj["metadata"]["name"]: obj["metadata"].get("ownerReferences", [{}])[0].get("kind") for obj in jobs}
    assert owned.pop(next(name for name in owned if name.startswith("tick-"))) == "CronJob"
    assert owned == {"train": None, "badjob": None, "import-20261122": None}


def test_canaries_sit_in_every_hiding_place_and_nowhere_else(ours: list[Any]) -> None:
    sim = Simulation(start=START, scenario=demo)
    sim.advance(120)
    text = b"".join(version.body for resource in RESOURCES for version in sim.store.versions(resource)).decode()
    assert sum(canary in text for canary in sim.canaries) > 300
    places = {place for pod in ours for place in hiding_places(pod)}
    assert places == {
        "annotations", "args", "command", "env", "envFrom", "httpHeaders", "imagePullSecrets", "message", "volumes",
    }  # fmt: skip


def hiding_places(node: Any, place: str = "") -> set[str]:
    """The named fields under which a canary is found."""
    named = {
        "annotations",
        "args",
        "command",
        "env",
        "envFrom",
        "httpHeaders",
        "imagePullSecrets",
        "message",
        "volumes",
    }
    if isinstance(node, dict):
        return set().union(*(hiding_places(v, k if k in named else place or k) for k, v in node.items()), set())
    if isinstance(node, list):
        return set().union(*(hiding_places(item, place) for item in node), set())
    return {place} if isinstance(node, str) and "canary-" in node else set()


def test_quiet_pods_are_ready_at_once_and_as_big_as_real_ones() -> None:
    sim = Simulation(start=START)
    began = time.monotonic()
    sim.populate(pods=1000, workloads=50)
    assert time.monotonic() - began < 5
    versions = sim.store.versions(PODS)
    assert len(versions) == 1000
    assert 8_000 < sum(len(version.body) for version in versions) / 1000 < 14_000
    assert sim.truth.ready_pods == {("load", "Deployment", f"load-{n}"): 20 for n in range(50)}
    assert sim.store.since(PODS, 0)[0].kind == "ADDED"
    assert len({version.name for version in versions}) == 1000
    assert len(sim.store.versions(REPLICA_SETS)) == 50


def test_churn_changes_readiness_at_the_pace_asked_for() -> None:
    sim = Simulation(start=START)
    sim.populate(pods=10)
    before = sim.store.revision
    sim.churn(per_second=100)
    sim.advance(1.0)
    assert sim.store.revision - before == pytest.approx(100, abs=1)
    assert sim.truth.readiness_losses.total() == pytest.approx(50, abs=10)
    sim.churn(0)
    after = sim.store.revision
    sim.advance(1.0)
    assert sim.store.revision == after
