from __future__ import annotations

import time

import pytest

from exporter.errors import StreamError
from exporter.kube.faults import ProtocolError
from exporter.kube.lines import LONGEST, LineSplitter

TEXT = b"first\nsecond \xc2\x85 with NEL\nthird \xe2\x80\xa8 with LS\rand CR\x0b\x0c\x1c\nlast\n"
LINES = TEXT.split(b"\n")[:-1]


def split(*chunks: bytes) -> list[bytes]:
    splitter = LineSplitter()
    return [line for chunk in chunks for line in splitter.feed(chunk)]


@pytest.mark.parametrize("cut", range(len(TEXT) + 1))
def test_lines_do_not_depend_on_where_a_chunk_ends(cut: int) -> None:
    assert split(TEXT[:cut], TEXT[cut:]) == LINES


def test_chunks_may_be_single_bytes() -> None:
    assert split(*(TEXT[at : at + 1] for at in range(len(TEXT)))) == LINES


def test_only_newlines_end_a_line() -> None:
    assert len(LINES) == 4
    assert split(TEXT) == LINES


def test_empty_lines_are_dropped() -> None:
    assert split(b"\n\na\n\n", b"\nb\n") == [b"a", b"b"]


def test_a_line_without_its_end_is_kept_back() -> None:
    splitter = LineSplitter()
    assert splitter.feed(b"a\nhal") == [b"a"]
    assert splitter.feed(b"f\n") == [b"half"]


def test_an_end_within_a_line_is_a_stream_error() -> None:
    splitter = LineSplitter()
    splitter.feed(b"a\nhalf")
    with pytest.raises(StreamError, match="middle of a line, after 4 bytes"):
        splitter.end()


def test_an_end_after_a_line_is_clean() -> None:
    splitter = LineSplitter()
    splitter.feed(b"a\n")
    splitter.end()


def test_a_line_beyond_the_limit_is_a_protocol_error_that_does_not_quote_it() -> None:
    splitter = LineSplitter(longest=10)
    assert splitter.feed(b"0123456789\n") == [b"0123456789"]
    splitter.feed(b"secret")
    with pytest.raises(ProtocolError) as caught:
        splitter.feed(b"secret")
    assert "secret" not in str(caught.value)


def test_a_limit_of_64_mib_holds_and_the_time_grows_with_the_size_only() -> None:
    assert LONGEST == 64 * 2**20
    chunk, splitter = b"x" * 2**16, LineSplitter()
    began = time.perf_counter()
    for _ in range(33 * 16):
        assert splitter.feed(chunk) == []
    (line,) = splitter.feed(b"\n")
    assert len(line) == 33 * 2**20
    assert time.perf_counter() - began < 2


def test_a_chunk_of_a_hundred_thousand_lines_is_split_in_linear_time() -> None:
    began = time.perf_counter()
    assert len(split(b"line\n" * 100_000)) == 100_000
    assert time.perf_counter() - began < 1
