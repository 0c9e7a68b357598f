"""Elements of SVG, and text that fits."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias
from xml.sax.saxutils import escape, quoteattr

from tools.pictures.theme import PLAIN, TEXT

Attribute: TypeAlias = str | float | None
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ufffe\uffff\ud800-\udfff]")
_WIDTHS = {
    "ijl'|": 0.22, "It,./:;[]\\!f ": 0.28, 'r()-{}"`*': 0.34, "ckszvxyJ": 0.5, "TFZ": 0.61, "ABEKPSVXY&": 0.67,
    "CDHNRUw": 0.72, "GOQ…→": 0.79, "mM": 0.84, "%": 0.89, "W@": 0.98,
}  # fmt: skip
_WIDTH = {letter: width for letters, width in _WIDTHS.items() for letter in letters}
"""Of letters in ems, as in Helvetica; those that are not here are as wide as a digit."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Where it ends."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """Where it ends below."""
        return self.y + self.height

    def inset(self, left: float, top: float, right: float, bottom: float) -> Box:
        """What is left inside of these margins."""
        return Box(self.x + left, self.y + top, self.width - left - right, self.height - top - bottom)


def number(value: float) -> str:
    """A coordinate: a tenth of a pixel is fine enough."""
    return f"{value:.1f}".removesuffix(".0")


def element(name: str, *inside: str, **attributes: Attribute) -> str:
    """One element; `inside` is markup already, `font_size` becomes font-size, an attribute of None is left out."""
    given = "".join(
        f" {key.rstrip('_').replace('_', '-')}={quoteattr(value if isinstance(value, str) else number(value))}"
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{given}>{''.join(inside)}</{name}>" if inside else f"<{name}{given}/>"


def plain(words: str) -> str:
    """Escaped; what XML cannot carry is replaced."""
    return escape(_CONTROL.sub("�", words))


def text(
    words: str, x: float, y: float, *, size: float = PLAIN, fill: str = TEXT, width: float | None = None,
    **more: Attribute,
) -> str:  # fmt: skip
    """A line of text with its baseline at y, cut to a width if one is given."""
    shown = words if width is None else fitted(words, width, size)
    return element("text", plain(shown), x=x, y=y, font_size=size, fill=fill, **more)


def width_of(words: str, size: float = PLAIN) -> float:
    """Pixels that a text takes, about."""
    return size * sum(_WIDTH.get(letter, 0.56) for letter in words)


def fitted(words: str, width: float, size: float = PLAIN) -> str:
    """The text, or as much of its begin as fits, with an ellipsis."""
    if width_of(words, size) <= width:
        return words
    while words and width_of(f"{words}…", size) > width:
        words = words[:-1]
    return f"{words.rstrip()}…"


def rectangle(box: Box, fill: str, **more: Attribute) -> str:
    """A box that is filled."""
    return element("rect", x=box.x, y=box.y, width=box.width, height=box.height, fill=fill, **more)


def path(points: list[tuple[float, float]], *, closed: bool = False, **more: Attribute) -> str:
    """Straight lines through points; points on the way of a level line are left out."""
    kept = [
        point
        for place, point in enumerate(points)
        if not 0 < place < len(points) - 1 or {points[place - 1][1], points[place + 1][1]} != {point[1]}
    ]
    steps = " ".join(f"{number(x)},{number(y)}" for x, y in kept)
    return element("path", d=f"M{steps}{'Z' if closed else ''}", **more)
