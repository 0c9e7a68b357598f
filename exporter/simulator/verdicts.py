"""What a kubelet concludes from a pod's containers: phase, conditions, and whether a container starts again.

Sources: getPhase in pkg/kubelet/kubelet_pods.go and pkg/kubelet/status/generate.go, 1.36.
"""

from __future__ import annotations

from collections.abc import Iterable

from exporter.simulator.pods import Pod, PodContainer

RESTARTING = "AllContainersRestarting"


def conclude(pod: Pod) -> None:
    """Set phase and conditions as the containers are now."""
    if not pod.terminal:
        pod.phase = "Pending" if _pending(pod) else "Running"
    missing = [c for c in pod.inits if not (c.finished or (c.spec.type == "sidecar" and c.started))]
    initialized = not missing or pod.is_true("Initialized")
    _set(pod, "Initialized", [] if initialized else missing, "ContainersNotInitialized", "incomplete")
    unready = [*missing, *(c for c in pod.serving if not c.ready and c not in missing)]
    if reason := _passing(pod):
        for kind in ("Ready", "ContainersReady"):
            pod.condition(kind, "False", reason)
    else:
        _set(pod, "ContainersReady", unready, "ContainersNotReady", "unready")
        closed = [] if unready else [gate for gate in pod.template.readiness_gates if not pod.is_true(gate)]
        _set(pod, "Ready", unready, "ContainersNotReady", "unready")
        if closed:
            message = ", ".join(_closed(pod, gate) for gate in closed)
            pod.condition("Ready", "False", "ReadinessGatesNotReady", message)
    if any(rule.action == "RestartAllContainers" for c in pod.containers for rule in c.spec.rules):
        _tell_restart(pod)


def restarts(pod: Pod, container: PodContainer) -> bool:
    """Whether another instance follows the one that ended."""
    spec, exit_code = container.spec, container.ends[-1]["exitCode"]
    if spec.action_at(exit_code):
        return True
    if spec.type in ("sidecar", "ephemeral"):
        return spec.type == "sidecar"
    policy = spec.restart_policy or pod.template.restart_policy
    if spec.type == "init":
        return exit_code != 0 and policy != "Never"
    return policy == "Always" or (exit_code != 0 and policy == "OnFailure")


def exhausted(pod: Pod) -> bool:
    """Whether all containers have ended for good."""
    if pod.deletion is not None or not pod.apps or not all("terminated" in c.state for c in pod.apps):
        return False
    return all(c.ends and not restarts(pod, c) for c in pod.apps)


def has_failed(pod: Pod) -> bool:
    """Whether a pod that is over has failed."""
    return pod.phase == "Failed" or any(c.ends and c.ends[-1]["exitCode"] for c in pod.apps)


def _pending(pod: Pod) -> bool:
    """Init containers that are yet to end make a pod Pending, also when they run again."""
    initializing = any(c.running or c.fresh for c in pod.inits if c.spec.type == "init")
    return initializing or not pod.apps or not all(c.created for c in pod.apps)


def _passing(pod: Pod) -> str:
    """PodCompleted and PodFailed are said before the phase says so."""
    if pod.expired:
        return "PodFailed"
    if pod.terminal or exhausted(pod):
        return "PodFailed" if has_failed(pod) else "PodCompleted"
    return ""


def _closed(pod: Pod, gate: str) -> str:
    if gate not in pod.conditions:
        return f'corresponding condition of pod readiness gate "{gate}" does not exist.'
    return f'the status of pod readiness gate "{gate}" is not "True", but {pod.conditions[gate]["status"]}'


def _set(pod: Pod, kind: str, missing: Iterable[PodContainer], reason: str, what: str) -> None:
    names = " ".join(c.spec.name for c in missing)
    if names:
        pod.condition(kind, "False", reason, f"containers with {what} status: [{names}]")
    else:
        pod.condition(kind, "True")


def _tell_restart(pod: Pod) -> None:
    if pod.restarting:
        message = "container exited with restart policy rule"
        pod.condition(RESTARTING, "True", "RestartAllContainersStarted", message)
    else:
        pod.condition(RESTARTING, "False", _passing(pod) if pod.terminal else "")
