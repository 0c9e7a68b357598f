"""A simulated pod: what the kubelet knows of it and of its containers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from exporter.simulator.clock import Clock, Timer, rfc3339
from exporter.simulator.resources import Json
from exporter.simulator.templates import Container, Run, Template
from exporter.simulator.truth import TERMINAL, Workload
from exporter.simulator.truth import Container as ContainerKey

UNSAID = ("LivenessProbe", "StartupProbe", "PostStartHook", "Resize")
"""Causes of ends that no field of the API tells."""


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
    ran: bool = False
    """An instance has been started, whatever became of it."""
    resources: Json | None = None
    """What it was given by a resize in place, None before any."""
    removed: bool = False
    """Its last instance was removed from the node; restartCount has grown for the next one already."""
    timers: list[Timer] = field(default_factory=list)

    @property
    def run(self) -> Run:
        """How the instance of now goes."""
        return self.spec.runs[min(self.restart_count, len(self.spec.runs) - 1)]

    @property
    def run_next(self) -> Run:
        """How the instance that is about to be created will go."""
        number = self.restart_count + (self.created and not self.removed)
        return self.spec.runs[min(number, len(self.spec.runs) - 1)]

    @property
    def running(self) -> bool:
        """Whether an instance runs."""
        return "running" in self.state

    @property
    def created(self) -> bool:
        """Whether there ever was an instance, even one that could not start."""
        return bool(self.container_id) or self.removed

    @property
    def fresh(self) -> bool:
        """Whether it is still to run for the first time."""
        return "waiting" in self.state and not self.last_state

    @property
    def finished(self) -> bool:
        """A plain init container that has done its work."""
        return self.spec.type == "init" and "terminated" in self.state and self.state["terminated"]["exitCode"] == 0

    def forget_cause(self) -> None:
        """Who looks only now is told no more than the API's reason of an end that is past."""
        said = self.state.get("waiting", {}).get("reason") == "PostStartHookError"
        if self.cause in UNSAID and self.ends and not self.running and not said:
            self.cause = self.ends[-1]["reason"]

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
    reached: set[str] = field(default_factory=set)
    """Conditions that have been True."""
    generation: int = 1
    observed: int = 0
    started_at: float = 0.0
    address: str = ""
    verdict: tuple[str, str] | None = None
    """status.reason and status.message of a pod that the kubelet has ended."""
    doomed: bool = False
    """The kubelet ends the pod: it has failed as soon as its containers have ended."""
    expired: bool = False
    """Its deadline has come, of which Ready tells before the phase does."""
    cut_off: bool = False
    """The node cannot be reached: its kubelet hears and says nothing."""
    restarting: bool = False
    """All its containers are about to be removed and made anew."""
    overran: bool = False
    """A container was killed after the grace period."""
    deletion: tuple[float, int] | None = None
    """deletionTimestamp (Unix seconds) and deletionGracePeriodSeconds."""
    measured: bool = False
    """How long its deletion takes is of interest: it was on its way when that was asked for."""
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
        return [c for c in self.containers if c.spec.type in ("init", "sidecar")]

    @property
    def apps(self) -> list[PodContainer]:
        """The ordinary containers."""
        return [c for c in self.containers if c.spec.type == "container"]

    @property
    def serving(self) -> list[PodContainer]:
        """The containers that make it ready."""
        return [c for c in self.containers if c.spec.type in ("container", "sidecar")]

    @property
    def mirror(self) -> bool:
        """Whether it is the picture of a static pod."""
        return "kubernetes.io/config.mirror" in self.metadata["annotations"]

    @property
    def start_stage(self) -> str:
        """What it waits for on the way to its first Ready, as the books name it: RULES R13."""
        scheduled = self.conditions.get("PodScheduled", {})
        steps = (
            (scheduled.get("reason") == "SchedulingGated", "gated"),
            ("PodScheduled" not in self.reached, "scheduling"),
            ("PodReadyToStartContainers" not in self.reached, "sandbox"),
            ("Initialized" not in self.reached, "init"),
            (not all(c.ran for c in self.apps), "start"),
        )
        return next((stage for waits, stage in steps if waits), "readiness")

    @property
    def unready_because(self) -> str:
        """Why it is not Ready, if it is not: RULES R14."""
        if self.cut_off:
            return "node_not_ready"
        if not all(c.running for c in self.serving):
            return "container_ended"
        return "readiness_gate" if all(c.ready for c in self.serving) else "probe"

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
        self.reached |= {kind} if status == "True" else set()
        body: Json = {"type": kind, "observedGeneration": self.generation, "status": status}
        body |= {"lastProbeTime": None, "lastTransitionTime": since}
        if reason:
            body["reason"] = reason
        if message:
            body["message"] = message
        self.conditions[kind] = body

    def become_new(self, uid: str) -> None:
        """Be another object about the same containers: the kubelet has yet to say how they are."""
        self.metadata = self.metadata | {"uid": uid, "creationTimestamp": rfc3339(self.clock.now)}
        self.deletion, self.generation, self.observed, self.written = None, 1, 0, 0
        self.phase = "Pending"
        self.conditions.clear()

    def withdraw(self, kind: str) -> None:
        """Take a condition away."""
        self.conditions.pop(kind, None)
