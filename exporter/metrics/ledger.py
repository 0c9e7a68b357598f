"""Accounts: what happened to each workload, kept while it has pods and a while longer.

Every counter series begins at 0, is shown at 0 for the birth-hold, and at its true value afterwards, so that
Prometheus sees the step from 0 even if the first event made the series: `increase()` misses it otherwise. What is
shown is a function of state and time alone: two scrapers see the same, and a GET changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from math import inf
from operator import attrgetter
from typing import Any, NamedTuple, TypeAlias

import msgspec

from exporter.lifecycle.observations import ContainerAppeared, Observation, Workload
from exporter.lifecycle.records import Record
from exporter.metrics.catalogue import COUNTERS, GAUGES, born_early
from exporter.metrics.families import CounterFamily, escape

OTHER = "other"
WORKLOADS_PER_NAMESPACE = 500

_INDEX = {family.name: i for i, family in enumerate(COUNTERS)}


class _Feed(NamedTuple):
    """A counter family, ready for the hot path."""

    position: int
    family: CounterFamily
    labels: Callable[[Observation], Any]
    amount: Callable[[Observation], Any] | None
    line: str
    """Takes the account's labels, the values of the family's own, and the number."""


def _feed(index: int, family: CounterFamily) -> _Feed:
    paths = [word.partition("=")[2] or word for word in family.labels.split()]
    labels = "".join(f',{name}="%s"' for name in family.label_names)
    amount = attrgetter(family.amount) if family.amount else None
    return _Feed(index, family, _getter(paths), amount, f"{family.name}%s{labels}}} %s\n")


def _getter(paths: list[str]) -> Callable[[Observation], Any]:
    """Label values as a tuple, which `attrgetter` gives from two paths on only."""
    if len(paths) > 1:
        return attrgetter(*paths)
    getters = [attrgetter(path) for path in paths]
    return lambda observation: tuple([get(observation) for get in getters])


_FEEDS = tuple(_feed(i, family) for i, family in enumerate(COUNTERS))
_BY_KIND = {kind: tuple(f for f in _FEEDS if f.family.on is kind) for kind in {f.family.on for f in _FEEDS}}


class _Series(msgspec.Struct, gc=False):
    """One counter: its label values, escaped, from when on (Unix seconds) it may be shown, and its true value."""

    labels: tuple[str, ...]
    shown_from: float
    value: float = 0.0


class Account:
    """One workload: its counters by family and label values, its pods by phase, and its lines as last rendered."""

    __slots__ = ("_chunks", "_head", "_valid_until", "counters", "phases", "ready", "sharers", "workload")

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        self._head = (
            f'{{namespace="{escape(workload.namespace)}",workload_kind="{escape(workload.kind)}"'
            f',workload="{escape(workload.name)}"'
        )
        self.counters: tuple[dict[tuple[str, ...], _Series], ...] = tuple([{} for _ in COUNTERS])
        self.phases: dict[str, int] = {}
        self.ready = 0
        self.sharers = 0
        """Workloads that are booked here: one, or several on the account `other`."""
        self._chunks: tuple[bytes, ...] = ()
        self._valid_until = -inf

    @property
    def series(self) -> int:
        """Lines that the account shows."""
        return sum(map(len, self.counters)) + len(self.phases) + bool(self.phases)

    def touch(self) -> None:
        """Something changed: render again at the next scrape."""
        self._valid_until = -inf

    def admit(self, feed: _Feed, key: tuple[str, ...]) -> tuple[tuple[str, ...], list[str]]:
        """Bound a new series' label values; gives the key to use and the labels that overflowed."""
        names, overflown = feed.family.label_names, []
        for label, limit, apart in feed.family.bounds:
            at = names.index(label)
            alike = names.index(apart) if apart else None
            keys = [k for k in self.counters[feed.position] if alike is None or k[alike] == key[alike]]
            known = {k[at] for k in keys} - {OTHER}
            if key[at] not in known and len(known) >= limit:
                key = (*key[:at], OTHER, *key[at + 1 :])
                overflown.append(label)
        return key, overflown

    def chunks(self, now: float) -> tuple[bytes, ...]:
        """The account's lines, one chunk a family, counters first; only what changed is formatted anew."""
        if now >= self._valid_until:
            self._render(now)
        return self._chunks

    def _render(self, now: float) -> None:
        head = self._head
        chunks = [
            "".join([feed.line % (head, *s.labels, _number(s, now)) for s in series.values()])
            for feed, series in zip(_FEEDS, self.counters, strict=True)
        ]
        pods, ready = (family.name for family in GAUGES)
        chunks.append("".join(f'{pods}{self._head},phase="{p}"}} {n}\n' for p, n in self.phases.items()))
        chunks.append(f"{ready}{self._head}}} {self.ready}\n" if self.phases else "")
        self._chunks = tuple(chunk.encode() for chunk in chunks)
        held = (s.shown_from for series in self.counters for s in series.values() if s.shown_from > now)
        self._valid_until = min(held, default=inf)


def _number(series: _Series, now: float) -> float:
    value = series.value if now >= series.shown_from else 0.0
    return int(value) if value.is_integer() else value


class Ledger:
    """All accounts. `birth_hold` and `retention` are seconds; times are Unix seconds."""

    def __init__(self, birth_hold: float = 130.0, retention: float = 900.0) -> None:
        self._birth_hold = birth_hold
        self._retention = retention
        self._booked: dict[Workload, Account] = {}
        """Where a workload is booked, until its retention ends: what began on `other` also ends there."""
        self._accounts: dict[Workload, Account] = {}
        """Accounts under the names that they show."""
        self._own: Counter[str] = Counter()
        """Workloads with an account of their own, by namespace."""
        self._pods: Counter[Workload] = Counter()
        self._idle: dict[Workload, float] = {}
        """When the books of workloads without pods close, oldest first."""
        self.overflow: Counter[tuple[str, str]] = Counter()
        """What went to `other`: bookings by family and label, workloads under "all" and "workload"."""

    def __len__(self) -> int:
        return len(self._accounts)

    @property
    def series(self) -> int:
        """Lines that all accounts show."""
        return sum([account.series for account in self._accounts.values()])

    def add(self, observation: Observation, now: float) -> None:
        """Book one observation, which may be older than `now`: its series appear now."""
        workload = observation.pod.workload
        if workload is None:  # the tracker holds such back
            raise AssertionError(observation)
        account = self._account(workload, now)
        account.touch()
        if isinstance(observation, ContainerAppeared):
            for name, key in born_early(observation):
                self._series(account, _FEEDS[_INDEX[name]], key, now)
        for feed in _BY_KIND.get(type(observation), ()):
            amount = 1.0 if feed.amount is None else feed.amount(observation)
            if amount is not None:
                self._series(account, feed, feed.labels(observation), now).value += amount

    def track(self, before: Record | None, after: Record, now: float) -> None:
        """Keep the counts of pods that are there; `before` and `after` belong to one pod."""
        was, present = _presence(before), _presence(after)
        if was == present:
            return
        if present is not None:
            self._move(present, 1, now)
        if was is not None:
            self._move(was, -1, now)

    def expire(self, now: float) -> None:
        """Close the accounts whose last pod went longer ago than the retention."""
        while self._idle:
            workload, at = next(iter(self._idle.items()))
            if at > now:
                return
            self._close(workload)

    def snapshot(self) -> list[Account]:
        """All accounts at this moment."""
        return list(self._accounts.values())

    def _series(self, account: Account, feed: _Feed, key: tuple[str, ...], now: float) -> _Series:
        counters = account.counters[feed.position]
        series = counters.get(key)
        if series is None:
            key, overflown = account.admit(feed, key)
            self.overflow.update((feed.family.name, label) for label in overflown)
            series = counters.get(key)
        if series is None:
            escaped = tuple(map(escape, key))
            series = counters[key] = _Series(key if escaped == key else escaped, now + self._birth_hold)
        return series

    def _account(self, workload: Workload, now: float) -> Account:
        account = self._booked.get(workload)
        if account is None:
            account = self._booked[workload] = self._open(workload)
            self._idle[workload] = now + self._retention
        return account

    def _open(self, workload: Workload) -> Account:
        namespace = workload.namespace
        name = other = Workload(namespace, OTHER, OTHER)
        if self._own[namespace] < WORKLOADS_PER_NAMESPACE:
            name = workload
        else:
            self.overflow["all", "workload"] += 1
        account = self._accounts.get(name)
        if account is None:
            account = self._accounts[name] = Account(name)
            self._own[namespace] += name != other
        account.sharers += 1
        return account

    def _close(self, workload: Workload) -> None:
        del self._idle[workload]
        account = self._booked.pop(workload)
        account.sharers -= 1
        if not account.sharers:
            name = account.workload
            del self._accounts[name]
            self._own[name.namespace] -= name != Workload(name.namespace, OTHER, OTHER)

    def _move(self, presence: _Presence, by: int, now: float) -> None:
        """Let one pod come to, or go from, where it counts."""
        workload, phase, ready = presence
        account = self._account(workload, now)
        account.touch()
        account.phases[phase] = account.phases.get(phase, 0) + by
        account.ready += by * ready
        self._pods[workload] += by
        self._idle.pop(workload, None)
        if not self._pods[workload]:
            del self._pods[workload]
            self._idle[workload] = now + self._retention


_Presence: TypeAlias = tuple[Workload, str, bool]
"""Where a pod counts: workload, phase, and whether it is ready."""


def _presence(record: Record | None) -> _Presence | None:
    if record is None or record.pod.workload is None or record.gone_at != inf:
        return None
    return record.pod.workload, record.phase, record.ready and record.phase == "Running"
