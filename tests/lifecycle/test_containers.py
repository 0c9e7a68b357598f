from __future__ import annotations

import pytest

from exporter.lifecycle import containers
from exporter.lifecycle.containers import Look
from exporter.lifecycle.observations import ContainerRestarted, ContainerTerminated, Observation
from exporter.objects import ContainerSpec, ContainerState, ContainerStatus, ExitCodes, Probe, RestartRule
from tests.lifecycle.builders import (
    ALL,
    BOTH_PROBES,
    LIVENESS,
    REF,
    T0,
    UNKNOWN,
    Watched,
    backs_off,
    ended,
    restarting_all,
    running,
    runs,
    status,
    unknown,
    waiting,
)


def ends(n: int, cid: str, exit_code: int = 1, reason: str = "", last: ContainerState | None = None) -> ContainerStatus:
    return status(n, cid, ended(exit_code, reason, cid), last)


# Rule 3, which end belongs to which instance


def test_a_first_start_is_no_restart() -> None:
    watched = Watched(status(state=waiting()))
    assert watched.see(runs(0, "a")) == []


def test_an_end_in_state_and_then_its_restart_are_one_of_each() -> None:
    watched = Watched(runs(0, "a"))
    assert watched.see(ends(0, "a")) == ["terminated Error 1"]
    assert watched.see(runs(1, "b", ended(1, cid="a"))) == ["restarted Error"]


def test_an_end_first_seen_in_last_state_explains_the_restart_at_once() -> None:
    watched = Watched(runs(0, "a"))
    assert watched.see(runs(1, "b", ended(1, cid="a"))) == ["terminated Error 1", "restarted Error"]


def test_last_state_with_the_status_own_id_is_the_end_of_the_shown_instance() -> None:
    watched = Watched(runs(0, "a"))
    assert watched.see(backs_off(0, ended(1, cid="a"))) == ["terminated Error 1", "waiting CrashLoopBackOff"]
    assert watched.see(runs(1, "b", ended(1, cid="a"))) == ["restarted Error"]


def test_an_end_and_the_end_of_its_successor_in_one_update_are_two() -> None:
    watched = Watched(runs(0, "a"))
    assert watched.see(ends(1, "b", 2, last=ended(1, cid="a"))) == [
        "terminated Error 1",
        "restarted Error",
        "terminated Error 2",
    ]


def test_the_same_reason_twice_is_two_ends() -> None:
    watched = Watched(runs(0, "a"), ends(0, "a", 137, "OOMKilled"))
    watched.see(runs(1, "b", ended(137, "OOMKilled", "a")))
    assert watched.see(ends(1, "b", 137, "OOMKilled", ended(137, "OOMKilled", "a"))) == ["terminated OOMKilled 137"]


def test_restarts_that_left_no_trace_are_unobserved() -> None:
    watched = Watched(runs(0, "a"))
    assert watched.see(runs(3, "d", ended(1, cid="c"))) == [
        "terminated Unobserved",
        "terminated Unobserved",
        "restarted Unobserved",
        "restarted Unobserved",
        "terminated Error 1",
        "restarted Error",
    ]


def test_a_leap_of_restart_count_costs_no_more_than_a_step() -> None:
    """The API takes any int32 as restartCount."""
    watched = Watched(runs(0, "a"), ends(0, "a"))
    seen: list[Observation] = []
    containers.applied(watched.container, runs(2**31 - 1, "z", ended(2, cid="y")), watched.spec, Look(T0, REF), seen)
    assert [(o.reason, o.times) for o in seen if isinstance(o, ContainerRestarted)] == [
        ("Error", 1),
        ("Unobserved", 2**31 - 3),
        ("Error", 1),
    ]
    assert sum(o.times for o in seen if isinstance(o, ContainerTerminated)) == 2**31 - 2


def test_an_end_seen_earlier_explains_its_restart_after_a_jump() -> None:
    watched = Watched(runs(0, "a"), ends(0, "a", 3))
    assert watched.see(runs(2, "c", ended(4, cid="b"))) == [
        "restarted Error",
        "terminated Error 4",
        "restarted Error",
    ]


def test_a_restart_without_any_last_state_is_unobserved() -> None:
    watched = Watched(runs(0, "a"))
    assert watched.see(runs(1, "b")) == ["terminated Unobserved", "restarted Unobserved"]


def test_a_last_state_that_appears_after_its_restart_was_counted_is_not_told_again() -> None:
    watched = Watched(runs(0, "a"), runs(1, "b"))
    assert watched.see(runs(1, "b", ended(1, cid="a"))) == []


def test_a_last_state_that_is_collected_and_comes_back_is_told_once() -> None:
    watched = Watched(runs(0, "a"), runs(1, "b", ended(1, cid="a")), runs(1, "b"))
    assert watched.see(runs(1, "b", ended(1, cid="a"))) == []


def test_a_last_state_older_than_the_last_instance_does_not_explain_its_restart() -> None:
    watched = Watched(runs(0, "a"), runs(1, "b", ended(137, "OOMKilled", "a")))
    assert watched.see(runs(2, "c", ended(137, "OOMKilled", "a"))) == [
        "terminated Unobserved",
        "restarted Unobserved",
    ]


def test_a_known_id_tells_better_than_the_pairing_by_number() -> None:
    watched = Watched(runs(0, "a"))
    assert watched.see(runs(2, "c", ended(3, cid="a"))) == [
        "terminated Error 3",
        "restarted Error",
        "terminated Unobserved",
        "restarted Unobserved",
    ]


# Rule 4, one end is told once


@pytest.mark.parametrize(
    "shown",
    [runs(0, "a"), ends(0, "a"), backs_off(0, ended(1, cid="a")), runs(1, "b", ended(1, cid="a")), status(1)],
    ids=["running", "ended", "backing off", "restarted", "empty"],
)
def test_the_same_status_twice_tells_nothing_new(shown: ContainerStatus) -> None:
    watched = Watched(shown)
    before = watched.container
    assert watched.see(shown) == []
    assert watched.container == before


def test_without_ids_an_end_is_its_number_and_reason() -> None:
    watched = Watched(status(0, state=running()), status(0, state=ended(1)))
    assert watched.see(status(0, state=ended(1))) == []
    assert watched.see(status(1, state=running(), last=ended(1))) == ["restarted Error"]
    assert watched.see(status(2, state=running(), last=ended(1))) == ["terminated Error 1", "restarted Error"]


def test_the_cause_of_an_end_outlives_the_back_off() -> None:
    watched = Watched(runs(0, "a"), spec=LIVENESS)
    watched.see(backs_off(0, ended(137, cid="a")))
    watched.see(backs_off(0, ended(137, cid="a")), gap=True)
    assert watched.see(runs(1, "b", ended(137, cid="a")), gap=True) == ["restarted LivenessProbe (inferred)"]


def test_a_start_error_is_an_end_that_never_ran() -> None:
    never = ended(128, "StartError", "a", started=-1_800_000_000)
    watched = Watched(status(state=waiting()))
    assert watched.see(status(0, "a", waiting("RunContainerError"), never)) == [
        "terminated StartError 128",
        "waiting RunContainerError",
    ]
    again = ended(128, "StartError", "b", started=-1_800_000_000)
    assert watched.see(status(1, "b", waiting("RunContainerError"), again)) == [
        "restarted StartError",
        "terminated StartError 128",
        "waiting RunContainerError",
    ]


def test_an_end_without_reason_is_named_by_its_exit_code() -> None:
    watched = Watched(runs(0, "a"))
    bare = status(0, "a", ContainerState(terminated=ended(0, cid="a").terminated))
    assert watched.see(bare) == ["terminated Completed 0"]


# Rule 1, resets, and ids that come late


def test_a_fall_of_restart_count_alone_is_a_reset_and_no_restart() -> None:
    watched = Watched(runs(5, "e"))
    assert watched.see(runs(0, "e")) == ["reset"]
    assert watched.see(runs(1, "f", ended(1, cid="e"))) == ["terminated Error 1", "restarted Error"]


def test_a_fall_with_a_new_id_is_one_restart() -> None:
    watched = Watched(runs(5, "e"))
    assert watched.see(runs(0, "f", ended(1, cid="e"))) == ["reset", "terminated Error 1", "restarted Error"]


def test_an_end_told_before_a_reset_explains_the_restart_that_comes_with_it() -> None:
    watched = Watched(runs(5, "e"), ends(5, "e", 3))
    assert watched.see(runs(0, "f")) == ["reset", "restarted Error"]


def test_a_fall_to_a_lower_number_than_zero_restarts_ago_counts_one() -> None:
    watched = Watched(runs(5, "e"))
    assert watched.see(runs(2, "g")) == ["reset", "terminated Unobserved", "restarted Unobserved"]
    assert watched.see(runs(3, "h", ended(1, cid="g"))) == ["terminated Error 1", "restarted Error"]


def test_a_new_id_under_the_old_number_is_one_restart() -> None:
    watched = Watched(runs(0, "a"))
    assert watched.see(runs(0, "b", ended(1, cid="a"))) == ["terminated Error 1", "restarted Error"]
    assert watched.see(runs(0, "b", ended(1, cid="a"))) == []


def test_an_end_told_before_its_number_is_used_again_is_not_lost() -> None:
    watched = Watched(runs(0, "a"), ends(0, "a", 3))
    assert watched.see(runs(0, "b")) == ["restarted Error"]
    assert watched.see(ends(0, "b", 3)) == ["terminated Error 3"]


def test_a_count_that_grows_before_the_new_id_shows_is_one_restart() -> None:
    watched = Watched(runs(0, "a"))
    assert watched.see(status(1, "", waiting(), ended(1, cid="a"))) == ["terminated Error 1", "restarted Error"]
    assert watched.see(runs(1, "b", ended(1, cid="a"))) == []
    assert watched.see(runs(2, "c", ended(1, cid="b"))) == ["terminated Error 1", "restarted Error"]


def test_a_count_that_grows_while_the_old_id_still_shows_is_one_restart_and_one_end() -> None:
    watched = Watched(runs(0, "a"))
    watched.see(runs(1, "a"))
    assert watched.see(status(1, "a", ended(1, cid="a"))) == []
    assert watched.see(runs(1, "b", ended(1, cid="a"))) == []
    assert watched.lost() == ["terminated Unobserved"]


def test_a_count_that_grows_without_id_leaves_nothing_running_to_be_lost_later() -> None:
    watched = Watched(runs(0, "a"))
    assert watched.see(status(1, "", waiting())) == ["terminated Unobserved", "restarted Unobserved"]
    assert watched.lost() == []


def test_a_growth_that_falls_back_before_its_id_shows_is_still_one_restart() -> None:
    watched = Watched(runs(5, "e"), status(6, "", waiting(), ended(1, cid="e")))
    assert watched.see(runs(0, "f", ended(1, cid="e"))) == ["reset"]


def test_an_id_that_is_empty_for_a_while_changes_nothing() -> None:
    watched = Watched(runs(0, "a"))
    assert watched.see(status(0, "", waiting())) == []
    assert watched.see(runs(0, "a")) == []
    assert watched.lost() == ["terminated Unobserved"]


def test_a_status_that_lost_its_own_id_still_shows_the_end_of_the_shown_instance() -> None:
    watched = Watched(runs(2, "c"))
    assert watched.see(status(2, "", waiting("CrashLoopBackOff"), ended(1, cid="c"))) == [
        "terminated Error 1",
        "waiting CrashLoopBackOff",
    ]
    assert watched.see(runs(3, "d", ended(1, cid="c"))) == ["restarted Error"]


def test_restarts_are_counted_where_nothing_ever_has_an_id() -> None:
    watched = Watched(status(0, state=running()))
    assert watched.see(status(1, state=running(), last=ended(1))) == ["terminated Error 1", "restarted Error"]
    assert watched.see(status(2, state=running())) == ["terminated Unobserved", "restarted Unobserved"]
    assert watched.lost() == ["terminated Unobserved"]


def test_an_old_update_does_not_spoil_what_is_counted_after_it() -> None:
    watched = Watched(runs(0, "a"), runs(1, "b", ended(1, cid="a")), runs(0, "a"))
    watched.see(runs(1, "b", ended(1, cid="a")))
    assert watched.see(runs(2, "c", ended(2, cid="b"))) == ["terminated Error 2", "restarted Error"]
    assert watched.see(ends(2, "c", 3)) == ["terminated Error 3"]


def test_an_instance_whose_end_was_told_does_not_come_back_to_life() -> None:
    watched = Watched(runs(0, "a"), ends(0, "a"))
    assert watched.see(runs(0, "a")) == []
    assert watched.lost() == []


# Rule 2, ends that the kubelet made up


def test_an_unknown_end_in_state_with_a_higher_count_is_an_end_and_no_restart() -> None:
    watched = Watched(runs(0, "a"))
    assert watched.see(status(1, "", unknown())) == [f"terminated {UNKNOWN}"]
    assert watched.see(status(1, "", unknown())) == []
    assert watched.lost() == []


def test_an_unknown_last_state_is_a_restart_only_once_a_new_id_shows() -> None:
    watched = Watched(runs(0, "a"))
    assert watched.see(status(1, "", waiting(), unknown())) == [f"terminated {UNKNOWN}"]
    assert watched.see(runs(1, "b", unknown())) == [f"restarted {UNKNOWN}"]
    assert watched.see(runs(2, "c", ended(1, cid="b"))) == ["terminated Error 1", "restarted Error"]


def test_an_unknown_end_without_a_higher_count_is_an_end() -> None:
    watched = Watched(runs(3, "d"))
    assert watched.see(status(3, "", unknown()), stop=10) == [f"terminated {UNKNOWN}"]


def test_an_evicted_container_ends_once_and_is_not_restarted() -> None:
    watched = Watched(runs(0, "a"))
    told = watched.see(status(1, "", waiting(), unknown()), stop=-1e9)
    told += watched.see(status(1, "", unknown(), unknown()), stop=-1e9)
    told += watched.lost()
    assert told == [f"terminated {UNKNOWN}"]


def test_an_unknown_end_of_what_never_ran_is_no_termination() -> None:
    watched = Watched(status(state=waiting()))
    assert watched.see(status(0, "", unknown())) == []


def test_an_unknown_end_is_not_pinned_on_an_older_instance() -> None:
    watched = Watched(runs(0, "a"))
    assert watched.see(status(3, "", waiting(), unknown())) == [
        "terminated Unobserved",
        "terminated Unobserved",
        "restarted Unobserved",
        "restarted Unobserved",
    ]
    assert watched.see(runs(3, "d", unknown())) == [f"restarted {UNKNOWN}"]


def test_a_container_that_is_found_again_ends_once() -> None:
    watched = Watched(runs(0, "a"), status(1, "", waiting(), unknown()), runs(0, "a"))
    assert watched.see(ends(0, "a")) == []
    assert watched.see(runs(1, "b", ended(1, cid="a")))[-1:] == [f"restarted {UNKNOWN}"]


def test_a_restart_of_all_ends_what_ran_and_restarts_it_when_the_new_id_shows() -> None:
    watched = Watched(runs(0, "a"))
    assert watched.see(status(1, "", waiting(ALL), restarting_all())) == [
        "terminated RestartAllContainers",
        f"waiting {ALL}",
    ]
    assert watched.see(status(1, "", waiting("PodInitializing"), restarting_all())) == []
    assert watched.see(runs(1, "b", restarting_all())) == ["restarted RestartAllContainers"]


def test_the_container_that_made_all_restart_keeps_its_own_cause() -> None:
    watched = Watched(runs(0, "a"), ends(0, "a", 42))
    assert watched.see(status(1, "", waiting(ALL), restarting_all())) == [f"waiting {ALL}"]
    assert watched.see(runs(1, "b", restarting_all())) == ["restarted Error"]


def test_a_completed_init_container_runs_again_because_all_restart() -> None:
    watched = Watched(runs(0, "a"), ends(0, "a", 0), kind="init")
    assert watched.see(status(1, "", waiting(ALL), restarting_all())) == [f"waiting {ALL}"]
    assert watched.see(runs(1, "b", restarting_all())) == ["restarted RestartAllContainers"]


def test_two_restarts_of_all_are_two() -> None:
    watched = Watched(runs(0, "a"), status(1, "", waiting(ALL), restarting_all()), runs(1, "b", restarting_all()))
    assert watched.see(status(2, "", waiting(ALL), restarting_all())) == [
        "terminated RestartAllContainers",
        f"waiting {ALL}",
    ]
    assert watched.see(runs(2, "c", restarting_all())) == ["restarted RestartAllContainers"]


def test_a_restart_of_all_seen_only_afterwards_is_one_restart() -> None:
    watched = Watched(runs(0, "a"))
    assert watched.see(runs(1, "b", restarting_all()), gap=True) == [
        "terminated RestartAllContainers",
        "restarted RestartAllContainers",
    ]


def test_the_api_reason_with_an_id_is_an_end_like_any_other() -> None:
    watched = Watched(runs(0, "a"))
    assert watched.see(ends(0, "a", 137, ALL)) == ["terminated RestartAllContainers 137"]


@pytest.mark.parametrize("reason", [UNKNOWN, ALL])
def test_a_baseline_in_the_middle_of_a_hold_counts_the_restart_that_is_still_to_come(reason: str) -> None:
    made_up = ended(137, reason, started=None, finished=None)
    watched = Watched.from_baseline(status(4, "", waiting(), made_up))
    assert [w for w in watched.see(runs(4, "e", made_up)) if "restarted" in w] == [
        f"restarted {reason.replace(ALL, 'RestartAllContainers')}"
    ]
    assert watched.see(runs(5, "f", ended(1, cid="e"))) == ["terminated Error 1", "restarted Error"]


# Rule 10, the baseline


def test_a_baseline_that_is_repeated_tells_nothing() -> None:
    shown = runs(7, "h", ended(1, cid="g"))
    watched = Watched.from_baseline(shown)
    assert watched.see(shown) == []


def test_an_end_that_the_baseline_shows_explains_the_restart_after_it() -> None:
    watched = Watched.from_baseline(backs_off(7, ended(137, "OOMKilled", "h")))
    assert watched.see(runs(8, "i", ended(137, "OOMKilled", "h"))) == ["restarted OOMKilled"]


def test_the_last_end_before_the_baseline_is_remembered_and_not_told() -> None:
    watched = Watched.from_baseline(runs(7, "h", ended(1, cid="g")))
    assert watched.container.ending is not None
    assert watched.container.ending.cause == "Error"


def test_a_last_state_older_than_the_baseline_that_appears_later_is_not_told() -> None:
    watched = Watched.from_baseline(runs(7, "h"))
    assert watched.see(status(7, "h", running(), ended(1, cid="g"), ready=False)) == []


# Rule 5, causes


@pytest.mark.parametrize("reason", ["OOMKilled", "StartError", "ContainerCannotRun"])
def test_what_the_api_says_is_the_cause_whatever_the_path(reason: str) -> None:
    watched = Watched(runs(0, "a"), spec=LIVENESS)
    assert watched.see(runs(1, "b", ended(137, reason, "a"))) == [f"terminated {reason} 137", f"restarted {reason}"]


@pytest.mark.parametrize("exit_code", [0, 1, 137, 143])
def test_a_container_replaced_at_once_was_killed_by_its_liveness_probe(exit_code: int) -> None:
    watched = Watched(runs(0, "a"), spec=LIVENESS)
    assert watched.see(runs(1, "b", ended(exit_code, cid="a"))) == [
        f"terminated LivenessProbe {exit_code}",
        "restarted LivenessProbe (inferred)",
    ]


def test_a_container_in_back_off_at_once_was_killed_by_its_liveness_probe() -> None:
    watched = Watched(runs(0, "a"), spec=LIVENESS)
    assert watched.see(backs_off(0, ended(143, cid="a"))) == [
        "terminated LivenessProbe 143",
        "waiting CrashLoopBackOff",
    ]
    assert watched.see(runs(1, "b", ended(143, cid="a"))) == ["restarted LivenessProbe (inferred)"]


def test_before_started_it_was_the_startup_probe() -> None:
    watched = Watched(runs(0, "a", started=False), spec=BOTH_PROBES)
    assert watched.see(runs(1, "b", ended(137, cid="a"), started=False))[-1] == "restarted StartupProbe (inferred)"


def test_after_started_it_was_the_liveness_probe() -> None:
    watched = Watched(runs(0, "a", started=False), runs(0, "a"), runs(0, "a", started=False), spec=BOTH_PROBES)
    assert watched.see(runs(1, "b", ended(137, cid="a")))[-1] == "restarted LivenessProbe (inferred)"


def test_started_is_noticed_while_all_else_stays_as_it_was() -> None:
    watched = Watched(status(0, "a", running(), started=False), spec=BOTH_PROBES)
    assert watched.see(status(0, "a", running(), started=True)) == []
    assert watched.see(runs(1, "b", ended(1, cid="a")))[-1] == "restarted LivenessProbe (inferred)"


def test_readiness_is_noticed_while_all_else_stays_as_it_was() -> None:
    watched = Watched(status(0, "a", running(), ready=False))
    watched.see(status(0, "a", running(), ready=True))
    assert watched.container.ready
    watched.see(status(0, "a", running(), ready=False))
    assert not watched.container.ready


def test_a_hold_is_explained_by_its_own_end_even_if_more_was_missed_after_it() -> None:
    watched = Watched(runs(0, "a"), status(1, "", waiting(), unknown()))
    assert watched.see(runs(2, "c", ended(0, cid="b")), gap=True) == [
        f"restarted {UNKNOWN}",
        "terminated Completed 0",
        "restarted Completed",
    ]


def test_a_new_instance_that_runs_before_its_id_shows_does_not_end_for_the_held_one() -> None:
    watched = Watched(runs(0, "a"), status(1, "", waiting(), unknown()), status(1, "", running(), unknown()))
    assert watched.see(status(2, "", waiting(), unknown())) == [f"restarted {UNKNOWN}"]


def test_started_belongs_to_one_instance() -> None:
    watched = Watched(runs(0, "a"), runs(1, "b", ended(1, cid="a"), started=False), spec=BOTH_PROBES)
    assert watched.see(runs(2, "c", ended(1, cid="b"), started=False))[-1] == "restarted StartupProbe (inferred)"


def test_a_startup_probe_that_has_succeeded_kills_no_more() -> None:
    watched = Watched(runs(0, "a"), spec=ContainerSpec("main", startup_probe=Probe()))
    assert watched.see(runs(1, "b", ended(1, cid="a")))[-1] == "restarted Error"


def test_without_a_probe_the_path_means_nothing() -> None:
    watched = Watched(runs(0, "a"), spec=ContainerSpec("main", readiness_probe=Probe()))
    assert watched.see(runs(1, "b", ended(1, cid="a")))[-1] == "restarted Error"


def test_an_end_that_showed_in_state_was_no_probe_kill() -> None:
    watched = Watched(runs(0, "a"), spec=LIVENESS)
    assert watched.see(ends(0, "a")) == ["terminated Error 1"]
    assert watched.see(runs(1, "b", ended(1, cid="a"))) == ["restarted Error"]


def test_after_a_gap_the_path_proves_nothing() -> None:
    watched = Watched(runs(0, "a"), spec=LIVENESS)
    assert watched.see(runs(1, "b", ended(1, cid="a")), gap=True)[-1] == "restarted Error"


def test_a_gap_in_which_the_instance_ran_on_does_not_hide_a_later_probe_kill() -> None:
    watched = Watched(runs(0, "a"), spec=LIVENESS)
    watched.see(runs(0, "a"), gap=True)
    assert watched.see(runs(1, "b", ended(1, cid="a")))[-1] == "restarted LivenessProbe (inferred)"


def test_a_pod_that_stops_is_not_killed_by_a_probe() -> None:
    watched = Watched(runs(0, "a"), spec=LIVENESS)
    assert watched.see(runs(1, "b", ended(1, cid="a")), stop=0)[-1] == "restarted Error"


def test_an_instance_never_seen_running_was_not_seen_to_be_killed_by_a_probe() -> None:
    watched = Watched(status(state=waiting()), spec=LIVENESS)
    assert watched.see(runs(1, "b", ended(1, cid="a")))[-1] == "restarted Error"


def test_other_reasons_than_error_and_completed_are_no_probe_kill() -> None:
    watched = Watched(runs(0, "a"), spec=LIVENESS)
    assert watched.see(runs(1, "b", ended(255, "Unknown", "a")))[-1] == "restarted Unknown"


def test_an_init_container_that_runs_again_after_success_tells_of_a_new_sandbox() -> None:
    watched = Watched(runs(0, "a"), ends(0, "a", 0), kind="init")
    assert watched.see(runs(1, "b", ended(0, cid="a"))) == ["restarted PodSandboxChanged"]


def test_an_init_container_that_fails_restarts_for_its_own_reason() -> None:
    watched = Watched(runs(0, "a"), ends(0, "a", 7), kind="init")
    assert watched.see(runs(1, "b", ended(7, cid="a"))) == ["restarted Error"]


def test_a_sidecar_that_exits_0_restarts_as_completed() -> None:
    spec = ContainerSpec("main", restart_policy="Always")
    watched = Watched(runs(0, "a"), ends(0, "a", 0), spec=spec, kind="init")
    assert watched.container.type == "sidecar"
    assert watched.see(runs(1, "b", ended(0, cid="a"))) == ["restarted Completed"]


def test_always_means_sidecar_only_for_init_containers() -> None:
    spec = ContainerSpec("main", restart_policy="Always")
    assert Watched(spec=spec).container.type == "container"


@pytest.mark.parametrize(
    ("operator", "values", "exit_code", "reason"),
    [
        ("In", (3, 4), 3, "RestartRule"),
        ("In", (3, 4), 5, "Error"),
        ("NotIn", (3, 4), 5, "RestartRule"),
        ("NotIn", (3, 4), 4, "Error"),
        ("NotIn", (3,), 0, "RestartRule"),
    ],
)
def test_a_rule_of_the_container_explains_restarts_at_its_exit_codes(
    operator: str, values: tuple[int, ...], exit_code: int, reason: str
) -> None:
    rule = RestartRule("Restart", ExitCodes(operator, values))
    spec = ContainerSpec("main", restart_policy="Never", restart_policy_rules=(rule,))
    watched = Watched(runs(0, "a"), ends(0, "a", exit_code), spec=spec)
    assert watched.see(runs(1, "b", ended(exit_code, cid="a"))) == [f"restarted {reason}"]


def test_a_rule_that_restarts_all_is_not_the_containers_own() -> None:
    rule = RestartRule("RestartAllContainers", ExitCodes("In", (3,)))
    watched = Watched(runs(0, "a"), ends(0, "a", 3), spec=ContainerSpec("main", restart_policy_rules=(rule,)))
    assert watched.see(runs(1, "b", ended(3, cid="a"))) == ["restarted Error"]


def test_a_rule_does_not_hide_an_oom_kill() -> None:
    rule = RestartRule("Restart", ExitCodes("In", (137,)))
    spec = ContainerSpec("main", restart_policy_rules=(rule,))
    watched = Watched(runs(0, "a"), ends(0, "a", 137, "OOMKilled"), spec=spec)
    assert watched.see(runs(1, "b", ended(137, "OOMKilled", "a"))) == ["restarted OOMKilled"]


# Rule 6, ends that the pod's own end brought


@pytest.mark.parametrize(
    ("exit_code", "reason"),
    [
        (0, "PodStopped"),
        (137, "PodStopped"),
        (143, "PodStopped"),
        (130, "PodStopped"),
        (192, "PodStopped"),
        (139, "Error"),
        (134, "Error"),
        (3, "Error"),
        (128, "Error"),
        (255, "Error"),
    ],
)
def test_an_end_after_the_stop_request_is_the_pods_own_unless_it_crashed(exit_code: int, reason: str) -> None:
    watched = Watched(runs(0, "a"))
    assert watched.see(ends(0, "a", exit_code), stop=5) == [f"terminated {reason} {exit_code}"]


def test_an_end_before_the_stop_request_keeps_its_reason() -> None:
    watched = Watched(runs(0, "a"))
    assert watched.see(ends(0, "a", 143), stop=12) == ["terminated Error 143"]


def test_clocks_may_differ_by_a_second() -> None:
    watched = Watched(runs(0, "a"))
    assert watched.see(ends(0, "a", 143), stop=11) == ["terminated PodStopped 143"]


def test_what_was_seen_running_after_the_request_has_ended_after_it_whatever_the_nodes_clock_says() -> None:
    watched = Watched(runs(0, "a"))
    assert watched.see(ends(0, "a", 143), stop=50, stopping=True) == ["terminated PodStopped 143"]


def test_what_was_not_seen_running_after_the_request_is_judged_by_its_times() -> None:
    watched = Watched(status(state=waiting()))
    assert watched.see(ends(0, "a", 143), stop=50, stopping=True) == ["terminated Error 143"]


def test_an_end_without_a_time_ended_when_we_learned_of_it() -> None:
    watched = Watched(runs(0, "a"))
    assert watched.see(status(0, "a", ended(0, cid="a", finished=None)), stop=30) == ["terminated PodStopped 0"]


def test_an_oom_kill_while_the_pod_stops_stays_one() -> None:
    watched = Watched(runs(0, "a"))
    assert watched.see(ends(0, "a", 137, "OOMKilled"), stop=0) == ["terminated OOMKilled 137"]


# Rule 9, waiting


@pytest.mark.parametrize("reason", ["ImagePullBackOff", "CreateContainerConfigError", "SomethingNew"])
def test_entering_a_waiting_reason_is_told_once(reason: str) -> None:
    watched = Watched(status(state=waiting()))
    assert watched.see(status(state=waiting(reason))) == [f"waiting {reason}"]
    assert watched.see(status(state=waiting(reason))) == []


@pytest.mark.parametrize("reason", ["", "ContainerCreating", "PodInitializing"])
def test_the_way_of_every_start_is_no_trouble(reason: str) -> None:
    watched = Watched(runs(0, "a"))
    assert watched.see(status(0, "a", waiting(reason))) == []


def test_coming_back_to_a_waiting_reason_is_another_entry() -> None:
    watched = Watched(status(state=waiting("ErrImagePull")), status(state=waiting("ImagePullBackOff")))
    assert watched.see(status(state=waiting("ErrImagePull"))) == ["waiting ErrImagePull"]


def test_the_same_reason_after_a_restart_in_between_is_another_entry() -> None:
    watched = Watched(runs(0, "a"), backs_off(0, ended(1, cid="a")))
    assert watched.see(backs_off(1, ended(1, cid="b")))[-1] == "waiting CrashLoopBackOff"


def test_no_state_at_all_is_waiting() -> None:
    watched = Watched(status())
    assert (watched.container.state, watched.container.reason) == ("waiting", "")


def test_a_reason_is_cut_at_128_characters() -> None:
    watched = Watched()
    assert watched.see(status(state=waiting("x" * 500))) == [f"waiting {'x' * 128}"]


# Rule 11, gone


def test_a_container_that_was_running_when_its_pod_went_is_one_unobserved_end() -> None:
    assert Watched(runs(0, "a")).lost() == ["terminated Unobserved"]


def test_a_container_that_had_ended_when_its_pod_went_has_ended_once() -> None:
    assert Watched(runs(0, "a"), ends(0, "a")).lost() == []


def test_a_container_that_never_ran_does_not_end() -> None:
    assert Watched(status(state=waiting("ImagePullBackOff"))).lost() == []


# what follows an end tells its cause


def hook_failed(n: int, cid: str) -> ContainerStatus:
    return status(n, cid, waiting("PostStartHookError"), ended(137, cid=cid))


def test_the_wait_after_a_failed_hook_tells_the_cause() -> None:
    watched = Watched(runs(0, "a"))
    assert watched.see(hook_failed(0, "a")) == ["terminated PostStartHook 137", "waiting PostStartHookError"]
    assert watched.see(runs(1, "b", ended(137, cid="a"))) == ["restarted PostStartHook"]


def test_a_hook_that_failed_may_show_after_the_end() -> None:
    watched = Watched(runs(0, "a"), status(0, "a", ended(137, cid="a")))
    watched.see(hook_failed(0, "a"))
    assert watched.see(runs(1, "b", ended(137, cid="a"))) == ["restarted PostStartHook"]


def test_a_synthetic_end_explains_its_own_restart_and_no_later_one() -> None:
    """R2: its restart was counted although no update showed the id of the instance that followed."""
    watched = Watched(runs(0, "c0"))
    assert watched.see(status(1, "", waiting(), unknown())) == [f"terminated {UNKNOWN}"]
    later = ended(0, cid="c1", started=20, finished=30)
    assert watched.see(status(2, "", running(40), later), gap=True) == [
        f"restarted {UNKNOWN}",
        "terminated Completed 0",
        "restarted Completed",
    ]
    assert watched.see(runs(2, "c2", later)) == []
