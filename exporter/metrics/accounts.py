"""Accounts: counters that outlive what made them.

Every series begins at 0, is shown at 0 for the birth-hold, and at its true value afterwards, so that Prometheus sees
the step from 0 even if the first event made the series: `increase()` misses it otherwise. What is shown is a function
of state and time alone: two scrapers see the same, and a GET changes nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from math import inf
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from exporter.lifecycle.observations import Observation
from exporter.metrics.bounds import Bounds, Key, Known, bounds_of
from exporter.metrics.exposed import Count
from exporter.metrics.families import Fed, HistogramFamily, number

ALL_CHANGED = -1
"""All bits."""


class Feed(NamedTuple):
    """A family, ready for the hot path."""

    position: int
    family: Fed
    samples: Callable[[Observation], Iterable[tuple[Key, float | None]]]
    """Label values and amounts of an observation."""
    labels: str
    """Takes the values of the family's own labels."""
    bounds: Bounds


def feeds_of(families: Iterable[Fed]) -> tuple[Feed, ...]:
    """Families in the order in which an account keeps them."""
    return tuple(
        Feed(
            i,
            family,
            _samples(family),
            "".join(f',{name}="%s"' for name in family.label_names),
            bounds_of(family.label_names, family.bounds),
        )
        for i, family in enumerate(families)
    )


def _samples(family: Fed) -> Callable[[Observation], Iterable[tuple[Key, float | None]]]:
    if family.each:
        each = attrgetter(family.each)
        return lambda observation: [((name,), amount) for name, amount in each(observation)]
    labels = _getter([word.partition("=")[2] or word for word in family.labels.split()])
    if not family.amount:
        return lambda observation: (((labels(observation)), 1.0),)
    amount = attrgetter(family.amount)
    return lambda observation: (((labels(observation)), amount(observation)),)


def _getter(paths: list[str]) -> Callable[[Observation], Any]:
    """Label values as a tuple, which `attrgetter` gives from two paths on only; `:text` is the text itself."""
    if len(paths) > 1 and not any(path.startswith(":") for path in paths):
        return attrgetter(*paths)
    getters = [_constant(path[1:]) if path.startswith(":") else attrgetter(path) for path in paths]
    return lambda observation: tuple([get(observation) for get in getters])


def _constant(text: str) -> Callable[[Observation], str]:
    return lambda _: text


class Series(msgspec.Struct, gc=False, eq=False):
    """One series: its label values, escaped, from when on (Unix seconds) it may be shown, and its true value.

    `buckets`: of a histogram the count of each bucket, the last one open; of a counter none. Each equals itself alone.
    """

    labels: Key
    shown_from: float
    value: float = 0.0
    buckets: list[int] | None = None

    @property
    def count(self) -> Count:
        """What it has counted."""
        return Count(self.value, tuple(self.buckets or ()))

    def lines(self, feed: Feed, head: str, now: float) -> str:
        """The lines to show at `now`."""
        labels = head + feed.labels % self.labels
        held = now < self.shown_from
        if isinstance(feed.family, HistogramFamily):
            return self._distribution(feed.family, labels, held=held)
        return f"{feed.family.name}{{{labels}}} {'0' if held else number(self.value)}\n"

    def _distribution(self, family: HistogramFamily, labels: str, *, held: bool) -> str:
        total, lines = 0, []
        for bound, count in zip((*map(float, family.buckets), "+Inf"), self.buckets or (), strict=True):
            total += 0 if held else count
            lines.append(f'{family.name}_bucket{{{labels},le="{bound}"}} {total}\n')
        lines.append(f"{family.name}_sum{{{labels}}} {'0' if held else number(self.value)}\n")
        lines.append(f"{family.name}_count{{{labels}}} {total}\n")
        return "".join(lines)

    def owe(self, count: Count) -> bool:
        """Count what is still to be shown; False if there is no room for it: the buckets are others now."""
        if len(count.buckets) != len(self.buckets or ()):
            return False
        self.value += count.value
        if self.buckets is not None:
            self.buckets = [own + owed for own, owed in zip(self.buckets, count.buckets, strict=True)]
        return True

    def add(self, feed: Feed, amount: float) -> None:
        """Count one observation."""
        self.value += amount
        if self.buckets is not None and isinstance(feed.family, HistogramFamily):
            self.buckets[bisect_left(feed.family.buckets, amount)] += 1


class Account:
    """The series of one workload, namespace or node, by family and label values, and its lines as last rendered."""

    __slots__ = (
        "_changed",
        "_chunks",
        "_feeds",
        "_known",
        "_lines",
        "_valid_until",
        "head",
        "name",
        "series_of",
        "sharers",
    )

    def __init__(self, name: Key, head: str, feeds: tuple[Feed, ...]) -> None:
        self.name = name
        self.head = head
        self._feeds = feeds
        self.series_of: dict[int, dict[Key, Series]] = {}
        """By the position of a family; most accounts need few of them."""
        self._known: dict[str, Known] = {}
        """Values of bounded labels, of families that have so many series that a bound may be reached; few have."""
        self.sharers = 0
        """How many are booked here: one, or several on an account `other`."""
        self._chunks: tuple[bytes, ...] = ()
        self._valid_until = -inf
        self._changed = 0
        """A bit for each family, by position, whose lines are to be formatted anew; a set would be GC's business."""
        self._lines: int | None = None
        """Lines as counted last, None if something has changed since."""

    @property
    def lines(self) -> int:
        """Lines that the account shows."""
        if self._lines is None:
            self._lines = self._counted_lines()
        return self._lines

    def families(self) -> list[tuple[Feed, dict[Key, Series]]]:
        """The series of each family that has any."""
        return [(self._feeds[i], series) for i, series in self.series_of.items()]

    def touch(self, position: int) -> None:
        """A family changed: format its lines anew at the next scrape."""
        self._changed |= 1 << position
        self._lines = None

    def _counted_lines(self) -> int:
        return sum([_lines(self._feeds[i].family) * len(series) for i, series in self.series_of.items()])

    def admit(self, feed: Feed, key: Key) -> tuple[Key, list[str]]:
        """Bound a new series' label values; gives the key to use and the labels that overflowed."""
        series = self.series_of.get(feed.position, {})
        return self._admitted(feed.family.name, feed.bounds, key, len(series), series)

    def _admitted(self, family: str, bounds: Bounds, key: Key, most: int, keys: Iterable[Key]) -> tuple[Key, list[str]]:
        """The same of any family; `most`: it has no more series than that, `keys`: those that it has."""
        if most < bounds.least:
            return key, []
        known = self._known.get(family)
        if known is None:
            known = self._known[family] = bounds.first(keys)
        return bounds.admit(known, key)

    def chunks(self, now: float) -> tuple[bytes, ...]:
        """The account's lines, one chunk a family; only what changed is formatted anew."""
        if now >= self._valid_until:
            self._changed = ALL_CHANGED
        if self._changed or not self._chunks:
            self._chunks = tuple(self._render(now))
            self._changed = 0
            self._lines = b"".join(self._chunks).count(b"\n")
            held = (s.shown_from for series in self.series_of.values() for s in series.values() if s.shown_from > now)
            self._valid_until = min(held, default=inf)
        return self._chunks

    def _render(self, now: float) -> Iterator[bytes]:
        """A chunk for each family; the old one where nothing has changed."""
        for feed in self._feeds:
            if self._chunks and not self._changed >> feed.position & 1:
                yield self._chunks[feed.position]
                continue
            series = self.series_of.get(feed.position)
            lines = [one.lines(feed, self.head, now) for one in series.values()] if series else ()
            yield "".join(lines).encode()


def _lines(family: Fed) -> int:
    return len(family.buckets) + 3 if isinstance(family, HistogramFamily) else 1
