"""The real command with small limits: `python -m tests.cluster.hasty run ...`.

Its limits are no settings, because no other values are right on a real network; but what takes minutes by them can be
seen in seconds by smaller ones. `POD_EXPORTER_LONG=1` runs the same faults by the real limits.
"""

from __future__ import annotations

import sys
from asyncio import constants
from functools import partial

from exporter import cli
from exporter.kube import connection, reflector
from exporter.kube.backoff import Backoff
from exporter.kube.limits import Limits

COMMAND = [sys.executable, "-m", "tests.cluster.hasty"]
SILENCE = 6
"""Seconds after which a stream without a byte is given up: a watch lasts half of that, then its slack begins."""
LIMITS = Limits(silence=SILENCE, slack=3, initial=4, page=4, timeout=(3, 3), renewal=2, brief=0.5, forbidden=2)


def hurry() -> None:
    """Make the limits of this process small."""
    quick = partial(Backoff, cap=1.0, healthy=2.0)
    vars(reflector).update(Limits=lambda: LIMITS, WITHOUT_BOOKMARKS=LIMITS, Backoff=quick)
    vars(connection).update(CONNECT=2.0)
    vars(constants).update(SSL_SHUTDOWN_TIMEOUT=2.0)  # for the answer of a peer that is gone; 30 s


if __name__ == "__main__":
    hurry()
    sys.exit(cli.main())
