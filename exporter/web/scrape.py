"""GET /metrics: a consistent snapshot, streamed in blocks; a slow or hostile client costs a bounded buffer.

Compression takes most of a scrape's time and drops the GIL, so it runs in a thread: watches go on meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import struct
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import structlog
from aiohttp import web
from isal import isal_zlib

from exporter.logs import OnceAMinute, described
from exporter.vitals import WebVitals
from exporter.web.negotiation import OPENMETRICS, TEXT, wants_gzip, wants_openmetrics

Answer: TypeAlias = Generator[bytes, None, int | None]
"""The blocks of an answer; returns the mark of the moment that it shows, None if it does not show everything."""
Render: TypeAlias = Callable[[bool, frozenset[str]], Answer]
"""See `exporter.web.server.Source.render`."""
Scraped: TypeAlias = Callable[[int], None]
"""See `exporter.web.server.Source.scraped`."""

_GZIP_LEVEL = 1
_GZIP_FORMAT = 31
"""zlib's window bits for gzip: 15, and 16 for the gzip header."""
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: close by a reset."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much scrapers may ask for; times in seconds."""

    scrapes: int = 4
    """Scrapes answered at once: a pair of Prometheus servers, and people."""
    turn: float = 5.0
    """Wait for a turn, then 503: half of Prometheus's usual scrape_timeout."""
    block: float = 15.0
    """Time for a client to take one block of about 1 MB."""
    whole: float = 60.0
    """Time for the whole answer: who takes it drop by drop may not keep a turn for ever."""


class Scrapes:
    """The handler of /metrics, its limits and its numbers."""

    def __init__(self, render: Render, scraped: Scraped, vitals: WebVitals, limits: Limits) -> None:
        self._render = render
        self._scraped = scraped
        self._vitals = vitals
        self._limits = limits
        self._turns = asyncio.Semaphore(limits.scrapes)
        self._open = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._log = OnceAMinute(structlog.stdlib.get_logger(__name__))

    async def drain(self, seconds: float) -> None:
        """Return when no scrape is waiting or running, after `seconds` at the latest."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()

    async def get(self, request: web.Request) -> web.StreamResponse:
        """Answer a scrape in its turn; 503 if none comes in time."""
        self._open += 1
        self._idle.clear()
        try:
            return await self._in_turn(request)
        except asyncio.CancelledError:  # aiohttp's way to say that the client has left
            self._vitals.rejected["disconnected"] += 1
            raise
        finally:
            self._open -= 1
            if not self._open:
                self._idle.set()

    async def _in_turn(self, request: web.Request) -> web.StreamResponse:
        try:
            async with asyncio.timeout(self._limits.turn):
                await self._turns.acquire()
        except TimeoutError:
            self._vitals.rejected["busy"] += 1
            return web.Response(status=503, text="too many scrapes at once\n")
        try:
            return await self._answer(request)
        finally:
            self._turns.release()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        openmetrics = wants_openmetrics(_header(request, "Accept"))
        gzip = wants_gzip(_header(request, "Accept-Encoding"))
        names = frozenset(filter(None, request.query.getall("name[]", ())))
        response = web.StreamResponse(headers={"Vary": "Accept, Accept-Encoding"})
        response.headers["Content-Type"] = OPENMETRICS if openmetrics else TEXT
        if gzip:
            response.headers["Content-Encoding"] = "gzip"
        if request.method == "HEAD":
            return response
        now, begun = time.time(), time.perf_counter()
        try:
            async with asyncio.timeout(self._limits.whole):
                blocks = _Blocks(self._render(openmetrics, names))
                size = await self._stream(request, response, iter(blocks))
        except TimeoutError:
            return self._cut(request, response, "slow")
        except ConnectionError:
            return self._cut(request, response, "disconnected")
        except Exception as error:  # noqa: BLE001 - one scrape may fail, the process may not
            self._log.warning("a scrape failed", **described(error))
            return self._cut(request, response, "failed")
        if blocks.mark is not None:
            self._scraped(blocks.mark)
            self._vitals.scrape_seconds = time.perf_counter() - begun
            self._vitals.scrape_bytes = size
            self._vitals.scraped_at = now
        return response

    async def _stream(self, request: web.Request, response: web.StreamResponse, blocks: Iterator[bytes]) -> int:
        """Send all blocks in the response's encoding; return their bytes before compression."""
        first = next(blocks, b"")  # before the headers: an error can still be told
        await response.prepare(request)
        gzip = "Content-Encoding" in response.headers
        compressor = isal_zlib.compressobj(_GZIP_LEVEL, isal_zlib.DEFLATED, _GZIP_FORMAT) if gzip else None
        size = 0
        for block in itertools.chain((first,), blocks):
            size += len(block)
            await self._write(response, await asyncio.to_thread(compressor.compress, block) if compressor else block)
            await asyncio.sleep(0)  # a client that reads fast enough would never let the loop turn
        await self._write(response, compressor.flush() if compressor else b"")
        await response.write_eof()
        return size

    async def _write(self, response: web.StreamResponse, piece: bytes) -> None:
        if piece:
            async with asyncio.timeout(self._limits.block):
                await response.write(piece)

    def _cut(self, request: web.Request, response: web.StreamResponse, reason: str) -> web.StreamResponse:
        """End an answer so that nobody takes it for complete: no last chunk and, for HTTP/1.0, no clean close."""
        self._vitals.rejected[reason] += 1
        if not response.prepared:
            return web.Response(status=500, text="the scrape failed, see the exporter's log\n")
        if request.transport is not None:
            connection = request.transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            request.transport.abort()
        return response


class _Blocks:
    """Blocks to iterate over, and afterwards what their generator returned."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.mark: int | None = None

    def __iter__(self) -> Iterator[bytes]:
        self.mark = yield from self._answer


def _header(request: web.Request, name: str) -> str:
    """All headers of this name as one list, as HTTP says."""
    return ", ".join(request.headers.getall(name, ()))
