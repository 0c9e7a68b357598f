"""What a workload's pods are now, kept up to date pod by pod: counts, earliest times, and the newest pod's shape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from math import inf
from typing import NamedTuple, TypeAlias

from exporter.lifecycle.endings import ON_THE_WAY
from exporter.lifecycle.observations import Workload
from exporter.lifecycle.phases import TERMINAL
from exporter.lifecycle.records import Record
from exporter.lifecycle.resources import Amounts, ContainerShape, unit_of
from exporter.metrics.accounts import Account, Feed
from exporter.metrics.bounds import Key, bounds_of
from exporter.metrics.catalogue import (
    CONTAINER_LIMITS,
    CONTAINER_REQUESTS,
    COUNTED,
    GAUGES,
    LIMITS,
    LOOPING,
    PERIOD,
    PODS,
    PROBES,
    READY,
    REQUESTS,
    THRESHOLD,
    TIMES,
    UNSCHEDULABLE,
    WAITING,
)
from exporter.metrics.families import GaugeFamily, escape, number

NANO = 10**9
"""Sums are kept in whole billionths, so that what comes and goes leaves no rounding error behind."""
_STARTING, _UNREADY, _DEADLINE = TIMES
_LABELS = {family.name: "".join(f',{label}="%s"' for label in family.labels) for family in GAUGES}
_BOUNDS = {family.name: bounds_of(family.labels, family.bounds) for family in COUNTED}
_SUMS = frozenset((REQUESTS.name, LIMITS.name))
FEW = 16
"""Counts of a pod among which to look for one is cheaper than to hash them all."""
GAUGES_CHANGED = 63
"""The position that all gauges of an account share."""
Count: TypeAlias = tuple[str, Key, int]
"""Family, values of its own labels, amount."""
Shapes: TypeAlias = tuple[tuple[str, str, ContainerShape], ...]


class Presence(NamedTuple):
    """Where and how one pod counts, comparable: as long as it is the same there is nothing to do."""

    workload: Workload
    node: str
    counts: tuple[Count, ...]
    times: tuple[tuple[str, Key, float], ...]
    created: float
    shapes: Shapes


def presence_of(record: Record | None) -> Presence | None:
    """How a pod counts, None where it does not: unknown yet, or gone."""
    if record is None or record.pod.workload is None or record.gone_at < inf:
        return None
    shapes = tuple([(c.name, c.type, c.shape) for c in record.containers if c.type != "ephemeral"])
    return Presence(
        record.pod.workload, record.node, tuple(_counts(record)), tuple(_times(record)), record.created, shapes
    )


def counts_alike(before: Record, after: Record) -> bool:
    """Whether nothing that counts has changed: by far the most frequent case, told without making anything."""
    return (
        before.containers == after.containers
        and before.phase == after.phase
        and before.ready == after.ready
        and before.node == after.node
        and before.pod == after.pod
        and before.gone_at == after.gone_at
        and before.unready == after.unready
        and before.startup == after.startup
        and before.blocked == after.blocked
        and before.deletion_requested == after.deletion_requested
        and before.requests == after.requests
        and before.limits == after.limits
    )


def _counts(record: Record) -> Iterator[Count]:
    yield PODS.name, (record.phase,), 1
    if record.ready and record.phase == "Running":
        yield READY.name, (), 1
    for c in record.containers:
        if c.state == "waiting" and c.reason not in ON_THE_WAY:
            yield WAITING.name, (c.name, c.reason), 1
        if c.loop is not None:
            yield LOOPING.name, (c.name, c.type), 1
    if record.blocked is not None and record.phase == "Pending":
        yield UNSCHEDULABLE.name, (record.blocked.cause,), 1
    if record.node and record.phase not in TERMINAL:
        yield from _reserved(record.requests, record.limits)


@lru_cache(maxsize=4096)
def _reserved(requests: Amounts, limits: Amounts) -> tuple[Count, ...]:
    """How requests and limits count, one object for all pods that are made alike."""
    return tuple(
        (family, (resource, unit_of(resource)), round(amount * NANO))
        for family, amounts in ((REQUESTS.name, requests), (LIMITS.name, limits))
        for resource, amount in amounts
    )


def _times(record: Record) -> Iterator[tuple[str, Key, float]]:
    if record.startup is not None and record.phase not in TERMINAL:
        stage, since = record.startup.stage
        yield _STARTING.name, (stage,), since
    if record.unready is not None and record.unready.was_ready:
        yield _UNREADY.name, (), record.unready.since
    if record.phase == "Terminating" and record.deletion_requested < inf:
        yield _DEADLINE.name, (), record.deletion_requested + record.grace


class WorkloadAccount(Account):
    """An account with the gauges of its workload."""

    __slots__ = ("_newest", "_overflow", "_shapes", "born", "counts", "gauges", "times")

    def __init__(
        self,
        name: Key,
        head: str,
        feeds: tuple[Feed, ...],
        gauges: tuple[GaugeFamily, ...],
        overflow: Counter[tuple[str, str]],
    ) -> None:
        super().__init__(name, head, feeds)
        self.gauges = gauges
        self._overflow = overflow
        """Of all accounts: what went to `other`, by family and label."""
        self.born: dict[tuple[tuple[str, Key], ...], None] = {}
        """What was born early, container by container: the pods of a workload are mostly alike."""
        self.counts: dict[tuple[str, Key], int] = {}
        self.times: dict[tuple[str, Key], dict[str, float]] = {}
        self._newest = -inf
        self._shapes: Shapes = ()

    def move(self, pod: str, presence: Presence, by: int) -> None:
        """Let one pod (its key) come, or go."""
        self._count(presence.counts, by)
        self._place(pod, presence, by)

    def change(self, pod: str, was: Presence, present: Presence) -> None:
        """Let one pod go and come again as it is now; counts that stay, as most of them do, are left alone."""
        self._count(_without(present.counts, was.counts), -1)
        self._count(_without(was.counts, present.counts), 1)
        self._place(pod, was, -1)
        self._place(pod, present, 1)

    def _count(self, counts: Iterable[Count], by: int) -> None:
        self.counts.setdefault((READY.name, ()), 0)
        for family, key, amount in counts:
            at = family, key
            if at not in self.counts:
                at = family, self._bounded(family, key, by)
            self.counts[at] = self.counts.get(at, 0) + by * amount

    def _bounded(self, family: str, key: Key, by: int) -> Key:
        """The key under which a count that has no series of its own yet comes, or goes."""
        keys = (k for name, k in self.counts if name == family)
        key, overflown = self._admitted(family, _BOUNDS[family], key, len(self.counts), keys)
        if by > 0:
            self._overflow.update((family, label) for label in overflown)
        return key

    def _place(self, pod: str, presence: Presence, by: int) -> None:
        self.touch(GAUGES_CHANGED)
        for family, key, at in presence.times:
            known = self.times.setdefault((family, key), {})
            if by > 0:
                known[pod] = at
            else:
                known.pop(pod, None)
        if by > 0 and presence.created >= self._newest:
            self._newest, self._shapes = presence.created, presence.shapes

    def emptied(self) -> None:
        """The last pod has gone: nothing is configured any more."""
        self._newest, self._shapes = -inf, ()
        self.times.clear()
        self.touch(GAUGES_CHANGED)

    def _counted_lines(self) -> int:
        shown = {family.name for family in self.gauges}
        now = (*self._counted(), *self._timed(), *self._shaped())
        return super()._counted_lines() + sum([name in shown for name, _, _ in now])

    def _render(self, now: float) -> Iterator[bytes]:
        yield from super()._render(now)
        if self._chunks and not self._changed >> GAUGES_CHANGED & 1:
            yield from self._chunks[len(self._feeds) :]
        else:
            yield from (chunk.encode() for chunk in self._gauges())

    def _gauges(self) -> Iterator[str]:
        """One chunk for each gauge family."""
        lines: dict[str, list[str]] = {family.name: [] for family in self.gauges}
        for name, key, value in (*self._counted(), *self._timed(), *self._shaped()):
            if name in lines:
                lines[name].append(f"{name}{{{self.head}{_LABELS[name] % tuple(map(escape, key))}}} {number(value)}\n")
        for chunk in lines.values():
            yield "".join(chunk)

    def _counted(self) -> Iterator[tuple[str, Key, float]]:
        for (family, key), amount in self.counts.items():
            yield family, key, amount / NANO if family in _SUMS else amount

    def _timed(self) -> Iterator[tuple[str, Key, float]]:
        for (family, key), pods in self.times.items():
            if pods:
                yield family, key, min(pods.values())

    def _shaped(self) -> Iterator[tuple[str, Key, float]]:
        for name, kind, shape in self._shapes:
            yield from _amounts(CONTAINER_REQUESTS.name, name, kind, shape.requests)
            yield from _amounts(CONTAINER_LIMITS.name, name, kind, shape.limits)
            for probe in shape.probes:
                yield PROBES.name, (name, kind, probe.probe, probe.handler), 1
                yield PERIOD.name, (name, kind, probe.probe), probe.period
                yield THRESHOLD.name, (name, kind, probe.probe), probe.threshold


def _without(others: tuple[Count, ...], counts: tuple[Count, ...]) -> list[Count]:
    """The counts that are not among the others."""
    known = others if len(others) < FEW else frozenset(others)
    return [count for count in counts if count not in known]


def _amounts(family: str, name: str, kind: str, amounts: Amounts) -> Iterable[tuple[str, Key, float]]:
    for resource, amount in amounts:
        yield family, (name, kind, resource, unit_of(resource)), amount
