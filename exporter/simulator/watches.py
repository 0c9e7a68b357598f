"""Answering watches: one object per open watch, fed by the store, written out by the HTTP handler."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterable

from exporter.simulator.faults import Faults
from exporter.simulator.protocol import Question
from exporter.simulator.resources import UNCACHED, Json, encode, failure, line
from exporter.simulator.store import Event, ExpiredError, Store, Version

Write = Callable[[bytes], Awaitable[None]]

NO_PROGRESS = failure(500, "InternalError", "the required storage feature RequestWatchProgress is disabled")
_BLOCK = 256 * 1024
_TIMEOUT = (1800.0, 3600.0)
"""Seconds; where the client asks for no timeoutSeconds, a real server picks one in this range."""
_BEFORE_END = 2.0
"""Seconds before the end at which a last bookmark is sent, as real servers do."""


class Watch:
    """One open watch. `end` closes it: cleanly, or after a last ERROR line."""

    def __init__(self, question: Question, store: Store, faults: Faults, bookmark_interval: float) -> None:
        self.question = question
        self._store = store
        self._faults = faults
        self._interval = bookmark_interval
        self._pending: deque[bytes] = deque()
        self._news = asyncio.Event()
        self._ending = False

    def end(self, status: Json | None = None) -> None:
        """Close after what is pending; with a Status, an ERROR line is the last."""
        if status is not None:
            self._pending.append(line("ERROR", encode(status)))
        self._ending = True
        self._news.set()

    async def run(self, write: Write) -> None:
        """Send lines until the watch ends. Returning means a clean end of the stream."""
        with self._store.following(self.question.resource, self._hear):
            opening = self._opening()
            await self._unstalled()
            await _write_blocks(write, opening)
            if not self._ending or self._pending:
                await self._follow(write)

    def _hear(self, event: Event) -> None:
        if self.question.namespace in ("", event.version.namespace):
            self._pending.append(self._line(event.kind, event.version))
            self._news.set()

    def _line(self, kind: str, version: Version) -> bytes:
        return line(kind, version.partial if self.question.partial else version.body)

    def _opening(self) -> list[bytes]:
        """The lines that are due at once: the present state, or the past since a resourceVersion."""
        question, store = self.question, self._store
        if question.initial_events and self._faults.refuse_watch_list == "500-event":
            return self._refused(NO_PROGRESS)
        watch_list = question.initial_events and self._faults.refuse_watch_list != "ignore"
        if watch_list or not question.revision:
            lines = [self._line("ADDED", v) for v in store.versions(question.resource, question.namespace)]
            return [*lines, self._bookmark(initial_events_end=True)] if watch_list and question.bookmarks else lines
        try:
            events = store.since(question.resource, question.revision)
        except ExpiredError as error:
            return self._refused(failure(410, "Expired", str(error)))
        return [self._line(e.kind, e.version) for e in events if question.namespace in ("", e.version.namespace)]

    def _refused(self, status: Json) -> list[bytes]:
        self._ending = True
        return [line("ERROR", encode(status))]

    def _bookmark(self, *, initial_events_end: bool = False) -> bytes:
        resource, partial = self.question.resource, self.question.partial
        body = resource.bookmark(self._store.revision, initial_events_end=initial_events_end, partial=partial)
        return line("BOOKMARK", body)

    async def _follow(self, write: Write) -> None:
        now = asyncio.get_running_loop().time
        timeout = self.question.timeout
        deadline = now() + (random.uniform(*_TIMEOUT) if timeout is None else timeout)  # noqa: S311 - no secret
        bookmark = self._next_bookmark(now(), deadline)
        while now() < deadline:
            await self._wait(min(bookmark, deadline) - now())
            await self._unstalled()
            await self._drain(write)
            if self._ending:
                return
            if now() >= bookmark:
                await write(self._bookmark())
                bookmark = self._next_bookmark(now(), deadline)

    def _next_bookmark(self, now: float, deadline: float) -> float:
        if not self.question.bookmarks or self.question.resource in UNCACHED:
            return float("inf")
        last = deadline - _BEFORE_END
        return min(now + self._interval, last) if last > now else now + self._interval

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._news.wait()
        except TimeoutError:
            return

    async def _unstalled(self) -> None:
        while self._faults.stalled and not self._ending:  # noqa: ASYNC110 - a test sets a plain attribute
            await asyncio.sleep(0.01)

    async def _drain(self, write: Write) -> None:
        self._news.clear()
        lines, self._pending = self._pending, deque()
        await _write_blocks(write, lines)
        if self._ending and self._pending:
            await _write_blocks(write, self._pending)


async def _write_blocks(write: Write, lines: Iterable[bytes]) -> None:
    """Write many lines in few large pieces, waiting for the client in between."""
    block: list[bytes] = []
    size = 0
    for text in lines:
        block.append(text)
        size += len(text)
        if size >= _BLOCK:
            await write(b"".join(block))
            block, size = [], 0
    if block:
        await write(b"".join(block))
