"""The frame of a diagram: its grid, the values at the left and the times below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tools.pictures.scales import Scale, ticks
from tools.pictures.source import View
from tools.pictures.svg import Box, element, text, width_of
from tools.pictures.theme import BORDER, FAINT, GRID, SMALL
from tools.pictures.units import clock, shown

BELOW = 20
"""Pixels for the times."""
_HEADROOM = 1.06
_LABEL, _MOST = 62, 10
"""Pixels between two times at least, and how many times there are at most."""


@dataclass(frozen=True, slots=True)
class Plot:
    """Where a diagram has its data."""

    box: Box
    x: Scale
    y: Scale

    @classmethod
    def of(cls, box: Box, view: View, y: Scale) -> Plot:
        """One whose width is the time of the view."""
        return cls(box, Scale(view.start, view.end, box.x, box.right), y)


def with_values(box: Box, view: View, highest: float, unit: str) -> tuple[Plot, list[str]]:
    """A plot of values from 0 on, and its frame."""
    marks = ticks(0, (highest or 1.0) * _HEADROOM, unit, most=max(2, int(box.height / 32)))
    names = [shown(mark, unit) for mark in marks]
    inner = _beside(box, names)
    plot = Plot.of(inner, view, Scale(0, (highest or 1.0) * _HEADROOM, inner.bottom, inner.y))
    lines = [_level(inner, plot.y(mark), BORDER if not mark else GRID) for mark in marks]
    labels = [_name(inner, plot.y(mark), name) for mark, name in zip(marks, names, strict=True)]
    return plot, [*lines, *labels, *times(inner, view)]


def with_rows(box: Box, view: View, names: Sequence[str]) -> tuple[Plot, list[str]]:
    """A plot with a row for each name, the first one at the bottom, and its frame."""
    inner = _beside(box, names)
    plot = Plot.of(inner, view, Scale(0, len(names), inner.bottom, inner.y))
    labels = [_name(inner, plot.y(place + 0.5), name) for place, name in enumerate(names)]
    return plot, [*labels, *times(inner, view)]


def times(inner: Box, view: View) -> Iterator[str]:
    """Clock times below a plot."""
    scale = Scale(view.start, view.end, inner.x, inner.right)
    for second in ticks(view.start, view.end, "s", most=min(_MOST, max(1, int(inner.width / _LABEL)))):
        form = "%H:%M" if second % 60 == 0 else "%H:%M:%S"
        yield text(clock(second, form), scale(second), inner.bottom + 15, size=SMALL, fill=FAINT, text_anchor="middle")


def _beside(box: Box, names: Sequence[str]) -> Box:
    widest = max((width_of(name, SMALL) for name in names), default=0)
    return box.inset(min(widest, box.width / 3) + 10, 6, 8, BELOW)


def _level(inner: Box, y: float, colour: str) -> str:
    return element("path", d=f"M{inner.x:.1f} {y:.1f}H{inner.right:.1f}", stroke=colour)


def _name(inner: Box, y: float, name: str) -> str:
    return text(name, inner.x - 8, y + 4, size=SMALL, fill=FAINT, text_anchor="end")
