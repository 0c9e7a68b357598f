"""A TCP proxy between exporter and API server that misbehaves as it is told; TLS passes through it unread."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Literal, Self, TypeAlias, TypeVar

from tests.cluster.daemon import free_port

Mode: TypeAlias = Literal["pass", "stall", "lose"]
"""pass: hand on what comes; stall: read nothing, keep all open; lose: read and throw away, both ways.

A connection that has lost something stays lost, as a half-open one does: only new ones are well again.
"""
CHUNK = 2**16
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: close by a reset."""

T = TypeVar("T")


class Proxy:
    """Listens on 127.0.0.1 and leads to a port of it. All methods may be called from any thread."""

    def __init__(self, target: int) -> None:
        self._target = target
        self.port = free_port()
        self.accepted = 0
        """Connections taken so far."""
        self._mode: Mode = "pass"
        self._delay = 0.0
        self._links: set[_Link] = set()
        self._listener: asyncio.Server | None = None
        self._changed = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    @property
    def open(self) -> int:
        """Connections that stand now."""
        return len(self._links)

    def start(self) -> Self:
        self._thread.start()
        self.listen()
        return self

    def close(self) -> None:
        self._do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def listen(self) -> None:
        """Take connections (again)."""
        self._do(self._listen())

    def refuse(self) -> None:
        """Refuse new connections; those that stand go on."""
        self._do(self._unlisten())

    def behave(self, mode: Mode, delay: float = 0.0) -> None:
        """From now on, for the connections that stand and for new ones; `delay`: seconds before each piece."""
        self._call(lambda: self._behave(mode, delay))

    def cut(self, how: Literal["FIN", "RST"] = "RST") -> int:
        """Cut the connections that stand, both ends; give how many."""
        return self._call(lambda: self._cut(how))

    def cut_after(self, count: int, how: Literal["FIN", "RST"] = "RST") -> None:
        """Cut each connection that stands when so many more bytes have come to the client."""
        self._call(lambda: self._allow(count, how))

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def _call(self, work: Callable[[], T]) -> T:
        async def called() -> T:
            return work()

        return self._do(called())

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(self._accept, "127.0.0.1", self.port, limit=CHUNK)

    async def _unlisten(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()

    async def _stop(self) -> None:
        await self._unlisten()
        self._cut("RST")
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _behave(self, mode: Mode, delay: float) -> None:
        self._mode, self._delay = mode, delay
        for link in self._links:
            link.lost = link.lost or mode == "lose"
        self._changed.set()
        self._changed = asyncio.Event()

    def _cut(self, how: Literal["FIN", "RST"]) -> int:
        links = tuple(self._links)
        for link in links:
            link.cut(how)
        return len(links)

    def _allow(self, count: int, how: Literal["FIN", "RST"]) -> None:
        for link in self._links:
            link.allow(count, how)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        link = _Link(writer)
        self._links.add(link)
        link.lost = self._mode == "lose"
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target, limit=CHUNK)
            link.writers.append(back)
            await asyncio.gather(self._pump(reader, back, link), self._pump(there, writer, link, to_client=True))
        except OSError:
            pass  # nobody listens there
        finally:
            link.cut("FIN")
            self._links.discard(link)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: _Link, *, to_client: bool = False
    ) -> None:
        """Hand on one direction until it ends, and the other with it."""
        with suppress(OSError):
            while piece := await self._next(reader):
                if link.lost:
                    continue
                writer.write(link.measured(piece) if to_client else piece)
                await writer.drain()
                if link.over:
                    break
        if not (link.lost and to_client):  # who is cut off does not hear of the end either
            link.cut(link.how)

    async def _next(self, reader: asyncio.StreamReader) -> bytes:
        await self._unstalled()
        piece = await reader.read(CHUNK)
        await self._unstalled()
        if self._delay:
            await asyncio.sleep(self._delay)
        return piece

    async def _unstalled(self) -> None:
        while self._mode == "stall":
            await self._changed.wait()


class _Link:
    """The two connections that belong together."""

    def __init__(self, client: asyncio.StreamWriter) -> None:
        self.writers = [client]
        self.lost = False
        self.how: Literal["FIN", "RST"] = "FIN"
        self._left: int | None = None

    @property
    def over(self) -> bool:
        """Whether all bytes that were still allowed have gone."""
        return self._left == 0

    def allow(self, count: int, how: Literal["FIN", "RST"]) -> None:
        self._left, self.how = count, how

    def measured(self, piece: bytes) -> bytes:
        """What of a piece is still allowed."""
        if self._left is None:
            return piece
        piece = piece[: self._left]
        self._left -= len(piece)
        return piece

    def cut(self, how: Literal["FIN", "RST"]) -> None:
        for writer in self.writers:
            if how == "RST" and not writer.is_closing():
                connection: socket.socket = writer.get_extra_info("socket")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                writer.transport.abort()
            writer.close()
