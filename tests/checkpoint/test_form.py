"""The form of the checkpoint, and everything that may be wrong with it."""

from __future__ import annotations

from contextlib import suppress
from hashlib import blake2b
from math import inf
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter import __version__
from exporter.checkpoint import form
from exporter.checkpoint.form import NAME, CheckpointError, Head, Scribe, read
from exporter.core import Core
from exporter.lifecycle.observations import PodRef, Workload
from exporter.lifecycle.records import Container, Record
from exporter.lifecycle.saved import Known, Records
from exporter.metrics.saved import Accounts, Part, SavedAccount, SavedSeries

KNOWN = Known(
    {"": 5.0}, ("",), ((Workload("shop", "Deployment", "web"), ("a", "b")),), {"n1": 7.0}, ("n1",), ("app",), False
)
RECORD = Record(
    "u1",
    PodRef("shop", "web-1", "u1", Workload("shop", "Deployment", "web")),
    1.0,
    2.0,
    "Running",
    3.0,
    containers=(Container("main", "container", 2),),
    labels=("a", None),
)
ACCOUNT = SavedAccount("workload", ("shop", "Deployment", "web"), ((("shop", "Deployment", "web"), inf),), {
    "pod_container_restarts_total": (SavedSeries(("main", "container", "Error"), 2.0),),
    "pod_startup_duration_seconds": (SavedSeries((), 30.0, (0, 1, 0)),),
})  # fmt: skip
PARTS: tuple[Part, ...] = (KNOWN, Records((RECORD, RECORD)), Accounts((ACCOUNT,)))


def written(*parts: Part, cluster: str = "here", made: float = 100.0) -> bytes:
    scribe = Scribe()
    pieces = [scribe.begin(cluster, made), *(scribe.packed(scribe.frame(part)) for part in parts), scribe.end()]
    assert scribe.size == sum(map(len, pieces))
    return b"".join(pieces)


def sealed(body: bytes) -> bytes:
    """With a digest that fits, whatever it is of."""
    return body + blake2b(body, digest_size=16).digest()


def refused(content: bytes, oldest: float = -inf) -> str:
    """Why it is refused, as the metric has it."""
    with pytest.raises(CheckpointError) as caught:
        whole(content, oldest)
    return caught.value.why


def whole(content: bytes, oldest: float = -inf) -> tuple[Head, list[Part]]:
    head, parts = read(content, "here", oldest)
    return head, [*parts]


def packed(*frames: bytes, end: bytes = b"") -> bytes:
    """Frames of one's own behind a proper head, with a digest that fits."""
    scribe = Scribe()
    begin = scribe.begin("here", 100.0)
    return sealed(begin + b"".join(map(scribe.packed, frames)) + scribe._compress.flush() + end)


def framed(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


def test_what_was_written_is_read() -> None:
    head, parts = whole(written(*PARTS), 100.0)
    assert (head.form, head.cluster, head.made) == (1, "here", 100.0)
    assert tuple(parts) == PARTS


def test_it_does_not_name_the_api_server_or_hold_what_nobody_asked_for() -> None:
    """It tells servers apart by what it is given, and does so before it looks at anything else."""
    assert refused(written(*PARTS, cluster="there")) == "foreign"


def test_an_old_one_is_told_from_a_bad_one() -> None:
    assert refused(written(*PARTS), 100.5) == "old"


@pytest.mark.parametrize("content", [b"", NAME, b"x" * 100, sealed(NAME), sealed(b""), written()])
def test_what_is_none_is_bad(content: bytes) -> None:
    assert refused(content) == "bad"


def test_another_form_is_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form, "FORM", 2)
    content = written(*PARTS)
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match=r"form 2 of exporter .*, this one reads 1"):
        whole(content)


def test_what_was_known_comes_first() -> None:
    assert refused(written(Records(()), KNOWN)) == "bad"


@given(st.integers(0, len(written(*PARTS)) - 1))
def test_one_that_is_cut_off_is_bad(length: int) -> None:
    assert refused(written(*PARTS)[:length]) == "bad"


@given(st.integers(0, len(written(*PARTS)) * 8 - 1))
def test_one_with_a_flipped_bit_is_bad(bit: int) -> None:
    content = bytearray(written(*PARTS))
    content[bit // 8] ^= 1 << bit % 8
    assert refused(bytes(content)) == "bad"


@given(st.lists(st.tuples(st.integers(0, 10**6), st.binary(max_size=9)), max_size=4), st.booleans(), st.booleans())
def test_damage_before_it_was_sealed_is_refused_or_harmless(
    changes: list[tuple[int, bytes]], cut: bool, before: bool
) -> None:
    """A bug of ours or a forger might seal anything: reading it may fail, but in no other way. `before`: the damage was
    done before it was compressed.
    """
    body = bytearray(b"".join(map(Scribe().frame, PARTS)) if before else written(*PARTS)[:-16])
    for at, patch in changes:
        start = at % len(body)
        body[start : start + len(patch)] = patch
    if cut:
        del body[len(body) // 2 :]
    with suppress(CheckpointError):
        whole(packed(bytes(body)) if before else sealed(bytes(body)))


@given(st.binary(max_size=200))
def test_anything_that_is_sealed_is_refused(body: bytes) -> None:
    assert refused(packed(framed(body), framed(body))) == "bad"
    assert refused(packed(body)) == "bad"


def test_a_last_part_that_is_not_complete_is_bad() -> None:
    frame = Scribe().frame(KNOWN)
    assert refused(packed(frame, frame[:-1])) == "bad"


def test_parts_are_read_one_by_one() -> None:
    """So that restoring needs little more memory than what is restored."""
    frames = [Scribe().frame(KNOWN), framed(b"no part")]
    head, parts = read(packed(*frames), "here", -inf)
    assert head.made == 100.0
    assert next(parts) == KNOWN
    with pytest.raises(CheckpointError):
        next(parts)


def test_a_newer_exporter_may_add_fields() -> None:
    """And an older one leaves out those that it does not know."""
    more = msgspec.to_builtins(KNOWN) | {"type": "Known", "later": 1}
    assert whole(packed(framed(msgspec.msgpack.encode(more))))[1] == [KNOWN]


def test_what_the_first_release_wrote_can_still_be_gone_on_from() -> None:
    """A file of the demo's cluster, made once: what is there stays, a new form gets a file of its own. If this fails, a
    field has changed and `FORM` has not.
    """
    core = Core()
    head, parts = read((Path(__file__).parent / "form-1.checkpoint").read_bytes(), "golden", 0.0)
    core.restore(parts, head.made, head.made + 10)
    restored = core.vitals.checkpoint.restored
    assert (restored["pods"], restored["series"], restored["lost"]) == (86, 816, 0)
    assert restored["owing"] > 100
    assert core.vitals.core.faults == {}
    assert core.tracker.objects["pods"] > 20


def test_it_is_much_smaller_than_what_it_holds() -> None:
    many = [Records(tuple([RECORD] * 500))] * 4
    assert len(written(KNOWN, *many)) < len(b"".join(map(Scribe().frame, many))) / 10


def test_the_head_says_who_wrote_it() -> None:
    assert whole(written(*PARTS))[0].exporter == __version__
