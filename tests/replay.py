"""Recordings, delivered to the core at the times at which they came."""

from __future__ import annotations

from collections.abc import Iterable

from exporter.core import Core
from exporter.objects import Change


def replay(core: Core, changes: Iterable[tuple[Change, float]]) -> float:
    """Deliver changes, each with the Unix time of its receipt; gives the last one's."""
    now = 0.0
    for change, now in changes:
        core.elapse(now)
        core.apply(change, now)
    return now
