"""One number, coloured by its thresholds, with its history behind it."""

from __future__ import annotations

from collections.abc import Iterator

from tools.pictures.content import Content, mapping
from tools.pictures.scales import Scale
from tools.pictures.source import Json, Series, legend
from tools.pictures.svg import Box, path, text, width_of
from tools.pictures.theme import NAMED, SOFT
from tools.pictures.units import shown

_SIZE = 30
"""Of the number in pixels, if it fits."""


def draw(content: Content) -> Iterator[str]:
    """The newest number, and its history where there is one."""
    first = next((one for found in content.found for one in found), None)
    points = first.points if first else {}
    newest = list(points.values())[-1] if points else None
    colour = SOFT if newest is None else _colour(content.defaults, newest)
    words = content.defaults["noValue"] if first is None or newest is None else _words(content, first, newest)
    box = content.box
    yield from _history(dict(points), box, content, colour)
    size = min(_SIZE, _SIZE * box.width / max(width_of(words, _SIZE), 1))
    yield text(words, box.x, box.y + 30, size=size, fill=colour, font_weight="600")


def _words(content: Content, series: Series, value: float) -> str:
    if content.panel["options"]["textMode"] == "name":
        return legend(content.panel["targets"][0], series.labels)
    return str(mapping(content.defaults.get("mappings", ()), value).get("text") or shown(value, content.unit))


def _colour(defaults: Json, value: float) -> str:
    steps = defaults["thresholds"]["steps"]
    reached = [one["color"] for one in steps if one["value"] is None or value >= one["value"]]
    return NAMED[mapping(defaults.get("mappings", ()), value).get("color", reached[-1])]


def _history(points: dict[float, float], box: Box, content: Content, colour: str) -> Iterator[str]:
    if len(points) <= 1:
        return
    ground = box.bottom
    x = Scale(content.view.start, content.view.end, box.x, box.right)
    y = Scale(min(0, *points.values()), max(points.values()) or 1.0, ground, box.y + 43)
    top = [(x(time), y(value)) for time, value in points.items()]
    yield path([*top, (top[-1][0], ground), (top[0][0], ground)], closed=True, fill=colour, fill_opacity=0.14)
    yield path(top, fill="none", stroke=colour, stroke_opacity=0.55, stroke_width=1.2)
