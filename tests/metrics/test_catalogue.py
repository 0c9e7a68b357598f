from __future__ import annotations

import re
from itertools import chain

import pytest

from exporter.lifecycle.observations import ContainerAppeared, ContainerType, PodRef, Workload
from exporter.metrics.catalogue import COUNTED, COUNTERS, GAUGES, ROWS, born_early
from exporter.metrics.families import CounterFamily, Family, GaugeFamily, RowFamily

FAMILIES: tuple[Family, ...] = (*COUNTERS, *GAUGES, *ROWS)
WORKLOAD_LABELS = {"namespace", "workload_kind", "workload"}
POD_LABELS = {"namespace", "pod"}
CONTAINER_LABELS = {"container", "container_type"}
POD = PodRef("shop", "web-1", "u1", Workload("shop", "Deployment", "web"))


def row_labels(family: RowFamily) -> list[str]:
    return [word.partition("=")[0] for word in family.labels.split()]


def test_every_family_stands_once() -> None:
    names = [family.name for family in FAMILIES]
    assert len(names) == len(set(names))
    plain = [name.removesuffix("_total") for name in names]
    assert len(plain) == len(set(plain))  # OpenMetrics names counters without it


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_name_keeps_the_rules_that_promtool_checks(family: Family) -> None:
    assert re.fullmatch(r"pod_[a-z]+(_[a-z]+)*", family.name)
    assert not family.name.endswith(("_count", "_sum", "_bucket", "_created"))
    assert isinstance(family, CounterFamily) == family.name.endswith("_total")
    assert not re.search(r"_(gauge|counter|milliseconds|minutes|hours|days|kilobytes|ms|sec)(_|$)", family.name)
    assert not family.name.startswith("pod_exporter_")  # those are about the exporter itself


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_help_text_is_one_paragraph_without_anything_that_the_formats_escape(family: Family) -> None:
    assert re.fullmatch(r"[A-Z\d][\x20-\x7e]*\.|[a-z]+[A-Z][\x20-\x7e]*\.", family.help)
    assert not set(family.help) & {'"', "\\", "\n"}
    assert "  " not in family.help


@pytest.mark.parametrize("family", COUNTERS, ids=lambda family: family.name)
def test_a_counter_reads_only_fields_that_its_observation_has(family: CounterFamily) -> None:
    fields = {word.partition("=")[2] or word for word in family.labels.split()}
    read = {field for field in (*fields, family.amount, family.each) if field and not field.startswith(":")}
    assert read <= set(family.on.__struct_fields__)


@pytest.mark.parametrize("family", COUNTERS, ids=lambda family: family.name)
def test_a_counters_labels_are_valid_and_none_stands_twice(family: CounterFamily) -> None:
    names = family.label_names
    assert len({*names, *WORKLOAD_LABELS}) == len(names) + len(WORKLOAD_LABELS)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", name) and name not in ("le", "quantile") for name in names)


@pytest.mark.parametrize("family", ROWS, ids=lambda family: family.name)
def test_a_rows_labels_are_valid_and_none_stands_twice(family: RowFamily) -> None:
    taken = POD_LABELS if family.scope == "pod" else POD_LABELS | CONTAINER_LABELS
    names = row_labels(family)
    assert len({*names, *taken}) == len(names) + len(taken)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", name) and name not in ("le", "quantile") for name in names)


@pytest.mark.parametrize("family", COUNTERS, ids=lambda family: family.name)
def test_free_text_of_a_counter_is_bounded(family: CounterFamily) -> None:
    bounded = {label for label, _, _ in family.bounds}
    own = set(family.label_names)
    assert {"container", "reason", "exit_code", "condition"} & own <= bounded <= own
    assert all(apart in ("", *own) and limit in (20, 25, 100) for _, limit, apart in family.bounds)


@pytest.mark.parametrize("family", COUNTED, ids=lambda family: family.name)
def test_free_text_of_a_sum_over_pods_is_bounded(family: GaugeFamily) -> None:
    own = set(family.labels)
    assert {label for label, _, _ in family.bounds} == own - {"phase", "container_type", "unit"}
    assert all(apart in ("", *own) and limit in (20, 50, 100) for _, limit, apart in family.bounds)


def appeared(kind: ContainerType = "container", **probes: bool) -> ContainerAppeared:
    defaults = {"liveness": False, "startup": False, "readiness": False}
    return ContainerAppeared(1.0, POD, "main", kind, **(defaults | probes))


def restarts(seen: ContainerAppeared) -> list[str]:
    return [key[2] for name, key in born_early(seen) if name == "pod_container_restarts_total"]


@pytest.mark.parametrize(
    ("seen", "reasons"),
    [
        (appeared(), ["OOMKilled", "Error"]),
        (appeared("init"), ["OOMKilled", "Error"]),
        (appeared(liveness=True), ["OOMKilled", "Error", "LivenessProbe"]),
        (appeared("sidecar", startup=True), ["OOMKilled", "Error", "StartupProbe"]),
        (appeared(liveness=True, startup=True), ["OOMKilled", "Error", "LivenessProbe", "StartupProbe"]),
        (appeared(readiness=True), ["OOMKilled", "Error"]),
        (appeared("ephemeral"), []),
    ],
)
def test_restarts_that_are_to_be_expected_are_born_with_the_container(
    seen: ContainerAppeared, reasons: list[str]
) -> None:
    assert restarts(seen) == reasons


def test_nothing_is_made_in_advance_for_a_debugging_session() -> None:
    assert born_early(appeared("ephemeral")) == ()


@pytest.mark.parametrize("kind", ["container", "init", "sidecar"])
def test_an_oom_kill_of_any_container_has_its_series_from_the_start(kind: ContainerType) -> None:
    ends = [key for name, key in born_early(appeared(kind)) if name == "pod_container_terminations_total"]
    assert ends == [("main", kind, "OOMKilled", "137")]


def test_what_is_born_early_fits_the_labels_of_its_family() -> None:
    families = {family.name: family for family in COUNTERS}
    for name, key in chain(born_early(appeared(liveness=True, startup=True))):
        assert len(key) == len(families[name].label_names)
