"""When to look at a record again although nothing came."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from math import inf


class Deadlines:
    """One deadline a key, the latest set. Truth is `due(record)`; this is only its index, rebuilt at will."""

    def __init__(self) -> None:
        self._at: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []

    def set(self, key: str, at: float) -> None:
        """Set the deadline of `key` (Unix seconds); infinity takes it away."""
        if at == inf:
            self._at.pop(key, None)
        elif self._at.get(key) != at:
            self._at[key] = at
            heappush(self._heap, (at, key))

    def next(self) -> float:
        """The earliest moment at which something may be due, infinity if there is none."""
        return self._heap[0][0] if self._heap else inf

    def due(self, now: float) -> Iterator[str]:
        """Take out each key whose deadline has come; hints that were overtaken are skipped."""
        while self._heap and self._heap[0][0] <= now:
            at, key = heappop(self._heap)
            if self._at.get(key) == at:
                del self._at[key]
                yield key
