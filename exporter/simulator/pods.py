"""A simulated pod: what the kubelet knows of it and of its containers, and its JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from exporter.simulator.clock import Clock, Timer, rfc3339
from exporter.simulator.managed import kubelet_entry
from exporter.simulator.resources import Json
from exporter.simulator.specs import mounts, quality, resources
from exporter.simulator.templates import Container, Run, Template
from exporter.simulator.truth import TERMINAL, Workload
from exporter.simulator.truth import Container as ContainerKey

CONDITIONS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady")
"""The kubelet's, in the order in which it writes them; PodScheduled follows."""


@dataclass(slots=True, eq=False)
class PodContainer:
    """One container of one pod. `ends` are the terminated states of its instances, `cause` why the last one ended."""

    spec: Container
    key: ContainerKey
    state: Json
    last_state: Json = field(default_factory=dict)
    ends: list[Json] = field(default_factory=list)
    cause: str = ""
    restart_count: int = 0
    container_id: str = ""
    started_at: float = 0.0
    started: bool = False
    ready: bool = False
    back_offs: int = 0
    pulls: int = 0
    tried_at: float = -1.0
    timers: list[Timer] = field(default_factory=list)

    @property
    def run(self) -> Run:
        """How the instance of now goes."""
        return self.spec.runs[min(self.restart_count, len(self.spec.runs) - 1)]

    @property
    def running(self) -> bool:
        """Whether an instance runs."""
        return "running" in self.state

    @property
    def created(self) -> bool:
        """Whether there ever was an instance, even one that could not start."""
        return bool(self.container_id)

    @property
    def finished(self) -> bool:
        """A plain init container that has done its work."""
        return self.spec.type == "init" and "terminated" in self.state and self.state["terminated"]["exitCode"] == 0

    def forget_timers(self) -> None:
        """Nothing that was planned for the instance happens any more."""
        for timer in self.timers:
            timer.cancelled = True
        self.timers.clear()


@dataclass(slots=True, eq=False)
class Pod:
    """One pod. `metadata` holds what never changes of it (name, uid, labels, owner, …) in the API's order."""

    metadata: Json
    spec: Json
    template: Template
    workload: Workload
    clock: Clock
    creator: Json
    """The creator's entry in managedFields."""
    containers: list[PodContainer] = field(default_factory=list)
    phase: str = "Pending"
    conditions: dict[str, Json] = field(default_factory=dict)
    generation: int = 1
    observed: int = 0
    started_at: float = 0.0
    address: str = ""
    verdict: tuple[str, str] | None = None
    """status.reason and status.message of a pod that the kubelet has ended."""
    deletion: tuple[float, int] | None = None
    """deletionTimestamp (Unix seconds) and deletionGracePeriodSeconds."""
    finalizers: list[str] = field(default_factory=list)
    timers: list[Timer] = field(default_factory=list)
    written: int = 0
    """Hash of what the last write said, without its version: writing the same again is no change."""

    @property
    def name(self) -> str:
        """metadata.name."""
        return str(self.metadata["name"])

    @property
    def namespace(self) -> str:
        """metadata.namespace."""
        return str(self.metadata["namespace"])

    @property
    def uid(self) -> str:
        """metadata.uid."""
        return str(self.metadata["uid"])

    @property
    def node(self) -> str:
        """The node it is bound to, "" before."""
        return str(self.spec.get("nodeName", ""))

    @property
    def terminal(self) -> bool:
        """Whether the API's phase is final."""
        return self.phase in TERMINAL

    @property
    def alive(self) -> bool:
        """Neither terminal nor being deleted: its controller counts on it."""
        return not self.terminal and self.deletion is None

    @property
    def stage(self) -> str:
        """Its phase as the books name it: RULES R12."""
        if self.deletion is not None and not self.terminal:
            return "Terminating"
        return "ContainerCreating" if self.phase == "Pending" and self.node else self.phase

    @property
    def ready(self) -> bool:
        """Whether condition Ready is True."""
        return self.is_true("Ready")

    @property
    def inits(self) -> list[PodContainer]:
        """Init containers and sidecars, in their order."""
        return [c for c in self.containers if c.spec.type != "container"]

    @property
    def apps(self) -> list[PodContainer]:
        """The ordinary containers."""
        return [c for c in self.containers if c.spec.type == "container"]

    def is_true(self, condition: str) -> bool:
        """Whether a condition has status True."""
        return bool(self.conditions.get(condition, {}).get("status") == "True")

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something in so many virtual seconds unless the pod is stopped before."""
        self.timers = [t for t in self.timers if t.at >= self.clock.now]
        self.timers.append(self.clock.after(seconds, action))

    def forget_timers(self) -> None:
        """Nothing that was planned for the pod or its containers happens any more."""
        for timer in self.timers:
            timer.cancelled = True
        self.timers.clear()
        for container in self.containers:
            container.forget_timers()

    def condition(self, kind: str, status: str, reason: str = "", message: str = "") -> None:
        """Set a condition; its transition time changes only with its status."""
        before = self.conditions.get(kind)
        keep = before is not None and before["status"] == status
        since = before["lastTransitionTime"] if before is not None and keep else rfc3339(self.clock.now)
        body: Json = {"type": kind, "observedGeneration": self.generation, "status": status}
        body |= {"lastProbeTime": None, "lastTransitionTime": since}
        if reason:
            body["reason"] = reason
        if message:
            body["message"] = message
        self.conditions[kind] = body

    def json(self) -> Json:
        """The whole object as the API server shows it; only its resourceVersion is left to the store."""
        return {
            "kind": "Pod",
            "apiVersion": "v1",
            "metadata": self._metadata(),
            "spec": self.spec,
            "status": self._status(),
        }

    def _metadata(self) -> Json:
        head = {key: self.metadata[key] for key in ("name", "generateName", "namespace", "uid") if key in self.metadata}
        body: Json = head | {"resourceVersion": "", "generation": self.generation}
        body["creationTimestamp"] = self.metadata["creationTimestamp"]
        if self.deletion is not None:
            body["deletionTimestamp"] = rfc3339(self.deletion[0])
            body["deletionGracePeriodSeconds"] = self.deletion[1]
        body |= {
            key: self.metadata[key] for key in ("labels", "annotations", "ownerReferences") if key in self.metadata
        }
        if self.finalizers:
            body["finalizers"] = self.finalizers
        body["managedFields"] = [self.creator]
        if self.observed:
            body["managedFields"] = [self.creator, kubelet_entry(self.address, self.clock.now)]
        return body

    def _status(self) -> Json:
        status: Json = {"observedGeneration": self.observed} if self.observed else {}
        status["phase"] = self.phase
        if self.verdict:
            status["reason"], status["message"] = self.verdict
        order = [kind for kind in CONDITIONS if kind in self.conditions]
        order += [kind for kind in self.conditions if kind not in CONDITIONS]
        if order:
            status["conditions"] = [self.conditions[kind] for kind in order]
        if self.observed:
            status |= self._kubelet_status()
        status["qosClass"] = quality(self.template)
        if self.observed:
            status["resources"] = {}
        return status

    def _kubelet_status(self) -> Json:
        status: Json = {"hostIP": "10.0.0.11", "hostIPs": [{"ip": "10.0.0.11"}]}
        if self.address:
            status |= {"podIP": self.address, "podIPs": [{"ip": self.address}]}
        status["startTime"] = rfc3339(self.started_at)
        if self.inits:
            status["initContainerStatuses"] = [self._container_status(c) for c in self.inits]
        status["containerStatuses"] = [self._container_status(c) for c in self.apps]
        return status

    def _container_status(self, container: PodContainer) -> Json:
        status: Json = {
            "name": container.spec.name,
            "state": container.state,
            "lastState": container.last_state,
            "ready": container.ready,
            "restartCount": container.restart_count,
            "image": container.spec.image,
            "imageID": _image_id(container.spec.image) if container.created else "",
        }
        if container.created:
            status["containerID"] = container.container_id
        status["started"] = container.started
        if container.created:
            status["resources"] = resources(container.spec)
            status["volumeMounts"] = mounts(self.template)
        return status


@lru_cache
def _image_id(image: str) -> str:
    digest = "".join(f"{ord(c) * (n + 7) % 256:02x}" for n, c in enumerate((image * 64)[:32]))
    return f"{image.rpartition(':')[0]}@sha256:{digest}"
