"""The pictures of the dashboards: text, scales, what is asked, whole pages, and the committed ones."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.canned import NOW, START, SVG, Told, words
from tools.dashboards import DASHBOARDS
from tools.dashboards.grafana import Dashboard, Row, bars, lines, table
from tools.pictures import svg, units
from tools.pictures.gallery import PICTURES, Picture, view
from tools.pictures.page import ORIGIN, opened, picture
from tools.pictures.scales import Scale, ticks
from tools.pictures.source import PictureError, Prometheus, Series, View, answers

FOLDER = Path(__file__).parent.parent / "docs/pictures"
LIMIT = 150_000
"""Bytes of a committed picture."""
LABELS = ("namespace", "workload", "pod", "container", "reason", "source")
ANYTHING = tuple(
    ({name: f"{name}-{number}" for name in LABELS} | {"le": le}, float(number))
    for number, le in enumerate(("1", "60", "+Inf"), 1)
)
ONE = Told((({}, 1.0),))


# --- text, values, scales --------------------------------------------------------------------------------------------


def test_text_is_escaped_and_what_xml_cannot_carry_is_replaced() -> None:
    made = svg.text('<b> & "x"\x00\x1b\ud800', 1, 2, fill="\"'")
    read = ET.fromstring(made)
    assert read.text == '<b> & "x"���'
    assert read.get("fill") == "\"'"


def test_text_is_cut_with_an_ellipsis_only_if_it_does_not_fit() -> None:
    name = "llm-with-monitoring-5d8c7-x2x9z"
    assert svg.fitted(name, svg.width_of(name)) == name
    cut = svg.fitted(name, 100)
    assert cut.endswith("…")
    assert name.startswith(cut[:-1])
    assert 80 < svg.width_of(cut) <= 100
    assert svg.fitted("W", 1) == "…"


def test_level_lines_need_only_their_ends() -> None:
    made = svg.path([(0, 1), (1, 1), (2, 1), (3, 5), (4, 5), (5, 5)])
    assert ET.fromstring(made).get("d") == "M0,1 2,1 3,5 5,5"


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (3, "short", "3"), (1.0345, "short", "1.03"), (1234, "short", "1.23 K"), (5e9, "short", "5 Bil"),
        (0, "short", "0"), (12345, "none", "12345"), (0.607, "percentunit", "60.7%"), (0, "s", "0 s"),
        (0.35, "s", "350 ms"), (9, "s", "9 s"), (72, "s", "1.2 min"), (7200, "s", "2 h"), (129600, "s", "1.5 d"),
        (1536, "bytes", "1.5 KiB"), (12, "bytes", "12 B"), (3.2, "cps", "3.2 c/s"),
        (1_795_000_020_000, "dateTimeAsIso", "2026-11-18 11:07:00"),
    ],
)  # fmt: skip
def test_values_are_shown_in_the_unit_of_their_panel(value: float, unit: str, shown: str) -> None:
    assert units.shown(value, unit) == shown


@pytest.mark.parametrize(
    ("high", "unit", "wanted"),
    [
        (4, "short", [0, 1, 2, 3, 4]), (1.05, "short", [0, 0.5, 1]), (23, "short", [0, 5, 10, 15, 20]),
        (100, "s", [0, 30, 60, 90]), (400, "s", [0, 120, 240, 360]), (0.9, "s", [0, 0.2, 0.4, 0.6, 0.8]),
        (2.2 * 2**20, "bytes", [0, 2**19, 2**20, 3 * 2**19, 2**21]),
    ],
)  # fmt: skip
def test_ticks_are_round_in_their_unit(high: float, unit: str, wanted: list[float]) -> None:
    assert ticks(0, high, unit) == wanted


@pytest.mark.parametrize("high", [0.001, 0.7, 1, 3.3, 59, 61, 999, 12_345, 8e9])
@pytest.mark.parametrize("unit", ["short", "s", "bytes"])
def test_there_are_never_too_many_ticks_and_none_is_outside(high: float, unit: str) -> None:
    made = ticks(0, high, unit, most=4)
    assert made[0] == 0
    assert len(made) <= 5
    assert all(0 <= tick <= high for tick in made)


def test_times_are_marked_at_full_minutes() -> None:
    assert ticks(START, START + 360, "s", most=6) == [START + 60 * minute for minute in range(7)]


def test_a_scale_without_extent_draws_at_its_begin() -> None:
    assert Scale(0, 10, 100, 200)(5) == 150
    assert Scale(3, 3, 100, 200)(3) == 100


# --- what is asked ---------------------------------------------------------------------------------------------------


def test_variables_are_replaced_by_what_is_chosen_and_times_by_grafanas_rule() -> None:
    seen = View(0, 600, scrape=2, chosen={"namespace": "shop"})
    query = 'x{namespace=~"$namespace", pod=~"$pod"}[$__rate_interval] $__range $__interval'
    assert seen.substituted(query, 20) == 'x{namespace=~"shop", pod=~".*"}[22s] 600s 20s'
    assert "[8s]" in seen.substituted(query, 2)


def test_a_panel_with_a_least_step_is_asked_in_coarser_ones() -> None:
    [fine], [coarse] = (answers(panel.json(1, 0, 0), NOW, ONE) for panel in (lines("a", "b", "c"), bars("a", "b", "c")))
    assert (len(fine[0].points), len(coarse[0].points)) == (181, 19)


def test_a_table_is_asked_only_for_now() -> None:
    [[series]] = answers(table("a", "b", "c").json(1, 0, 0), NOW, ONE)
    assert series.points == {NOW.end: 1}


class Canned(BaseHTTPRequestHandler):
    """Answers as Prometheus does: by an error to the query `bad`."""

    def do_GET(self) -> None:
        bad = "query=bad" in self.path
        value = {"values": [[1, "2"], [3, "NaN"]]} if "query_range" in self.path else {"value": [1, "+Inf"]}
        body = json.dumps({"data": {"result": [{"metric": {"a": "b"}, **value}]}}).encode()
        self.send_response(400 if bad else 200)
        self.end_headers()
        self.wfile.write(b"parse error" if bad else body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that http.server calls it by
        pass


@contextmanager
def serving() -> Iterator[Prometheus]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Canned) as server:
        Thread(target=server.serve_forever, args=(0.05,)).start()
        try:
            yield Prometheus(f"127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()


def test_answers_are_read_and_what_is_no_number_is_left_out() -> None:
    with serving() as prometheus:
        assert prometheus.range("x", 0, 10, 1) == [Series({"a": "b"}, {1.0: 2.0})]
        assert prometheus.instant("x", 1) == [Series({"a": "b"}, {})]


def test_an_error_of_prometheus_and_its_absence_say_what_was_tried() -> None:
    with serving() as prometheus, pytest.raises(PictureError, match="says 400 to bad: b'parse error'"):
        prometheus.instant("bad", 1)
    with pytest.raises(PictureError, match=re.escape(f"Prometheus at {prometheus.address} does not answer")):
        prometheus.instant("x", 1)


def command(folder: Path, path: str) -> tuple[int, str]:
    """What `make pictures` runs, with programs from that path: exit code and errors."""
    words = [sys.executable, "-m", "tools.pictures", f"--into={folder / 'pictures'}"]
    ended = subprocess.run(words, env={"PATH": path}, capture_output=True, text=True, timeout=120, check=False)
    assert not (folder / "pictures").exists()
    return ended.returncode, ended.stderr


def test_without_prometheus_the_command_says_what_to_install(tmp_path: Path) -> None:
    code, errors = command(tmp_path, "")
    assert code == 1
    assert errors.startswith("pictures: pictures need Prometheus, which is not installed here")


def test_a_prometheus_that_does_not_start_is_told_at_once(tmp_path: Path) -> None:
    program = tmp_path / "prometheus"
    program.write_text("#!/bin/sh\necho no such flag >&2\nexit 3\n")
    program.chmod(0o755)
    code, errors = command(tmp_path, str(tmp_path))
    assert code == 1
    assert "prometheus" in errors
    assert "ended by itself with 3: no such flag" in errors


# --- pages -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one.uid)
@pytest.mark.parametrize("source", [Told(ANYTHING), Told(())], ids=["data", "none"])
def test_every_dashboard_can_be_drawn_with_all_its_panels(dashboard: Dashboard, source: Told) -> None:
    root = ET.fromstring(picture(opened(dashboard), NOW, source))
    panels = [panel for row in dashboard.rows for panel in row.panels]
    assert [one.text for one in root.iterfind("svg:g/svg:title", SVG)] == [panel.description for panel in panels]
    titles = [group.findall("svg:text", SVG)[0].text for group in root.iterfind("svg:g", SVG)]
    assert titles == [panel.title for panel in panels]
    shown = words(root)
    assert {f"▾  {row.title}" for row in dashboard.rows} <= set(shown)
    assert ORIGIN in shown
    assert "2026-11-18 11:07 to 11:13 UTC" in shown


def test_a_picture_says_what_is_chosen_and_marks_rollouts() -> None:
    [dashboard] = [one.dashboard for one in PICTURES if one.name == "overview"]
    seen = View(START, START + 360, chosen={"workload": "a|<b>"})
    before, within = (ET.fromstring(picture(dashboard, seen, Told(ANYTHING, since))) for since in (0.0, START + 90.0))
    assert "a + <b>" in words(before)
    assert "Rollouts" not in words(before)
    assert "Rollouts" in words(within)


def test_rows_can_be_chosen() -> None:
    dashboard = Dashboard("u", "t", "d.", (), (Row("a", (), collapsed=True), Row("b", ())))
    assert [(row.title, row.collapsed) for row in opened(dashboard).rows] == [("a", False), ("b", False)]
    assert [row.title for row in opened(dashboard, "b").rows] == ["b"]


def test_a_picture_ends_at_a_full_step_and_shows_a_pod_that_is_there() -> None:
    pod = next(one for one in PICTURES if "pod" in one.dashboard.variables)
    seen = view(pod, 6, START + 59, Told((({"pod": "b"}, 1.0), ({"pod": "a"}, 1.0))))
    assert (seen.start, seen.end) == (START - 320, START + 40)
    assert seen.chosen["pod"] == "a"
    with pytest.raises(PictureError, match="there is no pod with namespace="):
        view(pod, 6, START, Told(()))


@pytest.mark.parametrize("one", PICTURES, ids=lambda one: one.name)
def test_the_committed_picture_is_one_of_ours_and_small(one: Picture) -> None:
    path = FOLDER / f"{one.name}.svg"
    assert path.stat().st_size < LIMIT
    root = ET.fromstring(path.read_text())
    assert {ORIGIN, one.dashboard.title} <= set(words(root))


def test_there_are_no_other_pictures() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {f"{one.name}.svg" for one in PICTURES}
