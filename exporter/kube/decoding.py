"""Bytes of the API server into objects. One that cannot be decoded is counted and passed by, never a reason to stop."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec
import structlog

from exporter.kube.faults import ProtocolError, cut
from exporter.kube.resources import Resource
from exporter.objects import Added, Anything, Bookmark, Error, Modified, Removed
from exporter.vitals import WatchVitals

QUIET = 60.0
"""Seconds between two log lines about what could not be decoded."""
_FAILURES = (ValueError, RecursionError)
"""ValueError is the parent of msgspec's errors and of UnicodeDecodeError; nesting too deep is a RecursionError."""
_SERVER_LINES = (b'{"type":"BOOKMARK"', b'{"type":"ERROR"')

Line: TypeAlias = Added[Any] | Modified[Any] | Removed[Any] | Bookmark | Error

log = structlog.get_logger()


class _Metadata(msgspec.Struct, gc=False, rename="camel"):
    uid: str | None = None
    resource_version: str | None = None


class Poison(msgspec.Struct, gc=False):
    """What could be read of an object that does not decode; "" for the rest."""

    type: str = ""
    uid: str = ""
    version: str = ""


class _AnyObject(msgspec.Struct, gc=False):
    metadata: _Metadata | None = None


class _AnyLine(msgspec.Struct, gc=False):
    type: str | None = None
    object: _AnyObject | None = None


_ANY_LINE = msgspec.json.Decoder(_AnyLine)
_ANY_OBJECT = msgspec.json.Decoder(_AnyObject)


def _poison(type_: str | None, object_: _AnyObject | None) -> Poison:
    metadata = (object_ and object_.metadata) or _Metadata()
    return Poison(type_ or "", metadata.uid or "", metadata.resource_version or "")


def rest_of_line(line: bytes) -> Poison:
    """Read only type, uid and resource version of a line; all "" if even that fails."""
    try:
        found = _ANY_LINE.decode(line)
    except _FAILURES:
        return Poison()
    return _poison(found.type, found.object)


def rest_of_item(item: msgspec.Raw) -> Poison:
    """Read only uid and resource version of a list's item."""
    try:
        return _poison("", _ANY_OBJECT.decode(item))
    except _FAILURES:
        return Poison()


class Decoder:
    """The lines and items of one resource. Failures are counted in its vitals and said at most once a minute."""

    def __init__(self, resource: Resource, vitals: WatchVitals, clock: Callable[[], float] = time.monotonic) -> None:
        of: Any = resource.of
        self._lines: msgspec.json.Decoder[Line] = msgspec.json.Decoder(
            Added[of] | Modified[of] | Removed[of] | Bookmark | Error
        )
        self._items: msgspec.json.Decoder[Anything] = msgspec.json.Decoder(of)
        self._vitals = vitals
        self._clock = clock
        self._said = float("-inf")

    def line(self, line: bytes) -> Line | Poison:
        """Decode a watch's line. Raises ProtocolError for a BOOKMARK or ERROR that cannot be: the stream is off."""
        try:
            decoded = self._lines.decode(line)
        except _FAILURES as error:
            rest = rest_of_line(line)
            if rest.type in ("BOOKMARK", "ERROR") or line.startswith(_SERVER_LINES):
                raise ProtocolError(f"a {rest.type or 'server'} line of the watch cannot be read") from None
            self._failed(error)
            return rest
        if isinstance(decoded, Error):
            self._vitals.events["ERROR"] += 1
        return decoded

    def item(self, item: msgspec.Raw) -> Anything | Poison:
        """Decode one item of a list's page."""
        try:
            return self._items.decode(item)
        except _FAILURES as error:
            self._failed(error)
            return rest_of_item(item)

    def _failed(self, error: Exception) -> None:
        self._vitals.decode_errors += 1
        now = self._clock()
        if now - self._said < QUIET:
            return
        self._said = now
        _, _, where = str(error).rpartition(" - at ")  # the rest of the text may quote a value
        where = where if where.startswith("`$") else ""
        log.warning(
            "an object cannot be decoded and is skipped",
            resource=self._vitals.resource,
            error=type(error).__name__,
            where=cut(where),
            so_far=self._vitals.decode_errors,
        )
