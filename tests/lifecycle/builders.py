"""Pods and statuses as tests need them, and observations as short words.

Times are seconds after `T0`; `words` writes an observation as, say, `main restarted Error`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from math import inf
from typing import TypeVar

from exporter.lifecycle import containers
from exporter.lifecycle.containers import Look
from exporter.lifecycle.observations import (
    ContainerRestarted,
    ContainerTerminated,
    ContainerType,
    ContainerWaiting,
    Observation,
    PhaseChanged,
    PodRef,
    RestartCountReset,
    Workload,
)
from exporter.lifecycle.records import Container, Record
from exporter.lifecycle.tracker import Tracker
from exporter.objects import (
    Annotations,
    Condition,
    ContainerSpec,
    ContainerState,
    ContainerStatus,
    Event,
    EventSeries,
    InvolvedObject,
    Listed,
    Metadata,
    OwnerReference,
    Pod,
    PodSpec,
    PodStatus,
    Probe,
    Running,
    Terminated,
    Waiting,
)

Kind = TypeVar("Kind", bound=Observation)
T0 = 1_800_000_000.0
UNKNOWN = "ContainerStatusUnknown"
ALL = "RestartingAllContainers"
PLAIN = ContainerSpec("main")
LIVENESS = ContainerSpec("main", liveness_probe=Probe())
BOTH_PROBES = ContainerSpec("main", liveness_probe=Probe(), startup_probe=Probe())
REF = PodRef("shop", "web-0", "uid-0", Workload("shop", "StatefulSet", "web"))


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(T0 + seconds, UTC)


def running(started: float = 0) -> ContainerState:
    return ContainerState(running=Running(started_at=at(started)))


def waiting(reason: str = "ContainerCreating") -> ContainerState:
    return ContainerState(waiting=Waiting(reason=reason))


def ended(
    exit_code: int = 1, reason: str = "", cid: str = "", *, started: float | None = 0, finished: float | None = 10
) -> ContainerState:
    """An end, for `state` or `lastState`; the reason is the runtime's if not given."""
    reason = reason or ("Error" if exit_code else "Completed")
    begin = None if started is None else at(started)
    finish = None if finished is None else at(finished)
    return ContainerState(
        terminated=Terminated(
            exit_code=exit_code, reason=reason, started_at=begin, finished_at=finish, container_id=cid
        )
    )


def unknown() -> ContainerState:
    return ended(137, UNKNOWN, started=None, finished=None)


def restarting_all() -> ContainerState:
    return ended(137, ALL, started=None, finished=None)


def status(
    n: int = 0,
    cid: str = "",
    state: ContainerState | None = None,
    last: ContainerState | None = None,
    *,
    name: str = "main",
    ready: bool = False,
    started: bool | None = None,
) -> ContainerStatus:
    return ContainerStatus(
        name=name, ready=ready, restart_count=n, started=started, state=state, last_state=last, container_id=cid
    )


def runs(n: int, cid: str, last: ContainerState | None = None, *, started: bool = True) -> ContainerStatus:
    return status(n, cid, running(), last, ready=started, started=started)


def backs_off(n: int, last: ContainerState) -> ContainerStatus:
    """CrashLoopBackOff: the status keeps the number and containerID of the instance that has ended."""
    assert last.terminated is not None
    return status(n, last.terminated.container_id, waiting("CrashLoopBackOff"), last)


def of(seen: Iterable[Observation], kind: type[Kind]) -> list[Kind]:
    return [o for o in seen if isinstance(o, kind)]


def words(seen: Iterable[Observation]) -> list[str]:
    """What happened, without the facts that a container or pod is there."""
    return [text for o in seen if (text := _words(o)) for _ in range(getattr(o, "times", 1))]


def _words(o: Observation) -> str:
    if isinstance(o, ContainerRestarted):
        return f"{o.container} restarted {o.reason}{' (inferred)' if o.inferred else ''}"
    if isinstance(o, ContainerTerminated):
        return f"{o.container} terminated {o.reason} {o.exit_code}".rstrip()
    if isinstance(o, ContainerWaiting):
        return f"{o.container} waiting {o.reason}"
    if isinstance(o, RestartCountReset):
        return f"{o.container} reset"
    if isinstance(o, PhaseChanged):
        return f"{o.before} -> {o.after}{' (unobserved)' if o.unobserved else ''}"
    return ""


def event(
    reason: str,
    message: str = "",
    *,
    name: str = "web-0.1",
    container: str = "main",
    path: str = "spec.containers",
    count: int | None = 1,
    series: int | None = None,
    began: float = 30,
    last: float | None = None,
    kind: str = "Warning",
    uid: str = "uid-0",
    pod: str = "web-0",
    of: str = "Pod",
) -> Event:
    """An Event about a pod; times are seconds after T0, `last` is `began` if not given."""
    newer = series is not None
    return Event(
        Metadata(name=name, namespace="shop", uid=f"uid-of-{name}"),
        InvolvedObject(of, "shop", pod, uid, f"{path}{{{container}}}" if container else ""),
        kind,
        reason,
        message,
        None if newer else count,
        EventSeries(series) if series else None,
        None if newer else at(began),
        None if newer else at(began if last is None else last),
        at(began) if newer else None,
    )


class Watched:
    """One container and what was told of it, update by update."""

    def __init__(
        self, *statuses: ContainerStatus, spec: ContainerSpec = PLAIN, kind: ContainerType = "container"
    ) -> None:
        self.spec = spec
        self.container = containers.fresh(spec.name, kind, spec)
        for one in statuses:
            self.see(one)

    @classmethod
    def from_baseline(
        cls, first: ContainerStatus, spec: ContainerSpec = PLAIN, kind: ContainerType = "container"
    ) -> Watched:
        watched = cls(spec=spec, kind=kind)
        watched.container = containers.baseline(spec.name, kind, spec, first)
        watched.see(first)
        return watched

    def see(
        self, status: ContainerStatus, *, stop: float = inf, stopping: bool = False, gap: bool = False, now: float = 60
    ) -> list[str]:
        """The words that this update adds; `stop` and `now` are seconds after T0."""
        seen: list[Observation] = []
        look = Look(T0 + now, REF, T0 + stop, stopping, gap)
        self.container = containers.applied(self.container, status, self.spec, look, seen)
        return [text.removeprefix("main ") for text in words(seen)]

    def lost(self) -> list[str]:
        seen = containers.lost(self.container, Look(T0 + 60, REF))
        return [text.removeprefix("main ") for text in words(seen)]


def pod(
    *statuses: ContainerStatus,
    name: str = "web-0",
    uid: str = "uid-0",
    namespace: str = "shop",
    phase: str = "Running",
    reason: str = "",
    policy: str = "Always",
    created: float = 0,
    node: str = "node-1",
    specs: tuple[ContainerSpec, ...] = (PLAIN,),
    inits: tuple[ContainerSpec, ...] = (),
    init_statuses: tuple[ContainerStatus, ...] = (),
    ephemerals: tuple[ContainerSpec, ...] = (),
    ephemeral_statuses: tuple[ContainerStatus, ...] = (),
    conditions: tuple[Condition, ...] = (),
    deleted: float | None = None,
    grace: int = 30,
    owner: OwnerReference | None = None,
    labels: dict[str, str] | None = None,
    generate_name: str = "",
    mirror: str | None = None,
) -> Pod:
    """A pod; `deleted` is when its deletion was asked for."""
    return Pod(
        Metadata(
            name=name,
            namespace=namespace,
            uid=uid,
            generate_name=generate_name,
            creation_timestamp=at(created),
            deletion_timestamp=None if deleted is None else at(deleted + grace),
            deletion_grace_period_seconds=None if deleted is None else grace,
            labels=labels,
            annotations=Annotations(mirror) if mirror else None,
            owner_references=(owner,) if owner else None,
        ),
        PodSpec(
            containers=specs,
            init_containers=inits or None,
            ephemeral_containers=ephemerals or None,
            node_name=node,
            restart_policy=policy,
        ),
        PodStatus(
            phase=phase,
            reason=reason,
            conditions=conditions or None,
            container_statuses=statuses or None,
            init_container_statuses=init_statuses or None,
            ephemeral_container_statuses=ephemeral_statuses or None,
        ),
    )


def condition(kind: str, since: float, status: str = "True") -> Condition:
    return Condition(type=kind, status=status, last_transition_time=at(since))


def owned(kind: str, name: str, uid: str = "") -> OwnerReference:
    return OwnerReference(kind=kind, name=name, uid=uid or f"uid-of-{name}", controller=True)


def listed(*uids: str, namespace: str = "", of: type = Pod, time: float = 0) -> Listed:
    return Listed(of, namespace, frozenset(uids), T0 + time)


class Witness:
    """A tracker whose baseline was empty at T0, and all that it delivers."""

    def __init__(
        self, *, baseline: bool = True, label: str = "", wait: float = 0.0, normal_events: bool = False
    ) -> None:
        self.seen: list[Observation] = []
        self.records: list[Record] = []
        self.failing = False
        self.wait = wait
        self.tracker = Tracker(self._take, label, attribution_wait=wait, normal_events=normal_events)
        self.now = T0
        if baseline:
            self.tracker.missing(listed())

    def _take(self, _: Record | None, after: Record, seen: list[Observation]) -> None:
        if self.failing:
            raise RuntimeError("the ledger is ill")
        self.records.append(after)
        self.seen += seen

    def apply(self, pod: Pod, *, gap: bool = False, now: float = 60) -> list[str]:
        """The words that this update adds."""
        before = len(self.seen)
        self.tracker.pod(pod, T0 + now, gap=gap)
        return words(self.seen[before:])

    def hear(self, event: Event, *, listed: bool = False, now: float = 60) -> list[Observation]:
        """What this Event adds."""
        before = len(self.seen)
        self.tracker.event(event, T0 + now, listed=listed)
        return self.seen[before:]

    def delete(self, pod: Pod, *, now: float = 90) -> list[str]:
        before = len(self.seen)
        self.tracker.deleted(pod, T0 + now)
        return words(self.seen[before:])

    def relist(self, *uids: str, namespace: str = "", now: float = 90) -> list[str]:
        """A complete list ends that had these pods."""
        before = len(self.seen)
        for key in self.tracker.missing(listed(*uids, namespace=namespace, time=now)):
            self.tracker.vanished(key, T0 + now)
        return words(self.seen[before:])

    def elapse(self, now: float) -> list[str]:
        before = len(self.seen)
        for key in list(self.tracker.due(T0 + now)):
            self.tracker.elapsed(key, T0 + now)
        return words(self.seen[before:])

    def record(self, uid: str = "uid-0") -> Record:
        return next(r for r in self.tracker.records() if r.pod.uid == uid)

    def container(self, name: str = "main", uid: str = "uid-0") -> Container:
        return next(c for c in self.record(uid).containers if c.name == name)
