"""Controllers of pods that should end: Job and CronJob."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from exporter.simulator.clock import rfc3339
from exporter.simulator.cluster import Cluster
from exporter.simulator.identity import Identity, owner_reference
from exporter.simulator.pods import Pod
from exporter.simulator.resources import JOBS, Json
from exporter.simulator.templates import Template
from exporter.simulator.truth import Workload

_TRACKING = "batch.kubernetes.io/job-tracking"


class Job:
    """Runs pods until one succeeds or `retries` more have failed. `workload` is to whom they are accounted."""

    def __init__(
        self,
        cluster: Cluster,
        namespace: str,
        name: str,
        template: Template,
        *,
        workload: Workload | None = None,
        owner: Json | None = None,
        retries: int = 0,
        retry_seconds: float = 10.0,
    ) -> None:
        self.namespace, self.name, self.uid = namespace, name, cluster.uid()
        self._cluster = cluster
        self._workload = workload or Workload(namespace, "Job", name)
        self._owner = owner
        self._retries = retries
        self._retry_seconds = retry_seconds
        ids = {"controller-uid": self.uid, "job-name": name}
        self._labels = {f"batch.kubernetes.io/{key}": value for key, value in ids.items()} | ids
        self._template = replace(template, labels={**template.labels, **self._labels})
        self._created = rfc3339(cluster.clock.now)
        self._pods: list[Pod] = []
        self._due = cluster.clock.now
        self._told: Json = {}
        self._tell()
        cluster.add(self)

    @property
    def over(self) -> bool:
        """Whether it has succeeded or given up."""
        phases = [pod.phase for pod in self._pods]
        return "Succeeded" in phases or phases.count("Failed") > self._retries

    def reconcile(self) -> None:
        """Start the next pod when the last one has failed; a pod deleted meanwhile is replaced."""
        active = any(pod.alive for pod in self._pods)
        if not active and not self.over:
            if self._due <= self._cluster.clock.now:
                self._create()
        elif active:
            failed = sum(pod.phase == "Failed" for pod in self._pods)
            self._due = self._cluster.clock.now + self._retry_seconds * 2**failed
        self._tell()

    def delete(self) -> None:
        """Delete the Job; the garbage collector takes its pods."""
        self._cluster.drop(self)
        self._cluster.store.remove(JOBS, self._json())
        for pod in self._pods:
            if self._cluster.pods.get((pod.namespace, pod.name)) is pod:
                self._cluster.delete_pod(pod)

    def _create(self) -> None:
        prefix = f"{self.name}-"
        reference = owner_reference("batch/v1", "Job", self.name, self.uid)
        name = prefix + self._cluster.suffix()
        identity = Identity(name, self._workload, reference, prefix, finalizers=(_TRACKING,))
        self._pods.append(self._cluster.create_pod(self._template, identity))

    def _status(self) -> Json:
        phases = [pod.phase for pod in self._pods]
        status: Json = {"active": sum(pod.alive for pod in self._pods)}
        status |= {"failed": phases.count("Failed"), "succeeded": phases.count("Succeeded")}
        return {key: value for key, value in status.items() if value}

    def _tell(self) -> None:
        status = self._status()
        if not self._told or status != self._told["status"]:
            self._told = self._json()
            self._cluster.store.put(JOBS, self._told)

    def _json(self) -> Json:
        metadata: Json = {"name": self.name, "namespace": self.namespace, "uid": self.uid, "resourceVersion": ""}
        metadata |= {"generation": 1, "creationTimestamp": self._created, "labels": self._labels}
        if self._owner is not None:
            metadata["ownerReferences"] = [self._owner]
        template = {"metadata": {"labels": self._labels}, "spec": self._cluster.pod_spec(self._template)}
        spec = {"parallelism": 1, "completions": 1, "backoffLimit": self._retries, "template": template}
        head = {"kind": "Job", "apiVersion": "batch/v1"}
        return {**head, "metadata": metadata, "spec": spec, "status": self._status()}


class CronJob:
    """A Job at every full minute of virtual time, named after the minute; the last `keep` are kept."""

    def __init__(self, cluster: Cluster, namespace: str, name: str, template: Template, keep: int = 3) -> None:
        self.workload = Workload(namespace, "CronJob", name)
        self._cluster = cluster
        self._template = template
        self._reference = owner_reference("batch/v1", "CronJob", name, cluster.uid())
        self._jobs: deque[Job] = deque()
        self._keep = keep
        self._minute = self._now()
        cluster.add(self)

    def reconcile(self) -> None:
        """Start the Job of a new minute, drop the oldest one that is over."""
        minute = self._now()
        if minute > self._minute:
            self._minute = minute
            name = f"{self.workload.name}-{minute}"
            namespace, workload, owner = self.workload.namespace, self.workload, self._reference
            job = Job(self._cluster, namespace, name, self._template, workload=workload, owner=owner)
            self._jobs.append(job)
        if len(self._jobs) > self._keep and self._jobs[0].over:
            self._jobs.popleft().delete()

    def _now(self) -> int:
        return int(self._cluster.clock.now // 60)
