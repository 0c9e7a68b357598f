"""R16: pods that something else than themselves or their owner took away."""

from __future__ import annotations

import re

from exporter.lifecycle.bounded import bounded
from exporter.lifecycle.observations import Observation, PodDisrupted, PodRef
from exporter.lifecycle.phases import condition
from exporter.objects import Pod, PodStatus

BY_KUBELET = {"Evicted": "NodePressureEviction", "Preempting": "PreemptionByKubelet", "Terminated": "NodeShutdown"}
_LOW = re.compile(r"The node was low on resource: ([\w.-]+?)\.(?:\s|$)")


def applied(pod: Pod, ref: PodRef, at: float, seen: list[Observation], *, told: bool) -> bool:
    """Tell a disruption once a pod; give whether it has been told."""
    if told:
        return True
    found = _disruption(pod)
    if found is not None:
        seen.append(PodDisrupted(at, ref, *found))
    return found is not None


def _disruption(pod: Pod) -> tuple[str, str] | None:
    """Reason and resource. DisruptionTarget alone can be withdrawn: the pod must be on its way out."""
    status = pod.status or PodStatus()
    failed = status.phase == "Failed"
    target = condition(pod, "DisruptionTarget")
    if target is not None and target.status == "True" and (failed or pod.metadata.deletion_timestamp is not None):
        reason = BY_KUBELET.get(status.reason, "other") if target.reason == "TerminationByKubelet" else target.reason
        return bounded(reason) or "other", _resource(status.message)
    if not failed:
        return None
    if status.reason == "Evicted":  # without the condition the kubelet enforces a limit of the pod's own
        return "LocalStorageLimit", "ephemeral-storage"
    if status.reason == "DeadlineExceeded":
        return "DeadlineExceeded", ""
    return ("AdmissionRejected", "") if status.message.startswith("Pod was rejected: ") else None


def _resource(message: str) -> str:
    match = _LOW.search(message)
    return bounded(match[1]) if match else ""
