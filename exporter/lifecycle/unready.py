"""R14: since when and why a pod is not Ready."""

from __future__ import annotations

from exporter.lifecycle.conditions import ENDED
from exporter.lifecycle.observations import Observation, PodRef, ReadinessRegained, Value
from exporter.lifecycle.phases import TERMINAL, condition
from exporter.lifecycle.times import unix
from exporter.objects import Condition, ContainerStatus, Pod, PodSpec, PodStatus


class Unready(Value, frozen=True):
    """A pod that is not Ready. `since`: when it lost Ready, Unix seconds; its creation if it never was."""

    since: float
    cause: str
    was_ready: bool


def applied(
    before: Unready | None,
    pod: Pod,
    ref: PodRef,
    *,
    was_ready: bool,
    created: float,
    now: float,
    seen: list[Observation],
) -> Unready | None:
    """`was_ready`: the pod was Ready when we last looked (or, at first sight, is known to have been)."""
    ready, phase = condition(pod, "Ready"), (pod.status or PodStatus()).phase
    if ready is not None and ready.status == "True":
        if before is not None and before.was_ready:
            back = unix(ready.last_transition_time) or now
            seen.append(ReadinessRegained(now, ref, before.cause, max(0.0, back - before.since)))
        return None
    ended = ready is not None and ready.reason in ENDED
    if ended or phase in TERMINAL or pod.metadata.deletion_timestamp is not None:
        return None
    if before is not None:
        return before
    if not was_ready or ready is None:
        return Unready(created, "", was_ready=False)
    return Unready(unix(ready.last_transition_time) or now, cause_of(pod, ready), was_ready=True)


def ready_before(pod: Pod) -> bool:
    """Whether a pod that is not Ready at first sight was so before: it turned after the kubelet had taken it."""
    ready = condition(pod, "Ready")
    if ready is None or pod.status is None:
        return False
    turned, taken = unix(ready.last_transition_time), unix(pod.status.start_time)
    return turned is not None and taken is not None and turned > taken


def _serving(pod: Pod) -> list[ContainerStatus]:
    """App containers and sidecars: those whose running makes the pod Ready."""
    spec, status = pod.spec or PodSpec(), pod.status or PodStatus()
    sidecars = {c.name for c in spec.init_containers or () if c.restart_policy == "Always"}
    beside = [one for one in status.init_container_statuses or () if one.name in sidecars]
    return [*(status.container_statuses or ()), *beside]


def cause_of(pod: Pod, ready: Condition) -> str:
    """Why Ready was lost: probe, container_ended, readiness_gate, node_not_ready or other."""
    if ready.reason == "ReadinessGatesNotReady":
        return "readiness_gate"
    containers = condition(pod, "ContainersReady")
    if containers is not None and containers.status == "True":
        return "other" if ready.reason else "node_not_ready"
    if ready.reason != "ContainersNotReady":
        return "other"
    running = all(status.state is not None and status.state.running is not None for status in _serving(pod))
    return "probe" if running else "container_ended"
