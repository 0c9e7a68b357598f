"""A real cluster's recording, replayed: what is counted equals what the containers wrote down themselves."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import msgspec
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from exporter.core import Core
from exporter.lifecycle.observations import ContainerRestarted, Observation
from exporter.lifecycle.times import newest
from exporter.objects import Added, Applied, Bookmark, Change, Deleted, Error, Listed, Modified, Pod, Removed

RECORDED = Path(__file__).parent / "recorded"
BEGAN = 1795381600.0
"""Before the first pod was made: all pods are new, as they were to whoever recorded."""
LINES = msgspec.json.Decoder(Added[Pod] | Modified[Pod] | Removed[Pod] | Bookmark | Error)


def recorded_changes() -> Iterator[tuple[Change, float]]:
    """Changes as the reflector would deliver them, with a receipt time that the API's own times suggest."""
    now = BEGAN
    with gzip.open(RECORDED / "pods.watch.jsonl.gz") as lines:
        for line in lines:
            event = LINES.decode(line)
            if isinstance(event, Bookmark):
                if event.object.metadata.annotations:
                    yield Listed(Pod, "", frozenset(), BEGAN), now
                continue
            assert not isinstance(event, Error)
            now = max(now, newest(event.object))
            yield (Deleted(event.object) if isinstance(event, Removed) else Applied(event.object)), now


Replayed: TypeAlias = tuple[Core, list[Observation], float]


@pytest.fixture(scope="module")
def replayed() -> Replayed:
    seen: list[Observation] = []
    core = Core(birth_hold=0, listener=seen.append)
    now = BEGAN
    for change, at in recorded_changes():
        now = at
        core.elapse(now)
        core.apply(change, now)
    core.elapse(now + 3)
    return core, seen, now


def starts() -> Counter[tuple[str, str]]:
    """Starts by pod and container, from the containers' own log."""
    lines = (line.split() for line in (RECORDED / "container-starts.txt").read_text().splitlines())
    return Counter((words[0], words[1]) for words in lines if len(words) == 3)


def uids() -> Counter[str]:
    """How many pods lived under each name."""
    pods = {
        (change.object.metadata.name, change.object.metadata.uid)
        for change, _ in recorded_changes()
        if isinstance(change, Applied)
    }
    return Counter(name for name, _ in pods)


def test_restarts_equal_the_starts_that_containers_logged_less_one_first_start_per_pod(replayed: Replayed) -> None:
    _, seen, _ = replayed
    counted = Counter((o.pod.name, o.container) for o in seen if isinstance(o, ContainerRestarted))
    pods = uids()
    expected = {key: number - pods[key[0]] for key, number in starts().items()}
    badcmd = {key: 7 for key in counted if key[0].startswith("badcmd")}
    assert pods["db-0"] == 2
    assert sum(expected.values()) == 51
    assert counted == Counter({**expected, **badcmd})


def samples(core: Core, now: float, family: str) -> Counter[tuple[str, ...]]:
    text = b"".join(core.exposition(now, openmetrics=True)).decode()
    found = next(f for f in text_string_to_metric_families(text) if f.name == family)
    wanted = ("namespace", "pod", "exit_code", "container_type", "workload_kind")
    return Counter(
        {
            tuple(value for name, value in sample.labels.items() if name not in wanted): int(sample.value)
            for sample in found.samples
            if sample.value
        }
    )


def test_restarts_have_the_causes_that_the_scenarios_were_made_for(replayed: Replayed) -> None:
    core, _, now = replayed
    assert samples(core, now, "pod_container_restarts") == {
        ("badcmd", "main", "StartError"): 7,
        ("badinit", "setup", "Error"): 7,
        ("crasher", "main", "Error"): 10,
        ("hang", "main", "LivenessProbe"): 9,
        ("oom", "main", "OOMKilled"): 7,
        ("sidecar", "proxy", "Error"): 7,
        ("slow-start", "main", "StartupProbe"): 9,
        ("retry", "worker", "Error"): 2,
    }


def test_ends_are_counted_once_and_those_by_the_pods_own_end_apart(replayed: Replayed) -> None:
    core, _, now = replayed
    ends = samples(core, now, "pod_container_terminations")
    assert {key: n for key, n in ends.items() if key[2] not in ("Completed", "Error", "StartError")} == {
        ("agent", "main", "PodStopped"): 1,
        ("db", "main", "PodStopped"): 1,
        ("db", "main", "Unobserved"): 1,  # force-deleted
        ("deadline", "main", "PodStopped"): 1,
        ("flapper", "main", "PodStopped"): 1,
        ("hang", "main", "LivenessProbe"): 10,
        ("oom", "main", "OOMKilled"): 8,
        ("slow-start", "main", "StartupProbe"): 10,
        ("stubborn", "main", "PodStopped"): 1,
    }
    assert ends["nginx-pod", "debugger-m2g9c", "Error"] == 1
    assert ends["tick", "t", "Completed"] == 14


def test_a_pod_that_a_rollout_replaces_is_terminating_and_never_a_failure(replayed: Replayed) -> None:
    core, _, now = replayed
    changes = samples(core, now, "pod_phase_transitions")
    for workload in ("db", "flapper", "crasher", "agent", "stubborn"):
        assert not any(key[0] == workload and "Failed" in key for key in changes)
    assert sum(n for key, n in changes.items() if key[2] == "Deleted") == 18
    assert sum(n for key, n in changes.items() if key[1] == "None") == 43


def test_the_last_states_again_as_a_relist_gives_them_change_no_count(replayed: Replayed) -> None:
    core, seen, now = replayed
    before = len(seen)
    last: dict[str, Pod] = {}
    for change, _ in recorded_changes():
        if isinstance(change, Applied | Deleted) and isinstance(change.object, Pod):
            last[change.object.metadata.uid] = change.object
            if isinstance(change, Deleted):
                del last[change.object.metadata.uid]
    for pod in last.values():
        core.apply(Applied(pod, listed=True), now + 4)
    assert len(seen) == before
