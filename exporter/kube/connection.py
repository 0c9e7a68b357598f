"""The one HTTP session that all reflectors share, and the credentials in force."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Mapping

import aiohttp

from exporter.kube.access import Access
from exporter.kube.answers import refusal
from exporter.kube.faults import concerns_tls, translated

CONNECT = 10.0
"""Seconds for TCP and TLS to stand."""
_KEEPALIVE = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))
_READ_BUFFER = 2**18


class Connection:
    """Sends requests with the credentials in force; after a 401 or a TLS error the next request loads new ones.

    `load` blocks and may raise AccessError; it runs in a thread. `clock` gives Unix seconds, for a Retry-After date
    of a server that sends no Date.
    """

    def __init__(self, load: Callable[[], Access], clock: Callable[[], float] = time.time) -> None:
        self._load = load
        self._clock = clock
        self._lock = asyncio.Lock()
        self._access: Access | None = None
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Load the credentials now instead of at the first request. Raises AccessError."""
        await self.access()

    async def close(self) -> None:
        """Close the session and with it all streams; the connection can be used again."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def get(
        self,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        *,
        answer: float | None = None,
        read: float | None = None,
    ) -> aiohttp.ClientResponse:
        """Send a GET and return its answer of status 200, body unread; the caller closes it.

        `answer`: seconds until its headers are there, `read`: seconds without a byte; None for no limit. Raises
        ApiError for every other status, StreamError when the connection fails, AccessError.
        """
        access = await self.access()
        sent = {**headers, **await access.headers()}
        with translated(f"GET {path}"):
            try:
                async with asyncio.timeout(answer):
                    response = await self._send(access, path, query, sent, read)
            except (aiohttp.ClientError, OSError) as error:
                # TLS 1.3 refuses a client certificate after the handshake, and asyncio may lose the alert
                if concerns_tls(error) or (access.certified and isinstance(error, aiohttp.ServerDisconnectedError)):
                    self._distrust(access)
                raise
        if response.status == 200:  # noqa: PLR2004 - a redirect is no answer: it could lead our token away
            return response
        if response.status == 401:  # noqa: PLR2004 - HTTP's own number
            self._distrust(access)
        async with response:
            raise await refusal(f"GET {path}", response, self._clock())

    async def _send(
        self, access: Access, path: str, query: Mapping[str, str], headers: Mapping[str, str], read: float | None
    ) -> aiohttp.ClientResponse:
        if self._session is None:
            self._session = _session()
        if access.url.startswith("http:"):  # no CONNECT carries the proxy's header
            headers = {**headers, **(access.options["proxy_headers"] or {})}
        return await self._session.get(
            access.url + path,
            params=query,
            headers=headers,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT, sock_read=read),
            **access.options,
        )

    async def access(self) -> Access:
        """Give the credentials in force, loaded now if there are none. Raises AccessError."""
        async with self._lock:
            if self._access is None:
                self._access = await asyncio.to_thread(self._load)
            return self._access

    def _distrust(self, access: Access) -> None:
        """Forget these credentials, unless another request already made that newer ones were loaded."""
        if self._access is access:
            self._access = None


def _session() -> aiohttp.ClientSession:
    """Watches stand for minutes, hence no limit of connections and no time-out but for connecting."""
    connector = aiohttp.TCPConnector(limit=0, socket_factory=_socket)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT)
    return aiohttp.ClientSession(
        connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), read_bufsize=_READ_BUFFER
    )


def _socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """Make a socket with TCP keepalive as client-go sets it: a dead peer is noticed, a NAT keeps its entry."""
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        if hasattr(socket, name):  # their names differ outside Linux
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return made
