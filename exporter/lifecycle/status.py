"""What `kubectl get pods` prints as STATUS. Source: printPod in pkg/printers/internalversion/printers.go, 1.36.

The API server's own Table answer is the oracle of its tests. Ephemeral containers play no part; status.reason shows
only where no container's state overrides it.
"""

from __future__ import annotations

import re

from exporter.objects import Condition, ContainerState, Pod, PodSpec, PodStatus, Terminated

_PROGRESS = re.compile(r"Init:\d+/\d+")
_NOTHING = ContainerState()


def shortened(status: str) -> str:
    """A STATUS as a label value: `Init:1/3` is `Init`, so that progress makes no new series."""
    return "Init" if _PROGRESS.fullmatch(status) else status


def kubectl_status(pod: Pod) -> str:
    """STATUS of a pod."""
    spec, status = pod.spec or PodSpec(), pod.status or PodStatus()
    if pod.metadata.deletion_timestamp is not None:
        if status.reason == "NodeLost":
            return "Unknown"
        if status.phase not in ("Succeeded", "Failed"):
            return "Terminating"
    reason = status.reason or status.phase
    if any(c.type == "PodScheduled" and c.reason == "SchedulingGated" for c in status.conditions or ()):
        reason = "SchedulingGated"
    initializing = _initializing(spec, status)
    if initializing and not _is_true(status.conditions, "Initialized"):
        return initializing
    return _containers(status, initializing or reason)


def _initializing(spec: PodSpec, status: PodStatus) -> str:
    """How far initialisation is, "" if it is over: the first init container that neither succeeded nor started."""
    sidecars = {c.name for c in spec.init_containers or () if c.restart_policy == "Always"}
    for position, container in enumerate(status.init_container_statuses or ()):
        state = container.state or _NOTHING
        if state.terminated is not None and state.terminated.exit_code == 0:
            continue
        if container.name in sidecars and container.started:
            continue
        if state.terminated is not None:
            return f"Init:{_ended(state.terminated)}"
        if state.waiting is not None and state.waiting.reason not in ("", "PodInitializing"):
            return f"Init:{state.waiting.reason}"
        return f"Init:{position}/{len(spec.init_containers or ())}"
    return ""


def _containers(status: PodStatus, reason: str) -> str:
    """The first app container that waits or has ended says it; `reason` where none does."""
    running, failure = False, ""
    for container in reversed(status.container_statuses or ()):
        state = container.state or _NOTHING
        if state.waiting is not None and state.waiting.reason:
            reason = state.waiting.reason
        elif state.terminated is not None:
            reason = _ended(state.terminated)
            failure = reason if state.terminated.exit_code else failure
        elif container.ready and state.running is not None:
            running = True
    if reason != "Completed":
        return reason
    return _of_completed(status.conditions, failure, running=running)


def _of_completed(conditions: tuple[Condition, ...] | None, failure: str, *, running: bool) -> str:
    """One container has completed; others may run on or have failed."""
    if running and _is_true(conditions, "Ready"):
        return "Running"
    return failure or ("NotReady" if running else "Completed")


def _ended(end: Terminated) -> str:
    if end.reason:
        return end.reason
    return f"Signal:{end.signal}" if end.signal else f"ExitCode:{end.exit_code}"


def _is_true(conditions: tuple[Condition, ...] | None, kind: str) -> bool:
    return any(c.type == kind and c.status == "True" for c in conditions or ())
