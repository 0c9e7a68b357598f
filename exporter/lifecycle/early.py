"""Events that came before the pod that they are about: the two streams keep no order between them."""

from __future__ import annotations

from collections import deque

from exporter.lifecycle.events import Notice

PATIENCE = 60.0
"""Seconds for which an Event waits for its pod."""
MOST = 1000
"""Events that wait; more than a moment's worth comes only while pods cannot be read."""


class Early:
    """Notices by pod, in the order in which they came. `lost` counts those whose pod never came."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[float, Notice]] = deque()
        self.lost = 0

    def hold(self, notice: Notice, now: float) -> None:
        """Keep a notice for its pod, which has not been seen."""
        self._waiting.append((now, notice))
        while len(self._waiting) > MOST:
            self._drop()

    def take(self, namespace: str, pod: str) -> list[Notice]:
        """Give and forget what waits for this pod."""
        if not self._waiting:
            return []
        taken = [notice for _, notice in self._waiting if (notice.namespace, notice.pod) == (namespace, pod)]
        if taken:
            self._waiting = deque(w for w in self._waiting if w[1] not in taken)
        return taken

    def expire(self, now: float) -> None:
        """Give up what has waited too long."""
        while self._waiting and self._waiting[0][0] <= now - PATIENCE:
            self._drop()

    def stepped(self, by: float) -> None:
        """Let what waits wait on, although the clock was stepped."""
        self._waiting = deque((at + by, notice) for at, notice in self._waiting)

    def _drop(self) -> None:
        self._waiting.popleft()
        self.lost += 1
