from __future__ import annotations

from typing import Any

import pytest

from exporter.lifecycle.observations import ContainerAppeared, PhaseChanged, Workload
from exporter.lifecycle.pods import LINGER
from exporter.objects import Event, Job, Metadata, Pod, ReplicaSet
from tests.lifecycle.builders import (
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

LOST_WHILE_RUNNING = ["main terminated Unobserved", "Running -> Deleted (unobserved)"]
REPLICASET = ReplicaSet(
    Metadata(name="web-5d4", namespace="shop", uid="uid-of-web-5d4", owner_references=(owned("Deployment", "web"),))
)


def of_replicaset(*, restarts: int = 0, deleted: float | None = None, name: str = "web-5d4-x7k2p") -> Pod:
    labels = {"pod-template-hash": "5d4"}
    shown = runs(restarts, f"id-{restarts}", ended(1, cid=f"id-{restarts - 1}") if restarts else None)
    return pod(shown, name=name, owner=owned("ReplicaSet", "web-5d4"), labels=labels, deleted=deleted)


def workloads(witness: Witness) -> set[str]:
    found = [o.pod.workload for o in witness.seen]
    assert None not in found
    return {f"{w.kind}/{w.name}" for w in found if w}


# Rule 10, which pods are new


def test_before_the_first_list_has_ended_all_pods_are_baseline() -> None:
    witness = Witness(baseline=False)
    assert witness.apply(pod(runs(2, "c", ended(1, cid="b")), created=1e6)) == []


@pytest.mark.parametrize(("created", "new"), [(-3, False), (-2, True), (0, True), (50, True)])
def test_a_pod_is_new_if_it_was_created_after_the_baseline_by_the_servers_clock(created: float, new: bool) -> None:
    witness = Witness()
    assert witness.apply(pod(runs(0, "a"), created=created)) == (["None -> Running"] if new else [])


def test_a_pod_without_creation_time_is_not_new() -> None:
    witness = Witness()
    assert witness.apply(Pod(Metadata(name="web-0", namespace="shop", uid="uid-0"))) == []


def test_later_lists_do_not_move_the_baseline() -> None:
    witness = Witness()
    witness.relist(now=1000)
    assert witness.apply(pod(runs(0, "a"), created=500), gap=True) == ["None -> Running"]


def test_each_watched_namespace_has_a_baseline_of_its_own() -> None:
    witness = Witness(baseline=False)
    witness.relist(namespace="shop", now=100)
    witness.relist(namespace="bank", now=300)
    assert witness.apply(pod(runs(0, "a"), created=200)) == ["None -> Running"]
    assert witness.apply(pod(runs(0, "a"), created=200, namespace="bank", uid="uid-1")) == []
    assert witness.apply(pod(runs(0, "a"), created=400, namespace="zoo", uid="uid-2")) == []


# Rule 11, deletion


def test_a_deleted_pod_that_still_ran_ends_unobserved() -> None:
    witness = Witness()
    witness.apply(pod(runs(0, "a")))
    assert witness.delete(pod(runs(0, "a"), deleted=80, grace=0)) == [
        "Running -> Terminating",
        "main terminated Unobserved",
        "Terminating -> Deleted",
    ]


def test_a_pod_that_goes_without_deletion_has_left_our_view_and_nothing_happened_to_it() -> None:
    witness = Witness()
    witness.apply(pod(runs(0, "a")))
    assert witness.delete(pod(runs(0, "a"))) == []
    assert witness.records[-1].gone_at < float("inf")
    assert list(witness.tracker.records()) == []


def test_the_deletion_of_an_unknown_pod_is_nothing() -> None:
    witness = Witness()
    assert witness.delete(pod(runs(0, "a"), deleted=80)) == []
    assert list(witness.tracker.records()) == []


def test_a_pod_is_deleted_once() -> None:
    witness = Witness()
    witness.apply(pod(runs(0, "a")))
    witness.delete(pod(runs(0, "a"), deleted=80))
    assert witness.delete(pod(runs(0, "a"), deleted=80)) == []


def test_a_pod_that_a_list_no_longer_has_is_gone_unobserved() -> None:
    witness = Witness()
    witness.apply(pod(runs(0, "a")))
    assert witness.relist("uid-other") == LOST_WHILE_RUNNING
    assert witness.relist("uid-other") == []


def test_a_pod_that_a_list_has_stays() -> None:
    witness = Witness()
    witness.apply(pod(runs(0, "a")))
    assert witness.relist("uid-0") == []


def test_a_name_without_a_record_does_not_keep_a_list_from_telling_what_is_gone() -> None:
    witness = Witness()
    witness.tracker._names["shop/odd"] = "nobody"
    witness.apply(pod(runs(0, "a")))
    assert witness.relist("uid-other") == LOST_WHILE_RUNNING


def test_a_list_of_one_namespace_says_nothing_of_others() -> None:
    witness = Witness()
    witness.apply(pod(runs(0, "a")))
    witness.apply(pod(runs(0, "a"), namespace="bank", uid="uid-1"))
    assert witness.relist(namespace="bank") == LOST_WHILE_RUNNING
    assert witness.tracker.objects["pods"] == 1


def test_another_pod_of_a_known_name_means_that_the_first_is_gone() -> None:
    witness = Witness()
    witness.apply(pod(runs(4, "e"), uid="old"))
    witness.seen.clear()
    assert witness.apply(pod(runs(0, "a"), uid="new")) == [*LOST_WHILE_RUNNING, "None -> Running"]
    assert [o.pod.uid for o in witness.seen] == ["old"] * 3 + ["new"] * 2
    assert witness.relist("new") == []


def test_a_straggler_of_a_pod_that_is_gone_is_nothing() -> None:
    witness = Witness()
    witness.apply(pod(runs(0, "a")))
    witness.delete(pod(runs(0, "a"), deleted=80))
    assert witness.apply(pod(runs(1, "b"), deleted=80)) == []
    assert witness.tracker.objects["pods"] == 0


def test_a_straggler_does_not_take_the_name_from_the_pod_that_has_it_now() -> None:
    witness = Witness()
    witness.apply(pod(runs(0, "a"), uid="old"))
    witness.delete(pod(runs(0, "a"), uid="old", deleted=80))
    witness.apply(pod(runs(0, "b"), uid="new"))
    assert witness.apply(pod(runs(0, "a"), uid="old", deleted=80)) == []
    assert witness.delete(pod(runs(0, "a"), uid="old", deleted=80)) == []
    assert witness.apply(pod(runs(1, "c", ended(1, cid="b")), uid="new")) == [
        "main terminated Error 1",
        "main restarted Error",
    ]


def test_a_pod_that_is_gone_is_forgotten_after_a_while() -> None:
    witness = Witness()
    witness.apply(pod(runs(0, "a")))
    witness.delete(pod(runs(0, "a"), deleted=80), now=90)
    assert witness.elapse(90 + LINGER - 1) == []
    assert len(list(witness.tracker.records())) == 1
    assert witness.elapse(90 + LINGER) == []
    assert list(witness.tracker.records()) == []


@pytest.mark.parametrize("step", [-3600, 3600])
def test_a_step_of_the_clock_makes_no_wait_longer_or_shorter(step: int) -> None:
    """Waits for an owner, for an Event's pod, and of the memory of a pod that is gone."""
    witness = Witness()
    witness.apply(of_replicaset(), now=60)
    witness.apply(pod(runs(0, "a"), uid="other", name="other"))
    witness.delete(pod(runs(0, "a"), uid="other", name="other", deleted=60), now=60)
    witness.hear(event("Unhealthy", "Liveness probe failed: ", pod="never", uid="never"), now=60)
    witness.tracker.stepped(step)
    assert witness.elapse(61.9 + step) == []
    assert witness.elapse(62 + step) == ["None -> Running"]
    witness.elapse(119 + step)
    assert witness.tracker.early.lost == 0
    witness.elapse(120 + step)
    assert witness.tracker.early.lost == 1
    witness.elapse(59 + LINGER + step)
    assert len(list(witness.tracker.records())) == 2
    witness.elapse(60 + LINGER + step)
    assert len(list(witness.tracker.records())) == 1


def test_a_step_of_the_clock_does_not_move_the_apis_times() -> None:
    witness = Witness()
    witness.apply(pod(runs(0, "a"), created=50))
    before = witness.record()
    witness.tracker.stepped(-3600)
    assert witness.record() is before


def test_a_pod_that_went_unread_is_an_unobserved_deletion() -> None:
    witness = Witness()
    witness.apply(pod(runs(0, "a")))
    witness.tracker.lost(Pod, "uid-0", T0 + 90)
    assert words(witness.seen)[1:] == LOST_WHILE_RUNNING
    witness.tracker.lost(Pod, "uid-0", T0 + 91)
    witness.tracker.lost(Pod, "unknown", T0 + 91)
    assert len(words(witness.seen)) == 3


def test_an_owner_that_went_unread_is_forgotten() -> None:
    witness = Witness()
    witness.tracker.owner(REPLICASET)
    witness.tracker.lost(ReplicaSet, REPLICASET.metadata.uid, T0 + 90)
    witness.tracker.lost(Event, "whatever", T0 + 90)
    assert witness.tracker.objects["replicasets"] == 0


def test_a_deadline_of_a_pod_that_has_left_is_nothing() -> None:
    witness = Witness()
    witness.tracker.elapsed("nobody", 0)


# mirror pods


def test_a_mirror_pod_that_is_made_again_counts_only_what_its_containers_did_since() -> None:
    witness = Witness()
    witness.apply(pod(runs(3, "d"), uid="one", mirror="hash"))
    assert witness.delete(pod(runs(3, "d"), uid="one", mirror="hash", deleted=80)) == [
        "Running -> Terminating",
        "Terminating -> Deleted",
    ]
    assert witness.apply(pod(runs(4, "e", ended(1, cid="d")), uid="two", mirror="hash", created=85)) == [
        "None -> Running",
        "main terminated Error 1",
        "main restarted Error",
    ]
    assert witness.record("two").pod.uid == "two"


def test_a_mirror_pod_that_was_made_again_unseen_is_the_new_one_in_the_next_list() -> None:
    witness = Witness()
    witness.apply(pod(runs(3, "d"), uid="one", mirror="hash"))
    assert witness.apply(pod(runs(3, "d"), uid="two", mirror="hash", created=85), gap=True) == [
        "Running -> Deleted (unobserved)",
        "None -> Running",
    ]
    assert witness.relist("two") == []
    assert witness.apply(pod(runs(3, "d"), uid="two", mirror="hash")) == []


def test_a_late_deletion_of_the_first_mirror_pod_leaves_the_second_alone() -> None:
    witness = Witness()
    witness.apply(pod(runs(3, "d"), uid="one", mirror="hash"))
    witness.apply(pod(runs(3, "d"), uid="two", mirror="hash", created=85))
    assert witness.delete(pod(runs(3, "d"), uid="one", mirror="hash", deleted=80)) == []
    assert witness.tracker.objects["pods"] == 1


@pytest.mark.parametrize("other", [{"namespace": "bank"}, {"name": "web-1"}])
def test_pods_that_claim_to_mirror_the_same_config_are_told_apart(other: dict[str, Any]) -> None:
    """The annotation is a text that whoever makes a pod may write."""
    witness = Witness()
    gone = ["Running -> Terminating", "Terminating -> Deleted"]
    witness.apply(pod(runs(3, "d"), uid="one", mirror="hash"))
    assert witness.apply(pod(runs(5, "f"), uid="two", mirror="hash", **other)) == ["None -> Running"]
    assert witness.tracker.objects["pods"] == len(list(witness.tracker.records())) == 2
    assert witness.delete(pod(runs(3, "d"), uid="one", mirror="hash", deleted=80)) == gone
    witness.elapse(90 + LINGER)
    assert witness.relist("two", now=500) == []
    assert witness.relist(now=510) == ["Running -> Deleted (unobserved)"]


# owners


def test_a_pod_whose_owner_is_known_is_told_at_once() -> None:
    witness = Witness()
    witness.tracker.owner(REPLICASET)
    assert witness.apply(of_replicaset()) == ["None -> Running"]
    assert workloads(witness) == {"Deployment/web"}
    assert not witness.tracker.undecided


def test_what_is_seen_before_the_owner_is_told_once_under_the_right_workload() -> None:
    witness = Witness()
    assert witness.apply(of_replicaset()) == []
    assert witness.apply(of_replicaset(restarts=1)) == []
    assert len(witness.tracker.undecided) == 1
    witness.tracker.owner(REPLICASET)
    witness.tracker.owner(REPLICASET)
    assert witness.elapse(100) == []
    assert [type(o).__name__ for o in witness.seen] == [
        "PhaseChanged",
        "ContainerAppeared",
        "ContainerTerminated",
        "ContainerRestarted",
    ]
    assert workloads(witness) == {"Deployment/web"}
    assert not witness.tracker.undecided


def test_after_two_seconds_the_names_decide_for_good() -> None:
    witness = Witness()
    witness.apply(of_replicaset(), now=60)
    assert witness.elapse(61.9) == []
    assert witness.tracker.next_deadline() == 1_800_000_062
    assert witness.elapse(62) == ["None -> Running"]
    other = ReplicaSet(Metadata(name="web-5d4", namespace="shop", uid="uid-of-web-5d4"))
    witness.tracker.owner(other)
    witness.apply(of_replicaset(restarts=1), now=70)
    assert workloads(witness) == {"Deployment/web"}


def test_updates_do_not_prolong_the_wait() -> None:
    witness = Witness()
    witness.apply(of_replicaset(), now=60)
    witness.apply(of_replicaset(restarts=1), now=61.5)
    assert witness.elapse(62) == ["None -> Running", "main terminated Error 1", "main restarted Error"]


def test_a_pod_deleted_before_its_owner_is_known_is_told_whole() -> None:
    witness = Witness()
    witness.apply(of_replicaset(), now=60)
    assert witness.delete(of_replicaset(deleted=60), now=61) == []
    witness.tracker.owner(REPLICASET)
    assert [o.after for o in witness.seen if isinstance(o, PhaseChanged)] == ["Running", "Terminating", "Deleted"]
    assert workloads(witness) == {"Deployment/web"}
    assert witness.elapse(61 + LINGER) == []
    assert list(witness.tracker.records()) == []


def test_a_pod_that_leaves_before_its_owner_is_known_tells_what_had_happened() -> None:
    witness = Witness()
    witness.apply(of_replicaset(), now=60)
    assert witness.delete(of_replicaset(), now=61) == ["None -> Running"]
    assert not witness.tracker.undecided


def test_an_undecided_pod_whose_name_passes_on_is_told_too() -> None:
    witness = Witness()
    witness.apply(of_replicaset(name="web-0"), now=60)
    witness.apply(pod(runs(0, "z"), uid="new"), now=60)
    witness.elapse(62)
    changes = [(o.pod.uid, o.after) for o in witness.seen if isinstance(o, PhaseChanged)]
    assert changes == [("new", "Running"), ("uid-0", "Running"), ("uid-0", "Deleted")]


def test_jobs_are_owners_too() -> None:
    witness = Witness()
    reference = owned("Job", "tick-1")
    witness.apply(pod(runs(0, "a"), owner=reference))
    metadata = Metadata(
        name="tick-1", namespace="shop", uid=reference.uid, owner_references=(owned("CronJob", "tick"),)
    )
    witness.tracker.owner(Job(metadata))
    assert workloads(witness) == {"CronJob/tick"}


def test_an_owner_that_is_gone_is_not_asked_any_more() -> None:
    witness = Witness()
    witness.tracker.owner(REPLICASET)
    witness.tracker.disowned(REPLICASET)
    witness.tracker.disowned(REPLICASET)
    assert witness.apply(of_replicaset()) == []
    assert witness.tracker.objects["replicasets"] == 0


def test_a_list_of_owners_forgets_those_that_it_does_not_have() -> None:
    witness = Witness()
    job = Job(Metadata(name="j", namespace="shop", uid="uid-job"))
    witness.tracker.owner(REPLICASET)
    witness.tracker.owner(job)
    witness.tracker.owners_listed(listed("uid-of-web-5d4", of=ReplicaSet))
    witness.tracker.owners_listed(listed(namespace="bank", of=ReplicaSet))
    assert witness.tracker.objects == {"pods": 0, "replicasets": 1, "jobs": 1}
    witness.tracker.owners_listed(listed(of=Job))
    witness.tracker.owners_listed(listed(namespace="shop", of=ReplicaSet))
    assert witness.tracker.objects == {"pods": 0, "replicasets": 0, "jobs": 0}


def test_a_workload_label_names_the_workload() -> None:
    witness = Witness(label="app")
    witness.apply(pod(runs(0, "a"), labels={"app": "front"}, owner=owned("StatefulSet", "web")))
    assert witness.seen[0].pod.workload == Workload("shop", "StatefulSet", "front")


# the blast door


def test_what_could_not_be_delivered_leaves_everything_as_it_was() -> None:
    witness = Witness()
    witness.apply(pod(runs(0, "a")))
    before = witness.record()
    witness.failing = True
    with pytest.raises(RuntimeError):
        witness.apply(pod(runs(1, "b", ended(1, cid="a"))))
    assert witness.record() == before
    witness.failing = False
    assert witness.apply(pod(runs(1, "b", ended(1, cid="a")))) == ["main terminated Error 1", "main restarted Error"]


def test_a_first_sight_that_could_not_be_delivered_is_one_the_next_time() -> None:
    witness = Witness()
    witness.failing = True
    with pytest.raises(RuntimeError):
        witness.apply(pod(runs(0, "a")))
    assert witness.tracker.objects["pods"] == 0
    witness.failing = False
    assert witness.apply(pod(runs(0, "a"))) == ["None -> Running"]
    assert any(isinstance(o, ContainerAppeared) for o in witness.seen)


def test_a_deletion_that_could_not_be_delivered_is_found_by_the_next_list() -> None:
    witness = Witness()
    witness.apply(pod(runs(0, "a")))
    witness.failing = True
    with pytest.raises(RuntimeError):
        witness.delete(pod(runs(0, "a"), deleted=80))
    witness.failing = False
    assert witness.relist() == LOST_WHILE_RUNNING


def test_a_decision_that_could_not_be_delivered_is_tried_again_with_what_is_known_then() -> None:
    witness = Witness()
    above = owned("Rollout", "canary")
    witness.apply(of_replicaset(), now=60)
    witness.failing = True
    with pytest.raises(RuntimeError):
        witness.tracker.owner(
            ReplicaSet(Metadata(name="web-5d4", namespace="shop", uid="uid-of-web-5d4", owner_references=(above,)))
        )
    with pytest.raises(RuntimeError):
        witness.elapse(62)
    witness.failing = False
    assert witness.elapse(64) == ["None -> Running"]
    assert workloads(witness) == {"Rollout/canary"}
    assert witness.elapse(1000) == []


def test_the_update_of_a_pod_costs_one_delivery() -> None:
    witness = Witness()
    witness.apply(pod(status(state=waiting())))
    witness.apply(pod(runs(0, "a")))
    assert len(witness.records) == 2


def test_an_update_without_news_costs_none() -> None:
    witness = Witness()
    witness.apply(pod(runs(0, "a")))
    witness.apply(pod(runs(0, "a"), labels={"irrelevant": "changed"}))
    assert len(witness.records) == 1
