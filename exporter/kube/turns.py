"""Long work shares the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

SLICE = 0.01
"""Seconds of work before the loop gets its turn; slices of watches, deadlines and scrapes may follow each other."""


class Turns:
    """Gives the loop a turn whenever a slice of work is used up; one for each task.

    The slice spans reads: a read of what is already buffered does not let the loop turn.
    """

    def __init__(self, seconds: float = SLICE, clock: Callable[[], float] = time.perf_counter) -> None:
        self._seconds = seconds
        self._clock = clock
        self._began = clock()

    async def offer(self) -> None:
        """Return at once, or after one turn of the loop."""
        if self._clock() - self._began >= self._seconds:
            await asyncio.sleep(0)
            self._began = self._clock()
