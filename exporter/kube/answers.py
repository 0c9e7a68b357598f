"""What an HTTP answer says besides its objects: errors, pauses, the server's time."""

from __future__ import annotations

import asyncio
from email.utils import parsedate_to_datetime

import aiohttp
import msgspec

from exporter.errors import ApiError
from exporter.kube.faults import cut
from exporter.objects import Status

LONGEST_PAUSE = 120.0
"""Seconds that we wait at most because a server asked for it; a nonsensical Retry-After must not wedge us."""
_LARGEST_BODY = 64 * 2**10
_BODY_SECONDS = 5.0
_STATUS = msgspec.json.Decoder(Status)


def unix_time(date: str | None) -> float | None:
    """Read an HTTP date (RFC 9110, 5.6.7) as Unix seconds; None if there is none to read."""
    try:
        return parsedate_to_datetime(date).timestamp() if date else None
    except (ValueError, OverflowError):
        return None


def pause_asked(header: str | None, now: float) -> float:
    """Read Retry-After, seconds or an HTTP date, as a pause in seconds from `now` (Unix seconds)."""
    if header is not None and header.strip().isdecimal():
        return min(float(header), LONGEST_PAUSE)
    until = unix_time(header)
    return 0.0 if until is None else min(max(0.0, until - now), LONGEST_PAUSE)


def status_error(doing: str, status: Status, code: int = 0, pause: float = 0.0) -> ApiError:
    """Make an error of a Status: from an ERROR line, or from a body whose HTTP status is `code`."""
    asked = float((status.details and status.details.retry_after_seconds) or 0)
    text = cut(status.message or status.reason or "no reason given")
    code = code or status.code
    return ApiError(f"{doing}: {code} {text}", code, max(pause, min(max(asked, 0.0), LONGEST_PAUSE)))


async def refusal(doing: str, response: aiohttp.ClientResponse, now: float) -> ApiError:
    """Make an error of an answer that is not 200, with what its body says if that is a Status."""
    now = unix_time(response.headers.get("Date")) or now
    try:
        status = _STATUS.decode(await _body(response))
    except ValueError:
        status = Status(reason=response.reason or "")
    pause = pause_asked(response.headers.get("Retry-After"), now)
    return status_error(doing, status, response.status, pause)


async def _body(response: aiohttp.ClientResponse) -> bytes:
    """Read what there is of a small body; an error page that never ends, or breaks, is no reason to wait."""
    body = b""
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            while len(body) < _LARGEST_BODY and (chunk := await response.content.readany()):
                body += chunk
    except (aiohttp.ClientError, OSError):
        return b""
    return body
