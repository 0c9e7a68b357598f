"""How long to wait after failures: exponential with full jitter, as a value."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

_MOST_DOUBLINGS = 16  # far past any cap, and no float overflows


@dataclass(frozen=True, slots=True)
class Backoff:
    """A pause is drawn evenly from 0 to `first * 2**failures`, at most `cap`; times in seconds.

    Full jitter keeps many clients from returning in step after the API server was away.
    """

    first: float = 0.8
    cap: float = 30.0
    healthy: float = 60.0
    """A connection that lived this long ends the row of failures."""
    failures: int = 0
    uniform: Callable[[float, float], float] = random.uniform

    def pause(self) -> float:
        """Draw a pause in seconds for the failure that just happened."""
        longest = self.first * 2.0 ** min(self.failures, _MOST_DOUBLINGS)
        return self.uniform(0.0, min(self.cap, longest))

    def failed(self) -> Backoff:
        """Give the policy for the next failure."""
        return replace(self, failures=self.failures + 1)

    def after(self, lived: float) -> Backoff:
        """Give the policy after a connection that lived so many seconds."""
        return replace(self, failures=0) if lived >= self.healthy else self
