from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.errors import ApiError, StreamError
from exporter.kube.access import Access
from exporter.kube.connection import Connection
from exporter.kube.decoding import Decoder
from exporter.kube.faults import ProtocolError, SilenceError, WatchListRefusedError
from exporter.kube.limits import Limits
from exporter.kube.resources import PODS
from exporter.kube.watch import Watch, WatchEvent
from exporter.objects import Added, Bookmark
from exporter.vitals import WatchVitals
from tests.kube.conftest import QUICK, write_kubeconfig
from tests.kube.scripted import (
    DATE_UNIX,
    Request,
    Step,
    added,
    bookmark,
    end_mark,
    error,
    modified,
    refused,
    serving,
    stream,
)


class Followed:
    """One watch that was followed to its end."""

    def __init__(self) -> None:
        self.events: list[WatchEvent] = []
        self.error: Exception | None = None
        self.version = ""
        self.at: float | None = None
        self.contacts = 0
        self.request = Request("", "", {}, {})


async def followed(directory: Path, step: Step, version: str = "5", limits: Limits = QUICK) -> Followed:
    found = Followed()

    def contact() -> None:
        found.contacts += 1

    async with serving(step) as server:
        kubeconfig = write_kubeconfig(directory / "config", server.url, "t")
        connection = Connection(lambda: Access(kubeconfig))
        decoder = Decoder(PODS, WatchVitals("pods"))
        watch = Watch(connection, PODS, "", version, decoder, limits, contact)
        try:
            async with aclosing(watch.events()) as events:
                found.events.extend([event async for event in events])
        except Exception as raised:  # noqa: BLE001 - the test looks at it
            found.error = raised
        await connection.close()
    found.version, found.at, found.request = watch.version, watch.at, server.requests[0]
    return found


async def test_it_asks_to_go_on_from_its_version_with_bookmarks(tmp_path: Path) -> None:
    found = await followed(tmp_path, stream())
    query = {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": "0", "resourceVersion": "5"}
    assert found.request.query == query
    assert found.request.path == "/api/v1/pods"
    assert found.request.headers["Authorization"] == "Bearer t"


async def test_it_asks_for_no_compression_which_would_hold_lines_back(tmp_path: Path) -> None:
    found = await followed(tmp_path, stream())
    assert found.request.headers["Accept-Encoding"] == "identity"


async def test_lines_come_out_as_events_in_their_order(tmp_path: Path) -> None:
    found = await followed(tmp_path, stream(added("a", 6) + bookmark(7), added("b", 8)))
    assert [type(event) for event in found.events] == [Added, Bookmark, Added]
    assert found.error is None


@pytest.mark.parametrize(
    ("lines", "version"),
    [
        (b"", "5"),
        (added("a", 6), "6"),
        (added("a", 6) + bookmark(70), "70"),
        (added("a", 6) + error(500), "6"),
        (added("a", 6) + b"nonsense\n", "6"),
        (added("a", 6) + modified("b", 7)[:-9], "6"),
    ],
)
async def test_its_version_is_that_of_the_last_line_that_was_read(tmp_path: Path, lines: bytes, version: str) -> None:
    assert (await followed(tmp_path, stream(lines))).version == version


async def test_the_servers_time_is_noted(tmp_path: Path) -> None:
    assert (await followed(tmp_path, stream())).at == DATE_UNIX
    assert (await followed(tmp_path, stream(Date=""))).at is None


async def test_an_answer_each_chunk_and_a_clean_end_are_contacts(tmp_path: Path) -> None:
    assert (await followed(tmp_path, stream(added("a"), 0.01, added("b")))).contacts == 4
    assert (await followed(tmp_path, stream(end="cut"))).contacts == 1
    assert (await followed(tmp_path, refused(500))).contacts == 0


async def test_lines_that_follow_each_other_are_read_together(tmp_path: Path) -> None:
    step = stream(added("a"), 0.01, added("b"), 0.01, added("c"))
    found = await followed(tmp_path, step, limits=replace(QUICK, gather=1.0))
    assert len(found.events) == 3
    assert found.contacts == 4  # the answer, a, b with c, the end


@pytest.mark.parametrize(("version", "first"), [("5", added("much", more="x" * 2**18)), ("", added("a"))])
async def test_who_is_behind_or_takes_the_first_list_reads_on_at_once(
    tmp_path: Path, version: str, first: bytes
) -> None:
    step = stream(first, 0.01, end_mark(5) + error(500))
    async with asyncio.timeout(30):
        found = await followed(tmp_path, step, version, replace(QUICK, gather=100.0))
    assert isinstance(found.error, ApiError)


@pytest.mark.parametrize(
    ("step", "kind", "text"),
    [
        (refused(403, "pods is forbidden"), ApiError, "GET /api/v1/pods: 403 pods is forbidden"),
        (stream(error(410, "too old")), ApiError, "watch /api/v1/pods: 410 too old"),
        (stream(end="hang"), SilenceError, "watch /api/v1/pods: nothing came within the limit"),
        (stream(end="cut"), StreamError, "watch /api/v1/pods: ClientPayloadError"),
        (stream(b'{"type":"BOOKMARK","object":{}}\n'), ProtocolError, "a BOOKMARK line of the watch cannot be read"),
    ],
)
async def test_an_error_says_what_was_tried_and_what_happened(
    tmp_path: Path, step: Step, kind: type[Exception], text: str
) -> None:
    found = await followed(tmp_path, step)
    assert isinstance(found.error, kind)
    assert str(found.error).startswith(text)


async def test_transport_errors_keep_their_cause(tmp_path: Path) -> None:
    found = await followed(tmp_path, stream(end="cut"))
    assert found.error is not None
    assert type(found.error.__cause__).__name__ == "ClientPayloadError"


@pytest.mark.parametrize("code", [400, 422])
async def test_a_status_that_refuses_a_watch_list_is_an_ordinary_error_of_a_watch(tmp_path: Path, code: int) -> None:
    assert isinstance((await followed(tmp_path, refused(code))).error, ApiError)
    assert isinstance((await followed(tmp_path, refused(code), version="")).error, WatchListRefusedError)


async def test_a_watch_list_is_one_until_its_end_mark(tmp_path: Path) -> None:
    found = await followed(tmp_path, stream(added("a", 3), end_mark(5), error(400)), version="")
    assert isinstance(found.error, ApiError)
    assert found.version == "5"


def test_the_limits_are_those_of_the_design() -> None:
    limits = Limits()
    assert (limits.silence, limits.initial, limits.timeout) == (150.0, 30.0, (300, 600))
    assert (limits.forbidden, limits.watch_list_again) == (600.0, 3600.0)
