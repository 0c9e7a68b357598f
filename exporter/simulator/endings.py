"""Pods that the kubelet ends or refuses by itself: evictions, limits, deadlines, preemption, shutdown, admission."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from exporter.simulator.pods import Pod
from exporter.simulator.verdicts import has_failed

if TYPE_CHECKING:
    from exporter.simulator.cluster import Cluster
    from exporter.simulator.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why: status.reason and status.message. `cause` and `resource` are what the books say of the disruption."""

    reason: str
    message: str
    cause: str
    resource: str = ""
    target: bool = True
    """Whether the condition DisruptionTarget says so, too."""
    grace: float = 1.0
    """Seconds that containers get to end."""
    event: str = "Warning"
    """Type of the Event that says so; "" for none."""
    event_reason: str = ""
    """Its reason where that is not the verdict's."""


def low(resource: str) -> Verdict:
    """The node is short of a resource."""
    text = f"The node was low on resource: {resource}. Threshold quantity: 100Mi, available: 68Mi. "
    return Verdict("Evicted", text, "NodePressureEviction", resource)


FULL = Verdict(
    "Evicted",
    "Pod ephemeral local storage usage exceeds the total limit of containers 8Mi. ",
    "LocalStorageLimit",
    "ephemeral-storage",
    target=False,
)
EXPIRED = Verdict(
    "DeadlineExceeded",
    "Pod was active on the node longer than the specified deadline",
    "DeadlineExceeded",
    target=False,
    grace=30.0,
    event="Normal",
)
DISPLACED = Verdict("Preempting", "Preempted in order to admit critical pod", "PreemptionByKubelet", grace=30.0)
SHUT_DOWN = Verdict(
    "Terminated",
    "Pod was terminated in response to imminent node shutdown.",
    "NodeShutdown",
    grace=30.0,
    event="",
)


_PRESSURE = {"MemoryPressure": "memory", "DiskPressure": "ephemeral-storage", "PIDPressure": "pids"}
"""Conditions of nodes that take no more pods, and what they are short of."""


class Endings:
    """A pod is doomed first; it has failed when all its containers have ended."""

    def __init__(self, cluster: Cluster, runtime: Runtime) -> None:
        self._cluster = cluster
        self._runtime = runtime
        self._verdicts: dict[str, Verdict] = {}

    def doom(self, pod: Pod, verdict: Verdict, stop: Callable[[Pod, float], None]) -> None:
        """Give a pod up; `stop` ends its containers within so many seconds of grace and then asks for `fail`."""
        if pod.terminal or pod.deletion is not None:
            return
        pod.forget_timers()
        pod.doomed, pod.expired = True, verdict is EXPIRED
        self._verdicts[pod.uid] = verdict
        self._cluster.news.verdict(pod, verdict.event, verdict.event_reason or verdict.reason, verdict.message)
        self._runtime.publish(pod)
        stop(pod, min(verdict.grace, pod.template.grace_seconds))

    def fail(self, pod: Pod) -> None:
        """Its containers have ended."""
        verdict = self._verdicts.pop(pod.uid)
        pod.phase, pod.verdict = "Failed", (verdict.reason, verdict.message)
        if verdict.target:
            pod.condition("DisruptionTarget", "True", "TerminationByKubelet", verdict.message)
        pod.condition("PodReadyToStartContainers", "False")
        self._cluster.truth.disrupted(pod.workload, verdict.cause, verdict.resource)
        self._runtime.publish(pod)

    def finish(self, pod: Pod) -> None:
        """All containers have ended for good: the phase says so, then the Job controller lets the pod go."""
        pod.phase = "Failed" if has_failed(pod) else "Succeeded"
        pod.condition("PodReadyToStartContainers", "False")
        self._runtime.publish(pod)
        if pod.finalizers:
            pod.after(self._cluster.timings.sync / 4, partial(self._untrack, pod))

    def _untrack(self, pod: Pod) -> None:
        pod.finalizers = []
        self._cluster.publish(pod)

    def reject(self, pod: Pod, lack: str) -> None:
        """The node cannot take a pod that was bound to it: it has failed without a trace of its containers."""
        pod.forget_timers()
        reason, why = _refusal(lack)
        cluster = self._cluster
        pod.containers.clear()
        pod.started_at, pod.observed = cluster.clock.now, pod.generation
        pod.phase, pod.verdict = "Failed", (reason, f"Pod was rejected: {why}")
        cluster.news.verdict(pod, "Warning", reason, why)
        cluster.truth.disrupted(pod.workload, "AdmissionRejected", _PRESSURE.get(lack, ""))
        cluster.publish(pod)

    def expire_later(self, pod: Pod, stop: Callable[[Pod, float], None]) -> None:
        """End a pod that has a deadline when it has come."""
        if pod.template.deadline_seconds:
            action = partial(self.doom, pod, EXPIRED, stop)
            pod.after(pod.template.deadline_seconds, action)


def _refusal(lack: str) -> tuple[str, str]:
    """Reason and message: the node has too little of a resource, or a condition that keeps pods away."""
    if lack in _PRESSURE:
        return "Evicted", f"The node had condition: [{lack}]. "
    return f"OutOf{lack}", f"Node didn't have enough resource: {lack}, requested: 500000, used: 800, capacity: 8000"
