"""The course of one pod, told in the API server's own JSON: R7, R8, R13-R18, rollouts and in-place restarts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, TypeAlias

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.lifecycle import pods
from exporter.lifecycle.observations import (
    ConditionChanged,
    CrashLoopBegan,
    CrashLoopEnded,
    GracePeriodExceeded,
    ImagePulled,
    Observation,
    PodDisrupted,
    PodRef,
    PodTerminated,
    ReadinessLost,
    ReadinessRegained,
    RestartedInPlace,
    RolledOut,
    SchedulingFailed,
    StartupFailed,
    StartupFinished,
)
from exporter.lifecycle.startup import STAGES, Startup, finished
from exporter.lifecycle.tracker import Tracker
from exporter.objects import Listed, Pod

T0 = 1_800_000_000.0
Json: TypeAlias = dict[str, Any]
DECODE = msgspec.json.Decoder(Pod).decode
REF = PodRef("shop", "web", "u", None)


def at(seconds: float) -> str:
    return datetime.fromtimestamp(T0 + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def condition(kind: str, status: str = "True", since: float = 0, reason: str = "", message: str = "") -> Json:
    return {"type": kind, "status": status, "lastTransitionTime": at(since), "reason": reason, "message": message}


def conditions(*true: tuple[str, float]) -> list[Json]:
    return [condition(kind, "True", since) for kind, since in true]


def run(started: float, n: int = 0, *, ready: bool = True, cid: str = "", last: Json | None = None) -> Json:
    return {
        "name": "main", "ready": ready, "started": True, "restartCount": n, "containerID": cid or f"c{n}",
        "state": {"running": {"startedAt": at(started)}}, "lastState": {"terminated": last} if last else {},
    }  # fmt: skip


def end(code: int, started: float, ended: float, n: int = 0, reason: str = "") -> Json:
    reason = reason or ("Error" if code else "Completed")
    times = {"startedAt": at(started), "finishedAt": at(ended)}
    return {"exitCode": code, "reason": reason, "containerID": f"c{n}", **times}


def wait(reason: str, n: int = 0, message: str = "", last: Json | None = None) -> Json:
    shown = {"waiting": {"reason": reason, "message": message}}
    cid = last["containerID"] if last else ""
    return {
        "name": "main", "ready": False, "restartCount": n, "containerID": cid, "state": shown,
        "lastState": {"terminated": last} if last else {},
    }  # fmt: skip


READY = conditions(("PodScheduled", 1), ("PodReadyToStartContainers", 3), ("Initialized", 8), ("Ready", 20))
STARTING = [*READY[:3], condition("Ready", "False", 1, "ContainersNotReady")]


class Story:
    """A pod of a Deployment that is created at T0, update by update."""

    def __init__(self, *, baseline: bool = False, **metadata: Any) -> None:
        self.seen: list[Observation] = []
        self.tracker = Tracker(lambda _, __, seen: self.seen.extend(seen))
        if not baseline:
            self.begin()
        self.metadata: Json = {
            "name": "web", "namespace": "shop", "uid": "u", "creationTimestamp": at(0),
            "ownerReferences": [{"kind": "StatefulSet", "name": "web", "uid": "o", "controller": True}], **metadata,
        }  # fmt: skip
        self.spec: Json = {"nodeName": "n1", "containers": [{"name": "main", "image": "web:1"}]}

    def begin(self) -> None:
        self.tracker.missing(Listed(Pod, "", frozenset(), T0 - 10))

    def pod(self, phase: str, **more: Any) -> Pod:
        metadata = {**self.metadata, **more.pop("metadata", {})}
        renamed = {
            {"containers": "containerStatuses", "init": "initContainerStatuses"}.get(k, k): v for k, v in more.items()
        }
        return DECODE(
            msgspec.json.encode({"metadata": metadata, "spec": self.spec, "status": {"phase": phase} | renamed})
        )

    def see(self, now: float, phase: str, **more: Any) -> list[Observation]:
        """Show an update at `now` seconds and give what it told."""
        known = len(self.seen)
        self.tracker.pod(self.pod(phase, **more), T0 + now, gap=False)
        return self.seen[known:]

    def gone(self, now: float, phase: str, **more: Any) -> list[Observation]:
        known = len(self.seen)
        self.tracker.deleted(self.pod(phase, **more), T0 + now)
        return self.seen[known:]

    def pass_time(self, now: float) -> list[Observation]:
        known = len(self.seen)
        for key in list(self.tracker.due(T0 + now)):
            self.tracker.elapsed(key, T0 + now)
        return self.seen[known:]

    @property
    def record(self) -> Any:
        return next(iter(self.tracker.records()))


def of(seen: list[Observation], kind: type) -> list[Any]:
    return [o for o in seen if isinstance(o, kind)]


def ready_pod(**options: Any) -> Story:
    story = Story(**options)
    story.see(1, "Pending", conditions=STARTING[:1])
    story.see(20, "Running", conditions=READY, containers=[run(12)])
    return story


def test_a_start_is_told_at_the_first_ready_stage_by_stage_and_adds_up() -> None:
    (told,) = of(ready_pod().seen, StartupFinished)
    assert dict(told.stages) == {"scheduling": 1, "sandbox": 2, "init": 5, "start": 4, "readiness": 8}
    assert told.seconds == 20


def test_the_time_behind_a_scheduling_gate_is_a_stage_of_its_own_that_ends_when_we_see_it_gone() -> None:
    story = Story()
    story.see(0, "Pending", conditions=[condition("PodScheduled", "False", 0, "SchedulingGated")])
    assert story.record.startup.stage == ("gated", T0)
    story.see(15, "Pending", conditions=[condition("PodScheduled", "True", 15)])
    seen = story.see(
        20, "Running", conditions=[condition("PodScheduled", "True", 15), *READY[1:]], containers=[run(16)]
    )
    (told,) = of(seen, StartupFinished)
    assert dict(told.stages)["gated"] == 15
    assert told.seconds == sum(length for _, length in told.stages) == 20


def test_a_second_ready_is_no_start() -> None:
    story = ready_pod()
    story.see(
        30,
        "Running",
        conditions=[*READY[:3], condition("Ready", "False", 30, "ContainersNotReady")],
        containers=[run(12, ready=False)],
    )
    assert (
        of(
            story.see(40, "Running", conditions=[*READY[:3], condition("Ready", "True", 40)], containers=[run(12)]),
            StartupFinished,
        )
        == []
    )


def test_a_baseline_pod_that_was_never_ready_is_followed_to_its_first_ready() -> None:
    story = Story(baseline=True)
    story.see(5, "Pending", conditions=STARTING, startTime=at(2))
    story.begin()
    assert of(story.see(20, "Running", conditions=READY, containers=[run(12)]), StartupFinished)


def test_a_baseline_pod_that_is_ready_has_no_start_to_tell() -> None:
    story = Story(baseline=True)
    story.see(50, "Running", conditions=READY, containers=[run(12)])
    assert story.record.startup is None


@given(st.lists(st.one_of(st.none(), st.integers(-5, 300).map(float)), min_size=6, max_size=6))
def test_whatever_the_boundaries_stages_are_never_negative_and_never_more_than_the_whole(
    ends: list[float | None],
) -> None:
    told = finished(Startup(0.0, (*ends[:5], 300.0)), REF, 300.0)
    lengths = [length for _, length in told.stages]
    assert all(length >= 0 for length in lengths)
    assert sum(lengths) <= told.seconds
    if None not in ends[1:5]:
        assert sum(lengths) == told.seconds
    assert [name for name, _ in told.stages] == [
        n for n, e in zip(STAGES, (*ends[:5], 300.0), strict=True) if e is not None
    ]


def test_a_pod_that_is_taken_back_at_once_is_no_startup_failure() -> None:
    story = Story()
    story.see(1, "Pending", conditions=STARTING)
    assert (
        of(
            story.see(
                30,
                "Pending",
                conditions=STARTING,
                metadata={"deletionTimestamp": at(60), "deletionGracePeriodSeconds": 30},
            ),
            StartupFailed,
        )
        == []
    )


@pytest.mark.parametrize(
    ("when", "containers", "stage"),
    [(70, [], "start"), (10, [wait("CrashLoopBackOff", 1, "", end(1, 2, 5))], "readiness")],
)
def test_a_pod_that_goes_before_it_was_ready_is_a_failure_if_it_was_old_or_had_failed(
    when: int, containers: list[Json], stage: str
) -> None:
    story = Story()
    story.see(1, "Pending", conditions=STARTING)
    story.see(9, "Pending", conditions=STARTING, containers=containers)
    seen = story.see(
        when,
        "Pending",
        conditions=STARTING,
        containers=containers,
        metadata={"deletionTimestamp": at(when + 30), "deletionGracePeriodSeconds": 30},
    )
    assert [o.stage for o in of(seen, StartupFailed)] == [stage]


def test_a_container_that_could_not_even_be_started_has_failed() -> None:
    story = Story()
    story.see(1, "Pending", conditions=STARTING)
    never = end(128, 0, 5, reason="StartError")
    story.see(5, "Running", conditions=STARTING, containers=[wait("RunContainerError", 0, "", never)])
    going = {"deletionTimestamp": at(36), "deletionGracePeriodSeconds": 30}
    seen = story.see(6, "Running", conditions=STARTING, containers=[], metadata=going)
    assert [o.stage for o in of(seen, StartupFailed)] == ["readiness"]


GOING = {"deletionTimestamp": at(60), "deletionGracePeriodSeconds": 30}
FINAL = {"deletionTimestamp": at(90), "deletionGracePeriodSeconds": 0}


def stopped_at(finished: float) -> Json:
    return {"name": "main", "restartCount": 0, "containerID": "c0", "state": {"terminated": end(143, 12, finished)}}


def test_a_container_that_only_its_pods_deletion_has_stopped_has_not_failed() -> None:
    story = Story()
    story.see(1, "Pending", conditions=STARTING)
    seen = story.see(40, "Failed", conditions=STARTING, containers=[stopped_at(32)], metadata=GOING)
    assert of(seen, StartupFailed) == []


def test_a_container_that_had_failed_before_its_pods_deletion_makes_it_a_failure() -> None:
    story = Story()
    story.see(1, "Pending", conditions=STARTING)
    seen = story.see(40, "Failed", conditions=STARTING, containers=[stopped_at(20)], metadata=GOING)
    assert [o.stage for o in of(seen, StartupFailed)] == ["readiness"]


def test_of_a_deletion_that_a_list_shows_as_final_nobody_knows_how_old_the_pod_was() -> None:
    story = Story()
    story.see(1, "Pending", conditions=STARTING)
    story.tracker.pod(story.pod("Pending", conditions=STARTING, metadata=FINAL), T0 + 90, gap=True)
    assert of(story.seen, StartupFailed) == []


def test_a_pod_that_was_ready_unseen_has_not_failed_to_start() -> None:
    story = Story()
    story.see(1, "Pending", conditions=STARTING, startTime=at(1))
    lost = [*READY[:3], condition("Ready", "False", 70, "PodFailed")]
    story.tracker.pod(story.pod("Failed", conditions=lost, startTime=at(1)), T0 + 90, gap=True)
    assert of(story.seen, StartupFailed) == of(story.seen, StartupFinished) == []


def test_a_pod_that_succeeds_without_ever_being_ready_is_no_failure() -> None:
    story = Story()
    story.see(1, "Pending", conditions=STARTING)
    assert of(story.see(100, "Succeeded", conditions=STARTING, containers=[]), StartupFailed) == []


def test_a_lost_readiness_is_told_five_seconds_later_with_its_cause() -> None:
    story = ready_pod()
    assert of(story.see(30, "Running", conditions=READY, containers=[run(12, ready=False)]), ReadinessLost) == []
    assert of(story.pass_time(34), ReadinessLost) == []
    story.spec["containers"][0]["readinessProbe"] = {"httpGet": {}}
    assert [o.cause for o in of(story.pass_time(35), ReadinessLost)] == ["node"]  # the container has no such probe


def test_a_probe_takes_a_container_out_of_traffic_and_that_is_its_own_doing() -> None:
    story = Story()
    story.spec["containers"][0]["readinessProbe"] = {"httpGet": {}}
    story.see(20, "Running", conditions=READY, containers=[run(12)])
    story.see(30, "Running", conditions=READY, containers=[run(12, ready=False)])
    story.see(31, "Running", conditions=READY, containers=[run(12)])
    assert [o.cause for o in of(story.pass_time(36), ReadinessLost)] == ["container"]
    assert story.pass_time(100) == []


def test_a_container_that_ends_or_a_pod_that_goes_loses_no_readiness() -> None:
    story = ready_pod()
    story.see(30, "Running", conditions=READY, containers=[run(31, 1, ready=False, last=end(1, 12, 30))])
    assert of(story.pass_time(40), ReadinessLost) == []
    going = {"deletionTimestamp": at(80), "deletionGracePeriodSeconds": 30}
    story.see(50, "Running", conditions=READY, containers=[run(31, 1)], metadata=going)
    story.see(51, "Running", conditions=READY, containers=[run(31, 1, ready=False)], metadata=going)
    assert of(story.pass_time(60), ReadinessLost) == []


@pytest.mark.parametrize(
    ("shown", "containers", "cause"),
    [
        (
            [condition("Ready", "False", 30, "ContainersNotReady"), condition("ContainersReady", "False", 30)],
            [run(12, ready=False)],
            "probe",
        ),
        (
            [condition("Ready", "False", 30, "ContainersNotReady"), condition("ContainersReady", "False", 30)],
            [wait("CrashLoopBackOff", 1, "", end(1, 12, 30))],
            "container_ended",
        ),
        (
            [condition("Ready", "False", 30, "ReadinessGatesNotReady"), condition("ContainersReady")],
            [run(12)],
            "readiness_gate",
        ),
        ([condition("Ready", "False", 30), condition("ContainersReady")], [run(12)], "node_not_ready"),
    ],
)
def test_an_unready_time_is_told_with_its_cause_when_ready_is_back(
    shown: list[Json], containers: list[Json], cause: str
) -> None:
    story = ready_pod()
    story.see(30, "Running", conditions=[*READY[:3], *shown], containers=containers)
    assert (story.record.unready.cause, story.record.unready.was_ready) == (cause, True)
    seen = story.see(75, "Running", conditions=[*READY[:3], condition("Ready", "True", 75)], containers=[run(60, 1)])
    assert [(o.cause, o.seconds) for o in of(seen, ReadinessRegained)] == [(cause, 45)]


def test_a_finished_pod_is_not_unready() -> None:
    story = ready_pod()
    story.see(
        30, "Running", conditions=[*READY[:3], condition("Ready", "False", 30, "PodCompleted")], containers=[run(12)]
    )
    assert story.record.unready is None


LOOP = "back-off 1m20s restarting failed container=main pod=web_shop(u)"


def test_a_crash_loop_is_one_episode_over_the_runs_in_between_and_ends_after_ten_calm_minutes() -> None:
    story = ready_pod()
    began = story.see(31, "Running", conditions=READY, containers=[wait("CrashLoopBackOff", 0, LOOP, end(1, 12, 30))])
    assert len(of(began, CrashLoopBegan)) == 1
    loop = story.record.containers[0].loop
    assert (loop.since, loop.backoff) == (T0 + 30, 80)
    story.see(111, "Running", conditions=READY, containers=[run(110, 1, last=end(1, 12, 30))])
    again = story.see(
        131, "Running", conditions=READY, containers=[wait("CrashLoopBackOff", 1, LOOP, end(1, 110, 130, 1))]
    )
    assert of(again, CrashLoopBegan) == []
    story.see(300, "Running", conditions=READY, containers=[run(300, 2, last=end(1, 110, 130, 1))])
    assert of(story.pass_time(899), CrashLoopEnded) == []
    assert [o.seconds for o in of(story.pass_time(900), CrashLoopEnded)] == [270]
    assert story.record.containers[0].loop is None


def test_a_crash_loop_of_the_baseline_is_known_but_neither_its_begin_nor_its_length_is_told() -> None:
    story = Story(baseline=True)
    story.see(31, "Running", conditions=READY, containers=[wait("CrashLoopBackOff", 3, LOOP, end(1, 12, 30, 3))])
    story.begin()
    assert story.record.containers[0].loop.since == T0 + 30
    story.see(40, "Running", conditions=READY, containers=[run(40, 4)])
    story.pass_time(700)
    assert of(story.seen, CrashLoopBegan) == of(story.seen, CrashLoopEnded) == []
    assert story.record.containers[0].loop is None


def test_the_end_of_the_pod_is_the_end_of_its_crash_loop() -> None:
    story = ready_pod()
    looping = [wait("CrashLoopBackOff", 0, LOOP, end(1, 12, 30))]
    story.see(31, "Running", conditions=READY, containers=looping)
    seen = story.gone(
        100,
        "Running",
        conditions=READY,
        containers=looping,
        metadata={"deletionTimestamp": at(95), "deletionGracePeriodSeconds": 0},
    )
    assert [o.seconds for o in of(seen, CrashLoopEnded)] == [70]


def test_a_mirror_pod_that_goes_takes_nothing_with_it_for_its_containers_run_on() -> None:
    story = Story(annotations={"kubernetes.io/config.mirror": "hash"}, ownerReferences=[])
    looping = [wait("CrashLoopBackOff", 0, LOOP, end(1, 12, 30))]
    story.see(20, "Running", conditions=READY, containers=[run(12)])
    story.see(31, "Running", conditions=READY, containers=looping)
    seen = story.gone(
        40, "Running", containers=looping, metadata={"deletionTimestamp": at(40), "deletionGracePeriodSeconds": 0}
    )
    assert of(seen, CrashLoopEnded) == of(seen, PodTerminated) == []
    assert story.record.containers[0].loop.since == T0 + 30


def test_a_new_image_ends_the_crash_loop_of_the_old_one() -> None:
    story = ready_pod()
    story.see(31, "Running", conditions=READY, containers=[wait("CrashLoopBackOff", 0, LOOP, end(1, 12, 30))])
    story.spec["containers"][0]["image"] = "web:2"
    seen = story.see(50, "Running", conditions=READY, containers=[run(49, 1, last=end(1, 12, 30))])
    assert [o.seconds for o in of(seen, CrashLoopEnded)] == [20]


def test_a_new_image_is_in_no_crash_loop_while_the_status_is_still_the_old_ones() -> None:
    """The API has the new spec before the kubelet acts on it."""
    story = ready_pod()
    loops = [wait("CrashLoopBackOff", 0, LOOP, end(1, 12, 30))]
    story.see(31, "Running", conditions=READY, containers=loops)
    story.spec["containers"][0]["image"] = "web:2"
    seen = story.see(50, "Running", conditions=READY, containers=loops)
    seen += story.see(52, "Running", conditions=READY, containers=[run(51, 1, last=end(1, 12, 30))])
    assert [o.seconds for o in of(seen, CrashLoopEnded)] == [20]
    assert of(seen, CrashLoopBegan) == []


def test_a_pod_that_has_failed_begins_no_crash_loop_whatever_its_containers_still_show() -> None:
    """The pod collector fails a lost node's pods without a word about their containers (k/k gc_controller.go)."""
    story = ready_pod()
    loops = [wait("CrashLoopBackOff", 0, LOOP, end(1, 12, 30))]
    story.see(31, "Running", conditions=READY, containers=loops)
    story.see(40, "Failed", conditions=READY, containers=loops)
    going = {"deletionTimestamp": at(41), "deletionGracePeriodSeconds": 0}
    story.see(41, "Failed", conditions=READY, containers=loops, metadata=going)
    assert len(of(story.seen, CrashLoopBegan)) == len(of(story.seen, CrashLoopEnded)) == 1


def test_a_deletion_is_measured_from_its_request_to_the_object_being_gone() -> None:
    story = ready_pod()
    story.see(
        50,
        "Running",
        conditions=READY,
        containers=[run(12)],
        metadata={"deletionTimestamp": at(80), "deletionGracePeriodSeconds": 30},
    )
    seen = story.gone(
        57,
        "Running",
        conditions=READY,
        containers=[run(12)],
        metadata={"deletionTimestamp": at(57), "deletionGracePeriodSeconds": 0},
    )
    assert [o.seconds for o in of(seen, PodTerminated)] == [7]


def test_the_deletion_of_a_pod_that_had_ended_is_not_measured() -> None:
    story = ready_pod()
    over = {"name": "main", "restartCount": 0, "containerID": "c0", "state": {"terminated": end(0, 12, 40)}}
    story.see(41, "Succeeded", conditions=READY, containers=[over])
    seen = story.gone(
        57, "Succeeded", containers=[over], metadata={"deletionTimestamp": at(57), "deletionGracePeriodSeconds": 0}
    )
    assert of(seen, PodTerminated) == []


@pytest.mark.parametrize(("ended", "times"), [(55, 0), (80, 1)])
def test_a_container_that_is_killed_after_the_grace_period_is_told_once(ended: float, times: int) -> None:
    story = ready_pod()
    going = {"deletionTimestamp": at(80), "deletionGracePeriodSeconds": 30}
    story.see(50, "Running", conditions=READY, containers=[run(12)], metadata=going)
    killed = {"name": "main", "restartCount": 0, "containerID": "c0", "state": {"terminated": end(137, 12, ended)}}
    for now in (81, 82):
        story.see(now, "Failed", conditions=READY, containers=[killed], metadata=going)
    assert len(of(story.seen, GracePeriodExceeded)) == times


def test_a_second_deletion_may_shorten_the_grace() -> None:
    story = ready_pod()
    for grace in (300, 5):
        going = {"deletionTimestamp": at(50 + grace), "deletionGracePeriodSeconds": grace}
        story.see(51, "Running", conditions=READY, containers=[run(12)], metadata=going)
    killed = {"name": "main", "restartCount": 0, "containerID": "c0", "state": {"terminated": end(137, 12, 57)}}
    last = {"deletionTimestamp": at(58), "deletionGracePeriodSeconds": 0}
    story.see(58, "Running", conditions=READY, containers=[killed], metadata=last)
    assert len(of(story.seen, GracePeriodExceeded)) == 1


LOW = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. Container main was using 1Gi."


@pytest.mark.parametrize(
    ("phase", "status", "target", "deleting", "told"),
    [
        ("Running", {}, "EvictionByEvictionAPI", True, ("EvictionByEvictionAPI", "")),
        ("Running", {}, "EvictionByEvictionAPI", False, None),  # it can be withdrawn
        ("Running", {}, "DeletionByTaintManager", True, ("DeletionByTaintManager", "")),
        (
            "Failed",
            {"reason": "Evicted", "message": LOW},
            "TerminationByKubelet",
            False,
            ("NodePressureEviction", "memory"),
        ),
        ("Failed", {"reason": "Preempting"}, "TerminationByKubelet", False, ("PreemptionByKubelet", "")),
        ("Failed", {"reason": "Terminated"}, "TerminationByKubelet", False, ("NodeShutdown", "")),
        (
            "Failed",
            {"reason": "Evicted", "message": "Pod ephemeral local storage usage exceeds ..."},
            "",
            False,
            ("LocalStorageLimit", "ephemeral-storage"),
        ),
        (
            "Failed",
            {"reason": "OutOfcpu", "message": "Pod was rejected: Node didn't have enough resource: cpu"},
            "",
            False,
            ("AdmissionRejected", ""),
        ),
        (
            "Failed",
            {"reason": "Evicted", "message": "Pod was rejected: The node had condition: [MemoryPressure]. "},
            "",
            False,
            ("AdmissionRejected", "memory"),
        ),
        ("Failed", {"reason": "DeadlineExceeded"}, "", False, ("DeadlineExceeded", "")),
        ("Failed", {}, "", False, None),
    ],
)
def test_a_disruption_is_told_once_with_reason_and_resource(
    phase: str, status: Json, target: str, deleting: bool, told: tuple[str, str] | None
) -> None:
    story = ready_pod()
    shown = [*READY, condition("DisruptionTarget", "True", 30, target)] if target else READY
    metadata = {"deletionTimestamp": at(60), "deletionGracePeriodSeconds": 30} if deleting else {}
    for now in (31, 32):
        story.see(now, phase, conditions=shown, containers=[], metadata=metadata, **status)
    assert [(o.reason, o.resource) for o in of(story.seen, PodDisrupted)] == ([told] if told else [])


def test_a_new_message_of_the_scheduler_is_a_failure_and_the_same_one_is_none() -> None:
    story = Story()
    story.spec.pop("nodeName")
    few = "0/3 nodes are available: 3 Insufficient cpu. preemption: 0/3 nodes are available: 3 No preemption victims."
    for now, message in ((0, few), (5, few), (9, "0/3 nodes are available: 3 node(s) had untolerated taint(s).")):
        story.see(now, "Pending", conditions=[condition("PodScheduled", "False", 0, "Unschedulable", message)])
    assert [o.cause for o in of(story.seen, SchedulingFailed)] == ["insufficient_cpu", "taint"]
    assert story.record.blocked.cause == "taint"
    story.see(12, "Pending", conditions=conditions(("PodScheduled", 12)))
    assert story.record.blocked is None


def test_conditions_change_but_are_not_born_by_changing() -> None:
    story = Story()
    story.spec["readinessGates"] = [{"conditionType": "example.com/lb"}]
    gate = "example.com/lb"
    story.see(
        1, "Pending", conditions=[condition("Ready", "False"), condition(gate, "False"), condition("Other", "True")]
    )
    assert of(story.seen, ConditionChanged) == []
    story.see(
        2,
        "Running",
        conditions=[
            condition("Ready", "True", 2),
            condition(gate, "True", 2, "Registered"),
            condition("Other", "False"),
        ],
    )
    story.see(3, "Running", conditions=[condition("Ready", "False", 3, "PodCompleted")])
    told = [(o.condition, o.status, o.reason) for o in of(story.seen, ConditionChanged)]
    assert told == [("Ready", "True", ""), (gate, "True", "Registered")]


def test_a_status_that_the_api_does_not_define_is_unknown_whatever_it_says() -> None:
    story = Story()
    story.spec["readinessGates"] = [{"conditionType": "example.com/lb"}]
    for now, status in enumerate(("True", "maybe", "x" * 1000, "", "False", "unknown")):
        story.see(now, "Running", conditions=[condition("example.com/lb", status, now)])
    assert [o.status for o in of(story.seen, ConditionChanged)] == ["True", "Unknown", "False", "Unknown"]


def test_a_failed_pull_is_told_once_for_each_entry_and_its_back_off_is_none() -> None:
    story = Story()
    refused = 'failed to pull "x": dial tcp 127.0.0.1:9: connect: connection refused'
    for now, reason in enumerate(
        ("ContainerCreating", "ErrImagePull", "ErrImagePull", "ImagePullBackOff", "ErrImagePull")
    ):
        story.see(now, "Pending", conditions=STARTING, containers=[wait(reason, 0, refused)])
    assert [o.cause for o in of(story.seen, ImagePulled)] == ["network", "network"]


def test_a_back_off_without_the_failure_before_it_stands_for_it() -> None:
    story = Story()
    story.see(
        1,
        "Pending",
        conditions=STARTING,
        containers=[wait("ImagePullBackOff", 0, 'Back-off pulling image "x": ErrImagePull: not found')],
    )
    assert [o.cause for o in of(story.seen, ImagePulled)] == ["not_found"]


def test_all_containers_restarting_in_place_is_one_observation() -> None:
    story = ready_pod()
    gone = {"terminated": {"exitCode": 137, "reason": "RestartingAllContainers"}}
    again = {**wait("RestartingAllContainers", 1), "lastState": gone}
    story.see(30, "Running", conditions=READY, containers=[again])
    story.see(31, "Pending", conditions=READY, containers=[again])
    story.see(33, "Running", conditions=READY, containers=[{**run(32, 1), "lastState": gone}])
    assert len(of(story.seen, RestartedInPlace)) == 1


def test_a_new_template_is_a_rollout_but_the_first_one_and_the_baselines_are_none() -> None:
    seen: list[Observation] = []
    tracker = Tracker(lambda _, __, new: seen.extend(new))

    def see(name: str, template: str) -> None:
        story = Story(name=name, uid=name, labels={"controller-revision-hash": template})
        tracker.pod(story.pod("Pending"), T0 + 1, gap=False)

    see("web-0", "a")
    tracker.missing(Listed(Pod, "", frozenset(), T0 - 10))
    see("web-1", "a")
    assert of(seen, RolledOut) == []
    see("web-2", "b")
    see("web-3", "b")
    see("web-4", "a")
    assert len(of(seen, RolledOut)) == 1


def test_trouble_keeps_a_pod_among_the_unhealthy_for_ten_minutes() -> None:
    story = ready_pod()
    story.see(31, "Running", conditions=READY, containers=[run(31, 1, last=end(1, 12, 30))])
    assert story.record.quiet_at == T0 + 631
    story.pass_time(631)
    assert story.record.quiet_at == float("inf")
    assert pods.due(story.record) == float("inf")
