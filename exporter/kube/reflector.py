"""Keeps telling what happens to one resource in one namespace, through every failure of server and network."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from typing import TypeAlias, cast

import structlog

from exporter.errors import ApiError, ExporterError
from exporter.kube.backoff import Backoff
from exporter.kube.connection import Connection
from exporter.kube.decoding import Decoder, Poison
from exporter.kube.faults import WatchListRefusedError, consequence, cut, reason
from exporter.kube.limits import WITHOUT_BOOKMARKS, Limits
from exporter.kube.listing import Listing, Page, current_version, next_page
from exporter.kube.resources import Resource
from exporter.kube.turns import Turns
from exporter.kube.watch import Watch, WatchEvent
from exporter.objects import Added, Anything, Applied, Bookmark, Change, Deleted, Listed, Modified, Removed, Unreadable
from exporter.vitals import WatchVitals

Sink: TypeAlias = Callable[[Change], None]

log = structlog.get_logger()

_WORTHLESS = (400, 410, 422)
"""Statuses that say that the server does not take our resource version or continue token (any more)."""


def _now() -> float:
    return asyncio.get_running_loop().time()


class Reflector:
    """List and watch, for ever. It keeps no objects: only where it stands, and the uids while a list runs.

    `namespace` "" means all. Every change goes to `sink` in the order of the server; the loop gets its turn after
    each 10 ms of that. `clock` gives Unix seconds; `sleep` waits.
    """

    def __init__(
        self,
        connection: Connection,
        resource: Resource,
        namespace: str,
        sink: Sink,
        vitals: WatchVitals,
        clock: Callable[[], float] = time.time,
        *,
        limits: Limits | None = None,
        backoff: Backoff | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._connection = connection
        self._resource = resource
        self._namespace = namespace
        self._sink = sink
        self._vitals = vitals
        self._clock = clock
        self._limits = limits or (Limits() if resource.bookmarks else WITHOUT_BOOKMARKS)
        self._backoff = self._expiries = backoff or Backoff()
        self._sleep = sleep
        self._decoder = Decoder(resource, vitals)
        self._turns = Turns()
        self._log = log.bind(resource=resource.name, namespace=namespace)
        self._version = ""
        self._listing: Listing | None = None
        self._relist = ""
        self._pages_until = float("-inf") if resource.bookmarks else float("inf")
        self._trouble = ""
        self._off = False
        vitals.unsynced.add(namespace)

    async def run(self) -> None:
        """Never returns and never raises; cancel it to end it."""
        while True:
            pause = await self._attempt()
            if pause:
                await self._sleep(pause)

    async def _attempt(self) -> float:
        """Do one list or one watch; return the seconds to wait before the next."""
        began = _now()
        try:
            return await self._step()
        except WatchListRefusedError as error:
            return self._use_pages(error)
        except ExporterError as error:
            return self._failed(error, str(error), _now() - began)
        except Exception as error:  # noqa: BLE001 - a bug of ours or a library's must not end the stream of changes
            frame = traceback.extract_tb(error.__traceback__)[-1]  # the text could quote an object
            text = f"{type(error).__name__} at {frame.filename.rpartition('/')[2]}:{frame.lineno}"
            return self._failed(error, text, _now() - began)

    async def _step(self) -> float:
        if self._version:
            return await self._watch()
        if _now() >= self._pages_until and self._listing is None:
            return await self._watch()
        await self._list()
        return 0.0

    async def _list(self) -> None:
        """Fetch the pages that are missing, deliver their items, then say that the list is complete."""
        listing = self._listing or self._begin_list()
        while True:
            page = await next_page(self._connection, self._resource, self._namespace, listing, self._limits)
            self._contact()
            await self._take_page(page, listing)
            listing.token = page.metadata.next or ""
            if not listing.token:
                break
        self._version = listing.version
        self._complete(listing)

    async def _take_page(self, page: Page, listing: Listing) -> None:
        for raw in page.items or ():
            item = self._decoder.item(raw)
            if isinstance(item, Poison):
                listing.uids.add(item.uid)  # it exists, though we cannot read it
            else:
                self._apply(item, "LISTED", listing)
            await self._turns.offer()

    async def _watch(self) -> float:
        """Follow one watch to its clean end, from where we stand; from nowhere it begins with all objects."""
        listing = None if self._version else self._begin_list()
        watch = Watch(
            self._connection, self._resource, self._namespace, self._version, self._decoder, self._limits, self._contact
        )
        began = _now()
        try:
            async with self._renewing(watch):
                await self._follow(watch, listing)
        finally:
            if self._listing is None:
                self._stand_at(watch.version)
        return self._ended(watch, _now() - began)

    @asynccontextmanager
    async def _renewing(self, watch: Watch) -> AsyncIterator[None]:
        """Without bookmarks, a quiet watch would fall behind etcd's compaction: renew its version before its end."""
        if self._resource.bookmarks:
            yield
            return
        renewal = asyncio.ensure_future(self._renew(watch))
        try:
            yield
        finally:
            renewal.cancel()
            await asyncio.gather(renewal, return_exceptions=True)

    async def _renew(self, watch: Watch) -> None:
        """The answer counts while the watch has time left in which to bring all that is older."""
        await asyncio.sleep(max(0.0, watch.timeout - self._limits.renewal))
        # without an answer the next watch begins at the last line, or finds that it is too late
        with suppress(ExporterError, TimeoutError):
            async with asyncio.timeout(self._limits.renewal / 2):
                watch.renew(await current_version(self._connection, self._resource, self._namespace, self._limits))

    async def _follow(self, watch: Watch, listing: Listing | None) -> None:
        async with aclosing(watch.events()) as events:
            async for event in events:
                if listing is not None:
                    listing.at, listing.begun = watch.at, True
                self._take(event)

    def _take(self, event: WatchEvent) -> None:
        listing = self._listing
        match event:
            case Added() | Modified():
                kind = "ADDED" if isinstance(event, Added) else "MODIFIED"
                self._apply(event.object, kind if listing is None else "LISTED", listing)
            case Removed():
                self._delete(event.object)
            case Bookmark():
                self._vitals.events["BOOKMARK"] += 1
                if listing is not None:
                    self._complete(listing)
            case Poison() if listing is not None:
                if event.type == "DELETED":
                    listing.uids.discard(event.uid)
                else:
                    listing.uids.add(event.uid)  # it exists, though we cannot read it
            case Poison("DELETED", uid) if uid:
                self._vitals.events["DELETED"] += 1
                self._sink(Unreadable(self._resource.of, uid))

    def _apply(self, item: Anything, kind: str, listing: Listing | None) -> None:
        self._vitals.events[kind] += 1
        if listing is not None:
            listing.uids.add(item.metadata.uid)
        self._sink(cast("Change", Applied(item, listed=listing is not None)))

    def _delete(self, item: Anything) -> None:
        self._vitals.events["DELETED"] += 1
        if self._listing is not None:
            self._listing.uids.discard(item.metadata.uid)
        self._sink(cast("Change", Deleted(item)))

    def _begin_list(self) -> Listing:
        if self._relist:
            self._vitals.relists[self._relist] += 1
            self._relist = ""
        self._listing = Listing()
        return self._listing

    def _complete(self, listing: Listing) -> None:
        self._listing = None
        at = self._clock() if listing.at is None else listing.at
        listing.uids.discard("")
        self._sink(Listed(self._resource.of, self._namespace, frozenset(listing.uids), at))
        self._vitals.unsynced.discard(self._namespace)
        self._log.info("complete list", objects=len(listing.uids))

    def _stand_at(self, version: str) -> None:
        self._version = version
        if not version:
            self._relist = "expired"

    def _contact(self) -> None:
        """Note that the server is there and lets us read."""
        self._vitals.last_contact[self._namespace] = self._clock()
        if self._trouble:
            self._log.info("in contact again", after=self._trouble)
            self._trouble = ""
        if self._off:
            self._off = False
            self._vitals.enabled = True

    def _ended(self, watch: Watch, lived: float) -> float:
        """Count a clean end. Without bookmarks, one at once and empty means an expired version (k/k#104171)."""
        expired = not self._resource.bookmarks and watch.empty and lived < self._limits.brief
        self._vitals.restarts["expired" if expired else "end"] += 1
        if expired:
            self._stand_at("")
        self._lived(lived)
        return 0.0 if lived >= self._limits.brief else self._next_pause()

    def _use_pages(self, error: WatchListRefusedError) -> float:
        self._log.info("no streaming list, so it comes in pages", error=cut(error))
        self._listing = None
        self._pages_until = _now() + self._limits.watch_list_again
        return 0.0

    def _failed(self, error: Exception, text: str, lived: float) -> float:
        """Count and say a failure, forget what it made worthless; return the seconds to wait."""
        why = reason(error)
        self._vitals.restarts[why] += 1
        self._forget(error)
        if why != self._trouble:
            self._trouble = why
            self._log.warning(consequence(why, optional=self._resource.optional), reason=why, error=cut(text))
        self._lived(lived)
        if why == "forbidden" and self._resource.optional:
            self._off, self._vitals.enabled = True, False
            return self._limits.forbidden
        if why == "expired":
            return self._relist_pause()
        asked = error.retry_after if isinstance(error, ApiError) else 0.0
        return asked + self._next_pause()

    def _forget(self, error: Exception) -> None:
        """Drop a list that cannot be gone on with, or a version that the server does not know any more."""
        worthless = isinstance(error, ApiError) and error.status in _WORTHLESS
        if self._listing is None:
            self._stand_at("" if worthless else self._version)
        elif worthless or not self._listing.token:
            self._relist = "interrupted" if self._listing.begun else self._relist
            self._listing = None

    def _lived(self, seconds: float) -> None:
        self._backoff = self._backoff.after(seconds)
        self._expiries = self._expiries.after(seconds)

    def _relist_pause(self) -> float:
        """Draw a pause before a new list. Only expiries in a row lengthen it, since each costs a list.

        Failures before it do not: whoever says that a version is expired is well again.
        """
        pause = self._expiries.pause()
        self._expiries = self._expiries.failed()
        return pause

    def _next_pause(self) -> float:
        pause = self._backoff.pause()
        self._backoff = self._backoff.failed()
        return pause
