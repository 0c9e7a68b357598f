from __future__ import annotations

from math import inf

import pytest
from msgspec.structs import replace

from exporter.lifecycle import pods
from exporter.lifecycle.observations import ContainerAppeared, PhaseChanged
from exporter.lifecycle.records import Container, Record
from exporter.objects import Condition, ContainerSpec, ContainerStatus, Metadata, Pod, Probe
from tests.lifecycle.builders import (
    LIVENESS,
    PLAIN,
    REF,
    T0,
    UNKNOWN,
    Witness,
    backs_off,
    condition,
    ended,
    pod,
    restarting_all,
    running,
    runs,
    status,
    unknown,
    waiting,
    words,
)

SETUP = ContainerSpec("setup")
DEBUG = ContainerSpec("debug")


def first(pod: Pod, *, new: bool = True) -> tuple[Record, list[str]]:
    assert REF.workload is not None
    record, seen = pods.first_seen(pod, REF.workload, T0 + 60, new=new)
    return record, words(seen)


def lengths(witness: Witness) -> list[tuple[str, float | None]]:
    return [(o.before, o.seconds) for o in witness.seen if isinstance(o, PhaseChanged)]


# Rule 10, new or baseline


def test_all_the_past_of_a_new_pod_is_counted() -> None:
    _, told = first(pod(runs(2, "c", ended(1, cid="b"))))
    assert told == [
        "None -> Running",
        "main terminated Unobserved",
        "main restarted Unobserved",
        "main terminated Error 1",
        "main restarted Error",
    ]


def test_nothing_of_the_past_of_a_baseline_pod_is_counted() -> None:
    record, told = first(pod(runs(2, "c", ended(1, cid="b"))), new=False)
    assert told == []
    assert record.phase == "Running"


def test_a_baseline_pod_says_which_containers_it_has() -> None:
    probed = ContainerSpec("main", liveness_probe=Probe(), readiness_probe=Probe())
    assert REF.workload is not None
    _, seen = pods.first_seen(pod(specs=(probed,)), REF.workload, T0, new=False)
    assert seen == [ContainerAppeared(T0, seen[0].pod, "main", "container", True, False, True)]


def test_a_baseline_pod_that_waits_is_not_counted_as_waiting() -> None:
    assert first(pod(status(state=waiting("ImagePullBackOff"))), new=False)[1] == []


@pytest.mark.parametrize("new", [True, False])
def test_a_static_pods_containers_may_be_older_than_its_picture_so_their_past_is_not_counted(new: bool) -> None:
    mirror = pod(runs(2, "c", ended(1, cid="b")), mirror="hash")
    assert first(mirror, new=new)[1] == (["None -> Running"] if new else [])


def test_a_mirror_pod_is_known_by_its_config_node_and_name() -> None:
    assert pods.key_of(pod(uid="a", mirror="hash")) == pods.key_of(pod(uid="b", mirror="hash"))
    assert pods.key_of(pod(uid="a", mirror="hash")) != pods.key_of(pod(uid="a", mirror="hash", node="node-2"))
    assert pods.key_of(pod(uid="a", mirror="hash")) != pods.key_of(pod(uid="a", mirror="other"))
    assert pods.key_of(pod(uid="a", mirror="hash")) != pods.key_of(pod(uid="a", mirror="hash", name="web-1"))
    assert pods.key_of(pod(uid="a", mirror="hash")) != pods.key_of(pod(uid="a", mirror="hash", namespace="bank"))


# what a pod may lack


def test_a_pod_of_nothing_but_metadata_can_be_followed() -> None:
    witness = Witness()
    bare = Pod(Metadata(name="web-0", namespace="shop", uid="uid-0"))
    assert witness.apply(bare) == []
    assert witness.record().phase == "Unknown"


def test_missing_status_arrays_change_nothing() -> None:
    witness = Witness()
    witness.apply(pod(runs(2, "c", ended(1, cid="b"))))
    assert witness.apply(pod()) == []
    assert witness.apply(pod(runs(2, "c", ended(1, cid="b")))) == []
    assert witness.apply(pod()) == []
    assert witness.apply(pod(runs(3, "d", ended(2, cid="c")))) == ["main terminated Error 2", "main restarted Error"]


def test_of_a_repeated_status_the_first_counts() -> None:
    witness = Witness()
    witness.apply(pod(runs(0, "a"), status(7, "z", ended(cid="z"))))
    assert witness.container().restarts == 0


def test_a_container_that_only_the_status_names_is_followed_too() -> None:
    witness = Witness()
    witness.apply(pod(runs(0, "a"), status(0, "x", running(), name="injected")))
    injected = status(1, "y", running(), ended(1, cid="x"), name="injected")
    assert witness.apply(pod(runs(0, "a"), injected)) == ["injected terminated Error 1", "injected restarted Error"]


def test_a_container_of_the_baseline_that_only_the_status_names_keeps_its_past_to_itself() -> None:
    witness = Witness(baseline=False)
    shown = status(4, "x", running(), ended(1, cid="w"), name="injected")
    assert witness.apply(pod(shown)) == []
    assert witness.apply(pod(shown)) == []


def test_a_container_that_spec_and_status_no_longer_name_is_kept() -> None:
    witness = Witness()
    witness.apply(pod(runs(0, "a"), status(0, "x", running(), name="injected")))
    witness.apply(pod(runs(0, "a")))
    assert witness.delete(pod(runs(0, "a"), deleted=80)) == [
        "Running -> Terminating",
        "main terminated Unobserved",
        "injected terminated Unobserved",
        "Terminating -> Deleted",
    ]


def test_an_ephemeral_container_added_later_is_told_once() -> None:
    witness = Witness()
    witness.apply(pod(runs(0, "a")))
    witness.apply(pod(runs(0, "a"), ephemerals=(DEBUG,)))
    shown = status(0, "d", ended(4, cid="d"), name="debug")
    debugged = pod(runs(0, "a"), ephemerals=(DEBUG,), ephemeral_statuses=(shown,))
    assert witness.apply(debugged) == ["debug terminated Error 4"]
    assert [(o.container, o.container_type) for o in witness.seen if isinstance(o, ContainerAppeared)] == [
        ("main", "container"),
        ("debug", "ephemeral"),
    ]


def test_containers_of_all_kinds_are_told_apart() -> None:
    witness = Witness()
    sidecar = ContainerSpec("proxy", restart_policy="Always")
    witness.apply(pod(specs=(PLAIN,), inits=(SETUP, sidecar), ephemerals=(DEBUG,)))
    assert {c.name: c.type for c in witness.record().containers} == {
        "setup": "init",
        "proxy": "sidecar",
        "main": "container",
        "debug": "ephemeral",
    }


# whole stories


def test_an_evicted_pod_fails_with_one_end_and_no_restart() -> None:
    witness = Witness()
    witness.apply(pod(runs(0, "a")))
    told = witness.apply(pod(status(1, "", waiting(), unknown()), phase="Failed", reason="Evicted"))
    told += witness.apply(pod(status(1, "", unknown(), unknown()), phase="Failed", reason="Evicted"))
    assert told == ["Running -> Failed", f"main terminated {UNKNOWN}"]


def test_a_running_pod_that_a_new_kubelet_turns_away_ends_once_without_its_statuses_between() -> None:
    """Seen: the kubelet was stopped while the container ended, and the next one did not find it."""
    witness = Witness()
    witness.apply(pod(runs(0, "a")))
    told = witness.apply(pod())
    told += witness.apply(pod(phase="Failed", reason="Evicted"))
    told += witness.apply(pod(status(0, "", unknown()), phase="Failed", reason="Evicted"))
    assert told == ["Running -> Failed", f"main terminated {UNKNOWN}"]


@pytest.mark.parametrize("reason", ["DeadlineExceeded", "Evicted", "Preempting", "Terminated"])
def test_an_end_of_a_pod_that_the_kubelet_stops_is_the_pods_own(reason: str) -> None:
    witness = Witness()
    witness.apply(pod(runs(0, "a")))
    stopped = status(0, "a", ended(143, cid="a", finished=20))
    assert witness.apply(pod(stopped, phase="Failed", reason=reason))[-1] == "main terminated PodStopped 143"


NOT_READY = Condition(type="Ready", status="False", reason="PodFailed")


@pytest.mark.parametrize(
    ("policy", "of_container", "told"),
    [
        ("Always", None, "PodStopped"),
        ("Never", None, "Error"),
        ("OnFailure", None, "PodStopped"),
        ("Always", "Never", "Error"),
    ],
)
def test_a_pod_that_tries_again_what_fails_can_only_be_failed_by_the_kubelet(
    policy: str, of_container: str | None, told: str
) -> None:
    """A restarted kubelet that turns a running pod away says so in Ready before it says it in status.reason (seen)."""
    witness = Witness()
    specs = (replace(PLAIN, restart_policy=of_container),)
    witness.apply(pod(runs(0, "a"), policy=policy, specs=specs))
    stopped = pod(status(0, "a", ended(137, cid="a", finished=20)), policy=policy, specs=specs, conditions=(NOT_READY,))
    assert witness.apply(stopped) == [f"main terminated {told} 137"]


def test_an_end_of_a_pod_with_another_reason_is_its_own() -> None:
    witness = Witness()
    witness.apply(pod(runs(0, "a")))
    lost = status(0, "a", ended(143, cid="a", finished=20))
    assert witness.apply(pod(lost, phase="Failed", reason="NodeLost"))[-1] == "main terminated Error 143"


def test_a_node_whose_clock_is_behind_does_not_turn_a_rollout_into_failures() -> None:
    witness = Witness()
    witness.apply(pod(runs(0, "a")))
    witness.apply(pod(runs(0, "a"), deleted=60))
    behind = status(0, "a", ended(143, cid="a", finished=40))
    assert witness.apply(pod(behind, phase="Failed", deleted=60)) == ["main terminated PodStopped 143"]


def three(setup: ContainerStatus, main: ContainerStatus, log: ContainerStatus, phase: str = "Running") -> Pod:
    """A pod of an init container and two others."""
    return pod(main, log, init_statuses=(setup,), phase=phase, inits=(SETUP,), specs=(PLAIN, ContainerSpec("log")))


def test_all_containers_restart_in_place() -> None:
    witness = Witness()
    done = status(0, "s", ended(0, cid="s"), name="setup")
    witness.apply(three(done, status(0, "a", running()), status(0, "l", running(), name="log")))
    trigger = status(0, "a", ended(42, cid="a"))
    assert witness.apply(three(done, trigger, status(0, "l", running(), name="log"))) == ["main terminated Error 42"]
    held = [status(1, "", waiting("PodInitializing"), restarting_all(), name=n) for n in ("setup", "main", "log")]
    assert witness.apply(three(held[0], held[1], held[2], "Pending")) == [
        "Running -> ContainerCreating",
        "log terminated RestartAllContainers",
    ]
    back = [status(1, n.upper(), running(), restarting_all(), name=n) for n in ("setup", "main", "log")]
    assert witness.apply(three(back[0], back[1], back[2])) == [
        "ContainerCreating -> Running",
        "setup restarted RestartAllContainers",
        "main restarted Error",
        "log restarted RestartAllContainers",
    ]


def test_a_new_sandbox_restarts_the_init_container_too() -> None:
    witness = Witness()
    done = status(0, "s", ended(0, cid="s"), name="setup")
    witness.apply(pod(runs(0, "a"), inits=(SETUP,), init_statuses=(done,)))
    again = status(1, "t", running(), ended(0, cid="s"), name="setup")
    killed = status(0, "a", ended(137, cid="a"))
    assert witness.apply(pod(killed, inits=(SETUP,), init_statuses=(again,))) == [
        "setup restarted PodSandboxChanged",
        "main terminated Error 137",
    ]


def test_a_new_pod_that_shows_a_probe_kill_at_first_sight_has_no_path() -> None:
    witness = Witness()
    assert witness.apply(pod(backs_off(0, ended(137, cid="a")), specs=(LIVENESS,)))[1] == "main terminated Error 137"


# Rule 12, phases and how long they lasted


def test_a_pod_goes_from_created_to_deleted() -> None:
    witness = Witness()
    scheduled = (condition("PodScheduled", 3),)
    told = witness.apply(pod(phase="Pending", node=""))
    told += witness.apply(pod(phase="Pending", conditions=scheduled))
    told += witness.apply(pod(status(0, "a", running(5)), conditions=scheduled))
    told += witness.apply(pod(status(0, "a", running(5)), conditions=scheduled, deleted=65))
    told += witness.delete(pod(status(0, "a", ended(143, cid="a", finished=67)), phase="Failed", deleted=65))
    assert told == [
        "None -> Pending",
        "Pending -> ContainerCreating",
        "ContainerCreating -> Running",
        "Running -> Terminating",
        "main terminated PodStopped 143",
        "Terminating -> Deleted",
    ]
    assert lengths(witness) == [
        ("None", None),
        ("Pending", 3),
        ("ContainerCreating", 2),
        ("Running", 60),
        ("Terminating", 25),
    ]


def test_a_phase_begun_before_we_watched_counts_its_whole_length() -> None:
    witness = Witness(baseline=False)
    witness.apply(pod(status(0, "a", running(5))), now=1000)
    witness.apply(pod(status(0, "a", ended(0, cid="a", finished=2005)), phase="Succeeded"), now=2006)
    assert lengths(witness) == [("Running", 2000)]


def test_a_length_below_the_slack_of_the_clocks_is_clamped_and_said() -> None:
    witness = Witness()
    witness.apply(pod(status(0, "a", running(50)), created=0))
    witness.apply(pod(status(0, "a", running(50)), deleted=45))
    changed = witness.seen[-1]
    assert isinstance(changed, PhaseChanged)
    assert (changed.seconds, changed.clamped) == (0, True)


def test_a_small_difference_of_clocks_is_set_to_zero_and_not_said() -> None:
    witness = Witness()
    witness.apply(pod(status(0, "a", running(50)), created=0))
    witness.apply(pod(status(0, "a", running(50)), deleted=48))
    changed = witness.seen[-1]
    assert isinstance(changed, PhaseChanged)
    assert (changed.seconds, changed.clamped) == (0, False)


def test_a_force_delete_does_not_move_the_deletion_request_later() -> None:
    witness = Witness()
    witness.apply(pod(runs(0, "a")))
    witness.apply(pod(runs(0, "a"), deleted=60, grace=30))
    witness.apply(pod(runs(0, "a"), deleted=75, grace=0))
    assert witness.record().deletion_requested == T0 + 60


def test_a_shortened_grace_period_does_not_move_the_deletion_request() -> None:
    witness = Witness()
    witness.apply(pod(runs(0, "a"), deleted=60, grace=600))
    witness.apply(pod(runs(0, "a"), deleted=70, grace=5))
    assert witness.record().deletion_requested == T0 + 60


def test_a_rolled_out_pod_that_the_api_calls_failed_has_not_failed() -> None:
    witness = Witness()
    witness.apply(pod(runs(0, "a")))
    witness.apply(pod(runs(0, "a"), deleted=60))
    stopped = status(0, "a", ended(137, cid="a", finished=90))
    assert witness.apply(pod(stopped, phase="Failed", deleted=60)) == ["main terminated PodStopped 137"]
    assert witness.delete(pod(stopped, phase="Failed", deleted=90, grace=0)) == ["Terminating -> Deleted"]


def test_a_deletion_of_which_only_the_end_was_seen_is_no_failure() -> None:
    witness = Witness()
    witness.apply(pod(runs(0, "a")))
    stopped = status(0, "a", ended(137, cid="a", finished=90))
    assert witness.apply(pod(stopped, phase="Failed", deleted=60), gap=True) == [
        "Running -> Terminating",
        "main terminated PodStopped 137",
    ]


def test_a_pod_that_had_succeeded_before_its_deletion_goes_from_there() -> None:
    witness = Witness()
    done = status(0, "a", ended(0, cid="a", finished=20))
    witness.apply(pod(done, phase="Succeeded"))
    assert witness.apply(pod(done, phase="Succeeded", deleted=60)) == []
    assert witness.delete(pod(done, phase="Succeeded", deleted=60, grace=0)) == ["Succeeded -> Deleted"]


def test_a_pod_that_ended_tells_nothing_when_it_is_updated_again() -> None:
    witness = Witness()
    done = pod(status(0, "a", ended(0, cid="a", finished=20)), phase="Succeeded")
    witness.apply(done)
    assert witness.apply(done) == []
    assert witness.apply(done, gap=True) == []


# time and memory


def test_the_record_of_a_pod_that_is_gone_is_small_and_due() -> None:
    record, _ = first(pod(runs(0, "a")))
    gone, _ = pods.deleted(record, T0 + 90, unobserved=False)
    assert gone.containers == (Container("main", "container", 0),)
    assert pods.due(gone) == T0 + 90 + pods.LINGER


def test_a_pod_that_is_there_and_decided_is_never_due() -> None:
    assert pods.due(first(pod(runs(0, "a")))[0]) == inf


def test_deciding_a_pod_that_was_decided_changes_nothing() -> None:
    record, _ = first(pod(runs(0, "a")))
    assert REF.workload is not None
    assert pods.decided(record, REF.workload) == (record, [])
