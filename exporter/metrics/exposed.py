"""What scrapes have shown of the ledger, and so what a restart has still to show: "reset, never resume".

A counter that went on from an old value would look as if it had been reset and had grown by all of it. So a restart
begins at 0, and adds only what was counted but shown by no scrape that came to its end. Nothing is kept for that but
what the series which have changed since were before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from math import inf
from typing import NamedTuple, Protocol

MOST = 8
"""Scrapes begun after the last completed one that are told apart; twice as many as are answered at once."""


class Count(NamedTuple):
    """The true value of a series; `buckets`: of a histogram the count of each bucket, of a counter none."""

    value: float
    buckets: tuple[int, ...] = ()

    def less(self, before: Count) -> Count:
        """How much it has grown."""
        pairs = zip(self.buckets, before.buckets, strict=True)
        return Count(self.value - before.value, tuple([now - then for now, then in pairs]))


class Counting(Protocol):
    """A series, as far as it matters here; series are told apart by identity."""

    shown_from: float

    @property
    def count(self) -> Count:
        """What it has counted."""


class Exposed:
    """Remembers what the newest completed scrape has shown. `on`: False where no checkpoint needs to know it.

    Each scrape's snapshot begins a generation, which holds what series were before they first changed in it. When a
    scrape completes, the generations before its own are forgotten: what they had changed has been shown.
    """

    def __init__(self, *, on: bool) -> None:
        self._on = on
        self._generations: deque[tuple[float, dict[Counting, Count]]] = deque()
        """Each with the time at which its scrape took what it shows, Unix seconds."""
        self._first = 0
        """The mark of the oldest generation."""
        self._frozen: dict[Counting, Count] | None = None
        """The same since a checkpoint's moment, while it is being written."""
        self._at = -inf
        """When the newest completed scrape took what it has shown."""

    def changing(self, series: Counting) -> None:
        """Note a series that is about to count."""
        if self._generations and series not in (newest := self._generations[-1][1]):
            newest[series] = series.count
        if self._frozen is not None and series not in self._frozen:
            self._frozen[series] = series.count

    def closed(self, series: Iterable[Counting]) -> None:
        """Forget series that are shown no more."""
        for one in series if self._generations else ():
            for _, generation in self._generations:
                generation.pop(one, None)

    def snapshot(self, now: float) -> int:
        """A scrape has taken all series as they are now; gives the mark by which to tell that it has completed."""
        if self._on:
            self._generations.append((now, {}))
        while len(self._generations) > MOST:  # the older value counts: rather too much is owed than too little
            _, oldest = self._generations.popleft()
            at, next_oldest = self._generations[0]
            self._generations[0] = at, next_oldest | oldest
            self._first += 1
        return self._first + len(self._generations) - 1

    def completed(self, mark: int) -> None:
        """The scrape of this mark has been taken to its end."""
        if not self._on or mark < self._first:
            return
        while self._first < mark:
            self._generations.popleft()
            self._first += 1
        self._at, _ = self._generations[0]

    @contextmanager
    def moment(self) -> Iterator[Moment]:
        """Hold on to this moment, as far as it matters what was owed at it."""
        self._frozen = {}
        try:
            yield Moment(tuple([generation for _, generation in self._generations]), self._frozen, self._at)
        finally:
            self._frozen = None


class Moment:
    """What was owed at one moment, asked while series go on counting."""

    def __init__(self, shown: tuple[dict[Counting, Count], ...], since: dict[Counting, Count], at: float) -> None:
        self._shown = shown
        self._since = since
        self._at = at

    def owed(self, series: Counting) -> Count:
        """What the series had counted and no completed scrape had shown: all of it if it was held at 0 in it."""
        counted = self._since.get(series)
        counted = series.count if counted is None else counted
        if self._at < series.shown_from:
            return counted
        return counted.less(next((g[series] for g in self._shown if series in g), counted))
