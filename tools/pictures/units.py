"""Values as a reader wants them, by the unit that a panel names."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

_DURATIONS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (0.001, "ms"))
_THOUSANDS = ((1e9, "Bil"), (1e6, "Mil"), (1e3, "K"))
_BINARY = ((2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"))
_DIGITS = 1000
"""Below it three significant digits are enough, above it a number is whole."""


def shown(value: float, unit: str) -> str:
    """The value in a unit of Grafana's; KeyError for a unit that no dashboard uses."""
    return _FORMS[unit](value)


def clock(seconds: float, form: str = "%H:%M") -> str:
    """A Unix time as UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime(form)


def _digits(value: float) -> str:
    return f"{value:.3g}" if abs(value) < _DIGITS else f"{value:.0f}"


def _scaled(value: float, scales: tuple[tuple[float, str], ...], base: str = "") -> str:
    for size, name in scales:
        if abs(value) >= size:
            return f"{_digits(value / size)} {name}"
    return f"{_digits(value)} {base}".rstrip()


_FORMS: dict[str, Callable[[float], str]] = {
    "short": lambda value: _scaled(value, _THOUSANDS),
    "none": _digits,
    "s": lambda value: _scaled(value, _DURATIONS, "s"),
    "bytes": lambda value: _scaled(value, _BINARY, "B"),
    "cps": lambda value: f"{_digits(value)} c/s",
    "percentunit": lambda value: f"{_digits(100 * value)}%",
    "dateTimeAsIso": lambda value: clock(value / 1000, "%Y-%m-%d %H:%M:%S"),
}
