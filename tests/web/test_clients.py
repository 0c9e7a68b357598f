"""Who is let in at the limit of connections, over real sockets on the loopback."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

import pytest

from exporter.web import clients
from exporter.web import server as server_module
from exporter.web.server import MOST_CONNECTIONS

if TYPE_CHECKING:
    from tests.web.conftest import Exposition, Running, Serve

    Until: TypeAlias = Callable[[Callable[[], bool]], Awaitable[None]]
    Ends: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]

LIVEZ = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
METRICS = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
HALF = METRICS[:-4]
END = b"a 1\n\r\n0\r\n\r\n"


@pytest.fixture(name="most")
def _most(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    return lambda most: monkeypatch.setattr(server_module, "MOST_CONNECTIONS", most)


@pytest.fixture
async def connected() -> AsyncIterator[contextlib.ExitStack]:
    """Closes what is pushed on it."""
    with contextlib.ExitStack() as stack:
        yield stack


async def come(running: Running, stack: contextlib.ExitStack, request: bytes = b"") -> Ends:
    """Connect and wait until a request of /livez is answered."""
    reader, writer = await running.connect(request)
    stack.callback(writer.close)
    if request == LIVEZ:
        await reader.readuntil(b"ok\n")
    return reader, writer


async def probe(running: Running) -> None:
    """Do what the kubelet does."""
    async with asyncio.timeout(1):
        reader, writer = await running.connect(METRICS.replace(b"metrics", b"livez"))
        assert (await reader.read()).startswith(b"HTTP/1.1 200")
        writer.close()


async def closed(ends: Ends) -> None:
    async with asyncio.timeout(5):
        with contextlib.suppress(ConnectionResetError):
            assert await ends[0].read() == b""


@pytest.mark.parametrize("request_", [b"", HALF, LIVEZ], ids=["silent", "half a request", "asked once"])
async def test_a_probe_is_answered_though_idle_clients_hold_all_connections_and_come_again(
    serve: Serve, exposition: type[Exposition], connected: contextlib.ExitStack, until: Until, request_: bytes
) -> None:
    running = await serve(exposition(lambda: [b"a 1\n" * 65_536] * 100))
    scraping, _ = await come(running, connected, METRICS)
    await until(lambda: bool(running.exposition.asked))
    for _ in range(MOST_CONNECTIONS + 5):
        await come(running, connected, request_)
    for _ in range(5):
        await probe(running)
        for _ in range(20):
            await come(running, connected, request_)
    assert running.vitals.rejected["idle"] > 100
    assert running.vitals.rejected["connections"] == 0
    async with asyncio.timeout(5):
        assert (await scraping.read()).endswith(END)
    assert running.exposition.taken == [1]


async def test_probes_are_answered_while_others_come_without_end(serve: Serve, connected: contextlib.ExitStack) -> None:
    running = await serve()
    for _ in range(MOST_CONNECTIONS):
        await come(running, connected, LIVEZ)

    async def attack() -> None:
        held: deque[asyncio.StreamWriter] = deque()
        while True:
            held.append((await come(running, connected))[1])
            if len(held) > MOST_CONNECTIONS // 4:
                held.popleft().close()

    attacks = [asyncio.create_task(attack()) for _ in range(4)]
    for _ in range(20):
        await probe(running)
    for task in attacks:
        task.cancel()
    await asyncio.gather(*attacks, return_exceptions=True)


async def test_who_never_asked_makes_room_before_who_has_been_idle_longest(
    serve: Serve, connected: contextlib.ExitStack, most: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "YOUNG_SECONDS", 0)
    most(3)
    running = await serve()
    longest = await come(running, connected, LIVEZ)
    never = await come(running, connected, HALF)
    shorter = await come(running, connected, LIVEZ)
    await come(running, connected, LIVEZ)
    await closed(never)
    await come(running, connected, LIVEZ)
    await closed(longest)
    shorter[1].write(LIVEZ)
    assert (await shorter[0].readuntil(b"ok\n")).startswith(b"HTTP/1.1 200")
    assert running.vitals.rejected["idle"] == 2


async def test_who_has_just_come_may_ask_before_it_makes_room(
    serve: Serve, connected: contextlib.ExitStack, most: Callable[[int], None]
) -> None:
    most(2)
    running = await serve()
    idle = await come(running, connected, LIVEZ)
    reader, writer = await come(running, connected)
    await come(running, connected, LIVEZ)
    await closed(idle)
    writer.write(LIVEZ)
    assert (await reader.readuntil(b"ok\n")).startswith(b"HTTP/1.1 200")


async def test_who_does_not_read_its_answers_makes_room(
    serve: Serve, connected: contextlib.ExitStack, most: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "TAKE_SECONDS", 0)
    most(2)
    running = await serve()
    greedy, writer = await come(running, connected)
    for _ in range(200):
        writer.write(LIVEZ.replace(b"/livez", b"/") * 50)
        await asyncio.sleep(0)
    connection = next(iter(running.server._clients._in.values()))
    async with asyncio.timeout(10):
        while not connection._transport.get_write_buffer_size():  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.01)
    kept = await come(running, connected, LIVEZ)
    await come(running, connected, LIVEZ)
    with contextlib.suppress(ConnectionResetError):
        while await greedy.read(2**20):
            pass
    kept[1].write(LIVEZ)
    assert (await kept[0].readuntil(b"ok\n")).startswith(b"HTTP/1.1 200")


async def test_when_all_are_busy_the_next_is_refused_and_counted(
    serve: Serve,
    exposition: type[Exposition],
    connected: contextlib.ExitStack,
    until: Until,
    most: Callable[[int], None],
) -> None:
    most(2)
    running = await serve(exposition(lambda: [b"a 1\n" * 65_536] * 100))
    scrapes = [await come(running, connected, METRICS) for _ in range(2)]
    await until(lambda: len(running.exposition.asked) == len(scrapes))
    await closed(await come(running, connected))
    assert (running.vitals.rejected["connections"], running.vitals.rejected["idle"]) == (1, 0)
    for reader, _ in scrapes:
        assert (await reader.read()).endswith(END)


@pytest.mark.parametrize("request_", [b"", HALF], ids=["nothing", "half a request"])
async def test_who_sends_no_complete_request_is_dropped(
    serve: Serve, connected: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch, request_: bytes
) -> None:
    monkeypatch.setattr(clients, "FIRST_REQUEST_SECONDS", 0.5)
    running = await serve()
    asked = await come(running, connected, LIVEZ)
    reader, writer = await come(running, connected, request_)
    await closed((reader, writer))
    asked[1].write(LIVEZ)
    assert (await asked[0].readuntil(b"ok\n")).startswith(b"HTTP/1.1 200")


async def test_who_leaves_gives_its_place_back(
    serve: Serve, connected: contextlib.ExitStack, most: Callable[[int], None], until: Until
) -> None:
    most(1)
    running = await serve()
    _, writer = await come(running, connected, LIVEZ)
    writer.close()
    await until(lambda: not running.server._clients._in)
    await come(running, connected, LIVEZ)
    assert running.vitals.rejected["idle"] == 0
