"""Nodes that go: what the node controller, the taint manager and the pod garbage collector then do with their pods."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from exporter.simulator.pods import Pod

if TYPE_CHECKING:
    from exporter.simulator.cluster import Cluster


class Nodes:
    """Which nodes there are, by pool ("": ordinary ones), and which of them nobody can reach."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._pools = {"": tuple(f"node-{n}" for n in range(1, 4))}
        self._away: set[str] = set()

    def add(self, pool: str, *names: str) -> None:
        """More nodes, on which only pods of their pool run."""
        self._pools[pool] = names

    def of(self, pool: str) -> tuple[str, ...]:
        """Those on which pods may be placed."""
        return tuple(name for name in self._pools[pool] if name not in self._away)

    def lose(self, name: str) -> None:
        """The node has said nothing for 40 s: its pods are marked not ready, whatever their containers do."""
        self._away.add(name)
        for pod in self._pods(name):
            pod.cut_off = True
            pod.condition("Ready", "False")
            self._cluster.news.node_not_ready(pod)
            self._cluster.publish(pod)

    def find(self, name: str) -> None:
        """The node is back: its kubelet says how its pods are, and ends those that it shall not keep."""
        self._away.discard(name)
        for pod in self._pods(name):
            self._cluster.kubelet.resume(pod)

    def taint(self, name: str) -> None:
        """Its pods have tolerated that it is away for long enough."""
        for pod in [pod for pod in self._pods(name) if pod.deletion is None]:
            self._cluster.news.marked_for_deletion(pod)
            self._cluster.take(pod, "DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint")

    def remove(self, name: str) -> None:
        """The node is no more: the garbage collector calls its pods failed and deletes them by force."""
        self._away.add(name)
        for pod in self._pods(name):
            self._cluster.kubelet.abandon(pod)
            pod.phase, pod.cut_off = "Failed", True
            pod.condition("DisruptionTarget", "True", "DeletionByPodGC", "PodGC: node no longer exists")
            if pod.deletion is None:
                self._cluster.truth.disrupted(pod.workload, "DeletionByPodGC")
            self._cluster.publish(pod)
            self._cluster.remove_pod(pod)

    def _pods(self, name: str) -> Iterator[Pod]:
        yield from [pod for pod in self._cluster.pods.values() if pod.node == name and not pod.terminal]
