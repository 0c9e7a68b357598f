"""What is remembered of a pod: small, frozen, no JSON trees."""

from __future__ import annotations

from math import inf

from msgspec.structs import replace

from exporter.lifecycle.conditions import Known
from exporter.lifecycle.failures import Failures
from exporter.lifecycle.kills import Kill, Unsettled
from exporter.lifecycle.loops import Loop
from exporter.lifecycle.observations import ContainerType, PodRef, Told, Value
from exporter.lifecycle.owners import Unresolved
from exporter.lifecycle.resources import Amounts, ContainerShape
from exporter.lifecycle.scheduling import Blocked
from exporter.lifecycle.startup import Startup
from exporter.lifecycle.unready import Unready


class Ending(Value, frozen=True):
    """The newest known end of a container, told already.

    `instance` counts as restartCount does; `id` is the containerID, "" for ends that have none. `cause` is what was
    decided for it (R5) and stays with it until its restart, which back-off may delay by minutes.
    """

    instance: int
    id: str
    reason: str
    exit_code: str
    finished: float | None
    cause: str
    inferred: bool = False
    ran: float | None = None
    """Seconds from start to end, None where one of them is unknown."""

    @property
    def began(self) -> float | None:
        """When the instance was started, None where that is unknown."""
        return None if self.finished is None or self.ran is None else self.finished - self.ran


class Container(Value, frozen=True):
    """One container: what was counted of it, and what its status shows now."""

    name: str
    type: ContainerType
    counted: int
    """restartCount up to which restarts have been counted; behind `restarts` while a synthetic end is held (R2)."""
    restarts: int = 0
    id: str = ""
    """containerID of the newest instance that had one."""
    ahead: bool = False
    """A restart was counted although the status still shows this id, or none: the next new id is no further one."""
    alive: bool = False
    """That instance has been seen running and its end has not been seen."""
    started: bool = False
    """`started` was true for that instance: its startup probe, if any, has succeeded."""
    held: str = ""
    """Reason of a synthetic end whose restart counts only when a new containerID appears (R2)."""
    ending: Ending | None = None
    state: str = "waiting"
    reason: str = ""
    ready: bool = False
    image: str = ""
    image_id: str = ""
    running_since: float | None = None
    """Start of the instance that runs now."""
    shape: ContainerShape = ContainerShape()
    loop: Loop | None = None
    """The crash-loop episode that it is in (R8)."""
    pull_failed: bool = False
    """A failed pull of this wait was told (R9)."""
    lost_at: float = inf
    """When readiness was lost, while the cause is still being waited for (R7)."""
    unsettled: Unsettled | None = None
    """What waits for the Event that tells the cause of the newest end (R5.3)."""
    failures: tuple[Failures, ...] = ()
    """Failed attempts of its probes."""


class Undecided(Value, frozen=True):
    """A pod whose owner has not arrived: what was observed of it waits, at most until `due` (Unix seconds)."""

    workload: Unresolved
    due: float
    held: tuple[Told, ...] = ()


class Heard(Value, frozen=True):
    """How often an Event had occurred when it was seen last, and when it began (Unix seconds)."""

    name: str
    count: int
    began: float


class Record(Value, frozen=True):
    """One pod. A record without `gone_at` infinite belongs to a pod that is gone and waits for stragglers only."""

    key: str
    """uid; for mirror pods what stays when the kubelet re-creates them (R10)."""
    pod: PodRef
    created: float
    newest: float
    """The newest creation, transition, start or finish time that was seen."""
    phase: str
    since: float
    """When the phase was entered."""
    node: str = ""
    qos_class: str = ""
    priority_class: str = ""
    service_account: str = ""
    ready: bool = False
    mirror: bool = False
    template: str = ""
    """Hash of the template that it was made from, as its controller labels it."""
    deletion_requested: float = inf
    containers: tuple[Container, ...] = ()
    undecided: Undecided | None = None
    status: str = ""
    """What kubectl prints, without progress."""
    labels: tuple[str | None, ...] = ()
    """Values of the pod labels on the allow-list, in its order."""
    unmanaged: bool = False
    """A bare pod that nothing will make again."""
    conditions: Known = ()
    startup: Startup | None = None
    """The start in progress (R13), None once Ready or where it cannot be told."""
    unready: Unready | None = None
    blocked: Blocked | None = None
    disrupted: bool = False
    """Its disruption was told (R16)."""
    grace: float = 0.0
    """Seconds of grace of the deletion (R15): another one may shorten it, the final one's 0 does not."""
    grace_exceeded: bool = False
    ended_before_deletion: bool = False
    """Terminal when its deletion was asked for, so that its termination took no time (R15)."""
    generation: int = 0
    """Of the spec from which shapes and amounts were read; 0 where the API server sends none."""
    requests: Amounts = ()
    limits: Amounts = ()
    quiet_at: float = inf
    """When its latest trouble, a restart or a lost Ready, is ten minutes old."""
    stop_grace: float = 30.0
    """Seconds that its containers get to end."""
    kills: tuple[Kill, ...] = ()
    """What the kubelet said of kills whose end is yet to come (R5.2)."""
    heard: tuple[Heard, ...] = ()
    """Events about it, those that changed last at the end."""
    forgotten: float = -inf
    """When the newest Event began of those that were forgotten for others."""
    gone_at: float = inf
    """When the last memory of a pod that is gone is dropped."""

    @property
    def unready_since(self) -> float | None:
        """Since when it is not Ready, None while it is."""
        return self.unready.since if self.unready is not None else None

    @property
    def was_ready(self) -> str:
        """Whether the Ready that it lacks had been there, as a label says it."""
        return "true" if self.unready is not None and self.unready.was_ready else "false"

    @property
    def deletion(self) -> float | None:
        """When its deletion was asked for, None if it was not."""
        return self.deletion_requested if self.deletion_requested < inf else None

    @property
    def bare(self) -> bool | None:
        """True for an unmanaged pod, else None."""
        return self.unmanaged or None


def with_container(record: Record, container: Container) -> Record:
    """The record with one of its containers changed."""
    parts = tuple(container if c.name == container.name else c for c in record.containers)
    return replace(record, containers=parts)
