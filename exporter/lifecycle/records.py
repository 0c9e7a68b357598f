"""What is remembered of a pod: small, frozen, no JSON trees."""

from __future__ import annotations

from math import inf

from exporter.lifecycle.observations import ContainerType, Observation, PodRef, Value
from exporter.lifecycle.owners import Unresolved


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


class Undecided(Value, frozen=True):
    """A pod whose owner has not arrived: what was observed of it waits, at most until `due` (Unix seconds)."""

    workload: Unresolved
    due: float
    held: tuple[Observation, ...] = ()


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
    deletion_requested: float = inf
    containers: tuple[Container, ...] = ()
    undecided: Undecided | None = None
    gone_at: float = inf
    """When the last memory of a pod that is gone is dropped."""
