"""A restart with a checkpoint is a gap in the watch and nothing else."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.lifecycle import tracker
from exporter.lifecycle.observations import Observation, PodRef, ProbeFailed, RolledOut, Workload, kinds
from exporter.lifecycle.owners import Unresolved
from exporter.lifecycle.records import Record, Undecided
from exporter.lifecycle.saved import EVERYWHERE, Known, Records, Sharing, narrowed, worth_saving
from exporter.objects import Event, Pod
from tests.lifecycle.builders import (
    BOTH_PROBES,
    T0,
    Witness,
    ended,
    event,
    listed,
    owned,
    pod,
    runs,
    status,
    waiting,
    words,
)
from tests.lifecycle.test_histories import OWNER, PROFILE, History, finish, histories, witness_of


def restarted(
    before: Witness,
    *,
    made: float = 60,
    now: float = 60,
    namespaces: tuple[str, ...] = EVERYWHERE,
    normal_events: bool = False,
) -> Witness:
    """Another tracker that goes on from what this one has saved, through the bytes of it."""
    known, records = before.tracker.saved()
    parts = msgspec.msgpack.encode([known, Records(tuple(filter(worth_saving, records)))])
    first, second = msgspec.msgpack.decode(parts, type=tuple[Known, Records])
    after = Witness(baseline=False, wait=before.wait, normal_events=normal_events)
    after.tracker.restore(first, T0 + made, T0 + now, namespaces)
    sharing = Sharing()
    for record in second.records:
        after.tracker.resume(sharing.shared(record))
    return after


def kept(witness: Witness) -> dict[str, Record]:
    return {record.key: record for record in witness.tracker.records()}


@PROFILE
@given(histories(resets=True), st.data())
def test_a_restart_tells_what_a_gap_of_the_watch_tells(history: History, data: st.DataObject) -> None:
    last = len(history.pods) - 1
    stops = data.draw(st.integers(0, last), "stops after")
    lists = data.draw(st.integers(stops, last), "lists")
    lived, first = witness_of(history), witness_of(history)
    for one in history.pods[: stops + 1]:
        lived.apply(one)
        first.apply(one)
    second = restarted(first)
    second.tracker.owner(OWNER)
    before = len(lived.seen)
    for witness in (lived, second):
        witness.apply(history.pods[lists], gap=True)
        witness.relist("uid-0")
        for one in history.pods[lists + 1 :]:
            witness.apply(one)
        finish(witness, history)
    assert second.seen == lived.seen[before:]
    assert kept(second) == kept(lived)


@PROFILE
@given(histories(), st.data())
def test_restarts_that_miss_nothing_change_no_count(history: History, data: st.DataObject) -> None:
    random_stops = data.draw(st.sets(st.integers(0, len(history.pods) - 1)), "restarts after")
    witness = witness_of(history)
    told: list[Observation] = []
    for i, one in enumerate(history.pods):
        witness.apply(one)
        if i in random_stops:
            told += witness.seen
            witness = restarted(witness)
            witness.tracker.owner(OWNER)
            assert witness.apply(one, gap=True) == []
            assert witness.relist("uid-0") == []
    finish(witness, history)
    told += witness.seen
    for life in history.lives:
        for verb, true in (("restarted", life.restarts), ("terminated", life.ends)):
            reasons = [w.split()[2] for w in words(told) if w.startswith(f"{life.name} {verb}")]
            assert len(reasons) == len(true)
            assert all(reason in allowed for reason, allowed in zip(reasons, true, strict=True))
    assert [w.split()[2] for w in words(told) if " -> " in w] == history.way


def running() -> Pod:
    return pod(runs(0, "c0"), specs=(BOTH_PROBES,))


def seen_running() -> Witness:
    witness = Witness()
    witness.apply(running())
    return witness


def of_template(template: str, uid: str) -> Pod:
    owner = owned("StatefulSet", "web")
    return pod(runs(0, "c0"), name=uid, uid=uid, owner=owner, labels={"pod-template-hash": template})


class TestPods:
    def test_what_was_made_meanwhile_is_new_and_what_went_is_gone(self) -> None:
        after = restarted(seen_running())
        assert after.apply(pod(runs(2, "c2", ended(cid="c1")), name="web-1", uid="uid-1", created=70), gap=True) == [
            "None -> Running",
            "main terminated Unobserved",
            "main restarted Unobserved",
            "main terminated Error 1",
            "main restarted Error",
        ]
        assert after.relist("uid-1") == ["main terminated Unobserved", "Running -> Deleted (unobserved)"]

    def test_what_is_older_than_the_first_baseline_and_was_not_known_stays_baseline(self) -> None:
        after = restarted(seen_running())
        assert after.apply(pod(runs(2, "c2"), name="old", uid="uid-old", created=-100), gap=True) == []

    def test_the_path_proves_nothing_over_a_restart(self) -> None:
        """R5.3 needs an unbroken watch: a liveness kill that no Event tells is an Error then."""
        again = pod(runs(1, "c1", ended(137, cid="c0")), specs=(BOTH_PROBES,))
        assert seen_running().apply(again) == [
            "main terminated LivenessProbe 137",
            "main restarted LivenessProbe (inferred)",
        ]
        after = restarted(seen_running())
        assert after.apply(again, gap=True) == ["main terminated Error 137", "main restarted Error"]

    def test_an_end_that_waits_for_its_event_goes_on_waiting(self) -> None:
        before = Witness(wait=3.0)
        before.apply(running())
        killed = pod(runs(1, "c1", ended(137, cid="c0")), specs=(BOTH_PROBES,))
        assert before.apply(killed, now=60) == []
        after = restarted(before)
        assert after.elapse(70) == [], "nothing before the list has come"
        assert after.apply(killed, gap=True, now=70) == []
        told = ["main terminated LivenessProbe 137", "main restarted LivenessProbe (inferred)"]
        assert after.elapse(71) == told

    def test_the_time_in_which_nobody_waited_is_no_part_of_a_wait(self) -> None:
        before = Witness(wait=3.0)
        before.apply(running())
        killed = pod(runs(1, "c1", ended(137, cid="c0")), specs=(BOTH_PROBES,))
        before.apply(killed, now=60)
        after = restarted(before, made=61, now=161)
        after.apply(killed, gap=True, now=162)
        assert after.elapse(162.5) == []
        assert len(after.elapse(163)) == 2

    def test_a_stepped_clock_ends_no_wait_of_a_pod_that_was_not_seen_again(self) -> None:
        before = Witness()
        before.apply(running())
        before.apply(pod(runs(1, "c1", ended(cid="c0")), specs=(BOTH_PROBES,)))
        after = restarted(before)
        after.tracker.stepped(5000.0)
        assert list(after.tracker.due(T0 + 20_000)) == []

    def test_a_crash_loop_that_calmed_or_not_meanwhile_is_told_by_the_list(self) -> None:
        before = Witness()
        before.apply(running())
        before.apply(pod(status(0, "c0", waiting("CrashLoopBackOff"), ended(cid="c0"))))
        before.apply(pod(runs(1, "c1", ended(cid="c0"))))
        assert before.container().loop is not None
        after = restarted(before, now=590)
        assert after.elapse(700) == []
        crashed = pod(status(1, "c1", waiting("CrashLoopBackOff"), ended(cid="c1", finished=580)))
        after.apply(crashed, gap=True, now=700)
        assert after.container().loop is not None

    def test_a_pod_that_is_gone_is_remembered_as_long_as_before(self) -> None:
        before = seen_running()
        before.delete(pod(runs(0, "c0"), deleted=80), now=90)
        after = restarted(before)
        assert after.records == [], "it has no row"
        assert after.apply(running(), now=100) == [], "a straggler"
        after.elapse(90 + 300)
        assert kept(after) == {}

    def test_a_pod_that_still_waits_for_its_owner_is_as_new_as_it_was(self) -> None:
        before = Witness()
        one = pod(runs(1, "c1", ended(cid="c0")), owner=owned("ReplicaSet", "web-5d4"))
        assert before.apply(one) == []
        after = restarted(before)
        assert kept(after) == {}
        after.tracker.owner(OWNER)
        assert after.apply(one, gap=True) == ["None -> Running", "main terminated Error 1", "main restarted Error"]

    def test_what_waits_of_a_pod_that_is_gone_is_told_all_the_same(self) -> None:
        before = Witness()
        one = pod(runs(0, "c0"), owner=owned("ReplicaSet", "web-5d4"))
        before.apply(one)
        before.delete(pod(runs(0, "c0"), owner=owned("ReplicaSet", "web-5d4"), deleted=61), now=61)
        after = restarted(before)
        after.tracker.owner(OWNER)
        assert words(after.seen)[-1] == "Terminating -> Deleted"

    def test_a_known_template_is_no_rollout_and_a_new_one_is(self) -> None:
        before = Witness()
        before.apply(of_template("a", "uid-0"))
        after = restarted(before)
        for template, uid in (("a", "uid-1"), ("b", "uid-2")):
            after.apply(of_template(template, uid))
        assert [o.pod.uid for o in after.seen if isinstance(o, RolledOut)] == ["uid-2"]


class TestNamespaces:
    def test_what_is_watched_no_more_is_forgotten_without_a_count(self) -> None:
        known = {"": 5.0, "shop": 7.0}
        assert narrowed(known, EVERYWHERE) == known
        assert narrowed(known, ("shop", "search")) == {"shop": 7.0, "search": 5.0}
        assert narrowed({"shop": 7.0}, ("search",)) == {}

    def test_pods_of_a_namespace_that_was_not_watched_are_baseline(self) -> None:
        before = Witness(baseline=False)
        before.tracker.missing(listed(namespace="shop"))
        after = restarted(before)
        assert after.apply(pod(runs(1, "c1"), namespace="other", created=70), gap=True) == []
        assert after.apply(pod(runs(0, "c0"), uid="uid-1", name="web-1", created=70), gap=True) == ["None -> Running"]


def unhealthy(count: int, *, name: str = "web-0.1", began: float = 30) -> Event:
    return event("Unhealthy", "Liveness probe failed: no", count=count, name=name, began=began)


def failures(seen: list[Observation]) -> int:
    return sum(o.counted for o in seen if isinstance(o, ProbeFailed))


class TestEvents:
    def test_growth_and_what_began_meanwhile_count_in_the_first_list(self) -> None:
        before = seen_running()
        before.tracker.events_listed(listed())
        assert failures(before.hear(unhealthy(3))) == 3
        after = restarted(before)
        assert failures(after.hear(unhealthy(3), listed=True)) == 0
        assert failures(after.hear(unhealthy(5), listed=True)) == 2
        assert failures(after.hear(unhealthy(4, name="web-0.2", began=70), listed=True)) == 4

    def test_the_first_list_is_the_base_if_events_were_not_read_before(self) -> None:
        after = restarted(seen_running(), now=100)
        assert failures(after.hear(unhealthy(3, began=70), listed=True, now=101)) == 0
        assert failures(after.hear(unhealthy(4, began=70), now=102)) == 1

    def test_the_first_list_is_the_base_if_they_were_read_otherwise(self) -> None:
        before = seen_running()
        before.tracker.events_listed(listed())
        after = restarted(before, now=100, normal_events=True)
        assert after.hear(event("Pulled", kind="Normal", began=70), listed=True, now=101) == []
        assert after.hear(event("Started", kind="Normal", name="web-0.9", began=110), now=111) != []


class TestKubelets:
    def test_what_a_counter_has_grown_by_since_its_kubelet_was_read_counts(self) -> None:
        before = Witness(baseline=False)
        before.apply(running(), gap=True)
        before.tracker.missing(listed("uid-0", time=50))
        assert before.tracker.kubelet_read("node-1", first=True)
        after = restarted(before)
        after.apply(running(), gap=True)
        first = after.tracker.kubelet_read("node-1", first=True)
        assert not first
        after.tracker.probe_failures("node-1", "uid-0", "main", "liveness", 4, T0 + 70, first=first)
        assert failures(after.seen) == 4

    def test_the_first_read_of_a_kubelet_is_the_base_for_older_pods(self) -> None:
        before = Witness(baseline=False)
        before.apply(running(), gap=True)
        before.tracker.missing(listed("uid-0", time=50))
        after = restarted(before)
        assert after.tracker.kubelet_read("node-1", first=True)

    def test_of_too_many_kubelets_those_without_pods_are_forgotten(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tracker, "MOST_NODES", 2)
        before = seen_running()
        for node in ("node-1", "node-2", "node-3"):
            before.tracker.kubelet_read(node, first=True)
        assert set(before.tracker.saved()[0].kubelets) == {"node-1", "node-3"}


def test_restored_records_share_what_they_have_in_common() -> None:
    before = Witness()
    for i in range(2):
        before.apply(pod(runs(0, f"c{i}"), specs=(BOTH_PROBES,), name=f"web-{i}", uid=f"uid-{i}"))
    one, other = kept(restarted(before)).values()
    assert one.pod.workload is not None
    assert one.containers[0].shape.probes
    assert one.containers[0].shape is other.containers[0].shape
    assert one.pod.namespace is other.pod.namespace
    assert one.key is one.pod.uid


@pytest.mark.parametrize("kind", kinds())
def test_every_kind_of_observation_can_wait_in_a_record(kind: type[Observation]) -> None:
    """What `Undecided.held` and `Unsettled.told` may hold must be read back as what it was."""
    fields: dict[str, object] = {"at": 1.5, "pod": PodRef("shop", "web-0", "uid-0", None)}
    samples = {"tuple": (("init", 1.5),), "float": 1.0, "str": "x", "int": 2, "bool": True}
    for field in msgspec.structs.fields(kind)[2:]:
        text = str(field.type)
        fields[field.name] = next((v for name, v in samples.items() if name in text), "container")
    literals = {"container_type": "container", "result": "failed"}
    fields |= {name: text for name, text in literals.items() if name in fields}
    told = kind(**fields)  # type: ignore[arg-type]
    undecided = Undecided(Unresolved("u", Workload("shop", "ReplicaSet", "web")), 5.0, (told,))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(undecided), type=Undecided) == undecided
