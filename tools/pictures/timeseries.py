"""Values over time: lines, areas and bars, on top of each other where the panel says so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from tools.pictures import axes, legend
from tools.pictures.axes import Plot
from tools.pictures.content import Content, Named, named, nothing
from tools.pictures.svg import Box, element, number, path
from tools.pictures.theme import NAMED


class Band(NamedTuple):
    """A series between where it begins and where it ends at each time."""

    of: Named
    low: dict[float, float]
    high: dict[float, float]


def draw(content: Content) -> Iterator[str]:
    """The diagram with its legend."""
    bars = content.defaults["custom"]["drawStyle"] == "bars"
    series = named(content, content.view.start if bars else None)
    if not series:
        yield from nothing(content)
        return
    keys = legend.laid_out([(one.name, one.colour) for one in series], content.box.width)
    box = content.box.inset(0, 0, 0, legend.height(keys))
    bands = _bands(series, stacked=content.defaults["custom"]["stacking"]["mode"] == "normal")
    highest = max(max(band.high.values()) for band in bands)
    plot, frame = axes.with_values(box, content.view, highest, content.unit)
    yield from frame
    yield from _marks(content, plot)
    yield from _data(content, plot, bands)
    yield from legend.draw(keys, Box(box.x, box.bottom, box.width, 0))


def _bands(series: Sequence[Named], *, stacked: bool) -> list[Band]:
    """Each series on those before it, or all of them on the ground."""
    ground: dict[float, float] = {}
    bands = []
    for one in series:
        low = {time: ground.get(time, 0.0) for time in one.points}
        high = {time: low[time] + value for time, value in one.points.items()}
        bands.append(Band(one, low, high))
        if stacked:
            ground |= high
    return bands


def _data(content: Content, plot: Plot, bands: Sequence[Band]) -> Iterator[str]:
    custom, step = content.defaults["custom"], content.view.step_of(content.panel)
    opacity = custom["fillOpacity"] / 100
    for band in bands:
        if custom["drawStyle"] == "bars":
            yield _bars(plot, band, step, opacity)
        else:
            yield from _line(plot, band, step, opacity)


def _bars(plot: Plot, band: Band, step: int, opacity: float) -> str:
    """Each bar covers the time that its value tells of."""
    wide = plot.x(step) - plot.x(0)
    shapes = [
        f"M{number(plot.x(time - step) + wide * 0.1)},{number(plot.y(band.low[time]))}"
        f"h{number(wide * 0.8)}V{number(plot.y(high))}h{number(-wide * 0.8)}Z"
        for time, high in band.high.items()
        if high > band.low[time]
    ]
    return element("path", d="".join(shapes), fill=band.of.colour, fill_opacity=opacity + 0.1)


def _line(plot: Plot, band: Band, step: int, opacity: float) -> Iterator[str]:
    """An area for each run of values; one value alone is a point."""
    for run in _runs(list(band.high), step):
        if len(run) == 1:
            [time] = run
            yield element("circle", cx=plot.x(time), cy=plot.y(band.high[time]), r=2, fill=band.of.colour)
            continue
        top = [(plot.x(time), plot.y(band.high[time])) for time in run]
        ground = [(plot.x(time), plot.y(band.low[time])) for time in reversed(run)]
        yield path(top + ground, closed=True, fill=band.of.colour, fill_opacity=opacity)
        yield path(top, fill="none", stroke=band.of.colour, stroke_width=1.4, stroke_linejoin="round")


def _runs(times: list[float], step: int) -> Iterator[list[float]]:
    """Times without a gap between them."""
    run = times[:1]
    for before, time in pairwise(times):
        if time - before > step:
            yield run
            run = []
        run.append(time)
    yield run


def _marks(content: Content, plot: Plot) -> Iterator[str]:
    for time in content.marks:
        x, y = plot.x(time), plot.box.bottom
        yield element(
            "path", d=f"M{number(x)} {number(plot.box.y)}V{number(y)}", stroke=NAMED["blue"], stroke_dasharray="2 3",
            stroke_opacity=0.7,
        )  # fmt: skip
        yield path([(x - 3.5, y + 5), (x, y), (x + 3.5, y + 5)], closed=True, fill=NAMED["blue"])
