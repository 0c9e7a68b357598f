"""Who is connected: at the limit whoever asks for nothing makes room, so that a probe of the kubelet comes through."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import cast

from aiohttp import web
from aiohttp.typedefs import Handler

from exporter.vitals import WebVitals

FIRST_REQUEST_SECONDS = 10.0
"""A connection that has not sent a complete request by then is closed."""
YOUNG_SECONDS = 1.0
"""For so long a new connection is not yet one that asks for nothing: else each new one could push out the last."""
TAKE_SECONDS = 15.0
"""For so long the end of an answer may lie in our buffer before its client is one that does not read."""


class Clients:
    """At most `most` connections. A new one takes the place of one that runs no request; without one it is refused."""

    def __init__(self, most: int, vitals: WebVitals) -> None:
        self._most = most
        self._vitals = vitals
        self._in: dict[asyncio.BaseProtocol, _Client] = {}
        """By aiohttp's side of the connection."""

    def connection(self, serve: Callable[[], web.RequestHandler] | None) -> asyncio.BaseProtocol:
        """Make our side of a new connection; aiohttp's comes from `serve`, which is None when nobody is served."""
        return _Client(self, serve)

    def make_room(self) -> bool:
        """See that one more may come in, by dropping another if need be; False if all are busy."""
        if len(self._in) < self._most:
            return True
        idle = [(protocol, client) for protocol, client in self._in.items() if not client.running]
        if not idle:
            self._vitals.rejected["connections"] += 1
            return False
        now = time.monotonic()
        protocol, client = min(idle, key=lambda one: one[1].rank(now))
        self._vitals.rejected["idle"] += 1
        self.leave(protocol)
        client.drop()
        return True

    def enter(self, protocol: asyncio.BaseProtocol, client: _Client) -> None:
        """Remember a client that has come in."""
        self._in[protocol] = client

    def leave(self, protocol: asyncio.BaseProtocol) -> None:
        """Forget a client whose connection is lost."""
        self._in.pop(protocol, None)

    @web.middleware
    async def mark_running(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Wrap each request: its client is not idle until it has been answered."""
        client = self._in.get(request.protocol)
        if client is None:  # lost in the meantime
            return await handler(request)
        client.begin()
        try:
            return await handler(request)
        finally:
            client.end()


class _Client(asyncio.Protocol):
    """One connection: passes all on to aiohttp's side of it, which is made once `clients` let it in."""

    def __init__(self, clients: Clients, serve: Callable[[], web.RequestHandler] | None) -> None:
        self.running = False
        """Whether a request is being answered."""
        self._clients = clients
        self._serve = serve
        self._protocol: web.RequestHandler | None = None
        self._asked = False
        self._since = time.monotonic()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self._serve is None or not self._clients.make_room():
            transport.close()
            return
        self._protocol = self._serve()
        self._clients.enter(self._protocol, self)
        self._deadline = asyncio.get_running_loop().call_later(FIRST_REQUEST_SECONDS, self.drop)
        self._protocol.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._protocol is not None:
            self._protocol.data_received(data)

    def eof_received(self) -> None:
        if self._protocol is not None:
            self._protocol.eof_received()

    def pause_writing(self) -> None:
        if self._protocol is not None:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        if self._protocol is not None:
            self._protocol.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._protocol is not None:
            self._deadline.cancel()
            self._clients.leave(self._protocol)
            self._protocol.connection_lost(exc)

    def begin(self) -> None:
        """Note that a request is complete and will be answered now."""
        self._deadline.cancel()
        self.running = self._asked = True

    def end(self) -> None:
        """Note that it has been answered."""
        self.running, self._since = False, time.monotonic()

    def rank(self, now: float) -> tuple[int, float]:
        """Give a number and the time since when it is idle: the lowest makes room first.

        0: never asks or never reads; 1: has asked before; 2: has just come; 3: is still taking its answer.
        """
        idle = now - self._since
        if self._transport.get_write_buffer_size():
            return (3 if idle < TAKE_SECONDS else 0), self._since
        if self._asked:
            return 1, self._since
        return (2 if idle < YOUNG_SECONDS else 0), self._since

    def drop(self) -> None:
        """Close at once: nothing is being answered, and whoever does not read must not keep it open."""
        self._transport.abort()
