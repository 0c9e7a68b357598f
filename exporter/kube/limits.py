"""How long each thing may take. One frozen value, so that a test can make time small and a reader finds the reasons."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Times in seconds."""

    silence: float = 150.0
    """Without a byte on a stream that has sent two periodic bookmarks. They come 63 s apart: this is two and a bit."""
    slack: float = 30.0
    """After a watch's own timeoutSeconds, on a stream that has not shown that it sends bookmarks."""
    initial: float = 30.0
    """Without an answer's headers, and without a byte before the end mark of a watch-list."""
    gather: float = 0.03
    """Between two reads of a watch that has little to say, at most: what comes meanwhile is handled at one waking."""
    page: float = 60.0
    """Without a byte of a list's page; the API server itself gives up on a request after 60."""
    timeout: tuple[int, int] = (300, 600)
    """Range of timeoutSeconds, at random as client-go does, so that watches do not all end together."""
    renewal: float = 20.0
    """Before the end of a watch without bookmarks at which its resource version is renewed, in half of that time."""
    brief: float = 5.0
    """A watch that ends cleanly sooner than this is followed by a pause: else a proxy that cuts would spin us."""
    forbidden: float = 600.0
    """Between two tries of a resource that we can do without and may not read; a later grant is noticed."""
    watch_list_again: float = 3600.0
    """Before a refused watch-list is tried anew: the API server may have been upgraded meanwhile."""


WITHOUT_BOOKMARKS = Limits(timeout=(200, 240))
"""For Events: a watch ends, and its resource version is renewed, well within etcd's compaction interval of 300 s."""
