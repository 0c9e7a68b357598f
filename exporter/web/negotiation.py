"""What a scraper can read, by its Accept and Accept-Encoding headers (RFC 9110, section 12.5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
TEXT = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Range:
    """One item of an Accept header: what is accepted, under which parameters, and how gladly (0 to 1)."""

    name: str
    parameters: dict[str, str]
    quality: float


def _ranges(header: str) -> Iterator[Range]:
    """Split a header into its items; one whose q makes no sense is left out."""
    for item in header.split(","):
        name, *rest = (part.strip() for part in item.split(";"))
        pairs = (part.partition("=") for part in rest)
        parameters = {key.strip().lower(): value.strip(' "') for key, _, value in pairs}
        try:
            quality = float(parameters.pop("q", "1"))
        except ValueError:
            continue
        if name and 0 <= quality <= 1:
            yield Range(name.lower(), parameters, quality)


def wants_openmetrics(accept: str) -> bool:
    """Whether to answer OpenMetrics 1.0.0 instead of text 0.0.4.

    Only who names OpenMetrics gets it: wildcards come from browsers and curl. Protobuf is not offered, so the rest of
    the header decides; what fits nothing at all gets text, as from every Prometheus library. `escaping` changes
    nothing, since all our names are plain ASCII.
    """
    ranges = tuple(_ranges(accept))
    openmetrics = max((each.quality for each in ranges if _is_openmetrics(each)), default=0.0)
    return openmetrics > 0 and openmetrics >= _text_quality(ranges)


def _is_openmetrics(range_: Range) -> bool:
    return range_.name == "application/openmetrics-text" and range_.parameters.get("version", "1.0.0") == "1.0.0"


def _text_quality(ranges: tuple[Range, ...]) -> float:
    """How gladly text is taken: the most specific of the ranges that cover it says it."""
    for name in ("text/plain", "text/*", "*/*"):
        if qualities := [each.quality for each in ranges if each.name == name]:
            return max(qualities)
    return 0.0


def wants_gzip(accept_encoding: str) -> bool:
    """Whether to compress: gzip is accepted (q=0 refuses it) and not liked less than the plain body."""
    qualities = {each.name: each.quality for each in _ranges(accept_encoding)}
    gzip = qualities.get("gzip", qualities.get("*", 0.0))
    return gzip > 0 and gzip >= qualities.get("identity", 0.0)
