"""Colours and sizes of the pictures: one dark sheet that stands on its own on a light page and on a dark one."""

from __future__ import annotations

WIDTH = 960
"""Of a picture in pixels: what a README shows without making the text small."""
MARGIN, GAP, UNIT = 16, 8, 28
"""Around the panels, between them, and the height of one row of the grid, gap included."""
RADIUS = 5
SMALL, PLAIN, LARGE, HUGE = 11, 12, 13, 20
FONT = "-apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"

SHEET, PANEL, BORDER, GRID = "#0f1115", "#171a20", "#262b34", "#252a33"
TEXT, SOFT, FAINT, LINK = "#d9dce3", "#a3aab8", "#8b93a3", "#7fb0ff"

_SHADES = ("super-light-{}", "light-{}", "{}", "semi-dark-{}", "dark-{}")
_HUES = {
    "red": "#FFA6B0 #FF7383 #F2495C #E02F44 #C4162A",
    "orange": "#FFCB7D #FFB357 #FF9830 #FF780A #FA6400",
    "yellow": "#FFF899 #FFEE52 #FADE2A #F2CC0C #E0B400",
    "green": "#C8F2C2 #96D98D #73BF69 #56A64B #37872D",
    "blue": "#C0D8FF #8AB8FF #5794F2 #3274D9 #1F60C4",
    "purple": "#DEB6F2 #CA95E5 #B877D9 #A352CC #8F3BB8",
}
NAMED = {
    shade.format(hue): value
    for hue, values in _HUES.items()
    for shade, value in zip(_SHADES, values.split(), strict=True)
} | {"text": SOFT}
"""What the colours that a dashboard names are in Grafana's dark theme."""
PALETTE = tuple(NAMED[f"{prefix}{hue}"] for prefix in ("", "dark-", "super-light-")
                for hue in ("green", "yellow", "blue", "orange", "red", "purple"))  # fmt: skip
"""Grafana's classic palette, from which series without a colour of their own take theirs in turn."""
