"""Pods that should run for ever: Deployment, StatefulSet, DaemonSet, a training operator, bare and static pods."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from exporter.simulator.clock import rfc3339
from exporter.simulator.cluster import Cluster
from exporter.simulator.identity import Identity, owner_reference
from exporter.simulator.pods import Pod
from exporter.simulator.resources import REPLICA_SETS, Json
from exporter.simulator.templates import Template
from exporter.simulator.truth import Workload

_SURGE = 1
_REVISIONS = 10
"""ReplicaSets that a Deployment keeps: its revisionHistoryLimit."""


class ReplicaSet:
    """One template of a Deployment, with its object in the API."""

    def __init__(self, cluster: Cluster, workload: Workload, uid: str, template: Template) -> None:
        self.workload = workload
        self._cluster = cluster
        digest = cluster.suffix(10)
        self.name = f"{workload.name}-{digest}"
        self.uid = cluster.uid()
        self.template = replace(template, labels={**template.labels, "pod-template-hash": digest})
        self._owner = owner_reference("apps/v1", "Deployment", workload.name, uid)
        self._created = rfc3339(cluster.clock.now)
        self._counts = (-1, -1)
        self.tell(0, 0)

    @property
    def reference(self) -> Json:
        """How its pods name it."""
        return owner_reference("apps/v1", "ReplicaSet", self.name, self.uid)

    def tell(self, replicas: int, ready: int) -> None:
        """Write its object, if these counts are news."""
        if (replicas, ready) != self._counts:
            self._counts = (replicas, ready)
            self._cluster.store.put(REPLICA_SETS, self._json())

    def delete(self) -> None:
        """Take its object away: it belongs to a revision too old to go back to."""
        self._cluster.store.remove(REPLICA_SETS, self._json())

    def _json(self) -> Json:
        replicas, ready = self._counts
        labels = dict(self.template.labels)
        metadata: Json = {"name": self.name, "namespace": self.workload.namespace, "uid": self.uid}
        metadata |= {"resourceVersion": "", "generation": 1, "creationTimestamp": self._created, "labels": labels}
        metadata |= {"ownerReferences": [self._owner]}
        template = {"metadata": {"labels": labels}, "spec": self._cluster.pod_spec(self.template)}
        spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
        status = {"replicas": replicas, "readyReplicas": ready, "observedGeneration": 1}
        head = {"kind": "ReplicaSet", "apiVersion": "apps/v1"}
        return {**head, "metadata": metadata, "spec": spec, "status": status}


class Deployment:
    """Replaces pods one by one when its template changes: one more at first, none less than wanted."""

    def __init__(self, cluster: Cluster, namespace: str, name: str, template: Template, replicas: int = 1) -> None:
        self.workload = Workload(namespace, "Deployment", name)
        self.uid = cluster.uid()
        self.replicas = replicas
        self._cluster = cluster
        self._pods: list[tuple[ReplicaSet, Pod]] = []
        self._template = replace(template, labels={"app": name, **template.labels})
        self._sets = [ReplicaSet(cluster, self.workload, self.uid, self._template)]
        cluster.add(self)

    @property
    def pods(self) -> list[Pod]:
        """Those that are neither terminal nor going."""
        return [pod for _, pod in self._pods if pod.alive]

    def roll_out(self, template: Template | None = None) -> None:
        """Bring a new template, or the same with a new annotation: pods get a new hash and are replaced."""
        if template is not None:
            self._template = replace(template, labels={"app": self.workload.name, **template.labels})
        self._sets.append(ReplicaSet(self._cluster, self.workload, self.uid, self._template))

    def reconcile(self) -> None:
        """One step of scaling or of a rolling update."""
        self._pods = [(rs, pod) for rs, pod in self._pods if pod.alive]
        current = [pod for rs, pod in self._pods if rs is self._sets[-1]]
        old = [pod for rs, pod in self._pods if rs is not self._sets[-1]]
        self._grow(len(current), len(self._pods))
        self._shrink(current, old)
        for rs in self._sets:
            mine = [pod for owner, pod in self._pods if owner is rs and pod.alive]
            rs.tell(len(mine), sum(pod.ready for pod in mine))
        if len(self._sets) > _REVISIONS and not any(rs is self._sets[0] for rs, _ in self._pods):
            self._sets.pop(0).delete()

    def _grow(self, current: int, total: int) -> None:
        room = self.replicas + (_SURGE if total > current else 0) - total
        for _ in range(min(room, self.replicas - current)):
            self._create(self._sets[-1])

    def _shrink(self, current: list[Pod], old: list[Pod]) -> None:
        surplus = sorted(current, key=lambda pod: pod.ready)[: max(0, len(current) - self.replicas)]
        spare = sum(pod.ready for pod in current + old) - self.replicas
        dying = [pod for pod in old if not pod.ready] + [pod for pod in old if pod.ready][: max(0, spare)]
        for pod in surplus + dying:
            self._cluster.delete_pod(pod)

    def _create(self, rs: ReplicaSet) -> None:
        prefix = f"{rs.name}-"
        name = prefix + self._cluster.suffix()
        identity = Identity(name, self.workload, rs.reference, generate_name=prefix)
        self._pods.append((rs, self._cluster.create_pod(rs.template, identity)))


class StatefulSet:
    """Pods with ordinals: they come one after the other, and are replaced from the last one on."""

    def __init__(self, cluster: Cluster, namespace: str, name: str, template: Template, replicas: int = 1) -> None:
        self.workload = Workload(namespace, "StatefulSet", name)
        self.replicas = replicas
        self._cluster = cluster
        self._owner = owner_reference("apps/v1", "StatefulSet", name, cluster.uid())
        self._pods: dict[int, tuple[str, Pod]] = {}
        self._template = replace(template, labels={"app": name, **template.labels})
        self._revision = f"{name}-{cluster.suffix(9)}"
        cluster.add(self)

    def roll_out(self) -> None:
        """Replace all pods by ones of a new revision."""
        self._revision = f"{self.workload.name}-{self._cluster.suffix(9)}"

    def reconcile(self) -> None:
        """One step: the first gap is filled, else the last pod too many or too old goes."""
        pods = self._cluster.pods
        self._pods = {n: (r, p) for n, (r, p) in self._pods.items() if pods.get((p.namespace, p.name)) is p}
        for ordinal in range(self.replicas):
            if ordinal not in self._pods:
                self._create(ordinal)
                return
            if not self._pods[ordinal][1].ready:
                return
        for ordinal in sorted(self._pods, reverse=True):
            revision, pod = self._pods[ordinal]
            if ordinal >= self.replicas or revision != self._revision:
                self._cluster.delete_pod(pod)
                return

    def _create(self, ordinal: int) -> None:
        name = f"{self.workload.name}-{ordinal}"
        labels = {
            "apps.kubernetes.io/pod-index": str(ordinal),
            "controller-revision-hash": self._revision,
            "statefulset.kubernetes.io/pod-name": name,
        }
        identity = Identity(name, self.workload, self._owner, generate_name=f"{self.workload.name}-", labels=labels)
        self._pods[ordinal] = (self._revision, self._cluster.create_pod(self._template, identity))


class DaemonSet:
    """One pod for each node; a lost one is replaced."""

    def __init__(self, cluster: Cluster, namespace: str, name: str, template: Template) -> None:
        self.workload = Workload(namespace, "DaemonSet", name)
        self._cluster = cluster
        self._owner = owner_reference("apps/v1", "DaemonSet", name, cluster.uid())
        self._labels = {"controller-revision-hash": cluster.suffix(9), "pod-template-generation": "1"}
        self._template = replace(template, labels={"app": name, **template.labels})
        self.pods: dict[str, Pod] = {}
        cluster.add(self)

    def reconcile(self) -> None:
        """Fill empty nodes."""
        prefix = f"{self.workload.name}-"
        for node in self._cluster.nodes:
            if node not in self.pods or not self.pods[node].alive:
                name = prefix + self._cluster.suffix()
                identity = Identity(name, self.workload, self._owner, prefix, labels=self._labels, wanted=node)
                self.pods[node] = self._cluster.create_pod(self._template, identity)


class TrainingJob:
    """A PyTorchJob (kubeflow.org/v1): an owner that the exporter cannot read; its pods restart in place."""

    def __init__(self, cluster: Cluster, namespace: str, name: str, template: Template, workers: int = 2) -> None:
        workload = Workload(namespace, "PyTorchJob", name)
        owner = owner_reference("kubeflow.org/v1", "PyTorchJob", name, cluster.uid())
        self.pods = []
        for role, index in (("master", 0), *(("worker", n) for n in range(workers))):
            labels = {"training.kubeflow.org/job-name": name, "training.kubeflow.org/replica-type": role}
            identity = Identity(f"{name}-{role}-{index}", workload, owner, labels=labels)
            self.pods.append(cluster.create_pod(template, identity))


def bare_pod(cluster: Cluster, namespace: str, name: str, template: Template, folded: str = "", node: str = "") -> Pod:
    """A pod that nothing will re-create. `folded` is its workload where the name has a generated end.

    `node`: the one that its maker has written into it.
    """
    generate_name = f"{folded}-" if folded else ""
    workload = Workload(namespace, "Pod", folded or name)
    return cluster.create_pod(template, Identity(name, workload, generate_name=generate_name, node=node))


def static_pod(cluster: Cluster, namespace: str, name: str, template: Template, node: str) -> Pod:
    """The API's picture of a pod that a node runs from a file: owned by the Node, bound from the start."""
    digest = f"{cluster.rng.getrandbits(128):032x}"
    annotations = {
        "kubernetes.io/config.hash": digest,
        "kubernetes.io/config.mirror": digest,
        "kubernetes.io/config.seen": rfc3339(cluster.clock.now),
        "kubernetes.io/config.source": "file",
    }
    owner = owner_reference("v1", "Node", node, cluster.uid())
    workload = Workload(namespace, "StaticPod", name)
    identity = Identity(f"{name}-{node}", workload, owner, annotations=annotations, node=node)
    return cluster.create_pod(template, identity)


def recreate_mirror(cluster: Cluster, pod: Pod) -> None:
    """Somebody deletes the picture of a static pod: its kubelet lets it go and makes another; the containers run on."""
    pod.generation += 1
    pod.deletion = (cluster.clock.now + pod.template.grace_seconds, pod.template.grace_seconds)
    cluster.publish(pod)
    cluster.clock.after(cluster.timings.sync / 2, partial(_make_mirror_anew, cluster, pod))


def _make_mirror_anew(cluster: Cluster, pod: Pod) -> None:
    cluster.remove_pod(pod, stop=False)
    pod.become_new(cluster.uid())
    cluster.pods[pod.namespace, pod.name] = pod
    cluster.publish(pod)
    cluster.clock.after(cluster.timings.sync / 2, partial(cluster.kubelet.describe, pod))
