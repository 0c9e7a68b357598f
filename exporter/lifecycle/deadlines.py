"""When to look at a record again although nothing came."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from math import inf


class Deadlines:
    """One deadline a key, the latest set. Truth is `due(record)`; this is only its index, rebuilt at will.

    A deadline that is put off, as that of a pod in trouble is again and again, leaves its hint in the heap, which
    leads to the new one when its time has come: so there is one hint a key, not one for each change.
    """

    def __init__(self) -> None:
        self._at: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        self._hints: dict[str, float] = {}
        """The earliest hint of each key that is in the heap."""

    def set(self, key: str, at: float) -> None:
        """Set the deadline of `key` (Unix seconds); infinity takes it away."""
        if at == inf:
            self._at.pop(key, None)
            return
        self._at[key] = at
        if at < self._hints.get(key, inf):
            self._hint(key, at)

    def next(self) -> float:
        """The earliest moment at which something may be due, infinity if there is none."""
        return self._heap[0][0] if self._heap else inf

    def due(self, now: float) -> Iterator[str]:
        """Take out each key whose deadline has come; hints that were overtaken are skipped."""
        while self._heap and self._heap[0][0] <= now:
            hint, key = heappop(self._heap)
            if self._hints.get(key) != hint:  # an earlier one has led on
                continue
            del self._hints[key]
            at = self._at.get(key, inf)
            if at <= now:
                del self._at[key]
                yield key
            elif at < inf:
                self._hint(key, at)

    def _hint(self, key: str, at: float) -> None:
        self._hints[key] = at
        heappush(self._heap, (at, key))
