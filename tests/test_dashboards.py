"""The dashboards: what Grafana's own linter asks for, and that they name only what the exporter shows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from tests.promql import family_of, known, selectors, substituted
from tools.dashboards import DASHBOARDS
from tools.dashboards.grafana import COLUMNS, Dashboard

Json = dict[str, Any]
ROOT = Path(__file__).parent.parent
UNITS = {"short", "none", "s", "percentunit", "bytes", "cps", "dateTimeAsIso"}
KNOWN = known()


def panels(dashboard: Dashboard) -> Iterator[Json]:
    """Every panel that shows something, those of collapsed rows too."""
    for panel in dashboard.json()["panels"]:
        if panel["type"] != "row":
            yield panel
        yield from panel.get("panels", ())


ALL = [(dashboard, panel) for dashboard in DASHBOARDS for panel in panels(dashboard)]
EACH_PANEL = pytest.mark.parametrize(
    ("dashboard", "panel"), ALL, ids=[f"{dashboard.uid}-{panel['title']}" for dashboard, panel in ALL]
)
EACH = pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.uid)


@EACH_PANEL
def test_queries_name_only_what_the_exporter_shows(dashboard: Dashboard, panel: Json) -> None:
    for target in panel["targets"]:
        for metric, labels in selectors(target["expr"]):
            assert metric in KNOWN
            assert labels <= KNOWN[metric]


def grouped(query: str) -> set[str]:
    """Labels that a query groups or joins by."""
    lists = re.findall(r"\b(?:by|on|ignoring|group_left) ?\(([^)]*)\)", query)
    return {label.strip() for one in lists for label in one.split(",") if label.strip()}


@EACH_PANEL
def test_queries_group_only_by_labels_that_some_of_their_series_have(dashboard: Dashboard, panel: Json) -> None:
    for target in panel["targets"]:
        there = {label for metric, _ in selectors(target["expr"]) for label in KNOWN[metric]}
        made = set(re.findall(r'label_replace\(.*?, "(\w+)"', target["expr"]))
        assert grouped(target["expr"]) <= there | made


@EACH_PANEL
def test_every_selector_names_the_job(dashboard: Dashboard, panel: Json) -> None:
    for target in panel["targets"]:
        for metric, labels in selectors(target["expr"]):
            shared = metric == "pod_container_probe_info" and "unless" in target["expr"]
            assert "job" in labels or shared, metric


@EACH_PANEL
def test_counters_and_buckets_are_never_shown_as_they_are(dashboard: Dashboard, panel: Json) -> None:
    """rate() or increase() directly around each, over Grafana's intervals and no fixed ones."""
    for target in panel["targets"]:
        for found in re.finditer(r"(\w+)\((\w+(?:_total|_bucket|_count|_sum))\{[^}]*\}(\[[^]]*\])?", target["expr"]):
            assert found[1] in ("rate", "increase"), found[0]
            assert found[3] in ("[$__rate_interval]", "[$__range]"), found[0]
        raw = re.findall(r"(?<!\w)(?<!rate\()(?<!increase\()\bpod_\w+_(?:total|bucket)\{", target["expr"])
        assert raw == []
        assert re.findall(r"\[\d+\w\]", target["expr"]) == []


@EACH_PANEL
def test_every_panel_says_what_it_means_and_in_which_unit(dashboard: Dashboard, panel: Json) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert len(panel["description"]) > 10
    defaults = panel["fieldConfig"]["defaults"]
    assert defaults["unit"] in UNITS
    assert defaults["noValue"]


@EACH_PANEL
def test_panels_and_targets_name_the_chosen_data_source(dashboard: Dashboard, panel: Json) -> None:
    wanted = {"type": "prometheus", "uid": "${datasource}"}
    assert panel["datasource"] == wanted
    assert panel["targets"]
    assert all(target["datasource"] == wanted for target in panel["targets"])
    refs = [target["refId"] for target in panel["targets"]]
    assert len(set(refs)) == len(refs)


@EACH_PANEL
def test_event_bars_are_wider_than_the_window_of_increase(dashboard: Dashboard, panel: Json) -> None:
    custom = panel["fieldConfig"]["defaults"].get("custom", {})
    assert panel.get("interval") == "5m" or custom.get("drawStyle") != "bars"


@EACH_PANEL
def test_bars_leave_out_series_in_which_nothing_happened(dashboard: Dashboard, panel: Json) -> None:
    """Series begin at 0; without this the legend would name all of them."""
    if panel["fieldConfig"]["defaults"].get("custom", {}).get("drawStyle") == "bars":
        assert all(re.search(r" > 0\)?$", target["expr"]) for target in panel["targets"])


@EACH_PANEL
def test_tables_count_in_whole_numbers(dashboard: Dashboard, panel: Json) -> None:
    """increase() extrapolates; a mean, a share or a quantile may be a fraction."""
    for target in panel["targets"] if panel["type"] == "table" else ():
        counts = "increase(" in target["expr"] and not re.search(r"histogram_quantile| / ", target["expr"])
        assert not counts or "round(" in target["expr"]


@EACH_PANEL
def test_tables_name_each_value_or_hide_it(dashboard: Dashboard, panel: Json) -> None:
    if panel["type"] == "table":
        options = panel["transformations"][-1]["options"]
        values = [f"Value #{one['refId']}" for one in panel["targets"]] if len(panel["targets"]) > 1 else ["Value"]
        assert all((value in options["renameByName"]) is not (value in options["excludeByName"]) for value in values)


@EACH_PANEL
def test_legends_name_only_labels_that_the_query_keeps(dashboard: Dashboard, panel: Json) -> None:
    for target in panel["targets"]:
        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= grouped(target["expr"])


@EACH_PANEL
def test_a_stat_of_what_may_end_shows_only_what_is_now(dashboard: Dashboard, panel: Json) -> None:
    """Over a range it would go on showing the last value of a series that is only there while something lasts."""
    lasting = ("unready_since", "deletion_requested", "crash_loop_since", "pod_unmanaged")
    for target in panel["targets"] if panel["type"] == "stat" else ():
        assert target["instant"] or not any(name in target["expr"] for name in lasting)


@EACH_PANEL
def test_links_lead_to_dashboards_and_variables_that_exist(dashboard: Dashboard, panel: Json) -> None:
    uids = {one.uid: set(one.variables) for one in DASHBOARDS}
    for link in re.findall(r'"url": "(/d/[^"]+)"', json.dumps(panel)):
        found = re.fullmatch(r"/d/([\w-]+)\?(.*)", link)
        assert found
        assert set(re.findall(r"var-(\w+)=", found[2])) <= uids[found[1]]
        columns = set(re.findall(r"__data\.fields\.(\w+)", link))
        assert columns <= {label for target in panel["targets"] for label in grouped(target["expr"])}
        assert "${__url_time_range}" in link


@EACH
def test_variables_are_chained_and_follow_the_time(dashboard: Dashboard) -> None:
    source, *variables = dashboard.json()["templating"]["list"]
    assert (source["name"], source["type"]) == ("datasource", "datasource")
    before: set[str] = set()
    for variable in variables:
        assert variable["refresh"] == 2
        used = set(re.findall(r"\$(\w+)", variable["query"]["query"]))
        assert used == before
        before.add(variable["name"])
        assert variable["multi"] is (variable["name"] != "pod")
        assert variable.get("allValue", ".*") == ".*", "it also matches a label that is not there"
        [inner] = re.findall(r"label_values\((.*), \w+\)", variable["query"]["query"])
        assert [one.metric in KNOWN for one in selectors(inner)] == [True]


@EACH
def test_every_variable_is_used_and_no_other(dashboard: Dashboard) -> None:
    """A variable may also serve only to choose the next one."""
    queries = [panel["targets"] for panel in panels(dashboard)]
    chain = [variable["query"] for variable in dashboard.json()["templating"]["list"]]
    used = set(re.findall(r"\$([a-z]\w*)", json.dumps(queries)))
    assert used <= set(dashboard.variables) <= used | set(re.findall(r"\$([a-z]\w*)", json.dumps(chain)))


@EACH
def test_panels_do_not_overlap_and_have_ids_of_their_own(dashboard: Dashboard) -> None:
    placed = dashboard.json()["panels"]
    for one, other in combinations([panel["gridPos"] for panel in placed], 2):
        apart = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert apart or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= COLUMNS for panel in panels(dashboard))
    ids = [panel["id"] for panel in [*placed, *(inner for row in placed for inner in row.get("panels", ()))]]
    assert len(set(ids)) == len(ids)


@EACH
def test_rows_of_panels_have_no_holes(dashboard: Dashboard) -> None:
    widths: dict[tuple[int, int], int] = {}
    for number, row in enumerate(dashboard.rows):
        y = x = 0
        for panel in row.panels:
            y, x = (y + 1, 0) if x + panel.width > COLUMNS else (y, x)
            x += panel.width
            widths[number, y] = x
    assert set(widths.values()) == {COLUMNS}


@EACH
def test_a_dashboard_can_be_provisioned_as_it_is(dashboard: Dashboard) -> None:
    made = dashboard.json()
    assert len(made["uid"]) <= 40
    assert made["editable"] is False
    assert "__inputs" not in made
    assert made["schemaVersion"] == 42
    assert made["links"][0]["keepTime"] is made["links"][0]["includeVars"] is True
    assert len(dashboard.text()) < 100_000, "a ConfigMap holds 1 MiB, and Helm's release all of them"


def test_every_family_is_on_some_panel() -> None:
    used = {
        family_of(metric) for _, panel in ALL for target in panel["targets"] for metric, _ in selectors(target["expr"])
    }
    annotations = {"pod_workload_rollouts_total"}
    families = {family_of(metric) for metric in KNOWN}
    assert families - used - annotations == {"pod_labels"}


def test_no_other_file_lies_there() -> None:
    names = {f"{one.uid}.json" for one in DASHBOARDS}
    assert {path.name for path in (ROOT / "dashboards").iterdir()} == names
    assert {path.name for path in (ROOT / "charts/pod-exporter/dashboards").iterdir()} == names


def test_substitution_leaves_no_variable() -> None:
    queries = [target["expr"] for _, panel in ALL for target in panel["targets"]]
    assert not re.search(r"\$[a-z_]", "".join(map(substituted, queries)))
