"""The course of a pod as its conditions tell it, on top of phase and containers: R13-R18 put together."""

from __future__ import annotations

from math import inf

from msgspec.structs import replace

from exporter.lifecycle import conditions, disruptions, scheduling, startup, unready
from exporter.lifecycle.containers import Look
from exporter.lifecycle.endings import RESTARTING_ALL
from exporter.lifecycle.observations import (
    ContainerRestarted,
    GracePeriodExceeded,
    Observation,
    PodTerminated,
    RestartedInPlace,
)
from exporter.lifecycle.phases import TERMINAL
from exporter.lifecycle.records import Container, Record
from exporter.lifecycle.startup import Startup
from exporter.lifecycle.times import unix
from exporter.objects import ContainerState, Pod, PodStatus

TROUBLE = 600.0
"""Seconds for which a restart or a lost Ready keeps a pod among the unhealthy ones."""
KILLED = 137


def applied(before: Record, after: Record, pod: Pod, look: Look, seen: list[Observation]) -> Record:
    """Add to `after`, which knows phase and containers already, what the conditions say."""
    first = not before.phase
    was_ready = before.ready or (first and unready.ready_before(pod))
    known = conditions.applied(before.conditions, pod, look.pod, look.at, seen)
    blocked = scheduling.applied(before.blocked, pod, look.pod, look.at, seen)
    disrupted = disruptions.applied(pod, look.pod, look.at, seen, told=before.disrupted)
    lost = unready.applied(
        before.unready, pod, look.pod, was_ready=was_ready, created=after.created, now=look.at, seen=seen
    )
    if _in_place(before.containers, after.containers):
        seen.append(RestartedInPlace(look.at, look.pod))
    after = replace(
        after,
        conditions=known,
        blocked=blocked,
        disrupted=disrupted,
        unready=lost,
        startup=_started(before, after, pod, look, seen),
    )
    after = _stopping(before, after, pod, look, seen)
    return _troubled(before, after, look, seen)


def gone(record: Record, at: float, *, unobserved: bool) -> list[Observation]:
    """What the end of the object tells: how long its termination took (R15), and a start that came to nothing (R13)."""
    seen: list[Observation] = []
    if record.startup is not None and record.phase not in TERMINAL:
        seen += startup.failed(record.startup, record.pod, at, at)
    asked = record.deletion_requested
    if asked < inf and not record.ended_before_deletion and not unobserved:
        seen.append(PodTerminated(at, record.pod, max(0.0, at - asked)))
    return seen


def begins(pod: Pod, created: float, *, new: bool) -> Startup | None:
    """The start of a pod at first sight: the baseline's only if it has never been Ready and so can still be told."""
    ready = any(c.type == "Ready" and c.status == "True" for c in (pod.status or PodStatus()).conditions or ())
    if (not new or startup.first_ready_unseen(pod)) and (ready or unready.ready_before(pod)):
        return None
    return Startup(created)


def _started(before: Record, after: Record, pod: Pod, look: Look, seen: list[Observation]) -> Startup | None:
    """R13: a start ends with the first Ready, with the pod, or not yet."""
    going = before.startup
    if going is None:
        return None
    going = startup.applied(going, pod, look.at, look.stop)
    if going.ends[-1] is not None:
        seen.append(startup.finished(going, look.pod, look.at))
        return None
    if after.phase == "Succeeded" or (after.phase in ("Failed", "Terminating") and unready.ready_before(pod)):
        return None  # it has been Ready, seen or not
    if after.phase in ("Failed", "Terminating"):
        ended = min(after.deletion_requested, after.since) if before.phase else after.since
        if _request_missed(before, pod, look):
            ended = going.began  # nobody knows how old it was then
        seen += startup.failed(going, look.pod, ended, look.at)
        return None
    return going


def _request_missed(before: Record, pod: Pod, look: Look) -> bool:
    """R15: whether a list first showed the deletion as final, so that when it was asked for is unknown."""
    deleting = pod.metadata.deletion_timestamp is not None and before.deletion_requested == inf
    return deleting and look.gap and not pod.metadata.deletion_grace_period_seconds


def _stopping(before: Record, after: Record, pod: Pod, look: Look, seen: list[Observation]) -> Record:
    """R15: what there is to remember of a deletion, and whether the grace period was enough."""
    if after.deletion_requested == inf:
        return after
    grace = float(pod.metadata.deletion_grace_period_seconds or 0)
    if before.deletion_requested == inf:
        over = after.phase in TERMINAL or _request_missed(before, pod, look)
        after = replace(after, grace=grace, ended_before_deletion=over)
    elif 0 < grace < after.grace:
        after = replace(after, grace=grace)
    if after.grace_exceeded or not after.grace or not _killed_late(pod, after.deletion_requested + after.grace):
        return after
    seen.append(GracePeriodExceeded(look.at, look.pod))
    return replace(after, grace_exceeded=True)


def _killed_late(pod: Pod, deadline: float) -> bool:
    status = pod.status or PodStatus()
    for container in (*(status.init_container_statuses or ()), *(status.container_statuses or ())):
        end = (container.state or ContainerState()).terminated
        if end is not None and end.exit_code == KILLED and end.reason == "Error":
            finished = unix(end.finished_at)
            if finished is not None and finished >= deadline - 1:
                return True
    return False


def _in_place(before: tuple[Container, ...], after: tuple[Container, ...]) -> bool:
    """Whether a restart of all containers has just begun."""
    return _restarting(after) and not _restarting(before)


def _restarting(containers: tuple[Container, ...]) -> bool:
    return any(c.reason == RESTARTING_ALL for c in containers)


def _troubled(before: Record, after: Record, look: Look, seen: list[Observation]) -> Record:
    lost = after.unready is not None and after.unready is not before.unready and after.unready.was_ready
    if lost or any(isinstance(o, ContainerRestarted) for o in seen):
        return replace(after, quiet_at=look.at + TROUBLE)
    return after
