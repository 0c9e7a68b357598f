"""Virtual time: the simulation moves from timer to timer and never waits by itself."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from itertools import count


@dataclass(slots=True, order=True)
class Timer:
    """Something to do at a virtual time (Unix seconds); equal times keep the order in which they were set."""

    at: float
    order: int
    action: Callable[[], None] = field(compare=False)
    cancelled: bool = field(default=False, compare=False)


class Clock:
    """Virtual Unix time in seconds, and the timers that wait for it."""

    def __init__(self, now: float) -> None:
        self.now = now
        self._timers: list[Timer] = []
        self._order = count()

    def after(self, seconds: float, action: Callable[[], None]) -> Timer:
        """Do `action` in so many virtual seconds; the timer returned can be cancelled."""
        timer = Timer(self.now + max(0.0, seconds), next(self._order), action)
        heapq.heappush(self._timers, timer)
        return timer

    def every(self, seconds: float, action: Callable[[], None]) -> None:
        """Do `action` again and again, so many virtual seconds apart, for ever."""

        def again() -> None:
            action()
            self.after(seconds, again)

        self.after(seconds, again)

    def run_until(self, moment: float) -> None:
        """Let time pass until the virtual `moment`, doing all that falls due on the way, in order."""
        while self._timers and self._timers[0].at <= moment:
            timer = heapq.heappop(self._timers)
            if not timer.cancelled:
                self.now = timer.at
                timer.action()
        self.now = max(self.now, moment)


def rfc3339(moment: float) -> str:
    """A time as the API writes it: whole seconds, UTC."""
    return _second(int(moment))


@lru_cache(maxsize=4096)
def _second(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
