"""The alerts: their words, their runbooks, and that they read only what the exporter shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.promql import known, selectors
from tools.alerts import ALERTS, GROUPS, Alert, rule
from tools.dashboards import DASHBOARDS

ROOT = Path(__file__).parent.parent
RUNBOOKS = ROOT / "docs" / "runbooks"
KNOWN = known()
EACH = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)


@EACH
def test_it_reads_only_what_the_exporter_shows(alert: Alert) -> None:
    for metric, labels in selectors(alert.query()):
        assert metric in KNOWN
        assert labels <= KNOWN[metric]


@EACH
def test_it_leaves_no_limit_open_and_has_none_that_does_nothing(alert: Alert) -> None:
    assert set(re.findall(r"@(\w+)@", alert.template)) == set(alert.limits)
    text = yaml.safe_dump(rule(alert))
    assert "@" not in text


@EACH
def test_it_says_what_to_look_at_and_links_to_runbook_and_dashboard(alert: Alert) -> None:
    made = rule(alert)
    assert made["labels"]["severity"] in ("critical", "warning", "info")
    notes = made["annotations"]
    assert "{{" not in notes["summary"]
    assert len(notes["description"]) > 60
    assert (ROOT / notes["runbook_url"]).exists()
    uid = re.match(r"/d/([\w-]+)", notes["dashboard_url"])
    assert uid
    assert uid[1] in {one.uid for one in DASHBOARDS}


@EACH
def test_labels_in_its_words_are_labels_that_its_result_has(alert: Alert) -> None:
    used = set(re.findall(r"\$labels\.(\w+)", yaml.safe_dump(rule(alert)["annotations"])))
    grouped = {label.strip() for one in re.findall(r"by \(([^)]*)\)", alert.query()) for label in one.split(",")}
    assert used <= grouped


@EACH
def test_its_runbook_has_every_part(alert: Alert) -> None:
    text = (RUNBOOKS / f"{alert.name}.md").read_text()
    assert text.startswith(f"# {alert.name}\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Meaning", "Impact", "First look", "Mitigation"]


def test_there_is_no_runbook_without_an_alert_and_no_name_twice() -> None:
    names = [alert.name for alert in ALERTS]
    assert len(set(names)) == len(names)
    assert {path.stem for path in RUNBOOKS.iterdir()} == set(names)


def test_the_files_of_rules_hold_every_alert() -> None:
    there = {}
    for group in GROUPS:
        [only] = yaml.safe_load((ROOT / "alerts" / f"{group}.yaml").read_text())["groups"]
        there[only["name"]] = [one["alert"] for one in only["rules"]]
    assert there == {group: [alert.name for alert in alerts] for group, alerts in GROUPS.items()}
