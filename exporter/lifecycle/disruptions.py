"""R16: pods that something else than themselves or their owner took away."""

from __future__ import annotations

import re

from exporter.lifecycle.bounded import READ, bounded
from exporter.lifecycle.observations import Observation, PodDisrupted, PodRef
from exporter.lifecycle.phases import condition
from exporter.objects import Pod, PodStatus

BY_KUBELET = {"Evicted": "NodePressureEviction", "Preempting": "PreemptionByKubelet", "Terminated": "NodeShutdown"}
REJECTED = "Pod was rejected: "
PRESSURE = {"MemoryPressure": "memory", "DiskPressure": "ephemeral-storage", "PIDPressure": "pids"}
"""What a node is short of that has this condition (kubelet eviction/helpers.go)."""
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
    if status.message.startswith(REJECTED):  # a node under pressure gives the reason Evicted, also after its restart
        return "AdmissionRejected", _short_of(status.message)
    if status.reason == "Evicted":  # without the condition the kubelet enforces a limit of the pod's own
        return "LocalStorageLimit", "ephemeral-storage"
    if status.reason == "DeadlineExceeded":
        return "DeadlineExceeded", ""
    return None


def _resource(message: str) -> str:
    match = _LOW.search(message[:READ])
    return bounded(match[1]) if match else ""


def _short_of(message: str) -> str:
    """The resource of the first of the node's conditions that a rejection names, "" if it names none."""
    return next((resource for name, resource in PRESSURE.items() if name in message), "")
