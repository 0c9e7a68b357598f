"""Families of a pod's whole life: histograms and their levels, workload gauges, and which rows are shown."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import TypeAlias

import pytest

from exporter.lifecycle.loops import Loop
from exporter.lifecycle.observations import (
    ContainerRestarted,
    Observation,
    PhaseChanged,
    PodRef,
    StartupFinished,
    Workload,
)
from exporter.lifecycle.records import Container, Record
from exporter.lifecycle.resources import ContainerShape, ProbeShape
from exporter.lifecycle.scheduling import Blocked
from exporter.lifecycle.startup import Startup
from exporter.lifecycle.unready import Unready
from exporter.metrics.catalogue import FAMILY_NAMES, GAUGES, ROWS
from exporter.metrics.ledger import Ledger
from exporter.metrics.rows import Rows, label_names

MakeRecord: TypeAlias = Callable[..., Record]
MakeContainer: TypeAlias = Callable[..., Container]
WEB = Workload("shop", "Deployment", "web")
POD = PodRef("shop", "web-1", "u", WEB)
W = 'namespace="shop",workload_kind="Deployment",workload="web"'
STARTED = StartupFinished(0.0, POD, 12.0, (("scheduling", 2.0), ("start", 10.0)))


def lines(ledger: Ledger, family: str, now: float = 1e6) -> list[str]:
    return [
        line.removeprefix(family)
        for families, accounts in ledger.tiers()
        for i, one in enumerate(families)
        if one.name == family
        for account in accounts
        for line in account.chunks(now)[i].decode().splitlines()
    ]


def booked(*observations: Observation, ledger: Ledger | None = None) -> Ledger:
    ledger = Ledger(0) if ledger is None else ledger
    for observation in observations:
        ledger.add(observation, 0)
    return ledger


def test_a_histogram_counts_each_length_in_its_bucket_and_all_above() -> None:
    shown = lines(booked(STARTED), "pod_startup_duration_seconds")
    assert f'_bucket{{{W},le="10.0"}} 0' in shown
    assert f'_bucket{{{W},le="20.0"}} 1' in shown
    assert shown[-3:] == [f'_bucket{{{W},le="+Inf"}} 1', f"_sum{{{W}}} 12", f"_count{{{W}}} 1"]


def test_a_length_on_a_bound_belongs_to_its_bucket() -> None:
    exact = StartupFinished(0.0, POD, 10.0, ())
    assert f'_bucket{{{W},le="10.0"}} 1' in lines(booked(exact), "pod_startup_duration_seconds")


def test_a_whole_histogram_is_zero_for_the_birth_hold() -> None:
    ledger = booked(STARTED, ledger=Ledger(130))
    assert {line.rpartition(" ")[2] for line in lines(ledger, "pod_startup_duration_seconds", 129.9)} == {"0"}
    assert f"_count{{{W}}} 1" in lines(ledger, "pod_startup_duration_seconds", 130)


def test_stages_of_one_start_are_counted_each_and_by_namespace() -> None:
    ledger = booked(STARTED)
    assert lines(ledger, "pod_startup_stage_seconds_total") == [
        f'{{{W},stage="scheduling"}} 2',
        f'{{{W},stage="start"}} 10',
    ]
    counts = [line for line in lines(ledger, "pod_startup_stage_duration_seconds") if line.startswith("_count")]
    kind = 'namespace="shop",workload_kind="Deployment"'
    assert counts == [f'_count{{{kind},stage="scheduling"}} 1', f'_count{{{kind},stage="start"}} 1']


@pytest.mark.parametrize(
    ("level", "labels"), [("namespace", 'namespace="shop",workload_kind="Deployment"'), ("off", "")]
)
def test_the_level_of_a_histogram_can_be_chosen(level: str, labels: str) -> None:
    ledger = booked(STARTED, ledger=Ledger(0, levels={"pod_startup_duration_seconds": level}))  # type: ignore[dict-item]
    counts = [line for line in lines(ledger, "pod_startup_duration_seconds") if line.startswith("_count")]
    assert counts == ([f"_count{{{labels}}} 1"] if labels else [])


def test_a_dropped_family_is_kept_nowhere(record: MakeRecord) -> None:
    dropped = frozenset({"pod_workload_pods", "pod_phase_transitions_total"})
    ledger = Ledger(0, dropped=dropped)
    ledger.track(None, record(), 0)
    ledger.add(PhaseChanged(0.0, POD, "None", "Pending"), 0)
    names = {family.name for families, _ in ledger.tiers() for family in families}
    assert names == FAMILY_NAMES - dropped - {row.name for row in ROWS} - {"pod_labels"}
    assert ledger.series == 1  # ready pods


def test_a_restart_is_counted_on_its_node_too() -> None:
    ledger = booked(ContainerRestarted(0.0, POD, "main", "container", "Error", node="n1"))
    assert lines(ledger, "pod_node_container_restarts_total") == ['{node="n1",reason="Error"} 1']


def test_gauges_follow_a_pod_through_its_troubles(record: MakeRecord, container: MakeContainer) -> None:
    probe = ProbeShape("liveness", "httpGet", 5, 3)
    shape = ContainerShape((("cpu", 0.5),), (("memory", 2.0**30),), (probe,))
    part = container(state="waiting", reason="CrashLoopBackOff", loop=Loop(50.0), shape=shape)
    pod = record(
        containers=(part,), node="n1", unready=Unready(60.0, "probe", was_ready=True), requests=(("cpu", 0.5),),
        startup=Startup(7.0), phase="ContainerCreating",
    )  # fmt: skip
    ledger = Ledger(0)
    ledger.track(None, pod, 0)
    c = 'container="main",container_type="container"'
    assert lines(ledger, "pod_workload_waiting_containers") == [f'{{{W},container="main",reason="CrashLoopBackOff"}} 1']
    assert lines(ledger, "pod_workload_crash_looping_containers") == [f"{{{W},{c}}} 1"]
    assert lines(ledger, "pod_workload_unready_since_timestamp_seconds") == [f"{{{W}}} 60"]
    assert lines(ledger, "pod_workload_starting_since_timestamp_seconds") == [f'{{{W},stage="scheduling"}} 7']
    assert lines(ledger, "pod_workload_resource_requests") == [f'{{{W},resource="cpu",unit="core"}} 0.5']
    assert lines(ledger, "pod_container_resource_limits") == [f'{{{W},{c},resource="memory",unit="byte"}} 1073741824']
    assert lines(ledger, "pod_container_probe_info") == [f'{{{W},{c},probe="liveness",handler="httpGet"}} 1']
    assert lines(ledger, "pod_container_probe_period_seconds") == [f'{{{W},{c},probe="liveness"}} 5']
    assert lines(ledger, "pod_container_probe_failure_threshold") == [f'{{{W},{c},probe="liveness"}} 3']
    well = record(containers=(container(state="running", shape=shape),), node="n1", ready=True, phase="Succeeded")
    ledger.track(pod, well, 1)
    assert lines(ledger, "pod_workload_waiting_containers")[0].endswith(" 0")
    assert lines(ledger, "pod_workload_crash_looping_containers")[0].endswith(" 0")
    assert lines(ledger, "pod_workload_resource_requests")[0].endswith(" 0")
    assert lines(ledger, "pod_workload_unready_since_timestamp_seconds") == []
    assert lines(ledger, "pod_workload_starting_since_timestamp_seconds") == []


def test_an_unschedulable_pod_counts_under_its_cause_until_it_is_bound(record: MakeRecord) -> None:
    ledger = Ledger(0)
    pending = record(phase="Pending", blocked=Blocked("taint", 1))
    ledger.track(None, pending, 0)
    ledger.track(pending, record(phase="ContainerCreating", node="n1"), 1)
    assert lines(ledger, "pod_workload_unschedulable_pods") == [f'{{{W},cause="taint"}} 0']


def test_the_earliest_of_several_pods_is_shown_and_then_the_next(record: MakeRecord) -> None:
    ledger = Ledger(0)
    pods = [record(f"web-{at}", unready=Unready(at, "probe", was_ready=True)) for at in (30.0, 20.0, 40.0)]
    for pod in pods:
        ledger.track(None, pod, 0)
    family = "pod_workload_unready_since_timestamp_seconds"
    assert lines(ledger, family) == [f"{{{W}}} 20"]
    ledger.track(pods[1], record("web-20.0", ready=True), 1)
    assert lines(ledger, family) == [f"{{{W}}} 30"]


def test_the_deadline_of_a_deletion_is_request_and_grace(record: MakeRecord) -> None:
    ledger = Ledger(0)
    ledger.track(None, record(phase="Terminating", deletion_requested=100.0, grace=30.0), 0)
    assert lines(ledger, "pod_workload_termination_deadline_timestamp_seconds") == [f"{{{W}}} 130"]


def test_after_the_last_pod_only_counts_are_left(record: MakeRecord, container: MakeContainer) -> None:
    ledger = Ledger(0)
    shape = ContainerShape((("cpu", 0.5),))
    pod = record(containers=(container(shape=shape),), unready=Unready(1.0, "probe", was_ready=True))
    ledger.track(None, pod, 0)
    ledger.track(pod, record(gone_at=300.0), 1)
    left = {family.name for family in GAUGES if lines(ledger, family.name)}
    assert left == {"pod_workload_pods", "pod_workload_ready_pods"}


def test_a_sum_that_comes_and_goes_leaves_nothing_behind(record: MakeRecord) -> None:
    ledger = Ledger(0)
    pods = [record(f"web-{i}", node="n1", requests=(("cpu", 0.1 * (i + 1)),)) for i in range(20)]
    for pod in pods:
        ledger.track(None, pod, 0)
    for pod in pods[1:]:
        ledger.track(pod, record(pod.pod.name, gone_at=1.0), 1)
    assert lines(ledger, "pod_workload_resource_requests") == [f'{{{W},resource="cpu",unit="core"}} 0.1']


@pytest.mark.parametrize(
    ("state", "healthy"),
    [
        ({"phase": "Running", "ready": True}, True),
        ({"phase": "Succeeded"}, True),
        ({"phase": "Running", "ready": False}, False),
        ({"phase": "Pending"}, False),
        ({"phase": "Running", "ready": True, "deletion_requested": 5.0}, False),
        ({"phase": "Running", "ready": True, "quiet_at": 5.0}, False),
    ],
)
def test_of_healthy_pods_only_pod_info_is_shown_if_so_asked(
    record: MakeRecord, state: dict[str, object], healthy: bool
) -> None:
    row = Rows(ROWS, "unhealthy").render(record(**state))
    shown = [family.name for family, chunk in zip(ROWS, row, strict=True) if chunk]
    assert (shown == ["pod_info"]) is healthy
    assert "pod_info" in shown


def test_a_pod_in_a_crash_loop_is_not_healthy(record: MakeRecord, container: MakeContainer) -> None:
    row = Rows(ROWS, "unhealthy").render(record(ready=True, containers=(container(loop=Loop(1.0)),)))
    assert sum(map(bool, row)) > 1


def test_without_rows_there_are_none(record: MakeRecord) -> None:
    rows = Rows(ROWS, "none")
    assert (rows.families, rows.render(record())) == ((), ())


def test_allowed_labels_are_shown_and_absent_ones_left_out(record: MakeRecord) -> None:
    rows = Rows(ROWS, "all", ("app", "team.example.com/name", "tier"))
    text = rows.render(record(labels=("web", "a" * 200, None)))[-1].decode()
    cut = "a" * 128
    assert text == f'pod_labels{{namespace="shop",pod="web-1",label_app="web",label_team_example_com_name="{cut}"}} 1\n'
    assert rows.render(record(labels=(None, None, None)))[-1] == b""


def test_of_two_labels_that_come_out_alike_the_first_is_kept() -> None:
    assert label_names(("a.b", "a-b", "c")) == ("label_a_b", None, "label_c")


def test_rows_that_are_only_there_while_true(record: MakeRecord, container: MakeContainer) -> None:
    part = container(loop=Loop(5.0, 80.0), running_since=9.0)
    pod = record(containers=(part,), deletion_requested=7.0, unmanaged=True, unready=Unready(3.0, "", was_ready=False))
    text = b"".join(Rows(ROWS).render(pod)).decode()
    at = 'namespace="shop",pod="web-1",workload_kind="Deployment",workload="web"'
    for line in (
        f'pod_unready_since_timestamp_seconds{{{at},was_ready="false"}} 3',
        f"pod_deletion_requested_timestamp_seconds{{{at}}} 7",
        f"pod_unmanaged{{{at}}} 1",
    ):
        assert line in text
    for family, value in (
        ("crash_loop_since_timestamp_seconds", 5),
        ("backoff_seconds", 80),
        ("started_timestamp_seconds", 9),
    ):
        assert next(line for line in text.splitlines() if line.startswith(f"pod_container_{family}")).endswith(
            f" {value}"
        )
    calm = b"".join(Rows(ROWS).render(record(deletion_requested=inf))).decode()
    assert not [line for line in calm.splitlines() if "since" in line or "unmanaged" in line or "deletion" in line]
