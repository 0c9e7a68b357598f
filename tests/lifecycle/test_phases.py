from __future__ import annotations

from math import inf

import pytest

from exporter.lifecycle.phases import condition as condition_of
from exporter.lifecycle.phases import entered, phase_of
from exporter.objects import Metadata, Pod
from tests.lifecycle.builders import T0, condition, ended, pod, running, runs, status, waiting

NOW = T0 + 500


@pytest.mark.parametrize(
    ("api", "node", "phase"),
    [
        ("Pending", "", "Pending"),
        ("Pending", "node-1", "ContainerCreating"),
        ("Running", "node-1", "Running"),
        ("Succeeded", "node-1", "Succeeded"),
        ("Failed", "node-1", "Failed"),
        ("Unknown", "node-1", "Unknown"),
        ("SomethingNew", "node-1", "Unknown"),
        ("", "node-1", "Unknown"),
    ],
)
def test_the_phase_is_the_apis_but_pending_says_whether_the_pod_is_bound(api: str, node: str, phase: str) -> None:
    assert phase_of(pod(phase=api, node=node), "", inf) == phase


def test_a_pod_without_status_or_spec_has_a_phase() -> None:
    assert phase_of(Pod(Metadata(name="web-0")), "", inf) == "Unknown"


@pytest.mark.parametrize("before", ["", "Pending", "ContainerCreating", "Running", "Unknown", "Terminating"])
@pytest.mark.parametrize("api", ["Pending", "Running", "Unknown"])
def test_a_pod_that_is_being_deleted_terminates(before: str, api: str) -> None:
    assert phase_of(pod(phase=api, deleted=100), before, T0 + 100) == "Terminating"


@pytest.mark.parametrize("api", ["Failed", "Succeeded"])
def test_it_terminates_until_it_is_gone_whatever_the_api_calls_it_on_its_way(api: str) -> None:
    stopped = status(0, "a", ended(137, cid="a", finished=50))
    assert phase_of(pod(stopped, phase=api, policy="Never", deleted=100), "Terminating", T0 + 100) == "Terminating"


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_a_pod_that_had_ended_before_its_deletion_keeps_its_phase(phase: str) -> None:
    stopped = status(0, "a", ended(0, cid="a", finished=200))
    assert phase_of(pod(stopped, phase=phase, deleted=100), phase, T0 + 100) == phase


@pytest.mark.parametrize("before", ["", "Running"])
@pytest.mark.parametrize("finished", [99, 100, 130])
def test_an_end_after_the_deletion_request_is_no_failure_even_if_the_way_was_missed(before: str, finished: int) -> None:
    stopped = status(0, "a", ended(137, cid="a", finished=finished))
    missed = pod(stopped, phase="Failed", policy="Never", deleted=100)
    assert phase_of(missed, before, T0 + 100) == "Terminating"


@pytest.mark.parametrize("before", ["", "Running"])
def test_an_end_before_the_deletion_request_is_a_failure_even_if_the_way_was_missed(before: str) -> None:
    stopped = status(0, "a", ended(1, cid="a", finished=90))
    assert phase_of(pod(stopped, phase="Failed", policy="Never", deleted=100), before, T0 + 100) == "Failed"


def test_a_pod_that_always_restarts_cannot_have_failed_by_itself_even_if_the_way_was_missed() -> None:
    in_back_off = status(0, "a", ended(1, cid="a", finished=10))
    assert phase_of(pod(in_back_off, phase="Failed", deleted=100), "Running", T0 + 100) == "Terminating"


def test_a_pod_that_failed_for_a_reason_of_its_own_has_failed_even_if_the_way_was_missed() -> None:
    evicted = pod(phase="Failed", reason="Evicted", deleted=100)
    assert phase_of(evicted, "Running", T0 + 100) == "Failed"


def test_a_pod_stopped_while_it_initialised_is_no_failure_even_if_the_way_was_missed() -> None:
    stopped = status(0, "a", ended(137, cid="a", finished=120), name="setup")
    missed = pod(status(state=waiting()), init_statuses=(stopped,), phase="Failed", policy="Never", deleted=100)
    assert phase_of(missed, "ContainerCreating", T0 + 100) == "Terminating"


def test_pending_is_entered_at_creation() -> None:
    assert entered("Pending", pod(created=7, node=""), "", 0, inf, NOW) == T0 + 7


def test_a_phase_without_any_time_is_entered_at_receipt() -> None:
    blank = Pod(Metadata(name="web-0"))
    for phase in ("Pending", "ContainerCreating", "Running", "Succeeded", "Failed", "Unknown"):
        assert entered(phase, blank, "", 0, inf, NOW) == NOW


def test_container_creating_is_entered_when_the_pod_was_scheduled() -> None:
    bound = pod(phase="Pending", conditions=(condition("PodScheduled", 3),))
    assert entered("ContainerCreating", bound, "Pending", T0, inf, NOW) == T0 + 3


def test_container_creating_again_is_entered_at_receipt() -> None:
    bound = pod(phase="Pending", conditions=(condition("PodScheduled", 3),))
    assert entered("ContainerCreating", bound, "Running", T0 + 4, inf, NOW) == NOW


def test_running_is_entered_at_the_earliest_start() -> None:
    two = pod(status(0, "a", running(9)), status(0, "b", running(5), name="log"))
    assert entered("Running", two, "ContainerCreating", T0 + 3, inf, NOW) == T0 + 5


def test_running_of_a_container_that_has_ended_already_is_entered_at_its_start() -> None:
    short = pod(status(0, "a", ended(cid="a", started=5)))
    assert entered("Running", short, "ContainerCreating", T0 + 3, inf, NOW) == T0 + 5


def test_running_again_is_not_entered_at_a_start_of_the_first_time() -> None:
    again = pod(runs(1, "b", ended(1, cid="a", started=5)), status(1, "d", running(400), name="log"))
    assert entered("Running", again, "ContainerCreating", T0 + 390, inf, NOW) == T0 + 400


def test_a_start_in_1970_is_no_start() -> None:
    never = pod(status(0, "a", waiting("RunContainerError"), ended(128, "StartError", "a", started=-T0)))
    assert entered("Running", never, "ContainerCreating", T0 + 3, inf, NOW) == NOW


def test_a_pod_first_seen_after_restarts_was_running_since_it_was_initialised() -> None:
    old = pod(runs(3, "d"), conditions=(condition("Initialized", 4),))
    assert entered("Running", old, "", T0, inf, NOW) == T0 + 4


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_an_end_phase_is_entered_at_the_latest_finish(phase: str) -> None:
    done = pod(status(0, "a", ended(finished=20)), status(0, "b", ended(finished=30), name="log"))
    assert entered(phase, done, "Running", T0 + 5, inf, NOW) == T0 + 30


def test_a_pod_that_failed_with_an_init_container_failed_when_that_ended() -> None:
    failed = pod(status(state=waiting()), init_statuses=(status(0, "a", ended(finished=20), name="setup"),))
    assert entered("Failed", failed, "ContainerCreating", T0 + 5, inf, NOW) == T0 + 20


def test_a_finish_before_the_phase_that_is_left_does_not_count() -> None:
    evicted = pod(status(0, "a", ended(0, finished=20)))
    assert entered("Failed", evicted, "Running", T0 + 300, inf, NOW) == NOW


def test_terminating_is_entered_when_deletion_was_asked_for() -> None:
    assert entered("Terminating", pod(deleted=100), "Running", T0, T0 + 100, NOW) == T0 + 100


def test_unknown_is_entered_at_receipt() -> None:
    assert entered("Unknown", pod(runs(0, "a"), phase="Unknown"), "Running", T0, inf, NOW) == NOW


def test_a_condition_is_found_by_its_type() -> None:
    ready = condition("Ready", 4)
    assert condition_of(pod(conditions=(condition("Initialized", 3), ready)), "Ready") == ready
    assert condition_of(pod(conditions=(ready,)), "DisruptionTarget") is None
    assert condition_of(Pod(Metadata()), "Ready") is None
