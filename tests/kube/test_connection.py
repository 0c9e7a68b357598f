from __future__ import annotations

import asyncio
import gzip
import json
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from exporter.errors import AccessError, ApiError, StreamError
from exporter.kube.access import Access
from exporter.kube.connection import Connection
from exporter.kube.faults import SilenceError
from tests.kube.certificates import Pair, authority
from tests.kube.conftest import QUICK, Follow, write_kubeconfig
from tests.kube.scripted import Server, Step, answer, dropped, end_mark, refused, serving, silent, stream


@pytest.fixture
async def connect(tmp_path: Path) -> AsyncIterator[Callable[[Server], Connection]]:
    """Make connections whose nth credentials are the token `t<n>`."""
    made: list[Connection] = []

    def connection(server: Server) -> Connection:
        loads = 0

        def load() -> Access:
            nonlocal loads
            loads += 1
            return Access(write_kubeconfig(tmp_path / "config", server.url, f"t{loads}"))

        made.append(Connection(load))
        return made[-1]

    yield connection
    for one in made:
        await one.close()


Connect = Callable[[Server], Connection]


def tokens(server: Server) -> list[str]:
    return [request.headers["Authorization"].removeprefix("Bearer ") for request in server.requests]


async def get(connection: Connection) -> bytes:
    async with await connection.get("/x", {"a": "b c"}, {"Accept": "application/json"}) as response:
        return await response.read()


async def test_a_get_carries_path_query_headers_and_credentials(connect: Connect) -> None:
    async with serving(answer(b"body")) as server:
        assert await get(connect(server)) == b"body"
    (request,) = server.requests
    assert (request.path, request.query, request.headers["Accept"]) == ("/x", {"a": "b c"}, "application/json")
    assert tokens(server) == ["t1"]


async def test_credentials_are_loaded_once(connect: Connect) -> None:
    async with serving(answer(), answer()) as server:
        connection = connect(server)
        await connection.open()
        await asyncio.gather(get(connection), get(connection))
    assert tokens(server) == ["t1", "t1"]


async def test_a_401_makes_the_next_request_load_new_ones(connect: Connect) -> None:
    async with serving(refused(401), answer()) as server:
        connection = connect(server)
        with pytest.raises(ApiError) as caught:
            await get(connection)
        assert caught.value.status == 401
        await get(connection)
    assert tokens(server) == ["t1", "t2"]


async def test_several_401_at_once_load_new_ones_once(connect: Connect) -> None:
    async with serving(*[refused(401)] * 3, answer()) as server:
        connection = connect(server)
        await asyncio.gather(*(get(connection) for _ in range(3)), return_exceptions=True)
        await get(connection)
    assert tokens(server) == ["t1", "t1", "t1", "t2"]


async def test_a_late_401_of_the_old_credentials_does_not_cost_the_new_ones(connect: Connect) -> None:
    arrived = asyncio.Event()

    async def late(writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await asyncio.sleep(0.1)
        await refused(401)(writer)

    async with serving(late, refused(401), answer(), answer()) as server:
        connection = connect(server)
        slow = asyncio.create_task(get(connection))
        await arrived.wait()
        with pytest.raises(ApiError):
            await get(connection)
        await get(connection)
        with pytest.raises(ApiError):
            await slow
        await get(connection)
    assert tokens(server) == ["t1", "t1", "t2", "t2"]


@pytest.mark.parametrize("step", [refused(403), refused(500), dropped()], ids=["403", "500", "dropped"])
async def test_other_failures_keep_the_credentials(connect: Connect, step: Step) -> None:
    async with serving(step, answer()) as server:
        connection = connect(server)
        with pytest.raises((ApiError, StreamError)):
            await get(connection)
        await get(connection)
    assert set(tokens(server)) == {"t1"}


async def test_a_tls_error_makes_the_next_request_load_a_new_ca(tmp_path: Path) -> None:
    ours, theirs = (tmp_path / "ours", tmp_path / "theirs")
    for directory in (ours, theirs):
        directory.mkdir()
    ca, stranger = authority(ours), authority(theirs)
    authorities = [stranger.certificate, ca.certificate]
    async with serving(answer(), tls=ca.server(ca.sign("server"))) as server:
        connection = Connection(lambda: with_ca(tmp_path, server.url, authorities.pop(0)))
        with pytest.raises(StreamError, match="certificate verify failed"):
            await get(connection)
        await get(connection)
        await connection.close()
    assert authorities == []


async def test_a_refused_client_certificate_makes_the_next_request_load_a_new_one(tmp_path: Path) -> None:
    ours, theirs = (tmp_path / "ours", tmp_path / "theirs")
    for directory in (ours, theirs):
        directory.mkdir()
    ca, stranger = authority(ours), authority(theirs)
    pairs = [stranger.sign("client"), ca.sign("client")]
    async with serving(answer(), tls=ca.server(ca.sign("server"), mutual=True)) as server:
        connection = Connection(lambda: with_ca(tmp_path, server.url, ca.certificate, pairs.pop(0)))
        with pytest.raises(StreamError):
            await get(connection)
        await get(connection)
        await connection.close()
    assert server.requests[-1].certificate == "client"


def with_ca(directory: Path, url: str, certificate: Path, pair: Pair | None = None) -> Access:
    """Load a kubeconfig with this CA and a token or, if given, a client certificate."""
    user = {"client-certificate": str(pair.certificate), "client-key": str(pair.key)} if pair else {"token": "t"}
    content = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": url, "certificate-authority": str(certificate)}}],
        "users": [{"name": "u", "user": user}],
    }
    path = directory / "config"
    path.write_text(json.dumps(content))
    return Access(str(path))


async def test_credentials_that_cannot_be_loaded_are_tried_again(connect: Connect) -> None:
    async with serving(answer()) as server:
        good = connect(server)
        results: list[Callable[[], Access]] = [_no_access, good._load]
        connection = Connection(lambda: results.pop(0)())  # noqa: PLW0108 - the first result is not known yet
        with pytest.raises(AccessError):
            await get(connection)
        await get(connection)
        await connection.close()


def _no_access() -> Access:
    raise AccessError("gone")


async def test_a_redirect_is_not_followed(connect: Connect) -> None:
    async with serving(answer(status=307, Location="/elsewhere"), answer()) as server:
        with pytest.raises(ApiError) as caught:
            await get(connect(server))
    assert caught.value.status == 307
    assert len(server.requests) == 1


async def test_an_answer_that_does_not_come_is_silence(connect: Connect) -> None:
    async with serving(silent()) as server:
        with pytest.raises(SilenceError):
            await connect(server).get("/x", {}, {}, answer=0.05)


async def test_a_body_that_stalls_is_silence_if_a_limit_was_given(connect: Connect) -> None:
    async with serving(stream(b"begin", end="hang")) as server:
        response = await connect(server).get("/x", {}, {}, read=0.05)
        with pytest.raises(TimeoutError):
            await response.read()


async def test_an_error_page_that_never_ends_is_not_waited_for(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.kube.answers._BODY_SECONDS", 0.05)
    async with serving(answer(b"", 500, Content_Length="100")) as server:
        with pytest.raises(ApiError, match="500"):
            await get(connect(server))


async def test_an_endless_error_page_is_read_to_64_kib_at_most(connect: Connect) -> None:
    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 500 Scripted\r\nContent-Length: 999999999999\r\n\r\n")
        while True:
            writer.write(b"x" * 4096)
            await writer.drain()
            await asyncio.sleep(0)

    async with serving(endless) as server, asyncio.timeout(2):
        with pytest.raises(ApiError, match="GET /x: 500 Scripted"):
            await get(connect(server))


async def test_a_compressed_answer_is_unpacked(connect: Connect) -> None:
    async with serving(answer(gzip.compress(b"list"), Content_Encoding="gzip")) as server:
        assert await get(connect(server)) == b"list"
    assert "gzip" in server.requests[0].headers["Accept-Encoding"]


async def test_sockets_keep_themselves_alive(connect: Connect) -> None:
    async with serving(stream(end="hang")) as server:
        response = await connect(server).get("/x", {}, {})
        assert response.connection is not None
        assert response.connection.transport is not None
        used = response.connection.transport.get_extra_info("socket")
        assert used.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert used.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
        response.close()


async def test_a_closed_connection_can_be_used_again(connect: Connect) -> None:
    async with serving(answer(), answer()) as server:
        connection = connect(server)
        await get(connection)
        await connection.close()
        await get(connection)
    assert len(server.requests) == 2


async def test_a_reflector_with_a_refused_token_goes_on_with_the_next(follow: Follow, tmp_path: Path) -> None:
    def rotate(_: float) -> None:
        path = tmp_path / "config"
        path.write_text(path.read_text().replace("first", "second"))

    story = await follow(stream(end_mark(5)), refused(401), limits=QUICK, on_pause=rotate)
    assert tokens(story.server) == ["first", "first", "second"]
    assert story.asked == ["stream", "watch@5", "watch@5"]
    assert story.vitals.restarts["unauthorized"] == 1
