from __future__ import annotations

import asyncio
import resource
import socket
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest

from exporter import __version__
from exporter.errors import ExporterError
from exporter.settings import Web
from exporter.vitals import LoopVitals, WatchVitals, WebVitals
from exporter.web import server as server_module
from exporter.web.server import Server, most_connections

if TYPE_CHECKING:
    from tests.web.conftest import Exposition, Serve

REQUEST = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"


async def test_livez_is_200_while_the_loop_turns(serve: Serve) -> None:
    running = await serve()
    running.loop.turned_at = time.monotonic() - 29
    async with running.get("/livez") as response:
        assert (response.status, await response.text()) == (200, "ok\n")
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"


async def test_livez_is_503_when_the_loop_has_not_turned_for_30_seconds(serve: Serve) -> None:
    running = await serve()
    running.loop.turned_at = time.monotonic() - 31
    async with running.get("/livez") as response:
        assert response.status == 503


async def test_livez_does_not_depend_on_the_cluster(serve: Serve, exposition: type[Exposition]) -> None:
    running = await serve(exposition(reason="pods are not synced"))
    async with running.get("/livez") as response:
        assert response.status == 200


async def test_readyz_gives_the_reason_until_ready(serve: Serve, exposition: type[Exposition]) -> None:
    waiting = exposition(reason="pods are not synced")
    running = await serve(waiting)
    async with running.get("/readyz") as response:
        assert (response.status, await response.text()) == (503, "pods are not synced\n")
    waiting.reason = ""
    async with running.get("/readyz") as response:
        assert (response.status, await response.text()) == (200, "ok\n")


@pytest.mark.parametrize("path", ["/", "/metrics", "/livez", "/readyz", "/nowhere"])
async def test_every_answer_carries_the_security_headers(serve: Serve, path: str) -> None:
    running = await serve()
    async with running.get(path) as response:
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["X-Frame-Options"] == "DENY"
        assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert response.headers["Server"] == "pod-exporter"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_other_methods_than_get_and_head_are_405(serve: Serve, method: str) -> None:
    running = await serve()
    async with running.session.request(method, running.url + "/metrics", data=b"x" * 2**20) as response:
        assert response.status == 405
        assert response.headers["Allow"] == "GET,HEAD"


async def test_other_paths_are_404(serve: Serve) -> None:
    running = await serve()
    async with running.get("/metrics/../etc/passwd") as response:
        assert response.status == 404


async def test_the_page_names_the_version_the_paths_and_the_watches(serve: Serve) -> None:
    watches = [
        WatchVitals("pods", last_contact={"": time.time() - 3}),
        WatchVitals("<replicasets>", unsynced={""}),
        WatchVitals("jobs", enabled=False),
    ]
    running = await serve(watches=watches)
    async with running.get("/") as response:
        page = await response.text()
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert f"pod-exporter {__version__}" in page
    assert all(f'href="{path}"' in page for path in ("/metrics", "/livez", "/readyz"))
    assert "<td>pods</td><td>synced</td><td>3 s ago</td>" in page
    assert "<td>&lt;replicasets&gt;</td><td>waiting for a complete list</td><td>none yet</td>" in page
    assert "<td>jobs</td><td>off: the API server does not permit it</td>" in page


async def test_the_page_escapes_the_reason_for_not_being_ready(serve: Serve, exposition: type[Exposition]) -> None:
    running = await serve(exposition(reason="<script>"))
    async with running.get("/") as response:
        assert "<script>" not in await response.text()


async def test_nobody_waits_for_the_body_of_a_refused_request(serve: Serve) -> None:
    running = await serve()
    reader, writer = await running.connect(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\nx")
    async with asyncio.timeout(3):
        assert (await reader.read()).startswith(b"HTTP/1.1 405")
    writer.close()


async def test_a_header_beyond_8_kib_is_refused(serve: Serve) -> None:
    running = await serve()
    reader, writer = await running.connect(REQUEST.replace(b"Host: x", b"Host: x\r\nA: " + b"x" * 9000))
    assert (await reader.readline()).startswith(b"HTTP/1.0 400")
    writer.close()


async def test_a_client_that_sends_nothing_after_its_request_is_dropped(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "IDLE_SECONDS", 0.05)
    running = await serve()
    reader, writer = await running.connect(REQUEST.replace(b"metrics", b"livez"))
    async with asyncio.timeout(5):
        assert (await reader.read()).endswith(b"ok\n")
    writer.close()


@pytest.mark.parametrize(("descriptors", "most"), [(-1, 128), (1024, 128), (100, 52), (60, 12), (10, 4)])
def test_clients_leave_file_descriptors_for_what_matters_more(
    monkeypatch: pytest.MonkeyPatch, descriptors: int, most: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (descriptors, -1))
    assert most_connections(48) == most


async def test_a_taken_port_is_said_in_one_line_that_names_the_flag(exposition: type[Exposition]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        server = Server(Web(listen_address=address), exposition(), WebVitals(), LoopVitals())
        with pytest.raises(ExporterError) as caught:
            await server.start()
    assert (
        str(caught.value) == f"cannot listen on {address}: Address already in use; choose another --web.listen-address"
    )
    await server.stop()


async def test_an_address_without_host_serves_on_all_of_them(exposition: type[Exposition]) -> None:
    server = Server(Web(listen_address=":0"), exposition(), WebVitals(), LoopVitals())
    await server.start()
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.close()
    await server.stop()


async def test_stop_lets_a_running_scrape_finish_and_takes_no_other(
    serve: Serve, exposition: type[Exposition], until: Callable[[Callable[[], bool]], Awaitable[None]]
) -> None:
    running = await serve(exposition(lambda: [b"a 1\n" * 65_536] * 100))
    port = running.server.port
    reader, writer = await running.connect(REQUEST)
    await until(lambda: bool(running.exposition.asked))
    stopping = asyncio.ensure_future(running.server.stop())
    await asyncio.sleep(0.05)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    await asyncio.sleep(0.5)
    body = await reader.read(-1)
    assert body.endswith(b"\r\n0\r\n\r\n")
    await stopping
    writer.close()
    assert running.vitals.scraped_at > 0


async def test_stop_cuts_a_scrape_that_does_not_finish_in_time(
    serve: Serve,
    exposition: type[Exposition],
    until: Callable[[Callable[[], bool]], Awaitable[None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server_module, "DRAIN_SECONDS", 0.1)
    running = await serve(exposition(lambda: [b"a 1\n" * 65_536] * 1000))
    _, writer = await running.connect(REQUEST)
    await until(lambda: bool(running.exposition.asked))
    begun = time.monotonic()
    await running.server.stop()
    assert 0.1 <= time.monotonic() - begun < 1
    writer.close()


async def test_stop_does_not_wait_for_idle_connections(serve: Serve) -> None:
    running = await serve()
    reader, writer = await running.connect(REQUEST.replace(b"metrics", b"livez"))
    await reader.readuntil(b"ok\n")
    begun = time.monotonic()
    await running.server.stop()
    assert time.monotonic() - begun < 0.5
    assert await reader.read() == b""
    writer.close()


async def test_stop_takes_no_more_requests_from_open_connections_either(
    serve: Serve, exposition: type[Exposition], until: Callable[[Callable[[], bool]], Awaitable[None]]
) -> None:
    running = await serve(exposition(lambda: [b"a 1\n" * 65_536] * 1000))
    idle, first = await running.connect(REQUEST.replace(b"metrics", b"livez"))
    await idle.readuntil(b"ok\n")
    _, second = await running.connect(REQUEST)
    await until(lambda: bool(running.exposition.asked))
    stopping = asyncio.ensure_future(running.server.stop())
    await asyncio.sleep(0.05)
    first.write(REQUEST)
    await asyncio.sleep(0.1)
    second.transport.abort()
    await stopping
    assert await idle.read() == b""
    assert len(running.exposition.asked) == 1
    first.close()


async def test_while_shutting_down_the_server_is_not_ready(serve: Serve) -> None:
    running = await serve()
    await running.server.stop()
    assert running.server._health.unready() == "shutting down"


async def test_stop_may_come_twice_or_without_a_start(serve: Serve, exposition: type[Exposition]) -> None:
    running = await serve()
    await running.server.stop()
    await running.server.stop()
    await Server(Web(), exposition(), WebVitals(), LoopVitals()).stop()
