from __future__ import annotations

import asyncio
import threading
import time
import zlib
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from exporter.web.scrape import Limits

if TYPE_CHECKING:
    from tests.web.conftest import Exposition, Serve

BODY = b"# TYPE a gauge\n" + b"a 1\n" * 70_000 + b"# EOF\n"
REQUEST = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
GZIP = 31


async def test_a_plain_scrape_is_the_blocks_one_after_the_other(serve: Serve) -> None:
    running = await serve()
    async with running.get() as response:
        assert await response.read() == BODY
        assert "Content-Encoding" not in response.headers


async def test_a_gzip_scrape_is_one_stream_that_holds_the_plain_body(serve: Serve) -> None:
    running = await serve()
    async with running.get(Accept_Encoding="gzip") as response:
        packed = await response.read()
        assert response.headers["Content-Encoding"] == "gzip"
    stream = zlib.decompressobj(GZIP)
    assert stream.decompress(packed) == BODY
    assert stream.eof
    assert stream.unused_data == b""


async def test_blocks_are_compressed_outside_the_loop(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = set()

    class Compressor:
        def compress(self, block: bytes) -> bytes:
            threads.add(threading.current_thread())
            return block

        def flush(self) -> bytes:
            return b""

    monkeypatch.setattr("exporter.web.scrape.isal_zlib.compressobj", lambda *_: Compressor())
    running = await serve()
    async with running.get(Accept_Encoding="gzip") as response:
        await response.read()
    assert threads
    assert threading.main_thread() not in threads


@pytest.mark.parametrize(
    ("accept", "content_type", "openmetrics"),
    [
        ("application/openmetrics-text", "application/openmetrics-text; version=1.0.0; charset=utf-8", True),
        (
            "application/openmetrics-text; version=1.0.0; escaping=allow-utf-8",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            True,
        ),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8", False),
    ],
)
async def test_the_content_type_says_what_was_rendered(
    serve: Serve, accept: str, content_type: str, openmetrics: bool
) -> None:
    running = await serve()
    async with running.get(Accept=accept) as response:
        assert response.headers["Content-Type"] == content_type
        assert response.headers["Vary"] == "Accept, Accept-Encoding"
    assert running.exposition.asked[0][0] is openmetrics


async def test_two_accept_headers_count_as_one_list(serve: Serve) -> None:
    running = await serve()
    two = b"Accept: text/plain;q=0.5\r\nAccept: application/openmetrics-text"
    reader, writer = await running.connect(REQUEST.replace(b"Host: x", b"Host: x\r\n" + two))
    await reader.readuntil(b"\r\n\r\n")
    writer.close()
    assert running.exposition.asked[0][0] is True


async def test_name_parameters_are_handed_on_as_a_set_of_families(serve: Serve) -> None:
    running = await serve()
    async with running.get("/metrics?name[]=a&name[]=b_bucket&name[]=a&name[]=") as response:
        assert response.status == 200
    assert running.exposition.asked[0][1] == {"a", "b_bucket"}


async def test_without_name_parameters_everything_is_asked_for(serve: Serve) -> None:
    running = await serve()
    async with running.get():
        pass
    assert running.exposition.asked[0][1] == frozenset()


async def test_head_answers_the_headers_and_renders_nothing(serve: Serve) -> None:
    running = await serve()
    async with running.session.head(running.url + "/metrics", headers={"Accept-Encoding": "gzip"}) as response:
        assert response.status == 200
        assert response.headers["Content-Encoding"] == "gzip"
        assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert running.exposition.asked == []
    assert running.vitals.scraped_at == 0
    assert running.exposition.taken == []


async def test_a_complete_scrape_is_noted_with_the_time_of_its_snapshot_and_its_plain_bytes(serve: Serve) -> None:
    running = await serve()
    before = time.time()
    async with running.get(Accept_Encoding="gzip") as response:
        snapshot = time.time()  # the headers come after it
        await response.read()
    assert before <= running.vitals.scraped_at <= snapshot
    assert running.exposition.taken == [1]
    assert running.vitals.scrape_bytes == len(BODY)
    assert 0 < running.vitals.scrape_seconds < 5


async def test_a_filtered_scrape_is_not_noted(serve: Serve) -> None:
    running = await serve()
    async with running.get("/metrics?name[]=a") as response:
        await response.read()
    assert running.vitals.scraped_at == 0
    assert running.exposition.taken == []
    assert running.vitals.scrape_bytes == 0


async def test_an_empty_exposition_is_an_empty_answer(serve: Serve, exposition: type[Exposition]) -> None:
    running = await serve(exposition(lambda: ()))
    async with running.get() as response:
        assert (response.status, await response.read()) == (200, b"")


async def test_the_loop_turns_between_blocks_however_fast_the_client_reads(
    serve: Serve, exposition: type[Exposition]
) -> None:
    turns: list[int] = []

    def blocks() -> Iterator[bytes]:
        asyncio.get_running_loop().call_soon(turns.append, 1)
        yield b"x\n"
        assert turns
        yield b"y\n"

    running = await serve(exposition(blocks))
    async with running.get() as response:
        assert await response.read() == b"x\ny\n"


async def test_an_error_before_the_first_block_is_a_500_without_its_text(
    serve: Serve, exposition: type[Exposition]
) -> None:
    def blocks() -> Iterator[bytes]:
        raise ValueError("s3cret")
        yield b""

    running = await serve(exposition(blocks))
    async with running.get() as response:
        assert response.status == 500
        assert "s3cret" not in await response.text()
    assert running.vitals.rejected["failed"] == 1
    assert running.vitals.scraped_at == 0
    assert running.exposition.taken == []


@pytest.mark.parametrize("protocol", [b"HTTP/1.1", b"HTTP/1.0"])
@pytest.mark.parametrize("encoding", [b"identity", b"gzip"])
async def test_an_error_in_midstream_cuts_the_answer_so_that_it_cannot_pass_for_complete(
    serve: Serve, exposition: type[Exposition], protocol: bytes, encoding: bytes
) -> None:
    def blocks() -> Iterator[bytes]:
        yield b"a 1\n" * 70_000
        raise ValueError

    running = await serve(exposition(blocks))
    reader, writer = await running.connect(
        REQUEST.replace(b"HTTP/1.1", protocol).replace(b"Host: x", b"Host: x\r\nAccept-Encoding: " + encoding)
    )
    with pytest.raises(ConnectionResetError):
        await reader.read(-1)
    writer.close()
    assert running.vitals.rejected["failed"] == 1
    assert running.vitals.scraped_at == 0
    assert running.exposition.taken == []


async def test_a_client_that_does_not_read_is_cut_after_the_time_for_a_block(
    serve: Serve, exposition: type[Exposition], until: Callable[[Callable[[], bool]], Awaitable[None]]
) -> None:
    running = await serve(exposition(lambda: [b"a 1\n" * 65_536] * 1000), Limits(block=0.05))
    _, writer = await running.connect(REQUEST)
    await until(lambda: running.vitals.rejected["slow"] == 1)
    writer.close()
    assert running.vitals.scraped_at == 0
    assert running.exposition.taken == []


async def test_a_client_that_reads_drop_by_drop_is_cut_after_the_time_for_a_scrape(
    serve: Serve, exposition: type[Exposition]
) -> None:
    running = await serve(exposition(lambda: [b"a 1\n" * 65_536] * 1000), Limits(block=30, whole=0.5))
    reader, writer = await running.connect(REQUEST)

    async def drip() -> None:
        while await reader.read(2**15):  # noqa: ASYNC110 - slowness is what is tested
            await asyncio.sleep(0.005)

    begun = time.monotonic()
    with pytest.raises(ConnectionResetError):
        await drip()
    writer.close()
    assert 0.4 < time.monotonic() - begun < 3
    assert running.vitals.rejected["slow"] == 1


async def test_a_slow_client_costs_no_more_than_a_block_and_the_socket_buffers(
    serve: Serve, exposition: type[Exposition], until: Callable[[Callable[[], bool]], Awaitable[None]]
) -> None:
    made = 0

    def blocks() -> Iterator[bytes]:
        nonlocal made
        for _ in range(1000):
            made += 1
            yield b"a 1\n" * 65_536

    running = await serve(exposition(blocks), Limits(block=0.2))
    _, writer = await running.connect(REQUEST)
    await until(lambda: running.vitals.rejected["slow"] == 1)
    writer.close()
    assert made < 100


async def test_a_client_that_leaves_frees_its_turn(
    serve: Serve, exposition: type[Exposition], until: Callable[[Callable[[], bool]], Awaitable[None]]
) -> None:
    endless = exposition(lambda: [b"a 1\n" * 65_536] * 1000)
    running = await serve(endless, Limits(scrapes=1))
    _, writer = await running.connect(REQUEST)
    await until(lambda: bool(running.exposition.asked))
    writer.transport.abort()
    await until(lambda: running.vitals.rejected["disconnected"] == 1)
    endless.blocks = lambda: [b"b 1\n"]
    async with running.get() as response:
        assert await response.read() == b"b 1\n"


async def test_a_scrape_beyond_the_limit_waits_for_its_turn(
    serve: Serve, exposition: type[Exposition], until: Callable[[Callable[[], bool]], Awaitable[None]]
) -> None:
    running = await serve(exposition(lambda: [b"a 1\n" * 65_536] * 100), Limits(scrapes=1))
    reader, writer = await running.connect(REQUEST)
    await until(lambda: bool(running.exposition.asked))
    second = asyncio.ensure_future(_status(running.get()))
    await asyncio.sleep(0.05)
    assert len(running.exposition.asked) == 1
    while b"\r\n0\r\n\r\n" not in await reader.read(2**20):
        pass
    assert await second == 200
    writer.close()
    assert running.vitals.rejected["busy"] == 0


async def test_a_client_that_leaves_before_its_turn_costs_no_rendering(
    serve: Serve, exposition: type[Exposition], until: Callable[[Callable[[], bool]], Awaitable[None]]
) -> None:
    running = await serve(exposition(lambda: [b"a 1\n" * 65_536] * 100), Limits(scrapes=1))
    reader, writer = await running.connect(REQUEST)
    await until(lambda: bool(running.exposition.asked))
    _, impatient = await running.connect(REQUEST)
    await asyncio.sleep(0.05)
    impatient.close()
    await until(lambda: running.vitals.rejected["disconnected"] == 1)
    while b"\r\n0\r\n\r\n" not in await reader.read(2**20):
        pass
    await asyncio.sleep(0.05)
    writer.close()
    assert len(running.exposition.asked) == 1


async def test_a_scrape_whose_turn_does_not_come_is_told_503(
    serve: Serve, exposition: type[Exposition], until: Callable[[Callable[[], bool]], Awaitable[None]]
) -> None:
    running = await serve(exposition(lambda: [b"a 1\n" * 65_536] * 1000), Limits(scrapes=1, turn=0.05))
    _, writer = await running.connect(REQUEST)
    await until(lambda: bool(running.exposition.asked))
    async with running.get() as response:
        assert response.status == 503
    writer.transport.abort()
    assert running.vitals.rejected["busy"] == 1


async def _status(answer: object) -> int:
    async with answer as response:  # type: ignore[attr-defined]
        await response.read()
        return int(response.status)
