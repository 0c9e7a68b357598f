"""A stream's bytes, cut into lines."""

from __future__ import annotations

from exporter.errors import StreamError
from exporter.kube.faults import ProtocolError

LONGEST = 64 * 2**20
"""Bytes in a line, well above any object that etcd takes; beyond this it is no watch, and we would only eat memory."""


class LineSplitter:
    r"""Chunks in, complete lines out; every byte is copied a fixed number of times, however the chunks fall.

    Splits at b"\n" only: Go's JSON leaves U+0085 and U+2028 unescaped inside strings.
    """

    def __init__(self, longest: int = LONGEST) -> None:
        self._longest = longest
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> list[bytes]:
        """Give the lines that this chunk completes, without their end. Raises ProtocolError past the longest line."""
        head, *tails = chunk.split(b"\n")
        self._rest += head
        if len(self._rest) > self._longest:
            raise ProtocolError(f"a line of the stream is longer than {self._longest} bytes; nothing of it was kept")
        if not tails:
            return []
        lines = [bytes(self._rest), *tails[:-1]]
        self._rest = bytearray(tails[-1])
        return [line for line in lines if line]

    def end(self) -> None:
        """Say that no more will come. Raises StreamError if a line was begun: its end was lost."""
        if self._rest:
            raise StreamError(f"the stream was cut in the middle of a line, after {len(self._rest)} bytes of it")
