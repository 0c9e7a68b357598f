"""A real cluster's recording, replayed: what is counted equals what the containers wrote down themselves."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias, TypeVar

import msgspec
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.core import Core
from exporter.lifecycle.observations import ContainerRestarted, Observation, ProbeFailed
from exporter.lifecycle.times import newest
from exporter.objects import Added, Applied, Bookmark, Change, Deleted, Error, Event, Listed, Modified, Pod, Removed
from tests.replay import replay

RECORDED = Path(__file__).parent / "recorded"
BEGAN = 1795381600.0
"""Before the first pod was made: all pods are new, as they were to whoever recorded."""
Kind = TypeVar("Kind", Pod, Event)


def recorded(kind: type[Kind], name: str) -> Iterator[tuple[Change, float]]:
    """Changes as the reflector would deliver them, with a receipt time that the API's own times suggest."""
    decoder = msgspec.json.Decoder(Added[kind] | Modified[kind] | Removed[kind] | Bookmark | Error)  # type: ignore[valid-type]
    now = BEGAN
    with gzip.open(RECORDED / f"{name}.watch.jsonl.gz") as lines:
        for line in lines:
            event = decoder.decode(line)
            if isinstance(event, Bookmark):
                if event.object.metadata.annotations:
                    yield Listed(kind, "", frozenset(), BEGAN), now
                continue
            assert not isinstance(event, Error)
            now = max(now, _time(event.object))
            yield (Deleted(event.object) if isinstance(event, Removed) else Applied(event.object)), now


def _time(thing: Pod | Event) -> float:
    if isinstance(thing, Pod):
        return newest(thing)
    last = thing.last_timestamp or thing.event_time
    return last.timestamp() if last else BEGAN


def recorded_changes() -> Iterator[tuple[Change, float]]:
    """The pods alone."""
    return recorded(Pod, "pods")


def recorded_events() -> Iterator[tuple[Change, float]]:
    """The Events alone, those about pods, as the exporter's field selector lets through."""
    for change, now in recorded(Event, "events"):
        about = change.object if isinstance(change, Applied | Deleted) else None
        if not isinstance(about, Event) or about.involved_object.kind == "Pod":
            yield change, now


Replayed: TypeAlias = tuple[Core, list[Observation], float]


@pytest.fixture(scope="module")
def replayed() -> Replayed:
    seen: list[Observation] = []
    core = Core(birth_hold=0, listener=seen.append)
    now = replay(core, recorded_changes())
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


@pytest.fixture(scope="module", params=[-2, 0, 2], ids=["events-first", "together", "pods-first"])
def with_events(request: pytest.FixtureRequest) -> Replayed:
    """Both streams, with one of them some seconds behind the other."""
    late: int = request.param
    seen: list[Observation] = []
    core = Core(birth_hold=0, attribution_wait=3, listener=seen.append)
    events = [(change, at + late) for change, at in recorded_events()]
    now = replay(core, sorted([*recorded_changes(), *events], key=lambda pair: pair[1]))
    core.elapse(now + 5)
    return core, seen, now + 5


def warnings() -> Counter[str]:
    """Occurrences of Warnings by reason: the last count that each Event showed, all began within the recording."""
    last: dict[str, Event] = {}
    for change, _ in recorded_events():
        if isinstance(change, Applied) and isinstance(change.object, Event) and change.object.type == "Warning":
            last[change.object.metadata.uid] = change.object
    counts = Counter[str]()
    for event in last.values():
        counts[event.reason] += event.series.count if event.series else event.count or 1
    return counts


def test_events_change_no_count_of_restarts_or_ends(replayed: Replayed, with_events: Replayed) -> None:
    without, _, then = replayed
    core, _, now = with_events
    assert samples(core, now, "pod_container_restarts") == samples(without, then, "pod_container_restarts")
    assert samples(core, now, "pod_container_terminations") == samples(without, then, "pod_container_terminations")


def test_occurrences_of_warnings_are_those_that_the_events_say(with_events: Replayed) -> None:
    core, _, now = with_events
    counted = Counter[str]()
    for key, count in samples(core, now, "pod_events").items():
        counted[key[-1]] += count
    assert warnings().total() == 592
    assert counted == warnings()


def test_failed_probes_by_events_are_a_lower_bound_of_what_the_kubelet_counted(with_events: Replayed) -> None:
    """Past 25 Events of a pod its recorder lets one through in five minutes; the count then tells of those between."""
    _, seen, _ = with_events
    told = Counter[tuple[str, str, str]]()
    for failed in seen:
        if isinstance(failed, ProbeFailed) and failed.outcome == "failed":
            told[failed.pod.name, failed.container, failed.probe] += failed.counted
    kubelet = {
        (sample.labels["pod"], sample.labels["container"], sample.labels["probe_type"].lower()): int(sample.value)
        for family in parse_text((RECORDED / "kubelet-probes.txt").read_text())
        for sample in family.samples
        if sample.name == "prober_probe_total" and sample.labels["result"] == "failed"
    }
    assert {(key[0].split("-")[0], key[2]): (told[key], true) for key, true in kubelet.items()} == {
        ("flapper", "readiness"): (345, 400),
        ("hang", "liveness"): (6, 20),
        ("hang", "readiness"): (17, 49),
        ("slow", "startup"): (18, 30),
    }
