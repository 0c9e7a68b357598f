"""What is drawn of a panel and canned answers."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from tests.canned import NOW, START, SVG, always, now, words
from tools.dashboards.grafana import (
    ORANGE,
    RED,
    TO_POD,
    YES_OR_NO,
    Panel,
    Query,
    bars,
    heatmap,
    lines,
    stat,
    steps,
    table,
    timeline,
)
from tools.pictures import svg
from tools.pictures import table as tables
from tools.pictures.content import Content
from tools.pictures.heatmap import apart
from tools.pictures.page import KINDS
from tools.pictures.source import Series
from tools.pictures.svg import Box
from tools.pictures.theme import LINK, NAMED, PALETTE, SOFT, TEXT
from tools.pictures.timeline import Block, blocks

BOX = Box(0, 0, 440, 176)


def content(panel: Panel, *found: list[Series], box: Box = BOX) -> Content:
    return Content(panel.json(1, 0, 0), found, box, NOW)


def drawn(panel: Panel, *found: list[Series], box: Box = BOX) -> ET.Element:
    """What is drawn inside of the panel's frame."""
    inside = "".join(KINDS[panel.kind](content(panel, *found, box=box)))
    return ET.fromstring(f"<svg xmlns='{SVG['svg']}'>{inside}</svg>")


@pytest.mark.parametrize("kind", [stat, lines, bars, table, heatmap])
def test_a_panel_without_data_says_so(kind: Any) -> None:
    assert words(drawn(kind("a", "b", "c"), [])) == ["none"]
    assert words(drawn(kind("a", "b", "c"), [Series({"le": "1"}, {})])) == ["none"] or kind is table


def test_a_stat_is_its_newest_value_in_the_colour_of_its_thresholds() -> None:
    panel = stat("a", "b", "c", unit="s", thresholds=steps((60, ORANGE), (90, RED)))
    root = drawn(panel, [Series({}, {1.0: 95.0, 2.0: 72.0})])
    [number] = root.iterfind("svg:text", SVG)
    assert (number.text, number.get("fill")) == ("1.2 min", NAMED[ORANGE])
    assert root.findall("svg:path", SVG) != []


def test_a_stat_shows_the_word_of_a_value_the_name_of_a_series_and_its_word_for_nothing() -> None:
    ready = stat("a", "b", "c", defaults={"mappings": YES_OR_NO, "noValue": "gone"})
    assert words(drawn(ready, [now({}, 1)])) == ["yes"]
    assert words(drawn(ready, [])) == ["gone"]
    assert words(drawn(stat("a", "b", "c", legend="{{version}}"), [now({"version": "0.1.0"}, 1)])) == ["0.1.0"]


def test_a_long_number_is_made_smaller_until_it_fits() -> None:
    [number] = drawn(stat("a", "b", "c", unit="none"), [now({}, 123456789012)]).iterfind("svg:text", SVG)
    assert float(number.get("font-size", 0)) == 30
    [smaller] = drawn(stat("a", "b", "c", unit="none"), [now({}, 123456789012)], box=Box(0, 0, 90, 60))
    assert svg.width_of(smaller.text or "", float(smaller.get("font-size", 0))) <= 91


def test_bars_stand_on_each_other_and_cover_the_time_that_they_tell_of() -> None:
    panel = bars("a", "b", "c", "{{cause}}", colours={"OOMKilled": RED})
    found = [always({"cause": cause}, value, NOW.coarse) for cause, value in (("OOMKilled", 2), ("odd <&>", 1))]
    root = drawn(panel, found)
    first, second = (shape.get("d", "") for shape in root.iterfind("svg:path[@fill-opacity]", SVG))
    assert first.count("M") == second.count("M") == 18, "the first step tells of the time before"
    assert 0 < float(re.findall(r"M([\d.]+),", first)[-1]) < BOX.right - 20, "the last bar ends with the picture"
    assert re.findall(r"M[\d.]+,([\d.]+)", second)[0] == re.findall(r"V([\d.]+)", first)[0]
    assert {"OOMKilled", "odd <&>", "11:08"} <= set(words(root))
    fills = [shape.get("fill") for shape in root.iterfind("svg:path[@fill-opacity]", SVG)]
    assert fills == [NAMED[RED], PALETTE[1]]


def test_lines_break_where_values_are_missing_and_show_a_single_one_as_a_point() -> None:
    times = [START + 2.0 * place for place in (0, 1, 2, 10, 11, 30)]
    root = drawn(lines("a", "b", "c", "x"), [Series({}, dict.fromkeys(times, 1.0))])
    assert len(root.findall("svg:path[@stroke-width]", SVG)) == 2
    assert len(root.findall("svg:circle", SVG)) == 1


def test_stacked_areas_end_where_the_next_begin() -> None:
    root = drawn(lines("a", "b", "c", "{{x}}", stacked=True), [always({"x": "low"}, 1), always({"x": "high"}, 3)])
    low, high = (shape.get("d", "") for shape in root.iterfind("svg:path[@stroke-width]", SVG))
    tops = [float(re.findall(r",([\d.]+)", one)[0]) for one in (low, high)]
    ground = max(float(y) for y in re.findall(r",([\d.]+)", root.find("svg:path[@fill-opacity]", SVG).get("d")))  # type: ignore[union-attr,arg-type]
    assert (ground - tops[1]) / (ground - tops[0]) == pytest.approx(4, rel=0.01)


def test_a_legend_tells_how_many_names_did_not_fit() -> None:
    found = [always({"pod": f"a-quite-long-name-of-a-pod-{number:02}"}, 1) for number in range(20)]
    shown = words(drawn(lines("a", "b", "c", "{{pod}}"), found))
    assert len([word for word in shown if word.startswith("a-quite")]) == 4
    assert "+ 16 more" in shown


def test_a_table_has_the_panels_columns_order_and_units() -> None:
    panel = table("a", (Query("x", name="Restarts"), Query("y", name="For")), "c", units={"For": "s"})
    one, other = ({"container": container, "namespace": "n"} for container in ("a", "b"))
    made = content(panel, [now(one, 1), now(other, 7)], [now(one, 90)])
    assert [list(record.values()) for record in tables.arranged(made)] == [["n", "b", 7.0, ""], ["n", "a", 1.0, 90.0]]
    shown = words(drawn(panel, *map(list, made.found)))
    assert shown == ["namespace", "n", "n", "container", "b", "a", "Restarts", "7", "1", "For", "", "1.5 min"]


def test_a_column_with_a_link_looks_like_one() -> None:
    root = drawn(table("a", "x", "c", links=(TO_POD,)), [now({"pod": "a", "status": "Running"}, 1)])
    assert [one.get("fill") for one in root.iterfind("svg:text", SVG)] == [SOFT, LINK, SOFT, TEXT]


def test_a_table_hides_a_value_without_a_name_and_shows_flags_as_words() -> None:
    found = [now({"pod": "a"}, 1)]
    assert words(drawn(table("a", "x", "c"), found)) == ["pod", "a"]
    assert words(drawn(table("a", "x", "c", column="Ready", flags=("Ready",)), found)) == ["pod", "a", "Ready", "yes"]


def test_a_table_can_have_the_least_on_top() -> None:
    found = [now({"pod": "a"}, 9), now({"pod": "b"}, 3)]
    assert words(drawn(table("a", "x", "c", column="V", ascending=True), found)) == ["pod", "b", "a", "V", "3", "9"]


def test_a_long_table_shows_the_first_rows_and_counts_the_others() -> None:
    found = [now({"pod": f"pod-{number:02}"}, number) for number in range(30)]
    shown = words(drawn(table("a", "x", "c", column="V"), found))
    assert shown[1:7] == [f"pod-{number}" for number in range(29, 23, -1)]
    assert shown[-1] == "… 24 more"


def test_a_table_that_is_too_wide_cuts_its_widest_column() -> None:
    long = "x" * 90
    shown = words(drawn(table("a", "x", "c"), [now({"pod": long, "status": "Running"}, 1)]))
    assert shown[0] == "pod"
    assert shown[1].endswith("…")
    assert "Running" in shown


def test_a_heatmap_takes_cumulative_buckets_apart() -> None:
    found = [always({"le": le}, value, NOW.coarse) for le, value in (("+Inf", 5), ("1", 2), ("60", 2))]
    made = content(heatmap("a", "b", "c"), found)
    assert {bound: set(row.values()) for bound, row in apart(made).items()} == {1: {2}, 60: {0}, float("inf"): {3}}
    root = drawn(heatmap("a", "b", "c"), found)
    assert words(root)[:3] == ["1 s", "1 min", "more"]
    cells = root.findall("svg:rect", SVG)
    assert len(cells) == 2 * 19
    assert {cell.get("fill-opacity") for cell in cells} == {"0.84", "1.00"}


def test_equal_states_are_one_block_until_a_gap() -> None:
    points = {0.0: 1.0, 2.0: 1.0, 4.0: 3.0, 10.0: 3.0, 12.0: 1.0}
    assert list(blocks(points, 2)) == [Block(1, 0, 4), Block(3, 4, 6), Block(3, 10, 12), Block(1, 12, 14)]


def test_a_timeline_has_a_row_for_each_series_and_a_word_for_each_state() -> None:
    panel = timeline("a", "b", "c", "{{container}}", {1: ("running", "green"), 3: ("waiting", "yellow")})
    root = drawn(panel, [always({"container": "main"}, 1), always({"container": "proxy"}, 3)])
    assert words(root)[:2] == ["proxy", "main"]
    assert words(root).count("running") == words(root).count("waiting") == 2
    assert {"running", "waiting"} <= set(words(root))
    fills = [block.get("fill") for block in root.iterfind("svg:rect[@fill-opacity]", SVG)]
    assert fills == [NAMED["yellow"], NAMED["green"]]


def test_a_timeline_without_states_colours_its_rows_by_their_names() -> None:
    panel = timeline("a", "b", "c", "{{status}}", colours={"Running": "green", r"\S*BackOff": RED})
    found = [always({"status": status}, 1) for status in ("Running", "Init:CrashLoopBackOff", "odd")]
    root = drawn(panel, found)
    fills = [block.get("fill") for block in root.iterfind("svg:rect", SVG)]
    assert fills == [SOFT, NAMED[RED], NAMED["green"]]
    assert "1" not in words(root)
