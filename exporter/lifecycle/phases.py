"""R12: in which phase a pod is and when it entered it."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.lifecycle.observations import DELETED
from exporter.lifecycle.times import unix
from exporter.objects import Condition, ContainerState, Pod, PodStatus

TERMINAL = frozenset(("Succeeded", "Failed"))
API_PHASES = frozenset(("Pending", "Running", "Succeeded", "Failed"))
PHASES = ("Pending", "ContainerCreating", "Running", "Succeeded", "Failed", "Unknown", "Terminating")
SLACK = 2.0
"""Seconds by which the clocks of API server, scheduler and node may differ before it counts as a clamp."""


def condition(pod: Pod, kind: str) -> Condition | None:
    """The condition of this type, None if the pod has none."""
    for c in (pod.status.conditions if pod.status else None) or ():  # a generator would cost twice as much
        if c.type == kind:
            return c
    return None


def phase_of(pod: Pod, before: str, deletion_requested: float) -> str:
    """The phase. `before`: the one so far, "" at first sight; `deletion_requested`: Unix seconds, or infinity.

    A pod that is being deleted stays Terminating until it is gone: on its way the API calls it Failed or Succeeded,
    and that is no failure. A pod that had ended when its deletion was asked for keeps its phase.
    """
    status = pod.status or PodStatus()
    phase = status.phase if status.phase in API_PHASES else "Unknown"
    if pod.metadata.deletion_timestamp is not None and before not in TERMINAL:
        stopped = phase not in TERMINAL or _ended_by_deletion(pod, deletion_requested)
        if stopped or before in ("Terminating", DELETED):
            return "Terminating"
    if phase == "Pending" and pod.spec is not None and pod.spec.node_name:
        return "ContainerCreating"
    return phase


def _ended_by_deletion(pod: Pod, deletion_requested: float) -> bool:
    """Whether a pod whose end was missed ended after its deletion was asked for, or cannot have ended by itself."""
    policy = pod.spec.restart_policy if pod.spec else "Always"
    if policy == "Always" and not (pod.status and pod.status.reason):
        return True
    return max((end for end in _finished(pod) if end), default=0.0) >= deletion_requested - 1


def entered(phase: str, pod: Pod, before: str, since: float, deletion_requested: float, now: float) -> float:
    """When `phase` was entered, Unix seconds; `before` and `since` are the phase that was left, "" at first sight."""
    if phase == "Pending":
        return unix(pod.metadata.creation_timestamp) or now if not before else now
    if phase == "ContainerCreating" and before in ("", "Pending"):
        scheduled = condition(pod, "PodScheduled")
        return (unix(scheduled.last_transition_time) if scheduled else None) or now
    if phase == "Running":
        return _began_running(pod, before, since) or now
    if phase in TERMINAL:
        return max((end for end in _finished(pod) if end and end >= since - SLACK), default=now)
    return deletion_requested if phase == "Terminating" else now


def _began_running(pod: Pod, before: str, since: float) -> float | None:
    """The earliest start of an app container; where restarts have overwritten it, when initialisation was over."""
    statuses = (pod.status.container_statuses if pod.status else None) or ()
    if not before and any(status.restart_count for status in statuses):
        initialized = condition(pod, "Initialized")
        return unix(initialized.last_transition_time) if initialized else None
    return min((start for start in _started(pod) if start >= since - SLACK), default=None)


def _started(pod: Pod) -> Iterator[float]:
    for status in (pod.status.container_statuses if pod.status else None) or ():
        for state in (status.state, status.last_state):
            for part in (state.running, state.terminated) if state else ():
                if part is not None and (start := unix(part.started_at)):
                    yield start


def _finished(pod: Pod) -> Iterator[float | None]:
    """When containers ended; init containers too, because a pod fails with them."""
    status = pod.status or PodStatus()
    for container in (*(status.init_container_statuses or ()), *(status.container_statuses or ())):
        end = (container.state or ContainerState()).terminated
        if end is not None:
            yield unix(end.finished_at)
