"""Accounts: what happened to each workload, kept while it has pods and a while longer.

Every counter series begins at 0, is shown at 0 for the birth-hold, and at its true value afterwards, so that
Prometheus sees the step from 0 even if the first event made the series: `increase()` misses it otherwise. What is
shown is a function of state and time alone: two scrapers see the same, and a GET changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from math import inf
from operator import attrgetter
from typing import Any, NamedTuple

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


def _feed(index: int, family: CounterFamily) -> _Feed:
    paths = [word.partition("=")[2] or word for word in family.labels.split()]
    one = attrgetter(paths[0])
    labels = attrgetter(*paths) if len(paths) > 1 else lambda o: (one(o),)
    return _Feed(index, family, labels, attrgetter(family.amount) if family.amount else None)


_FEEDS = tuple(_feed(i, family) for i, family in enumerate(COUNTERS))
_BY_KIND = {kind: tuple(f for f in _FEEDS if f.family.on is kind) for kind in {f.family.on for f in _FEEDS}}


class _Series:
    """One counter: its true value, and from when on (Unix seconds) it may be shown."""

    __slots__ = ("shown_from", "value")

    def __init__(self, shown_from: float) -> None:
        self.value = 0.0
        self.shown_from = shown_from


class Account:
    """One workload: its counters by family and label values, its pods by phase, and its lines as last rendered."""

    __slots__ = ("_bounded", "_chunks", "_head", "_valid_until", "counters", "lines", "phases", "pods", "ready")

    def __init__(self, workload: Workload) -> None:
        self._head = (
            f'{{namespace="{escape(workload.namespace)}",workload_kind="{escape(workload.kind)}"'
            f',workload="{escape(workload.name)}"'
        )
        self.counters: list[dict[tuple[str, ...], _Series]] = [{} for _ in COUNTERS]
        self._bounded: dict[tuple[int, str, str], set[str]] = {}
        self.phases: dict[str, int] = {}
        self.pods = 0
        self.ready = 0
        self._chunks: tuple[bytes, ...] = ()
        self._valid_until = -inf
        self.lines = 0

    def touch(self) -> None:
        """Something changed: render again at the next scrape."""
        self._valid_until = -inf

    def admit(self, feed: _Feed, key: tuple[str, ...]) -> tuple[tuple[str, ...], list[str]]:
        """Bound a new series' label values; gives the key to use and the labels that overflowed."""
        names, overflown = feed.family.label_names, []
        for label, limit, apart in feed.family.bounds:
            at = names.index(label)
            known = self._bounded.setdefault((feed.position, label, key[names.index(apart)] if apart else ""), set())
            if key[at] in known or len(known) < limit:
                known.add(key[at])
            else:
                key = (*key[:at], OTHER, *key[at + 1 :])
                overflown.append(label)
        return key, overflown

    def chunks(self, now: float) -> tuple[bytes, ...]:
        """The account's lines, one chunk a family, counters first; only what changed is formatted anew."""
        if now >= self._valid_until:
            self._render(now)
        return self._chunks

    def _render(self, now: float) -> None:
        chunks = [
            "".join(self._counter_lines(family, series, now))
            for family, series in zip(COUNTERS, self.counters, strict=True)
        ]
        pods, ready = (family.name for family in GAUGES)
        chunks.append("".join(f'{pods}{self._head},phase="{p}"}} {n}\n' for p, n in self.phases.items()))
        chunks.append(f"{ready}{self._head}}} {self.ready}\n" if self.phases else "")
        self.lines = sum(chunk.count("\n") for chunk in chunks)
        self._chunks = tuple(chunk.encode() for chunk in chunks)
        held = (s.shown_from for series in self.counters for s in series.values() if s.shown_from > now)
        self._valid_until = min(held, default=inf)

    def _counter_lines(
        self, family: CounterFamily, series: dict[tuple[str, ...], _Series], now: float
    ) -> Iterator[str]:
        names = family.label_names
        for key, one in series.items():
            labels = "".join(f',{name}="{escape(text)}"' for name, text in zip(names, key, strict=True))
            value = one.value if now >= one.shown_from else 0
            yield f"{family.name}{self._head}{labels}}} {int(value) if value == int(value) else value}\n"


class Ledger:
    """All accounts. `birth_hold` and `retention` are seconds; times are Unix seconds."""

    def __init__(self, birth_hold: float = 130.0, retention: float = 900.0) -> None:
        self._birth_hold = birth_hold
        self._retention = retention
        self._accounts: dict[Workload, Account] = {}
        self._per_namespace: Counter[str] = Counter()
        self._idle: dict[Workload, float] = {}
        """When accounts without pods close, oldest first."""
        self.overflow: Counter[tuple[str, str]] = Counter()
        """Values that became `other`, by family ("all" for workloads) and label."""

    def __len__(self) -> int:
        return len(self._accounts)

    @property
    def series(self) -> int:
        """Lines of all accounts, as last rendered."""
        return sum(account.lines for account in self._accounts.values())

    def add(self, observation: Observation) -> None:
        """Book one observation."""
        workload = observation.pod.workload
        if workload is None:  # the tracker holds such back
            raise AssertionError(observation)
        account = self._account(workload, observation.at)
        account.touch()
        if isinstance(observation, ContainerAppeared):
            for name, key in born_early(observation):
                self._series(account, _FEEDS[_INDEX[name]], key, observation.at)
        for feed in _BY_KIND.get(type(observation), ()):
            amount = 1.0 if feed.amount is None else feed.amount(observation)
            if amount is not None:
                self._series(account, feed, feed.labels(observation), observation.at).value += amount

    def track(self, before: Record | None, after: Record, now: float) -> None:
        """Keep the counts of pods that are there; `before` and `after` belong to one pod."""
        if before is not None and _present(before):
            self._move(before, -1, now)
        if _present(after):
            self._move(after, 1, now)

    def expire(self, now: float) -> None:
        """Close the accounts whose last pod went longer ago than the retention."""
        while self._idle:
            workload, at = next(iter(self._idle.items()))
            if at > now:
                return
            del self._idle[workload]
            del self._accounts[workload]
            self._per_namespace[workload.namespace] -= 1

    def snapshot(self) -> list[Account]:
        """All accounts at this moment."""
        return list(self._accounts.values())

    def _series(self, account: Account, feed: _Feed, key: tuple[str, ...], now: float) -> _Series:
        counters = account.counters[feed.position]
        series = counters.get(key)
        if series is None:
            key, overflown = account.admit(feed, key)
            self.overflow.update((feed.family.name, label) for label in overflown)
            series = counters.get(key) or counters.setdefault(key, _Series(now + self._birth_hold))
        return series

    def _account(self, workload: Workload, now: float) -> Account:
        account = self._accounts.get(workload)
        if account is not None:
            return account
        if self._per_namespace[workload.namespace] >= WORKLOADS_PER_NAMESPACE and workload.name != OTHER:
            self.overflow["all", "workload"] += 1
            return self._account(Workload(workload.namespace, OTHER, OTHER), now)
        account = self._accounts[workload] = Account(workload)
        self._per_namespace[workload.namespace] += 1
        self._idle[workload] = now + self._retention
        return account

    def _move(self, record: Record, by: int, now: float) -> None:
        workload = record.pod.workload
        if workload is None:
            raise AssertionError(record.key)
        account = self._account(workload, now)
        account.touch()
        account.phases[record.phase] = account.phases.get(record.phase, 0) + by
        account.ready += by * (record.ready and record.phase == "Running")
        account.pods += by
        name = workload if workload in self._accounts else Workload(workload.namespace, OTHER, OTHER)
        self._idle.pop(name, None)
        if account.pods == 0:
            self._idle[name] = now + self._retention


def _present(record: Record) -> bool:
    return record.gone_at == inf and record.pod.workload is not None
