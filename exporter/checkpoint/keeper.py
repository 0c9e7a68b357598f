"""Reads the checkpoint at the start, writes it from time to time and at the end. No fault of it stops the exporter."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path

import structlog

from exporter.checkpoint.file import Replacement, put_aside
from exporter.checkpoint.form import CheckpointError, Head, Scribe, read
from exporter.logs import OnceAMinute, described
from exporter.metrics.saved import Part
from exporter.vitals import WRITES, CheckpointVitals

log = structlog.stdlib.get_logger(__name__)


class Keeper:
    """Keeps one file. `parts` gives what is to be saved, all of the moment at which the first of them is asked for."""

    def __init__(
        self, path: Path, parts: Callable[[], Generator[Part, None, None]], vitals: CheckpointVitals, *, interval: float
    ) -> None:
        self._path = path
        self._parts = parts
        self._vitals = vitals
        self._interval = interval
        self._cluster = ""
        self._writing = asyncio.Lock()
        self._failing = OnceAMinute(log)
        self._failed = False
        vitals.load = "missing"
        for result in WRITES:
            vitals.writes[result] += 0

    def load(self, cluster: str, oldest: float) -> tuple[Head, Iterator[Part]] | None:
        """Begin to read the file; None where there is nothing to go on from, whyever. A bad file is put aside.

        Parts that cannot be read raise CheckpointError when they are asked for: `reject` it then.

        `cluster` tells API servers apart; `oldest`: Unix time before which a checkpoint is of no use.
        """
        self._cluster = cluster
        try:
            found = read(_content(self._path), cluster, oldest)
        except FileNotFoundError:
            log.info("no checkpoint: what happened before is not known", file=str(self._path))
            return None
        except CheckpointError as error:
            self.reject(error)
            return None
        self._vitals.load = "loaded"
        return found

    def reject(self, error: Exception) -> None:
        """Say why the file is not gone on from, and put it aside unless it is only old."""
        self._vitals.load = error.why if isinstance(error, CheckpointError) else "bad"
        self._vitals.restored.clear()
        text = {"error": str(error)} if isinstance(error, CheckpointError) else described(error)
        log.warning("the checkpoint is of no use: what happened before is not known", file=str(self._path), **text)
        if self._vitals.load == "old":
            return
        try:
            log.warning("it was put aside", file=str(put_aside(self._path)))
        except OSError as failure:
            log.warning("it could not be put aside", error=_reason(failure))

    async def run(self, known_at: Callable[[], float]) -> None:
        """Write again and again; never returns and never raises. Who cancels it lets a write that has begun go on.

        `known_at`: until when the cluster is known as it is, Unix seconds.
        """
        while True:
            await asyncio.sleep(self._interval)
            await asyncio.shield(self.write(known_at()))

    async def write(self, made: float) -> None:
        """Write the file, after a write that is going on; what fails is counted and said."""
        async with self._writing:
            began, file = time.monotonic(), Replacement(self._path)
            try:
                size = await self._write(file, made)
            except Exception as error:  # noqa: BLE001 - whatever it is, the exporter goes on
                await asyncio.to_thread(file.abandon)
                self._fail(error)
                return
            self._vitals.writes["ok"] += 1
            self._vitals.written_at, self._vitals.size = time.time(), size
            self._vitals.seconds = time.monotonic() - began
            if self._failed:
                log.info("the checkpoint is written again", file=str(self._path))
            self._failed = False

    async def _write(self, file: Replacement, made: float) -> int:
        """Others get their turn after each part."""
        scribe = Scribe()
        with closing(self._parts()) as parts:
            await asyncio.to_thread(file.write, scribe.begin(self._cluster, made))
            for part in parts:
                await asyncio.to_thread(_put, file, scribe, scribe.frame(part))
        await asyncio.to_thread(file.write, scribe.end())
        await asyncio.to_thread(file.commit)
        return scribe.size

    def _fail(self, error: Exception) -> None:
        self._vitals.writes["failed"] += 1
        self._failed = True
        text = {"error": _reason(error)} if isinstance(error, OSError) else described(error)
        self._failing.warning("the checkpoint could not be written, the old one stays", file=str(self._path), **text)


def _put(file: Replacement, scribe: Scribe, frame: bytes) -> None:
    """Compressing takes most of the time and drops the GIL, so it is done here, in a thread."""
    file.write(scribe.packed(frame))


def _content(path: Path) -> bytes:
    """All bytes of the file. Raises FileNotFoundError if there is none, CheckpointError if it cannot be read."""
    try:
        if path.exists() and not path.is_file():
            raise CheckpointError("bad", "it is no file")
        return path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise CheckpointError("bad", f"it cannot be read: {_reason(error)}") from None


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else type(error).__name__
