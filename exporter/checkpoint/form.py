"""The form of the file: a line that names it, compressed frames of MessagePack, and a digest of all that.

A frame is its length (4 bytes, big-endian) and a struct; the first one is the head, the second what the tracker knew,
then come accounts and then records. Structs are written by field names, so a newer exporter may add fields that have a
default. Whatever else changes gets another number in `FORM`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from hashlib import blake2b
from typing import TypeVar

import msgspec
from isal import isal_zlib

from exporter import __version__
from exporter.errors import ExporterError
from exporter.lifecycle.saved import Known
from exporter.metrics.saved import Part

T = TypeVar("T")
FORM = 1
NAME = b"pod-exporter checkpoint\n"
_DIGEST = 16
_LENGTH = 4
_LEVEL = 1
_MOUTHFUL = 2**16
"""Compressed bytes that are taken at once."""


class CheckpointError(ExporterError):
    """A checkpoint that cannot be gone on from. `why`: as `vitals.LOADS` names it."""

    def __init__(self, why: str, text: str) -> None:
        super().__init__(text)
        self.why = why


class Head(msgspec.Struct, frozen=True):
    """Of what and of when a checkpoint is."""

    form: int
    exporter: str
    """Version of the exporter that wrote it."""
    cluster: str
    """Tells API servers apart; not their address."""
    made: float
    """Until when the cluster was known so, Unix seconds."""


class Scribe:
    """Makes the bytes of one checkpoint: each frame is made, and then packed, which may be done elsewhere."""

    def __init__(self) -> None:
        self._encode = msgspec.msgpack.Encoder().encode
        self._compress = isal_zlib.compressobj(_LEVEL)
        self._digest = blake2b(digest_size=_DIGEST)
        self.size = 0

    def begin(self, cluster: str, made: float) -> bytes:
        """The first bytes."""
        return self._counted(NAME + self._compress.compress(self.frame(Head(FORM, __version__, cluster, made))))

    def frame(self, struct: msgspec.Struct) -> bytes:
        """One part as it is packed."""
        body = self._encode(struct)
        return len(body).to_bytes(_LENGTH, "big") + body

    def packed(self, frame: bytes) -> bytes:
        """The bytes of the next frame, as far as they are to be written yet."""
        return self._counted(self._compress.compress(frame))

    def end(self) -> bytes:
        """The last bytes."""
        rest = self._counted(self._compress.flush())
        self.size += _DIGEST
        return rest + self._digest.digest()

    def _counted(self, piece: bytes) -> bytes:
        self._digest.update(piece)
        self.size += len(piece)
        return piece


def read(content: bytes, cluster: str, oldest: float) -> tuple[Head, Iterator[Part]]:
    """Read a checkpoint of this cluster. Raises CheckpointError, also if it was made before `oldest` (Unix seconds).

    Its parts are read when they are asked for, which raises CheckpointError too.
    """
    frames = _frames(content)
    head = _decoded(next(frames, b""), msgspec.msgpack.Decoder(Head))
    _check(head, cluster, oldest)
    return head, _parts(frames)


def _parts(frames: Iterator[bytes]) -> Iterator[Part]:
    yield _decoded(next(frames, b""), msgspec.msgpack.Decoder(Known))
    decoder: msgspec.msgpack.Decoder[Part] = msgspec.msgpack.Decoder(Part)
    for frame in frames:
        yield _decoded(frame, decoder)


def _decoded(frame: bytes, decoder: msgspec.msgpack.Decoder[T]) -> T:
    try:
        return decoder.decode(frame)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise CheckpointError("bad", f"it is not what this exporter writes ({type(error).__name__})") from None


def _frames(content: bytes) -> Iterator[bytes]:
    body, digest = memoryview(content)[:-_DIGEST], content[-_DIGEST:]
    if not content.startswith(NAME):
        raise CheckpointError("bad", "it is no checkpoint")
    if blake2b(body, digest_size=_DIGEST).digest() != digest:
        raise CheckpointError("bad", "it is not complete, or has been damaged")
    waiting = bytearray()
    for piece in _unpacked(body[len(NAME) :]):
        waiting += piece
        while len(waiting) >= (end := _LENGTH + int.from_bytes(waiting[:_LENGTH], "big")):
            yield bytes(waiting[_LENGTH:end])
            del waiting[:end]
    if waiting:
        raise CheckpointError("bad", "its last part is not complete")


def _unpacked(packed: memoryview) -> Iterator[bytes]:
    unpack = zlib.decompressobj()
    try:
        for at in range(0, len(packed), _MOUTHFUL):
            yield unpack.decompress(packed[at : at + _MOUTHFUL])
    except zlib.error:
        raise CheckpointError("bad", "it cannot be unpacked") from None


def _check(head: Head, cluster: str, oldest: float) -> None:
    if head.form != FORM:
        raise CheckpointError("bad", f"it has form {head.form} of exporter {head.exporter}, this one reads {FORM}")
    if head.cluster != cluster:
        raise CheckpointError("foreign", "it is of another API server")
    if head.made < oldest:
        raise CheckpointError("old", "it is older than state.checkpoint-max-age")
