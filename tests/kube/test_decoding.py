from __future__ import annotations

import msgspec
import pytest
from structlog.typing import EventDict

from exporter.kube.decoding import Decoder, Poison, rest_of_line
from exporter.kube.faults import ProtocolError
from exporter.kube.resources import JOBS, PODS
from exporter.objects import Added, Bookmark, Error, Job, Pod, Removed
from exporter.vitals import WatchVitals
from tests.kube.scripted import added, bookmark, deleted, error, line, pod

NUMBERLESS = pod("bad", 8, status={"containerStatuses": [{"name": "secret-name", "restartCount": "three"}]})


@pytest.fixture
def vitals() -> WatchVitals:
    return WatchVitals("pods")


@pytest.fixture
def decoder(vitals: WatchVitals) -> Decoder:
    return Decoder(PODS, vitals)


def test_each_type_of_line_becomes_its_struct(decoder: Decoder) -> None:
    lines = [added("a"), deleted("a"), bookmark(7), error(410)]
    assert [type(decoder.line(text)) for text in lines] == [Added, Removed, Bookmark, Error]


def test_objects_are_of_the_resources_kind(decoder: Decoder) -> None:
    ours = decoder.line(added("a"))
    theirs = Decoder(JOBS, WatchVitals("jobs")).line(added("a"))
    assert isinstance(ours, Added)
    assert isinstance(ours.object, Pod)
    assert isinstance(theirs, Added)
    assert isinstance(theirs.object, Job)


def test_a_bookmark_with_null_containers_is_read(decoder: Decoder) -> None:
    read = decoder.line(bookmark(7))
    assert isinstance(read, Bookmark)
    assert read.object.metadata.resource_version == "7"


@pytest.mark.parametrize(
    "broken", [line("BOOKMARK", {}), line("ERROR", {"code": "x"}), b'{"type":"ERROR","obj', b'{"type":"BOOKMARK"\xff']
)
def test_a_servers_own_line_that_is_broken_is_a_protocol_error(
    decoder: Decoder, vitals: WatchVitals, broken: bytes
) -> None:
    with pytest.raises(ProtocolError):
        decoder.line(broken)
    assert vitals.decode_errors == 0


@pytest.mark.parametrize(
    ("broken", "rest"),
    [
        (line("MODIFIED", NUMBERLESS), Poison("MODIFIED", "uid-bad", "8")),
        (
            line("MODIFIED", pod("a", 8, spec={"nodeName": "?"})).replace(b"?", b"\xff"),
            Poison("MODIFIED", "uid-a", "8"),
        ),
        (line("NEW", pod("a", 8)), Poison("NEW", "uid-a", "8")),
        (line("ADDED", {"metadata": None}), Poison("ADDED")),
        (b'{"type":"ADDED","object":null}', Poison("ADDED")),
        (b'{"type":"ADDED","object":{"x":' + b"[" * 10**5 + b"]" * 10**5 + b"}}", Poison()),
        (b"[1]", Poison()),
        (b"not json", Poison()),
        (b'{"cut":', Poison()),
    ],
)
def test_of_a_broken_line_what_can_be_read_is_kept(
    decoder: Decoder, vitals: WatchVitals, broken: bytes, rest: Poison
) -> None:
    assert decoder.line(broken) == rest
    assert vitals.decode_errors == 1


def test_of_a_broken_item_what_can_be_read_is_kept(decoder: Decoder, vitals: WatchVitals) -> None:
    assert decoder.item(msgspec.Raw(msgspec.json.encode(NUMBERLESS))) == Poison("", "uid-bad", "8")
    assert decoder.item(msgspec.Raw(b"7")) == Poison()
    assert vitals.decode_errors == 2


def test_failures_are_said_once_a_minute_with_their_place_and_never_their_content(
    vitals: WatchVitals, logged: list[EventDict]
) -> None:
    now = 0.0
    decoder = Decoder(PODS, vitals, lambda: now)
    for now in (0.0, 30.0, 59.0, 61.0):  # noqa: B007 - the clock reads it
        decoder.line(line("MODIFIED", NUMBERLESS))
    assert [entry["so_far"] for entry in logged] == [1, 4]
    assert logged[0]["where"] == "`$.object.status.containerStatuses[0].restartCount`"
    assert "secret-name" not in str(logged)
    assert "three" not in str(logged)


def test_an_error_without_a_place_says_its_kind_only(decoder: Decoder, logged: list[EventDict]) -> None:
    decoder.line(b"not json - at secret")
    assert (logged[0]["error"], logged[0]["where"]) == ("DecodeError", "")


def test_the_version_of_a_line_stands_in_its_own_metadata() -> None:
    inner = {"metadata": {"resourceVersion": "1"}}
    text = line(
        "ADDED", {"spec": inner, "metadata": {"managedFields": [inner], "resourceVersion": "9"}, "status": inner}
    )
    assert rest_of_line(text).version == "9"
