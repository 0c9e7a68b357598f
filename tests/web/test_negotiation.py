from __future__ import annotations

import pytest

from exporter.web.negotiation import wants_gzip, wants_openmetrics

PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROTOBUF_FIRST = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7," + PROMETHEUS_3
)


@pytest.mark.parametrize(
    ("accept", "openmetrics"),
    [
        ("", False),
        ("*/*", False),
        ("text/html,application/xhtml+xml,*/*;q=0.8", False),
        ("text/plain", False),
        ("text/plain;version=0.0.4", False),
        ("application/openmetrics-text", True),
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", True),
        ('application/openmetrics-text; version="1.0.0"', True),
        ("Application/OpenMetrics-Text; Version=1.0.0", True),
        ("application/openmetrics-text; version=1.0.0, */*", True),
        ("application/openmetrics-text;version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", False),
        (PROMETHEUS_3, True),
        (PROTOBUF_FIRST, True),
        ("application/vnd.google.protobuf, text/plain;q=0.5", False),
        ("application/vnd.google.protobuf", False),
        ("application/openmetrics-text;q=0.5, text/plain", False),
        ("application/openmetrics-text;q=0.5, text/*;q=0.9", False),
        ("application/openmetrics-text;q=0.5, text/plain;q=0.1, */*;q=0.9", True),
        ("application/openmetrics-text;q=0, */*", False),
        ("application/openmetrics-text;q=0", False),
        ("application/openmetrics-text;q=lots", False),
        ("application/openmetrics-text;q=2", False),
        (",;,= ;q=,", False),
    ],
)
def test_the_accept_header_decides_between_openmetrics_and_text(accept: str, openmetrics: bool) -> None:
    assert wants_openmetrics(accept) is openmetrics


@pytest.mark.parametrize(
    ("accept_encoding", "gzip"),
    [
        ("", False),
        ("gzip", True),
        ("GZIP", True),
        ("gzip, deflate, br, zstd", True),
        ("gzip;q=0", False),
        ("gzip;q=0.0, *", False),
        ("*", True),
        ("*;q=0", False),
        ("identity", False),
        ("deflate", False),
        ("gzip;q=0.1, identity", False),
        ("gzip, identity;q=0.5", True),
        ("gzip;q=0.3, identity;q=0", True),
    ],
)
def test_gzip_is_used_only_where_it_is_accepted(accept_encoding: str, gzip: bool) -> None:
    assert wants_gzip(accept_encoding) is gzip
