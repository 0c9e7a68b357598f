"""The scheduler: pods wait for their gates, for a reason to go away, and are bound to a node of their pool."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from exporter.simulator.pods import Pod

if TYPE_CHECKING:
    from exporter.simulator.cluster import Cluster

_TRY_AGAIN_SECONDS = 10.0
_BLOCKS = {
    "taint": "node(s) had untolerated taint(s)",
    "affinity": "node(s) didn't match Pod's node affinity/selector",
    "port": "node(s) didn't have free ports for the requested pod ports",
}
"""Causes and what the scheduler calls them; `insufficient_<resource>` besides."""
_UNBOUND = "pod has unbound immediate PersistentVolumeClaims"


class Scheduler:
    """Takes new pods."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def take(self, pod: Pod, wanted: str = "") -> None:
        """A new pod without a node: bind it when nothing keeps it any more, to the node that is wanted if any is."""
        gated, bind = pod.template.gated_seconds, self._cluster.timings.bind
        if gated:
            message = "Scheduling is blocked due to non-empty scheduling gates"
            pod.condition("PodScheduled", "False", "SchedulingGated", message)
            pod.after(gated, partial(self._open, pod, wanted))
        else:
            pod.after(bind, partial(self._try, pod, 0, wanted))

    def _open(self, pod: Pod, wanted: str) -> None:
        """Somebody has removed the gate; the scheduler follows."""
        pod.generation += 1
        pod.spec = {key: value for key, value in pod.spec.items() if key != "schedulingGates"}
        self._cluster.publish(pod)
        pod.after(self._cluster.timings.bind, partial(self._try, pod, 0, wanted))

    def _try(self, pod: Pod, number: int, wanted: str) -> None:
        causes = pod.template.blocked or (("insufficient_cpu",) if pod.template.unschedulable else ())
        if number >= len(causes) and not pod.template.unschedulable:
            self._cluster.bind(pod, wanted or self._least_loaded(pod.template.pool))
        else:
            self._give_reason(pod, causes[min(number, len(causes) - 1)], fresh=number < len(causes))
            pod.after(_TRY_AGAIN_SECONDS, partial(self._try, pod, number + 1, wanted))
        self._cluster.publish(pod)

    def _least_loaded(self, pool: str) -> str:
        loads = Counter(pod.node for pod in self._cluster.pods.values() if pod.alive)
        return min(self._cluster.fleet.of(pool), key=loads.__getitem__)

    def _give_reason(self, pod: Pod, cause: str, *, fresh: bool) -> None:
        message = self._message(cause)
        pod.condition("PodScheduled", "False", "Unschedulable", message)
        self._cluster.news.unschedulable(pod, message)
        if fresh:
            self._cluster.truth.unscheduled(pod.workload, cause)

    def _message(self, cause: str) -> str:
        """All nodes but one lack the same, the last one is tainted; a claim that is missing is found before any."""
        total = len(self._cluster.nodes)
        lacking = _BLOCKS.get(cause) or f"Insufficient {cause.removeprefix('insufficient_')}"
        found = sorted((f"{total - 1} {lacking}", f"1 {_BLOCKS['taint']}"))
        if cause == "taint":
            found = [f"{total} {lacking}"]
        why = _UNBOUND if cause == "volume" else ", ".join(found)
        useless = f"0/{total} nodes are available: {total} Preemption is not helpful for scheduling."
        return f"0/{total} nodes are available: {why}. no new claims to deallocate, preemption: {useless}"
