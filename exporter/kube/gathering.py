"""Lines that come one by one are read a few at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from math import inf

import aiohttp

_WINDOW = 2**16
"""Bytes that a new connection's receive window holds. More than this cannot gather, and would hold the sender up."""
_WORTH = 0.005
"""Seconds below which waiting saves nothing."""


class Gathering:
    """Waits between two reads of one stream, `longest` seconds at most, while what comes stays with the kernel.

    To be woken for each line alone, with cold caches, costs more than to handle it. It waits only as long as half a
    window takes to come at the rate of the last read, so a stream of many lines is never slowed down.
    """

    def __init__(
        self,
        longest: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._longest = longest
        self._clock = clock
        self._sleep = sleep
        self._taken = 0
        self._read_at = -inf

    async def after(self, chunk: bytes, response: aiohttp.ClientResponse) -> None:
        """Wait after this read, unless the rest of a line is on its way or there may be more at once."""
        self._taken += len(chunk)
        if not chunk.endswith(b"\n"):
            return
        now = self._clock()
        pause = min(self._longest, (now - self._read_at) * _WINDOW / 2 / self._taken)
        behind = self._taken >= _WINDOW or pause < _WORTH
        self._taken, self._read_at = 0, now
        transport = response.connection.transport if response.connection else None
        if transport is not None and not behind:
            transport.pause_reading()
            await self._sleep(pause)
            transport.resume_reading()
