"""The wall clock, watched: it may be stepped, and the process may stand still."""

from __future__ import annotations

import time
from collections.abc import Callable

STILL = 5.0
"""Seconds between two readings beyond which the process stood still: it reads the clock four times a second."""
TOLERANCE = 1.0
"""Seconds of difference that are no step: clocks that are kept right drift and are slewed."""


class Clock:
    """Gives Unix seconds; before it gives a time that leapt, it tells `stepped` by how many seconds.

    The API's times are the wall clock's, so a corrected clock is followed at once. Waits of our own must not end early
    or late for that, nor count the time in which the process was stopped or its machine slept and nothing could come.
    """

    def __init__(
        self,
        stepped: Callable[[float], None],
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stepped = stepped
        self._wall = wall
        self._steady = steady
        self._at = wall(), steady()

    def __call__(self) -> float:
        """Read it."""
        (before, steady), self._at = self._at, (self._wall(), self._steady())
        now, passed = self._at[0], min(self._at[1] - steady, STILL)
        step = now - before - passed
        if abs(step) > TOLERANCE:
            self._stepped(step)
        return now
