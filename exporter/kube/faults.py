"""What can go wrong on the way, and how it is counted."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp

from exporter.errors import AccessError, ApiError, ExporterError, StreamError

LONGEST_TEXT = 200
"""Characters of a foreign text that may stand in a message or a log line."""
_REASONS = {401: "unauthorized", 403: "forbidden", 410: "expired", 429: "throttled", 503: "throttled"}


class SilenceError(StreamError):
    """Nothing came for longer than the limit: the connection may be half open."""


class ProtocolError(StreamError):
    """An answer came that is not what the API promises."""


class WatchListRefusedError(ExporterError):
    """The server has no streaming lists, or none that end: the paged list must do."""


def cut(text: object) -> str:
    """Give at most one short line of a text from elsewhere."""
    first, _, _ = str(text).partition("\n")
    return first[:LONGEST_TEXT]


def reason(error: Exception) -> str:
    """Name the failure as `RESTART_REASONS` does."""
    match error:
        case AccessError():
            return "unauthorized"
        case ApiError():
            return _REASONS.get(error.status, "server")
        case SilenceError():
            return "silence"
        case StreamError() if not isinstance(error, ProtocolError):
            return "tls" if concerns_tls(error) and not _cut_short(error) else "connection"
        case _:
            return "protocol"


def consequence(why: str, *, optional: bool) -> str:
    """Say in the log what a failure means for the user."""
    if why != "forbidden":
        return "the API server cannot be followed; trying again"
    if optional:
        return "we may not read this; going without it, a later grant will be noticed"
    return "we may not read this; grant list and watch on it, trying again"


def concerns_tls(error: BaseException | None) -> bool:
    """Tell whether TLS failed: our certificate, theirs, or the CA may have been replaced.

    A TLS 1.3 server refuses a client certificate after the handshake, so the cause may lie below an OSError.
    """
    return any(isinstance(one, ssl.SSLError | ssl.CertificateError | aiohttp.ClientSSLError) for one in _chain(error))


def _cut_short(error: BaseException) -> bool:
    """Whether TLS only says that the connection ended."""
    return any(isinstance(one, ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError) for one in _chain(error))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Give an error and what lies below it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn the transport's errors into ours, with their cause: StreamError, or SilenceError when time ran out."""
    try:
        yield
    except aiohttp.ConnectionTimeoutError as error:
        raise StreamError(f"{doing}: no connection within the limit") from error
    except TimeoutError as error:
        raise SilenceError(f"{doing}: nothing came within the limit") from error
    except (aiohttp.ClientError, OSError) as error:
        raise StreamError(f"{doing}: {type(error).__name__}: {cut(_said(error))}") from error


def _said(error: Exception) -> str:
    """Give a transport's error without the addresses that it quotes: a password may stand in them."""
    match error:
        case aiohttp.ClientResponseError():
            return f"{error.status} {error.message}"
        case aiohttp.InvalidURL():
            return "the address cannot be used"
        case _:
            return str(error)
