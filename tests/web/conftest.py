from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field

import aiohttp
import pytest

from exporter.settings import Web
from exporter.vitals import LoopVitals, WatchVitals, WebVitals
from exporter.web.scrape import Answer, Limits
from exporter.web.server import Server


@dataclass
class Exposition:
    """What stands in for the exporter: fixed blocks, and a note of what was asked for."""

    blocks: Callable[[], Iterable[bytes]] = lambda: (b"# TYPE a gauge\n", b"a 1\n" * 70_000, b"# EOF\n")
    reason: str = ""
    asked: list[tuple[bool, frozenset[str]]] = field(default_factory=list)

    taken: list[int] = field(default_factory=list)
    """Marks of answers that were taken to their end; a mark counts the answers."""

    def render(self, openmetrics: bool, names: frozenset[str]) -> Answer:
        self.asked.append((openmetrics, names))
        mark = None if names else len(self.asked)
        yield from self.blocks()
        return mark

    def scraped(self, mark: int) -> None:
        self.taken.append(mark)

    def ready(self) -> str:
        return self.reason


@dataclass
class Running:
    """A server that serves `exposition` on loopback."""

    server: Server
    exposition: Exposition
    vitals: WebVitals
    loop: LoopVitals
    session: aiohttp.ClientSession

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    @contextlib.asynccontextmanager
    async def get(self, path: str = "/metrics", **headers: str) -> AsyncIterator[aiohttp.ClientResponse]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.get(self.url + path, headers=named) as response:
            yield response

    async def connect(self, request: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port, limit=2**12)
        writer.write(request)
        return reader, writer


class Serve:
    """Starts servers; all of them end with the test."""

    def __init__(self, stack: contextlib.AsyncExitStack) -> None:
        self._stack = stack

    async def __call__(
        self,
        exposition: Exposition | None = None,
        limits: Limits | None = None,
        watches: Iterable[WatchVitals] = (),
    ) -> Running:
        exposition = exposition or Exposition()
        vitals, loop = WebVitals(), LoopVitals()
        server = Server(Web(listen_address="127.0.0.1:0"), exposition, vitals, loop, watches, limits or Limits())
        await server.start()
        self._stack.push_async_callback(server.stop)
        session = await self._stack.enter_async_context(
            aiohttp.ClientSession(skip_auto_headers=["Accept-Encoding", "Accept"], auto_decompress=False)
        )
        return Running(server, exposition, vitals, loop, session)


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    async with contextlib.AsyncExitStack() as stack:
        yield Serve(stack)


@pytest.fixture
def exposition() -> type[Exposition]:
    return Exposition


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.005)


@pytest.fixture(name="until")
def _until() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    return until
