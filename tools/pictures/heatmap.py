"""How many of which length, over time: brighter is more."""

from __future__ import annotations

from collections.abc import Iterator

from tools.pictures import axes
from tools.pictures.axes import Plot
from tools.pictures.content import Content, nothing
from tools.pictures.svg import Box, rectangle
from tools.pictures.theme import NAMED
from tools.pictures.units import shown

_LINE = 13
"""Pixels between two names of buckets at least."""
Cells = dict[float, dict[float, float]]
"""Counts by upper bound, then by Unix time."""


def draw(content: Content) -> Iterator[str]:
    """A row for each bucket."""
    buckets = apart(content)
    highest = max((count for row in buckets.values() for count in row.values()), default=0.0)
    if not highest:
        yield from nothing(content)
        return
    every = int(_LINE * len(buckets) / content.box.height) + 1
    names = ["" if place % every else _name(bound, content.unit) for place, bound in enumerate(buckets)]
    plot, frame = axes.with_rows(content.box, content.view, names)
    yield from frame
    for place, row in enumerate(buckets.values()):
        for time, count in row.items():
            if count > content.panel["options"]["filterValues"]["le"]:
                yield _cell(content, plot, place, time, count / highest)


def apart(content: Content) -> Cells:
    """Buckets as counts of their own, from the cumulative ones that Prometheus keeps."""
    found = {float(one.labels["le"]): one.points for series in content.found for one in series}
    cells: Cells = {}
    below: dict[float, float] = {}
    for bound in sorted(found):
        cells[bound] = {time: max(0.0, value - below.get(time, 0.0)) for time, value in found[bound].items()}
        below = dict(found[bound])
    return cells


def _name(bound: float, unit: str) -> str:
    return "more" if bound == float("inf") else shown(bound, unit)


def _cell(content: Content, plot: Plot, place: int, time: float, share: float) -> str:
    step = content.view.step_of(content.panel)
    left, right = max(plot.x(time - step), plot.box.x), plot.x(time)
    top, bottom = plot.y(place + 1), plot.y(place)
    opacity = f"{0.15 + 0.85 * share ** content.panel['options']['color']['exponent']:.2f}"
    return rectangle(
        Box(left + 0.5, top + 0.5, max(right - left - 1, 0), bottom - top - 1), NAMED["orange"], fill_opacity=opacity
    )
