"""What was when: a row for each series, a block for each time in one state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import NamedTuple

from tools.pictures import axes, legend
from tools.pictures.axes import Plot
from tools.pictures.content import Content, mapping, named, nothing
from tools.pictures.source import Json
from tools.pictures.svg import Box, rectangle, text, width_of
from tools.pictures.theme import NAMED, SHEET, SMALL
from tools.pictures.units import shown

_ROW = 0.36
"""Half of a row's height that a block takes."""


class Block(NamedTuple):
    """A value and the Unix times between which it held."""

    value: float
    begin: float
    end: float


def draw(content: Content) -> Iterator[str]:
    """The rows from top to bottom, with the states below."""
    series = named(content)
    if not series:
        yield from nothing(content)
        return
    keys = legend.laid_out(list(_states(content.defaults)), content.box.width)
    box = content.box.inset(0, 0, 0, legend.height(keys) if keys[0] else 0)
    plot, frame = axes.with_rows(box, content.view, [one.name for one in reversed(series)])
    yield from frame
    for place, one in enumerate(reversed(series)):
        for block in blocks(one.points, content.view.step_of(content.panel)):
            yield from _drawn(content, plot, place, block, one.colour)
    yield from legend.draw(keys, Box(box.x, box.bottom, box.width, 0))


def blocks(points: Mapping[float, float], step: int) -> Iterator[Block]:
    """Equal values that follow each other are one block; where there are no values there is none."""
    begin = None
    for (time, value), (following, then) in pairwise([*points.items(), (float("inf"), float("nan"))]):
        begin = time if begin is None else begin
        if following - time > step or then != value:
            yield Block(value, begin, min(following, time + step))
            begin = None


def _states(defaults: Json) -> Iterator[legend.Key]:
    for one in defaults["mappings"]:
        for state in one["options"].values():
            yield state["text"], NAMED[state["color"]]


def _drawn(content: Content, plot: Plot, place: int, block: Block, colour: str) -> Iterator[str]:
    left, right = plot.x(block.begin), min(plot.x(block.end), plot.box.right)
    middle = plot.y(place + 0.5)
    half = _ROW * (plot.y(place) - plot.y(place + 1))
    state = mapping(content.defaults["mappings"], block.value)
    fill = NAMED[state["color"]] if state else colour
    yield rectangle(Box(left, middle - half, max(right - left, 0.5), 2 * half), fill, fill_opacity=0.85)
    words = str(state.get("text") or shown(block.value, content.unit))
    if content.panel["options"]["showValue"] != "never" and width_of(words, SMALL) + 12 < right - left:
        yield text(words, left + 6, middle + 4, size=SMALL, fill=SHEET)
