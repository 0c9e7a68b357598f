"""The two answers for the kubelet: does the process turn, and does it know the cluster."""

from __future__ import annotations

import time
from collections.abc import Callable

from aiohttp import web

from exporter.vitals import LoopVitals

STUCK_SECONDS = 30.0
"""A loop that has not turned for so long will not by itself."""


class Health:
    """Handlers of /livez and /readyz.

    The API server's state is none of liveness: a restart would only lose counts.
    """

    def __init__(self, ready: Callable[[], str], loop: LoopVitals) -> None:
        self._ready = ready
        self._loop = loop
        self.stopping = False

    async def livez(self, _: web.Request) -> web.Response:
        """200 while the event loop's own timer keeps coming (or has not begun), else 503."""
        silent = time.monotonic() - self._loop.turned_at
        if self._loop.turned_at and silent > STUCK_SECONDS:
            return web.Response(status=503, text=f"the loop's timer is silent since {silent:.0f} s\n")
        return web.Response(text="ok\n")

    async def readyz(self, _: web.Request) -> web.Response:
        """200 from the first complete sync until the end; 503 with the reason before and after."""
        reason = self.unready()
        return web.Response(status=503, text=f"{reason}\n") if reason else web.Response(text="ok\n")

    def unready(self) -> str:
        """Why not to be relied on, "" if ready."""
        return "shutting down" if self.stopping else self._ready()
