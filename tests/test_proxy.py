"""The proxy that misbehaves on purpose: each of its faults is the one that it is named after."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import closing

import pytest

from tests.cluster.proxy import Proxy

SHORT = 0.2
"""Seconds in which nothing should come; a slow machine can only make such a test too kind."""


@pytest.fixture
async def echo() -> AsyncIterator[int]:
    """A server that sends back what it gets; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(2**16):
                writer.write(piece)
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.fixture
def proxy(echo: int) -> Iterator[Proxy]:
    with closing(Proxy(echo)) as proxy:
        yield proxy.start()


class Client:
    """One connection through the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def of(cls, proxy: Proxy) -> Client:
        return cls(*await asyncio.open_connection("127.0.0.1", proxy.port))

    async def ask(self, text: bytes) -> bytes:
        self.writer.write(text)
        async with asyncio.timeout(60):
            return await self.reader.readexactly(len(text))

    async def hears_nothing(self) -> bool:
        try:
            async with asyncio.timeout(SHORT):
                await self.reader.read(1)
        except TimeoutError:
            return True
        return False


async def test_it_hands_on_both_ways(proxy: Proxy) -> None:
    client = await Client.of(proxy)
    assert await client.ask(b"x" * 300_000) == b"x" * 300_000
    assert (proxy.accepted, proxy.open) == (1, 1)
    client.writer.close()


async def test_a_reset_is_seen_as_one(proxy: Proxy) -> None:
    client = await Client.of(proxy)
    await client.ask(b"hello")
    assert await asyncio.to_thread(proxy.cut, "RST") == 1
    with pytest.raises(ConnectionResetError):
        await client.reader.read(1)
    client.writer.close()


async def test_a_clean_end_is_seen_as_one(proxy: Proxy) -> None:
    client = await Client.of(proxy)
    await client.ask(b"hello")
    await asyncio.to_thread(proxy.cut, "FIN")
    assert await client.reader.read(1) == b""
    client.writer.close()


async def test_a_cut_comes_after_so_many_bytes(proxy: Proxy) -> None:
    client = await Client.of(proxy)
    await client.ask(b"hello")
    await asyncio.to_thread(proxy.cut_after, 3, "FIN")
    client.writer.write(b"abcdef")
    assert await client.reader.read(-1) == b"abc"
    client.writer.close()


async def test_what_was_stalled_comes_later(proxy: Proxy) -> None:
    client = await Client.of(proxy)
    await client.ask(b"hello")
    await asyncio.to_thread(proxy.behave, "stall")
    client.writer.write(b"later")
    assert await client.hears_nothing()
    await asyncio.to_thread(proxy.behave, "pass")
    assert await client.reader.readexactly(5) == b"later"
    client.writer.close()


async def test_a_connection_that_lost_something_stays_lost(proxy: Proxy) -> None:
    client = await Client.of(proxy)
    await client.ask(b"hello")
    await asyncio.to_thread(proxy.behave, "lose")
    client.writer.write(b"gone")
    assert await client.hears_nothing()
    await asyncio.to_thread(proxy.behave, "pass")
    client.writer.write(b"gone too")
    assert await client.hears_nothing()
    fresh = await Client.of(proxy)
    assert await fresh.ask(b"hello") == b"hello"
    for one in (client, fresh):
        one.writer.close()


async def test_new_connections_can_be_refused(proxy: Proxy) -> None:
    client = await Client.of(proxy)
    await client.ask(b"hello")  # else it may still wait to be accepted
    await asyncio.to_thread(proxy.refuse)
    with pytest.raises(ConnectionRefusedError):
        await Client.of(proxy)
    assert await client.ask(b"still here") == b"still here"
    await asyncio.to_thread(proxy.listen)
    other = await Client.of(proxy)
    assert await other.ask(b"hello") == b"hello"
    for one in (client, other):
        one.writer.close()


async def test_pieces_can_be_late(proxy: Proxy) -> None:
    client = await Client.of(proxy)
    await asyncio.to_thread(proxy.behave, "pass", 2 * SHORT)
    client.writer.write(b"slow")
    assert await client.hears_nothing()
    assert await client.reader.readexactly(4) == b"slow"
    client.writer.close()
