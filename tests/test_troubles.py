"""Rare troubles of a real node, replayed: what is counted, and under which cause, whichever stream comes first."""

from __future__ import annotations

import gzip
import heapq
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import pytest

from exporter.core import Core
from exporter.lifecycle.observations import (
    ContainerRestarted,
    ContainerTerminated,
    ContainerWaiting,
    GracePeriodExceeded,
    Observation,
    PodDisrupted,
    RestartedInPlace,
)
from exporter.objects import Applied, Change, Deleted, Event, Listed, Pod
from tests.lifecycle.builders import of
from tests.replay import replay

TROUBLES = Path(__file__).parent / "recorded" / "troubles"
Told: TypeAlias = list[Observation]
CAUSES = {
    ("guarded", "proxy"): "LivenessProbe",  # a sidecar
    ("orphan", "main"): "Error",  # killed while the kubelet was stopped
    ("resized", "main"): "Resize",
    ("sandboxed", "main"): "PodSandboxChanged",
    ("sandboxed", "setup"): "PodSandboxChanged",  # an init container, which had succeeded
    ("together", "helper"): "RestartAllContainers",
    ("together", "worker"): "Error",  # the one whose exit code restarts all
}


def tape(of: type[Pod | Event], name: str) -> Iterator[tuple[Change, float]]:
    """Changes as the reflector would deliver them, with the time of their receipt."""
    listed: set[str] = set()
    with gzip.open(TROUBLES / f"{name}.watch.jsonl.gz") as lines:
        for line in lines:
            event: dict[str, Any] = json.loads(line)
            if event["type"] == "END":
                namespace = event["object"]["metadata"]["namespace"]
                yield Listed(of, namespace, frozenset(listed), event["at"]), event["at"]
                listed.clear()
                continue
            thing = msgspec.convert(event["object"], of, strict=False)
            if event["type"] == "LISTED":
                listed.add(thing.metadata.uid)
            change = Deleted(thing) if event["type"] == "DELETED" else Applied(thing, listed=event["type"] == "LISTED")
            yield change, event["at"]


@pytest.fixture(scope="module", params=[-2, 0, 2], ids=["events-first", "together", "pods-first"])
def told(request: pytest.FixtureRequest) -> Told:
    """Both streams, with one of them some seconds behind the other."""
    late: int = request.param
    seen: Told = []
    core = Core(birth_hold=0, attribution_wait=3, listener=seen.append)
    events = ((change, at + late) for change, at in tape(Event, "events"))
    now = replay(core, heapq.merge(tape(Pod, "pods"), events, key=lambda pair: pair[1]))
    core.elapse(now + 5)
    assert core.vitals.core.faults == Counter()
    return seen


def workload(one: Observation) -> str:
    assert one.pod.workload is not None
    return one.pod.workload.name


def starts() -> Counter[tuple[str, str]]:
    """Starts by pod uid and container, from the containers' own log."""
    log = (TROUBLES / "container-starts.txt").read_text().splitlines()
    return Counter((uid, container) for uid, _, container, _ in map(str.split, log))


def test_restarts_equal_the_starts_that_containers_logged_less_the_first(told: Told) -> None:
    counted = Counter((one.pod.uid, one.container) for one in of(told, ContainerRestarted))
    assert counted == +Counter({instance: number - 1 for instance, number in starts().items()})
    assert {(workload(one), one.container) for one in of(told, ContainerRestarted)} == CAUSES.keys()


def test_restarts_have_the_causes_that_the_scenarios_were_made_for(told: Told) -> None:
    """Around the outages of API server and kubelet a cause may be lost, never wrong."""
    wrong = Counter(
        (workload(one), one.container, one.reason)
        for one in of(told, ContainerRestarted)
        if one.reason not in (CAUSES[workload(one), one.container], "Unobserved")
    )
    # While the API server was away, all containers restarted once more: only the end that the kubelet made up for
    # them is left to see.
    assert wrong in (Counter(), Counter({("together", "worker", "RestartAllContainers"): 1}))
    unobserved = [one for one in of(told, ContainerRestarted) if one.reason == "Unobserved"]
    assert {workload(one) for one in unobserved} <= {"guarded"}
    assert len(unobserved) <= 2


def test_pods_that_are_taken_away_say_by_what(told: Told) -> None:
    taken = Counter((workload(one), one.reason, one.resource) for one in of(told, PodDisrupted))
    assert taken.pop(("resident", "AdmissionRejected", "memory"), 0) + taken.pop(
        ("resident", "NodePressureEviction", "memory"), 0
    ) == 1, "whichever comes first when a kubelet starts on a node under pressure"  # fmt: skip
    assert taken == {
        ("cheap", "PreemptionByScheduler", ""): 1,
        ("greedy", "NodePressureEviction", "memory"): 1,
        ("late", "AdmissionRejected", "memory"): 1,
    }


def test_a_hook_that_takes_too_long_exceeds_the_grace_period(told: Told) -> None:
    """Of the others, deleted at the end with a second of grace, most sleep on: none is told twice."""
    exceeded = Counter(workload(one) for one in of(told, GracePeriodExceeded))
    assert exceeded["slow-stop"] == 1
    assert set(exceeded.values()) == {1}
    assert exceeded.keys() <= {"slow-stop", "guarded", "sandboxed", "orphan", "resized", "together", "cheap", "dear"}


def test_a_missing_secret_is_a_wait_of_its_own(told: Told) -> None:
    waits = {(workload(one), one.reason) for one in of(told, ContainerWaiting)}
    assert ("no-secret", "CreateContainerConfigError") in waits


def test_restarts_of_all_containers_together_are_told_once_each_time(told: Told) -> None:
    """The one that the API server's outage hid is seen in the counts of restarts only."""
    [times] = {number for (uid, _), number in starts().items() if uid == _uid(told, "together")}
    assert times - 2 <= len(of(told, RestartedInPlace)) <= times - 1


def _uid(told: Told, name: str) -> str:
    return next(one.pod.uid for one in told if workload(one) == name)


def test_containers_that_end_with_their_pod_are_stopped_not_failed(told: Told) -> None:
    ends = {
        (workload(one), one.reason)
        for one in of(told, ContainerTerminated)
        if workload(one) in ("greedy", "resident", "cheap", "dear", "slow-stop", "forced")
    }
    assert {reason for name, reason in ends if name != "forced"} == {"PodStopped"}
    assert ("forced", "Unobserved") in ends
