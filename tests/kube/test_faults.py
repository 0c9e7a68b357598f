from __future__ import annotations

import ssl

import aiohttp
import pytest
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from exporter.errors import AccessError, ApiError, StreamError
from exporter.kube.faults import ProtocolError, SilenceError, concerns_tls, cut, reason, translated
from exporter.vitals import RESTART_REASONS

WITH_PASSWORD = "http://me:hunter2@proxy:3128"


def refused_by_proxy(status: int) -> aiohttp.ClientHttpProxyError:
    address = URL(WITH_PASSWORD)
    asked = aiohttp.RequestInfo(address, "CONNECT", CIMultiDictProxy(CIMultiDict()), address)
    return aiohttp.ClientHttpProxyError(asked, (), status=status, message="Login, please")


def over(cause: Exception) -> StreamError:
    """The error that is made of a transport's."""
    error = StreamError()
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (ApiError("", 401), "unauthorized"),
        (AccessError(), "unauthorized"),
        (ApiError("", 403), "forbidden"),
        (ApiError("", 410), "expired"),
        (ApiError("", 429), "throttled"),
        (ApiError("", 503), "throttled"),
        (ApiError("", 500), "server"),
        (ApiError("", 0), "server"),
        (StreamError(), "connection"),
        (over(ssl.SSLCertVerificationError("unknown CA")), "tls"),
        (over(ssl.SSLEOFError("cut during the handshake")), "connection"),
        (SilenceError(), "silence"),
        (ProtocolError(), "protocol"),
        (KeyError(), "protocol"),
    ],
)
def test_each_error_has_a_known_reason(error: Exception, why: str) -> None:
    assert reason(error) == why
    assert why in RESTART_REASONS


@pytest.mark.parametrize(
    ("raised", "made"),
    [
        (aiohttp.ClientPayloadError("cut"), StreamError),
        (ConnectionResetError("reset"), StreamError),
        (aiohttp.ConnectionTimeoutError(), StreamError),
        (aiohttp.SocketTimeoutError(), SilenceError),
        (TimeoutError(), SilenceError),
    ],
)
def test_transport_errors_become_ours_and_stay_as_the_cause(raised: Exception, made: type[Exception]) -> None:
    with pytest.raises(made) as caught, translated("GET /x"):
        raise raised
    assert type(caught.value) is made
    assert caught.value.__cause__ is raised
    assert str(caught.value).startswith("GET /x: ")


@pytest.mark.parametrize("raised", [refused_by_proxy(407), aiohttp.InvalidURL(WITH_PASSWORD)])
def test_an_address_with_a_password_is_not_repeated(raised: Exception) -> None:
    assert "hunter2" in str(raised)
    with pytest.raises(StreamError) as caught, translated("GET /x"):
        raise raised
    assert "hunter2" not in str(caught.value)


def test_a_proxy_that_refuses_is_told_by_its_status() -> None:
    with pytest.raises(StreamError, match="GET /x: ClientHttpProxyError: 407 Login, please"), translated("GET /x"):
        raise refused_by_proxy(407)


def test_a_tls_error_is_found_below_others() -> None:
    alert = aiohttp.ClientOSError("lost")
    alert.__cause__ = ssl.SSLError("certificate required")
    assert concerns_tls(alert)
    assert concerns_tls(ssl.SSLCertVerificationError("expired"))
    assert not concerns_tls(aiohttp.ClientOSError("lost"))
    assert not concerns_tls(None)


def test_a_foreign_text_is_cut_to_one_short_line() -> None:
    assert cut("a" * 300) == "a" * 200
    assert cut(ValueError("first\nsecond")) == "first"
