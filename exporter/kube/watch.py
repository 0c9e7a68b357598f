"""One watch connection: from the request to the end of its stream."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from typing import Any, TypeAlias

import aiohttp

from exporter.errors import ApiError
from exporter.kube.answers import status_error, unix_time
from exporter.kube.connection import Connection
from exporter.kube.decoding import Decoder, Poison, rest_of_line
from exporter.kube.faults import SilenceError, WatchListRefusedError, translated
from exporter.kube.gathering import Gathering
from exporter.kube.limits import Limits
from exporter.kube.lines import LineSplitter
from exporter.kube.resources import Resource
from exporter.kube.turns import Turns
from exporter.objects import Added, Bookmark, Error, Modified, Removed

END_MARK = "k8s.io/initial-events-end"
"""Annotation of the bookmark that ends a watch-list (KEP-3157)."""
_STORAGE_FEATURE = "required storage feature"
_ENOUGH_BOOKMARKS = 2

WatchEvent: TypeAlias = Added[Any] | Modified[Any] | Removed[Any] | Bookmark | Poison


class Watch:
    """One connection, used once: iterate over `events`, then ask for `version`.

    With `version` "" it is a watch-list: first all objects as ADDED, then a bookmark with the end mark, then changes.
    `contact` is called whenever the server shows life.
    """

    def __init__(
        self,
        connection: Connection,
        resource: Resource,
        namespace: str,
        version: str,
        decoder: Decoder,
        limits: Limits,
        contact: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._resource = resource
        self._path = resource.path(namespace)
        self._selection = resource.selection
        self._from = version
        self._decoder = decoder
        self._limits = limits
        self._contact = contact
        self.timeout = random.randint(*limits.timeout)  # noqa: S311 - no secret
        """Seconds after which the server ends the watch."""
        self._listing = not version
        self._bookmarks = 0
        self._last = b""
        self._renewed = ""
        self._ended = False
        self.at: float | None = None
        """The server's time when it answered, Unix seconds; None if it has not, or sent no Date."""

    @property
    def version(self) -> str:
        """The resource version to go on from, "" if unknown.

        Read from the last line only now: decoding it for each line would cost half as much again.
        """
        if self._ended and self._renewed:
            return self._renewed
        return rest_of_line(self._last).version if self._last else self._from

    @property
    def empty(self) -> bool:
        """Whether not a single line has come."""
        return not self._last

    def renew(self, version: str) -> None:
        """Take note of the collection's resource version while the watch is open.

        All changes up to it are on their way; it is adopted only if the stream then ends cleanly, without another line.
        """
        self._renewed = version

    async def events(self) -> AsyncGenerator[WatchEvent, None]:
        """Yield what the lines say, until the server ends the stream cleanly.

        Raises ApiError (a status, or an ERROR line), StreamError, AccessError, and WatchListRefusedError if this is a
        watch-list and the server shows that it has none. Close it with `contextlib.aclosing`.
        """
        splitter, turns, gathering = LineSplitter(), Turns(), Gathering(self._limits.gather)
        async with await self._open() as response:
            while chunk := await self._read(response):
                for line in splitter.feed(chunk):
                    yield self._event(line)
                    await turns.offer()
                if not self._listing:
                    await gathering.after(chunk, response)
        splitter.end()
        if self._listing:
            raise WatchListRefusedError("the stream ended before the initial events did")
        self._ended = True
        self._contact()

    async def _open(self) -> aiohttp.ClientResponse:
        headers = {"Accept": self._resource.accept(listing=False), "Accept-Encoding": "identity"}
        try:
            response = await self._connection.get(self._path, self._query(), headers, answer=self._limits.initial)
        except (ApiError, SilenceError) as error:
            self._refuse_watch_list(error)
            raise
        self.at = unix_time(response.headers.get("Date"))
        self._contact()
        return response

    def _query(self) -> dict[str, str]:
        query = self._selection | {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(self.timeout)}
        if self._listing:
            return query | {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        return query | {"resourceVersion": self._from}

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        try:
            with translated(f"watch {self._path}"):
                async with asyncio.timeout(self._silence()):
                    chunk = await response.content.readany()
        except SilenceError as error:
            self._refuse_watch_list(error)
            raise
        if chunk:
            self._contact()
        return chunk

    def _silence(self) -> float:
        """Give the seconds without a byte that mean a dead stream."""
        if self._listing:
            return self._limits.initial
        if self._bookmarks >= _ENOUGH_BOOKMARKS:
            return self._limits.silence
        return self.timeout + self._limits.slack

    def _event(self, line: bytes) -> WatchEvent:
        event = self._decoder.line(line)
        if isinstance(event, Error):
            error = status_error(f"watch {self._path}", event.object)
            self._refuse_watch_list(error, event.object.message)
            raise error
        if not isinstance(event, Poison) or event.version:
            self._last, self._renewed = line, ""
        if isinstance(event, Bookmark):
            self._bookmark(event)
        return event

    def _bookmark(self, event: Bookmark) -> None:
        if not self._listing:
            self._bookmarks += 1
        elif (event.object.metadata.annotations or {}).get(END_MARK) == "true":
            self._listing = False
        else:
            raise WatchListRefusedError("a bookmark without the end mark came before the initial events' end")

    def _refuse_watch_list(self, error: ApiError | SilenceError, text: str = "") -> None:
        """Raise WatchListRefusedError if this is how servers without watch-lists answer one (DESIGN, section 5).

        400: they do not know the parameters; 422: the feature is off; 500: their etcd is too old; silence: they take
        it for an ordinary watch. All other errors keep their meaning.
        """
        if not self._listing:
            return
        status = error.status if isinstance(error, ApiError) else 0
        old_etcd = status == 500 and _STORAGE_FEATURE in (text or str(error))  # noqa: PLR2004 - HTTP's own number
        if isinstance(error, SilenceError) or status in (400, 422) or old_etcd:
            raise WatchListRefusedError(str(error)) from error
