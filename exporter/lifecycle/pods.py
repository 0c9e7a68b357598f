"""Rules R10-R12 and the steps of a pod: first sight, update, deletion, time.

Each takes what is remembered and what came and gives what to remember and what happened.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from sys import intern

from msgspec.structs import replace

from exporter.lifecycle import containers, course, kills, loops
from exporter.lifecycle.bounded import bounded
from exporter.lifecycle.conditions import FAILED
from exporter.lifecycle.containers import Look
from exporter.lifecycle.observations import (
    CREATED,
    DELETED,
    ContainerAppeared,
    ContainerRestarted,
    ContainerType,
    Observation,
    PhaseChanged,
    PodRef,
    Workload,
)
from exporter.lifecycle.owners import Unresolved, controller, is_mirror
from exporter.lifecycle.phases import SLACK, TERMINAL, condition, entered, phase_of
from exporter.lifecycle.records import Container, Record, Undecided
from exporter.lifecycle.resources import granted, shape_of, sums
from exporter.lifecycle.status import kubectl_status, shortened
from exporter.lifecycle.times import newest, unix
from exporter.objects import ContainerSpec, ContainerStatus, Metadata, Pod, PodSpec, PodStatus

OWNER_WAIT = 2.0
"""Seconds that the first observation of a pod waits for its ReplicaSet or Job to arrive."""
NEIGHBOURS = 5.0
"""Seconds within which other containers of a node losing readiness too make it the node's doing (R7)."""
LINGER = 300.0
"""Seconds for which a pod that is gone is remembered: what comes late must not make it new again."""
STOPPED_BY = frozenset(("DeadlineExceeded", "Evicted", "Preempting", "Terminated"))
"""status.reason of pods that the kubelet stops by itself (R6)."""

NO_STATUS = (None, None)
TEMPLATES = ("pod-template-hash", "rollouts-pod-template-hash", "controller-revision-hash")
"""Labels by which controllers tell which template a pod was made from."""

Step = tuple[Record, list[Observation]]


def key_of(pod: Pod) -> str:
    """The uid; a mirror pod's is new whenever its kubelet re-creates it, so config, node and name are its key (R10).

    Whoever makes a pod may give it the annotation of another one, but not its name.
    """
    if is_mirror(pod) and pod.metadata.annotations:
        node = pod.spec.node_name if pod.spec else ""
        return f"{pod.metadata.annotations.config_mirror}@{node}/{pod.metadata.namespace}/{pod.metadata.name}"
    return pod.metadata.uid


def first_seen(pod: Pod, workload: Workload | Unresolved, now: float, *, new: bool) -> Step:
    """R10: all the past of a new pod is counted, nothing of the baseline's.

    A mirror pod's containers may be older than the mirror, so their past is never counted.
    """
    mirror = is_mirror(pod)
    blank = _blank(pod, workload, now)
    if not mirror:
        blank = replace(blank, startup=course.begins(pod, blank.created, new=new))
    if not new or mirror:
        blank = replace(blank, containers=tuple(_baseline(pod)))
    record, seen = applied(blank, pod, now, gap=True, baseline=not new)
    if new and not mirror:
        return record, seen
    told = (ContainerAppeared, PhaseChanged) if new else (ContainerAppeared,)
    return record, [o for o in seen if isinstance(o, told)]


def returned(past: Record, pod: Pod, now: float) -> Step:
    """A mirror pod whose API object was made again: its containers have run on, and its Events are the same."""
    workload = past.pod.workload
    if workload is None:  # a static pod's is known at once
        raise AssertionError(past.key)
    kept = replace(
        _blank(pod, workload, now),
        containers=past.containers,
        kills=past.kills,
        heard=past.heard,
        forgotten=past.forgotten,
    )
    return applied(kept, pod, now, gap=True)


def _blank(pod: Pod, workload: Workload | Unresolved, now: float) -> Record:
    known = workload if isinstance(workload, Workload) else None
    ref = PodRef(intern(pod.metadata.namespace), pod.metadata.name, pod.metadata.uid, known)
    undecided = Undecided(workload, now + OWNER_WAIT) if isinstance(workload, Unresolved) else None
    created = unix(pod.metadata.creation_timestamp) or now
    labels = pod.metadata.labels or {}
    return Record(
        key_of(pod),
        ref,
        created,
        newest=0.0,
        phase="",
        since=created,
        mirror=is_mirror(pod),
        template=next((intern(labels[label]) for label in TEMPLATES if label in labels), ""),
        unmanaged=not is_mirror(pod) and controller(pod.metadata) is None,
        undecided=undecided,
    )


def applied(record: Record, pod: Pod, now: float, *, gap: bool, baseline: bool = False, wait: float = 0.0) -> Step:
    """A newer state of the pod. `gap`: it came by a list, so states before it may have been missed.

    `wait`: seconds that an end of which only the path tells the cause waits for its Event (R5.3).
    """
    requested = _deletion_requested(record.deletion_requested, pod.metadata)
    phase = phase_of(pod, record.phase, requested)
    seen: list[Observation] = []
    since = record.since
    if phase != record.phase:
        at = entered(phase, pod, record.phase, since, requested, now)
        seen.append(_phase_changed(record, phase, at, now))
        since = max(since, at)
    look = Look(
        now,
        record.pod,
        _stop(pod, requested),
        record.deletion_requested < inf,
        gap,
        node=pod.spec.node_name if pod.spec else "",
        restart_policy=pod.spec.restart_policy if pod.spec else "Always",
        baseline=baseline,
        kills=record.kills,
        grace=_grace(pod),
        wait=wait,
        over=phase in TERMINAL,
    )
    same = _as_asked_before(record, pod)
    parts = tuple(_containers(record, pod, look, seen, same=same))
    if phase in TERMINAL:
        parts = tuple(_loop_over(c, now, record.pod, seen) for c in parts)
    after = _described(record, pod, phase, since, requested, parts, same=same)
    if record.kills:
        finished = {c.name: c.ending.finished or now for c in parts if c.ending}
        after = replace(after, kills=kills.remaining(record.kills, finished, now, look.grace))
    return course.applied(record, after, pod, look, seen), seen


def deleted(record: Record, now: float, *, unobserved: bool) -> Step:
    """The pod is gone (R11); `unobserved`: only a list told. Its record lingers, without containers."""
    seen: list[Observation] = []
    record = replace(record, containers=tuple([containers.settled(c, seen) for c in record.containers]))
    if not record.mirror:  # deleting the API's picture of a static pod stops nothing
        for c in record.containers:
            _gone(c, now, record.pod, seen)
        seen += course.gone(record, now, unobserved=unobserved)
    change = _phase_changed(record, DELETED, now, now)
    seen.append(replace(change, unobserved=unobserved))
    kept = record.containers if record.mirror else tuple(containers.remains(c) for c in record.containers)
    return replace(record, phase=DELETED, since=now, gone_at=now + LINGER, containers=kept, kills=()), seen


def left(record: Record, now: float) -> Step:
    """The pod left our view without being deleted: nothing happened to it (R11) but what still waits to be told."""
    seen: list[Observation] = []
    for c in record.containers:
        containers.settled(c, seen)
    return replace(record, gone_at=now, containers=(), undecided=None), seen


def decided(record: Record, workload: Workload) -> Step:
    """The owner is known: what waited for it is told now."""
    undecided = record.undecided
    if undecided is None:
        return record, []
    ref = replace(record.pod, workload=undecided.workload.resolved(workload))
    return replace(record, pod=ref, undecided=None), [replace(o, pod=ref) for o in undecided.held]


def held_back(record: Record, seen: list[Observation]) -> Step:
    """Observations of a pod whose workload is unknown wait with it."""
    if record.undecided is None or not seen:
        return record, seen
    return replace(record, undecided=replace(record.undecided, held=(*record.undecided.held, *seen))), []


def due(record: Record) -> float:
    """The next moment at which time alone changes something, Unix seconds or infinity."""
    if record.gone_at < inf:
        return min(record.undecided.due if record.undecided else inf, record.gone_at)
    moments = [
        min(c.lost_at + NEIGHBOURS, c.loop.calm_at if c.loop else inf, c.unsettled.due if c.unsettled else inf)
        for c in record.containers
    ]
    return min([record.undecided.due if record.undecided else inf, record.quiet_at, *moments])


def elapsed(record: Record, now: float, flipped: float) -> Step:
    """Time alone has changed something. `flipped`: when probeless containers of the node last lost readiness (R7)."""
    seen: list[Observation] = []
    parts = tuple(_elapsed(c, record.pod, now, flipped, seen) for c in record.containers)
    quiet = inf if record.quiet_at <= now else record.quiet_at
    if any(isinstance(o, ContainerRestarted) for o in seen):
        quiet = now + course.TROUBLE
    return replace(record, containers=parts, quiet_at=quiet), seen


def _elapsed(c: Container, pod: PodRef, now: float, flipped: float, seen: list[Observation]) -> Container:
    if c.unsettled is not None and c.unsettled.due <= now:
        c = containers.settled(c, seen)
    if c.lost_at + NEIGHBOURS <= now:
        cause = "node" if abs(flipped - c.lost_at) <= NEIGHBOURS else "container"
        seen.append(containers.readiness_lost(c, now, pod, cause))
        c = replace(c, lost_at=inf)
    if c.loop is not None and c.loop.calm_at <= now and c.loop.running_since is not None:
        loops.ended(c.loop, c.loop.running_since, containers.place_of(c, now, pod), seen)
        c = replace(c, loop=None)
    return c


def _gone(c: Container, now: float, pod: PodRef, seen: list[Observation]) -> None:
    """What the end of the pod means for a container: its run, its readiness and its crash loop are over."""
    seen += containers.lost(c, Look(now, pod))
    if c.lost_at < inf:
        seen.append(containers.readiness_lost(c, now, pod, "container"))
    _loop_over(c, now, pod, seen)


def _loop_over(c: Container, now: float, pod: PodRef, seen: list[Observation]) -> Container:
    """The pod has ended or is gone, and with it the episode of its container (R8)."""
    if c.loop is None:
        return c
    loops.ended(c.loop, now, containers.place_of(c, now, pod), seen)
    return replace(c, loop=None)


def _baseline(pod: Pod) -> Iterator[Container]:
    statuses = {status.name: status for _, status in _statuses(pod)}
    for kind, spec in _specs(pod):
        yield containers.baseline(intern(spec.name), kind, spec, statuses.get(spec.name))


def _specs(pod: Pod) -> Iterator[tuple[ContainerType, ContainerSpec]]:
    spec = pod.spec or PodSpec()
    for container in spec.init_containers or ():
        yield "init", container
    for container in spec.containers or ():
        yield "container", container
    for container in spec.ephemeral_containers or ():
        yield "ephemeral", container


def _statuses(pod: Pod) -> Iterator[tuple[ContainerType, ContainerStatus]]:
    status = pod.status or PodStatus()
    for container in status.init_container_statuses or ():
        yield "init", container
    for container in status.container_statuses or ():
        yield "container", container
    for container in status.ephemeral_container_statuses or ():
        yield "ephemeral", container


def _as_asked_before(record: Record, pod: Pod) -> bool:
    """Whether shapes and amounts are still those of the spec that was read: it is the same, or not yet granted."""
    generation = pod.metadata.generation
    if not record.phase or not generation or not record.generation:
        return False
    return record.generation == generation or not granted(pod)


def _containers(record: Record, pod: Pod, look: Look, seen: list[Observation], *, same: bool) -> Iterator[Container]:
    """Each container of the spec, then those that only the status names; arrays may repeat names, the first counts.

    `same`: what was asked for stands as it was read before.
    """
    known = {c.name: c for c in record.containers}
    statuses: dict[str, tuple[ContainerType, ContainerStatus]] = {}
    for kind, status in _statuses(pod):
        statuses.setdefault(status.name, (kind, status))
    named = [(kind, spec, statuses.pop(spec.name, NO_STATUS)[1]) for kind, spec in _specs(pod)]
    named += [(kind, ContainerSpec(name), status) for name, (kind, status) in statuses.items()]
    for kind, spec, shown in named:
        container = known.pop(spec.name, None)
        new = container is None
        if container is None or not record.phase:
            container = container or containers.fresh(intern(spec.name), kind, spec)
            seen.append(containers.appeared(container, spec, look))
        container = containers.applied(container, shown, spec, look, seen) if shown else container
        if new or not same:
            shape = shape_of(spec)
            container = container if container.shape is shape else replace(container, shape=shape)
        yield container
    yield from known.values()


def _deletion_requested(known: float, metadata: Metadata) -> float:
    """R15: when the deletion was asked for; the final delete moves deletionTimestamp, so never later than before."""
    until = unix(metadata.deletion_timestamp)
    if until is None:
        return known
    return min(known, until - (metadata.deletion_grace_period_seconds or 0))


def _stop(pod: Pod, deletion_requested: float) -> float:
    """R6: from when on ends are the pod's own; the kubelet's own reasons to stop carry no time."""
    reason = pod.status.reason if pod.status else ""
    return 0.0 if reason in STOPPED_BY or _failed_by_kubelet(pod) else deletion_requested


def _failed_by_kubelet(pod: Pod) -> bool:
    """R6: Ready says that the pod has failed, before status.reason says why, though what fails is tried again."""
    ready = condition(pod, "Ready")
    if ready is None or ready.reason != FAILED or pod.spec is None or pod.spec.restart_policy == "Never":
        return False
    return all(c.restart_policy is None for c in pod.spec.containers or ())


def _grace(pod: Pod) -> float:
    """Seconds that containers get to end; 0 is possible, 30 is the API's default."""
    asked = pod.spec.termination_grace_period_seconds if pod.spec else None
    return 30.0 if asked is None else float(asked)


def _phase_changed(record: Record, phase: str, at: float, now: float) -> PhaseChanged:
    if not record.phase:
        return PhaseChanged(now, record.pod, CREATED, phase)
    length = at - record.since
    return PhaseChanged(now, record.pod, record.phase, phase, max(0.0, length), clamped=length < -SLACK)


def _described(
    record: Record, pod: Pod, phase: str, since: float, asked: float, parts: tuple[Container, ...], *, same: bool
) -> Record:
    spec, status = pod.spec or PodSpec(), pod.status or PodStatus()
    ready = condition(pod, "Ready")
    requests, limits = (record.requests, record.limits) if same else sums(spec)
    return replace(
        record,
        newest=max(record.newest, newest(pod)),
        phase=phase,
        since=since,
        node=intern(spec.node_name),
        qos_class=intern(status.qos_class),
        priority_class=intern(spec.priority_class_name),
        service_account=intern(spec.service_account_name),
        ready=ready is not None and ready.status == "True",
        deletion_requested=asked,
        containers=parts,
        status=bounded(shortened(kubectl_status(pod))),
        generation=record.generation if same else pod.metadata.generation,
        stop_grace=_grace(pod),
        requests=requests,
        limits=limits,
    )
