"""Start, serve, drain, stop: the HTTP server as a whole, and what it asks of the rest."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from collections.abc import Iterable
from typing import Protocol

from aiohttp import web

from exporter.errors import ExporterError
from exporter.settings import Web
from exporter.vitals import LoopVitals, WatchVitals, WebVitals
from exporter.web.clients import Clients
from exporter.web.health import Health
from exporter.web.pages import LandingPage
from exporter.web.scrape import Answer, Limits, Scrapes

DRAIN_SECONDS = 3.0
"""For running scrapes at the end; the whole end may take 5 s."""
IDLE_SECONDS = 75.0
"""A connection that has had an answer and asks for nothing more is closed: longer than the usual scrape interval of
60 s. A new one has less, `clients.FIRST_REQUEST_SECONDS`."""
MOST_CONNECTIONS = 128
FEWEST_CONNECTIONS = 4
"""Served whatever the limit of file descriptors is: a scraper, a kubelet's probes, a person."""
RESERVED = 48
"""File descriptors that are not for clients: files, what asyncio needs, and a backlog that is being refused."""
BACKLOG = 32
"""Clients that are accepted at a time, be it to be refused: each takes a file descriptor for a moment."""
_ABANDON_SECONDS = 0.1

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Server": "pod-exporter",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Source(Protocol):
    """What the server serves."""

    def render(self, openmetrics: bool, names: frozenset[str]) -> Answer:  # noqa: FBT001
        """Give one consistent snapshot in uncompressed blocks of about 1 MB, in OpenMetrics with `# EOF` at the end.

        `names`: the only families to give (names of families or of their samples), all if empty.
        Returns a mark of the snapshot if it is of everything, else None.
        """

    def scraped(self, mark: int) -> None:
        """Be told that a client has taken the answer of this mark to its end."""

    def ready(self) -> str:
        """Why not to be relied on yet, "" once the first sync is complete."""


class Server:
    """The exporter's only listening socket."""

    def __init__(
        self,
        settings: Web,
        source: Source,
        vitals: WebVitals,
        loop: LoopVitals,
        watches: Iterable[WatchVitals] = (),
        limits: Limits = Limits(),  # noqa: B008 - immutable
        reserved: int = RESERVED,
    ) -> None:
        self._clients = Clients(most_connections(reserved), vitals)
        self._settings = settings
        self._vitals = vitals
        self._scrapes = Scrapes(source.render, source.scraped, vitals, limits)
        self._health = Health(source.ready, loop)
        page = LandingPage(self._health.unready, watches, vitals)
        app = web.Application(middlewares=[self._clients.mark_running])
        app.on_response_prepare.append(_add_headers)
        app.router.add_get("/", page.get)
        app.router.add_get("/metrics", self._scrapes.get)
        app.router.add_get("/livez", self._health.livez)
        app.router.add_get("/readyz", self._health.readyz)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            auto_decompress=False,
            handler_cancellation=True,  # a client that has left frees its turn
            keepalive_timeout=IDLE_SECONDS,
            lingering_time=0,  # no request of ours has a body to wait for
            shutdown_timeout=_ABANDON_SECONDS,
        )
        self._listener: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; raise `ExporterError` if the address cannot be had."""
        await self._runner.setup()
        try:
            self._listener = await self._listen(*self._settings.endpoint)
        except OSError as error:
            await self._runner.cleanup()
            reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
            raise ExporterError(
                f"cannot listen on {self._settings.listen_address}: {reason}; choose another --web.listen-address"
            ) from error

    @property
    def port(self) -> int:
        """The port that is listened on, also when the settings left the choice to the system."""
        if self._listener is None:
            raise ExporterError("the server has not been started")
        return int(self._listener.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Take no more requests, give running scrapes `DRAIN_SECONDS`, cut the rest."""
        self._health.stopping = True
        if self._listener is not None:
            self._listener.close()
        if self._runner.server is not None:
            self._runner.server.pre_shutdown()
            await self._scrapes.drain(DRAIN_SECONDS)
        await self._runner.cleanup()

    async def _listen(self, host: str | None, port: int) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        if host is not None or not socket.has_dualstack_ipv6():
            address = host or "0.0.0.0"  # noqa: S104 - asked for by ":port"
            return await loop.create_server(self._accept, address, port, backlog=BACKLOG)
        everywhere = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
        return await loop.create_server(self._accept, sock=everywhere, backlog=BACKLOG)

    def _accept(self) -> asyncio.BaseProtocol:
        return self._clients.connection(self._runner.server)


def most_connections(reserved: int) -> int:
    """How many clients may be connected, so that they leave `reserved` file descriptors for what matters more."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return min(MOST_CONNECTIONS, max(FEWEST_CONNECTIONS, descriptors - reserved))


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)
