"""From values to pixels, and the round numbers between."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, log2, log10

_TIMES = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
"""Steps of seconds that clocks know."""
_NICE = (1, 2, 5, 10)


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear way from values to pixels."""

    low: float
    high: float
    begin: float
    end: float

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.0
        return self.begin + share * (self.end - self.begin)


def ticks(low: float, high: float, unit: str = "short", most: int = 5) -> list[float]:
    """Round values between two others, at most so many, evenly apart."""
    step = _step((high - low) / most, unit)
    first = -floor(-low / step)
    return [round(place * step, 9) for place in range(first, floor(high / step + 1e-9) + 1)]


def _step(least: float, unit: str) -> float:
    if least <= 0:
        return 1.0
    if unit == "s" and 1 <= least <= _TIMES[-1]:
        return float(next(step for step in _TIMES if step >= least))
    if unit == "bytes":
        return float(2 ** ceil(log2(max(least, 1))))
    power = 10.0 ** floor(log10(least))
    return power * next(nice for nice in _NICE if nice * power >= least * (1 - 1e-9))
