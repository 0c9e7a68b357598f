"""What the picture of one panel is made of, and what all kinds of panels have in common."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tools.pictures.source import Json, Series, View, legend
from tools.pictures.svg import Box, text
from tools.pictures.theme import NAMED, PALETTE, SOFT


@dataclass(frozen=True, slots=True)
class Content:
    """A panel, what was answered to each of its targets, and where it is drawn."""

    panel: Json
    found: Sequence[Sequence[Series]]
    box: Box
    view: View
    marks: Sequence[float] = ()
    """Unix times of the dashboard's annotations."""

    @property
    def defaults(self) -> Json:
        """What holds for all fields of the panel."""
        given: Json = self.panel["fieldConfig"]["defaults"]
        return given

    @property
    def unit(self) -> str:
        """The unit of its values, where no override says otherwise."""
        return str(self.defaults["unit"])

    def setting(self, column: str, name: str, otherwise: object = None) -> object:
        """What the panel's overrides say of a field; the last one that matches its name holds."""
        found = otherwise
        for override in self.panel["fieldConfig"]["overrides"]:
            if _matches(override["matcher"], column):
                found = {one["id"]: one["value"] for one in override["properties"]}.get(name, found)
        return found


@dataclass(frozen=True, slots=True)
class Named:
    """A series with the name and colour that its panel gives it."""

    name: str
    colour: str
    points: dict[float, float]


def _matches(matcher: Json, column: str) -> bool:
    if matcher["id"] == "byRegexp":
        return re.search(matcher["options"].strip("/"), column) is not None
    return bool(matcher["options"] == column)


def mapping(mappings: Sequence[Json], value: float) -> Json:
    """The word, and perhaps colour, that stands for a value; empty if none does."""
    for one in mappings:
        found: Json = one["options"].get(f"{value:g}", {})
        if found:
            return found
    return {}


def named(content: Content, after: float | None = None) -> list[Named]:
    """All series of a panel that have values, or values later than a Unix time, with these.

    Those without a fixed colour take the palette's in turn.
    """
    series = [
        (
            legend(target, one.labels),
            {time: value for time, value in one.points.items() if after is None or time > after},
        )
        for target, found in zip(content.panel["targets"], content.found, strict=True)
        for one in found
    ]
    return [Named(name, _colour(content, name, place), points) for place, (name, points) in enumerate(series) if points]


def _colour(content: Content, name: str, place: int) -> str:
    fixed = content.setting(name, "color")
    if not isinstance(fixed, dict):
        fixed = content.defaults["color"]
    return NAMED[fixed["fixedColor"]] if fixed["mode"] == "fixed" else PALETTE[place % len(PALETTE)]


def nothing(content: Content) -> Iterator[str]:
    """What stands in a panel without data: its own word for it."""
    box = content.box
    yield text(
        content.defaults["noValue"], box.x + box.width / 2, box.y + box.height / 2, fill=SOFT, text_anchor="middle"
    )
