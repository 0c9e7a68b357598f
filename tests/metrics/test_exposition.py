from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.registry import Collector

from exporter.lifecycle.observations import ContainerRestarted, ContainerTerminated, PhaseChanged, PodRef, Workload
from exporter.lifecycle.records import Container, Record
from exporter.metrics.catalogue import COUNTERS, GAUGES, HISTOGRAMS, ROWS
from exporter.metrics.exposition import BLOCK, SLICE, TURN, exposition
from exporter.metrics.ledger import Ledger
from exporter.metrics.own import Vitals, registry
from exporter.metrics.rows import Rows
from exporter.vitals import DELAY_BUCKETS, Delays

MakeRecord: TypeAlias = Callable[..., Record]
MakeContainer: TypeAlias = Callable[..., Container]
Parse: TypeAlias = Callable[[bytes, bool], Mapping[tuple[str, ...], float]]
Body: TypeAlias = Callable[..., bytes]
NASTY = 'a"b\\c\nd{},=#é\t'
ALL = frozenset[str]()
FORMATS = pytest.mark.parametrize("openmetrics", [False, True], ids=["text", "openmetrics"])


def filled(record: MakeRecord, container: MakeContainer, pods: int = 3) -> tuple[Rows, Ledger]:
    rows, ledger = Rows(ROWS), Ledger(0)
    for i in range(pods):
        for kind in ("Deployment", "StatefulSet"):  # workloads that differ only in kind
            pod = record(f"{kind.lower()}-{i}", kind=kind, node=NASTY, containers=(container(reason=NASTY),))
            rows.put(pod, rows.render(pod))
            ledger.track(None, pod, 0)
            restart = ContainerRestarted(0.0, pod.pod, "main", "container", NASTY)
            end = ContainerTerminated(0.0, pod.pod, "main", "container", NASTY, "1")
            for seen in (restart, end, PhaseChanged(0.0, pod.pod, "Pending", "Running", 1.5)):
                ledger.add(seen, 0)
    return rows, ledger


class Own(Collector):
    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily("pod_exporter_one", "One.", value=1)
        yield CounterMetricFamily("pod_exporter_two", "Two.", value=2)


@pytest.fixture
def body(record: MakeRecord, container: MakeContainer) -> Body:
    rows, ledger = filled(record, container)
    own = CollectorRegistry()
    own.register(Own())

    def answer(openmetrics: bool, *names: str) -> bytes:
        return b"".join(exposition(rows, ledger, own, 10.0, openmetrics=openmetrics, names=frozenset(names)))

    return answer


def headers(body: bytes) -> list[str]:
    return [line for line in body.decode().split("\n") if line.startswith("#")]


def samples(body: bytes) -> list[str]:
    return [line for line in body.decode().split("\n") if line and not line.startswith("#")]


@FORMATS
def test_the_official_parser_accepts_all_of_it_and_no_series_stands_twice(
    body: Body, parsed: Parse, openmetrics: bool
) -> None:
    found = parsed(body(openmetrics), openmetrics)
    assert len(found) == len(samples(body(openmetrics)))
    for kind in ("Deployment", "StatefulSet"):
        series = ("namespace", "shop", "phase", "Running", "workload", "web", "workload_kind", kind)
        assert found["pod_workload_pods", *series] == 3


@FORMATS
def test_label_values_come_back_as_they_were(body: Body, parsed: Parse, openmetrics: bool) -> None:
    found = parsed(body(openmetrics), openmetrics)
    restarts = [key for key in found if key[0] == "pod_container_restarts_total"]
    assert restarts
    assert all(NASTY in key for key in restarts)


@FORMATS
def test_the_lines_of_a_family_stand_together_below_its_header(body: Body, openmetrics: bool) -> None:
    family, seen = "", set()
    for line in body(openmetrics).decode().rstrip("\n").split("\n"):
        if line.startswith("# HELP "):
            family = line.split()[2]
            assert family not in seen
            seen.add(family)
        elif not line.startswith("#"):
            assert re.split(r"[{ ]", line)[0] in {
                family,
                *(f"{family}_{part}" for part in ("total", "bucket", "sum", "count")),
            }
    assert {f.name for f in ROWS} <= seen


def test_both_formats_differ_in_nothing_but_headers(body: Body) -> None:
    assert samples(body(False)) == samples(body(True))


def test_openmetrics_ends_with_one_eof_and_text_has_none(body: Body) -> None:
    whole = body(True)
    assert whole.endswith(b"\n# EOF\n")
    assert whole.count(b"# EOF") == 1
    assert b"EOF" not in body(False)


def test_the_last_block_of_openmetrics_is_the_end_alone_so_that_a_cut_answer_lacks_it(
    record: MakeRecord, container: MakeContainer
) -> None:
    rows, ledger = filled(record, container)
    *_, last = exposition(rows, ledger, CollectorRegistry(), 10.0, openmetrics=True, names=ALL)
    assert last == b"# EOF\n"


def test_units_stand_only_in_openmetrics_and_only_where_the_name_ends_in_them(body: Body) -> None:
    units = [line.split() for line in headers(body(True)) if line.startswith("# UNIT")]
    assert units
    assert all(name.endswith(f"_{unit}") for _, _, name, unit in units)
    assert not [line for line in headers(body(False)) if line.startswith("# UNIT")]


def test_counters_are_named_with_total_in_text_headers_and_without_in_openmetrics(body: Body) -> None:
    def counters(openmetrics: bool) -> list[str]:
        lines = [line for line in headers(body(openmetrics)) if line.endswith(" counter")]
        return [line.split()[2] for line in lines]

    assert len(counters(False)) == len(COUNTERS) + 1
    assert all(name.endswith("_total") for name in counters(False))
    assert [f"{name}_total" for name in counters(True)] == counters(False)


@FORMATS
def test_an_empty_cluster_still_gives_a_valid_answer_with_all_headers(parsed: Parse, openmetrics: bool) -> None:
    blocks = exposition(Rows(ROWS), Ledger(), CollectorRegistry(), 0.0, openmetrics=openmetrics, names=ALL)
    whole = b"".join(blocks)
    assert not parsed(whole, openmetrics)
    assert whole.count(b"# TYPE ") == len(COUNTERS) + len(HISTOGRAMS) + len(GAUGES) + len(ROWS)


@pytest.mark.parametrize(
    ("names", "families"),
    [
        (["pod_info"], ["pod_info"]),
        (["pod_container_restarts_total"], ["pod_container_restarts_total"]),
        (["pod_container_restarts"], ["pod_container_restarts_total"]),
        (["pod_workload_pods", "pod_ready"], ["pod_workload_pods", "pod_ready"]),
        (["pod_exporter_one"], ["pod_exporter_one"]),
        (["pod_exporter_two_total"], ["pod_exporter_two_total"]),
        (["pod_exporter_two"], ["pod_exporter_two_total"]),
        (["pod_info", "unheard_of"], ["pod_info"]),
        (["unheard_of"], []),
        (["pod"], []),
        (["pod_info_total"], []),
    ],
)
def test_only_the_named_families_are_given(body: Body, names: list[str], families: list[str]) -> None:
    assert [line.split()[2] for line in headers(body(False, *names)) if "TYPE" in line] == families
    assert {re.split(r"[{ ]", line)[0] for line in samples(body(False, *names))} - {"pod_exporter_two_created"} == set(
        families
    )


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("pod_exporter_event_delay_seconds", "pod_exporter_event_delay_seconds"),
        ("pod_exporter_event_delay_seconds_bucket", "pod_exporter_event_delay_seconds"),
        ("pod_exporter_watch_events_total", "pod_exporter_watch_events"),  # without any sample
        ("process_cpu_seconds_total", "process_cpu_seconds"),
    ],
)
def test_a_family_of_the_exporters_own_is_given_whole_by_any_of_its_names(name: str, family: str) -> None:
    vitals = Vitals()
    vitals.core.delays["pods"] = Delays()
    blocks = exposition(Rows(ROWS), Ledger(), registry(vitals), 0.0, openmetrics=True, names=frozenset([name]))
    found = list(parse_openmetrics(b"".join(blocks).decode()))
    assert [one.name for one in found] == [family]
    if found[0].type == "histogram":
        assert len(found[0].samples) == len(DELAY_BUCKETS) + 3


def test_unknown_names_leave_nothing_but_the_end(body: Body) -> None:
    assert body(True, "unheard_of") == b"# EOF\n"
    assert body(False, "unheard_of") == b""


@FORMATS
def test_a_get_changes_nothing(body: Body, openmetrics: bool) -> None:
    assert body(openmetrics) == body(openmetrics)


def test_an_answer_shows_the_rows_of_its_beginning_whatever_happens_meanwhile(record: MakeRecord) -> None:
    rows = Rows(ROWS)
    pods = [record(f"pod-{i}") for i in range(SLICE + 1)]
    for pod in pods:
        rows.put(pod, rows.render(pod))
    blocks = exposition(rows, Ledger(), CollectorRegistry(), 0.0, openmetrics=True, names=ALL)
    first = next(blocks)
    for pod in pods:
        rows.drop(pod)
    whole = first + b"".join(blocks)
    for family in ("pod_info", "pod_status", "pod_ready"):
        assert whole.count(f"\n{family}{{".encode()) == len(pods)


def test_a_pod_of_a_reused_name_has_one_row_only(record: MakeRecord, parsed: Parse) -> None:
    rows = Rows(ROWS)
    for uid in ("u1", "u2"):
        rows.put(record(uid=uid), rows.render(record(uid=uid)))
    blocks = exposition(rows, Ledger(), CollectorRegistry(), 0.0, openmetrics=True, names=ALL)
    assert next(key for key in parsed(b"".join(blocks), True) if key[0] == "pod_info")[-6:] == (
        "uid", "u2", "workload", "web", "workload_kind", "Deployment",
    )  # fmt: skip


def test_no_block_is_large_and_none_but_the_last_ones_is_small(record: MakeRecord) -> None:
    rows = Rows(ROWS)
    for i in range(2 * SLICE + 1):
        rows.put(record(f"pod-{i}"), rows.render(record(f"pod-{i}")))
    *blocks, _, end = exposition(rows, Ledger(), CollectorRegistry(), 0.0, openmetrics=True, names=ALL)
    slices = [sum(map(len, chunks)) for chunks in zip(*rows.snapshot()[:SLICE], strict=True)]
    assert all(BLOCK <= len(block) < BLOCK + max(slices) + SLICE for block in blocks)
    assert end == b"# EOF\n"


def test_rendering_many_accounts_gives_others_their_turn_by_empty_blocks(record: MakeRecord) -> None:
    ledger = Ledger(0)
    seconds = iter(range(1000))
    for i in range(30):
        workload = Workload(f"team-{i % 3}", "Deployment", f"web-{i}")
        ledger.add(ContainerRestarted(0.0, PodRef(workload.namespace, "p", "u", workload), "c", "init", "Error"), 0)
    own, clock = CollectorRegistry(), lambda: next(seconds) * TURN / 10
    blocks = list(exposition(Rows(ROWS), ledger, own, 0.0, openmetrics=True, names=ALL, clock=clock))
    assert blocks[:3] == [b"", b"", b""]
    assert blocks[3] != b""
    assert b"".join(blocks).count(b"\npod_container_restarts_total{") == 30
