"""Names of series below a diagram."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tools.pictures.svg import Box, fitted, rectangle, text, width_of
from tools.pictures.theme import SMALL, SOFT

LINE = 17
_MOST = 2
"""Lines at most; what does not fit is told as a number."""
_SWATCH, _APART = 16, 14
_LONGEST = 210

Key = tuple[str, str]
"""Name and colour."""


def laid_out(keys: Sequence[Key], width: float) -> list[list[Key]]:
    """The names in lines, each cut to a bearable length; of what does not fit only the number."""
    lines: list[list[Key]] = [[]]
    left = width
    for place, (name, colour) in enumerate(keys):
        cut = fitted(name, _LONGEST, SMALL)
        needed = _SWATCH + width_of(cut, SMALL) + _APART
        last = len(lines) == _MOST
        reserve = 56 if last and place < len(keys) - 1 else 0
        if needed + reserve > left and lines[-1]:
            if last:
                lines[-1].append((f"+ {len(keys) - place} more", ""))
                break
            lines.append([])
            left = width
        lines[-1].append((cut, colour))
        left -= needed
    return lines


def height(lines: Sequence[Sequence[Key]]) -> float:
    """Pixels that the lines take."""
    return len(lines) * LINE + 2


def draw(lines: Sequence[Sequence[Key]], box: Box) -> Iterator[str]:
    """The lines from the top of the box on."""
    for place, line in enumerate(lines):
        x, y = box.x, box.y + (place + 1) * LINE - 3
        for name, colour in line:
            if colour:
                yield rectangle(Box(x, y - 5.5, 10, 3), colour, rx=1.5)
            start = x + (_SWATCH if colour else 0)
            yield text(name, start, y, size=SMALL, fill=SOFT)
            x = start + width_of(name, SMALL) + _APART
