"""A complete list in pages, for servers without streaming lists."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from exporter.kube.answers import unix_time
from exporter.kube.connection import Connection
from exporter.kube.faults import ProtocolError, translated
from exporter.kube.limits import Limits
from exporter.kube.resources import Resource

PAGE = 500
"""Objects in a page, as client-go asks for: about 5 MB of pods."""


class PageMetadata(msgspec.Struct, gc=False, rename="camel"):
    """Where a page stands in its list; `next` is the token of the following one."""

    resource_version: str | None = None
    next: str | None = msgspec.field(name="continue", default=None)


class Page(msgspec.Struct, gc=False):
    """A page whose items are not decoded yet, so that one bad item costs only itself."""

    metadata: PageMetadata
    items: list[msgspec.Raw] | None = None


@dataclass(slots=True)
class Listing:
    """How far a list has come. A failed page is asked for again by its token; only an expired token starts anew."""

    uids: set[str] = field(default_factory=set)
    token: str = ""
    version: str = ""
    at: float | None = None
    """The server's time at its first answer, Unix seconds."""
    begun: bool = False


_PAGE = msgspec.json.Decoder(Page)


async def next_page(
    connection: Connection, resource: Resource, namespace: str, listing: Listing, limits: Limits
) -> Page:
    """Fetch the page that `listing` waits for and note when the list began and which version it shows.

    The first page is asked for without a resource version, which means the most recent state: no relist goes back in
    time. Raises ApiError, StreamError, AccessError.
    """
    path = resource.path(namespace)
    query = {"limit": str(PAGE)} | ({"continue": listing.token} if listing.token else {})
    page, at = await _page(connection, resource, path, query, limits)
    if not listing.begun:
        listing.at = at
        listing.begun = True
    listing.version = listing.version or page.metadata.resource_version or ""
    return page


async def current_version(connection: Connection, resource: Resource, namespace: str, limits: Limits) -> str:
    """Ask for the resource version at which the collection stands now, by the smallest list there is.

    Raises ApiError, StreamError, AccessError.
    """
    page, _ = await _page(connection, resource, resource.path(namespace), {"limit": "1"}, limits)
    return page.metadata.resource_version or ""


async def _page(
    connection: Connection, resource: Resource, path: str, query: dict[str, str], limits: Limits
) -> tuple[Page, float | None]:
    """Fetch one page, with the server's time of its answer."""
    headers = {"Accept": resource.accept(listing=True)}
    with translated(f"list {path}"):
        async with await connection.get(path, resource.selection | query, headers, read=limits.page) as response:
            body = await response.read()
    return _decoded(path, body), unix_time(response.headers.get("Date"))


def _decoded(path: str, body: bytes) -> Page:
    try:
        page = _PAGE.decode(body)
    except ValueError as error:
        raise ProtocolError(f"list {path}: the answer is no list ({type(error).__name__})") from None
    if not page.metadata.resource_version:
        raise ProtocolError(f"list {path}: the answer has no resourceVersion, so no watch could follow it")
    return page
