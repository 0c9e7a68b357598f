"""A whole dashboard as one picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from tools.dashboards.grafana import COLUMNS, VARIABLES, Dashboard
from tools.pictures import heatmap, stat, table, timeline, timeseries
from tools.pictures.content import Content
from tools.pictures.source import Json, Source, View, answers
from tools.pictures.svg import Box, element, number, path, plain, rectangle, text, width_of
from tools.pictures.theme import (
    BORDER,
    FAINT,
    FONT,
    GAP,
    HUGE,
    LARGE,
    MARGIN,
    NAMED,
    PANEL,
    RADIUS,
    SHEET,
    SMALL,
    SOFT,
    TEXT,
    UNIT,
    WIDTH,
)
from tools.pictures.units import clock

KINDS: Mapping[str, Callable[[Content], Iterator[str]]] = {
    "stat": stat.draw,
    "timeseries": timeseries.draw,
    "table": table.draw,
    "heatmap": heatmap.draw,
    "state-timeline": timeline.draw,
}
ORIGIN = (
    "Drawn by tools/pictures from this dashboard's JSON and the demo's data in a real Prometheus; "
    "not Grafana's own rendering."
)
_TOP, _BOTTOM = 92, 50
_COLUMN = (WIDTH - 2 * MARGIN + GAP) / COLUMNS


def opened(dashboard: Dashboard, *titles: str) -> Dashboard:
    """The dashboard with these rows, or all, and none of them collapsed."""
    rows = tuple(replace(row, collapsed=False) for row in dashboard.rows if not titles or row.title in titles)
    return replace(dashboard, rows=rows)


def picture(dashboard: Dashboard, view: View, source: Source) -> str:
    """The file; PictureError if the source does not answer."""
    made = dashboard.json()
    marks = _marks(made, view, source)
    body = [part for panel in made["panels"] for part in _panel(panel, view, source, marks)]
    bottom = max(one["gridPos"]["y"] + one["gridPos"]["h"] for one in made["panels"]) * UNIT + _TOP
    height = bottom + _BOTTOM
    sheet = rectangle(Box(0.5, 0.5, WIDTH - 1, height - 1), SHEET, stroke=BORDER, rx=8)
    parts = [sheet, *_head(dashboard, view), *_marked(made, marks), *body, *_foot(made, view, bottom + 12)]
    return element(
        "svg", element("title", plain(f"{dashboard.title}: {dashboard.description}")), *parts,
        xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {WIDTH} {height}", width=WIDTH, height=height,
        font_family=FONT, role="img",
    ).replace("><g", ">\n<g") + "\n"  # fmt: skip


def _marks(made: Json, view: View, source: Source) -> list[float]:
    """When the dashboard's annotations began."""
    times = {
        time
        for one in made["annotations"]["list"]
        for series in source.range(view.substituted(one["expr"], view.coarse), view.start, view.end, view.coarse)
        for time in series.points
    }
    early = float("-inf")
    begun = [time for before, time in pairwise([early, *sorted(times)]) if time - before > view.coarse]
    return [time for time in begun if time > view.start]


# --- head and foot ----------------------------------------------------------------------------------------------------


def _head(dashboard: Dashboard, view: View) -> Iterator[str]:
    yield text(dashboard.title, MARGIN, 34, size=HUGE, font_weight="600")
    span = f"{clock(view.start, '%Y-%m-%d %H:%M')} to {clock(view.end)} UTC"
    yield text(span, WIDTH - MARGIN, 34, fill=SOFT, text_anchor="end")
    yield text(dashboard.description, MARGIN, 54, fill=SOFT, width=WIDTH - 2 * MARGIN)
    x = float(MARGIN)
    for name in dashboard.variables:
        label, value = VARIABLES[name][0], view.chosen.get(name, "All").replace("|", " + ")
        yield text(label, x, 77, size=SMALL, fill=FAINT)
        x += width_of(label, SMALL) + 6
        yield text(value, x, 77, size=SMALL, fill=TEXT, font_weight="600")
        x += width_of(value, SMALL) * 1.08 + 18


def _marked(made: Json, marks: Sequence[float]) -> Iterator[str]:
    """What the dashed lines in the diagrams are, if there are any."""
    for one in made["annotations"]["list"] if marks else ():
        yield text(one["name"], WIDTH - MARGIN, 77, size=SMALL, fill=SOFT, text_anchor="end")
        x = WIDTH - MARGIN - width_of(one["name"], SMALL) - 10
        yield path([(x - 3.5, 77), (x, 72), (x + 3.5, 77)], closed=True, fill=NAMED[one["iconColor"]])
        yield element("path", d=f"M{number(x)} 64V72", stroke=NAMED[one["iconColor"]], stroke_dasharray="2 3")


def _foot(made: Json, view: View, y: float) -> Iterator[str]:
    yield text(ORIGIN, MARGIN, y + 4, size=SMALL, fill=FAINT)
    least = {panel["interval"] for panel in made["panels"] if "interval" in panel}
    if least:
        given = ", ".join(least)
        steps = f"A least step of {given} is drawn as {view.coarse} s: the demo takes minutes for a cluster's hours."
        yield text(steps, MARGIN, y + 19, size=SMALL, fill=FAINT)


# --- panels -----------------------------------------------------------------------------------------------------------


def _panel(panel: Json, view: View, source: Source, marks: list[float]) -> Iterator[str]:
    place = panel["gridPos"]
    box = Box(
        MARGIN + place["x"] * _COLUMN, _TOP + place["y"] * UNIT, place["w"] * _COLUMN - GAP, place["h"] * UNIT - GAP
    )
    if panel["type"] == "row":
        yield text(f"▾  {panel['title']}", box.x, box.bottom - 1, size=LARGE, font_weight="600")
        return
    content = Content(panel, answers(panel, view, source), box.inset(12, 32, 12, 8), view, marks)
    yield element(
        "g",
        element("title", plain(panel["description"])),
        rectangle(box, PANEL, stroke=BORDER, rx=RADIUS),
        text(panel["title"], box.x + 12, box.y + 20, width=box.width - 24, fill=TEXT, font_weight="600"),
        *KINDS[panel["type"]](content),
    )
