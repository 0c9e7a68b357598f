"""Many quiet pods, and a steady stream of changes to them: for load tests, not for stories."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from exporter.simulator.cluster import Cluster
from exporter.simulator.identity import Identity
from exporter.simulator.pods import Pod
from exporter.simulator.templates import Container, Probe, Template
from exporter.simulator.truth import Workload
from exporter.simulator.workloads import ReplicaSet

_PROBE = Probe("httpGet", period=5)
_CANARIES = 40
"""Environment variables in each container; with them a pod has about 11 KB, as pods of real clusters have."""


class Load:
    """Pods that run and are ready from the start."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._pods: list[Pod] = []
        self._pace = 0
        self._next = 0

    def populate(self, pods: int, workloads: int, namespace: str) -> None:
        """Create so many pods, evenly spread over so many Deployments (`load-0`, `load-1`, …)."""
        size = {"cpu": "100m", "memory": "128Mi"}
        containers = (Container("main", liveness=_PROBE, readiness=_PROBE, requests=size, limits=size),)
        template = Template(containers, canaries=_CANARIES)
        sets = [self._replica_set(template, namespace, f"load-{n}") for n in range(workloads)]
        for number, owner in enumerate(sets):
            share = len(range(number, pods, workloads))
            owner.tell(share, share)
            for _ in range(share):
                name = f"{owner.name}-{self._cluster.suffix()}"
                identity = Identity(name, owner.workload, owner.reference, f"{owner.name}-")
                self._pods.append(self._cluster.create_running_pod(owner.template, identity))

    def churn(self, per_second: float) -> None:
        """Change so many pods in each virtual second, each in turn: ready, not ready, ready …; 0 ends it."""
        self._pace += 1
        if per_second > 0 and self._pods:
            self._cluster.clock.after(1 / per_second, partial(self._turn, self._pace, 1 / per_second))

    def _replica_set(self, template: Template, namespace: str, name: str) -> ReplicaSet:
        labelled = replace(template, labels={"app": name})
        workload = Workload(namespace, "Deployment", name)
        return ReplicaSet(self._cluster, workload, self._cluster.uid(), labelled)

    def _turn(self, pace: int, pause: float) -> None:
        if pace != self._pace:
            return
        pod = self._pods[self._next % len(self._pods)]
        self._next += 1
        self._cluster.kubelet.turn(pod)
        self._cluster.clock.after(pause, partial(self._turn, pace, pause))
