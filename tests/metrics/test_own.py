from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

import pytest
from prometheus_client import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from exporter.metrics.own import OwnCollector, Vitals, registry
from exporter.vitals import REJECTED, RELIST_REASONS, RESTART_REASONS, Delays, WatchVitals

Parse: TypeAlias = Callable[[bytes, bool], Mapping[tuple[str, ...], float]]
Own: TypeAlias = Callable[[Vitals], Mapping[tuple[str, ...], float]]


@pytest.fixture
def own(parsed: Parse) -> Own:
    def read(vitals: Vitals) -> Mapping[tuple[str, ...], float]:
        text = parsed(generate_latest(registry(vitals)), False)
        openmetrics = parsed(generate_openmetrics(registry(vitals)), True)
        assert text.keys() == openmetrics.keys()
        prefix = "pod_exporter_"
        return {(key[0].removeprefix(prefix), *key[1:]): n for key, n in text.items() if key[0].startswith(prefix)}

    return read


def pods(**more: object) -> WatchVitals:
    watch = WatchVitals("pods")
    for name, value in more.items():
        setattr(watch, name, value)
    return watch


def test_process_and_garbage_collector_stand_beside_the_exporters_own(parsed: Parse) -> None:
    found = {key[0] for key in parsed(generate_latest(registry(Vitals())), False)}
    assert {"process_resident_memory_bytes", "python_gc_collections_total", "pod_exporter_build_info"} <= found


def test_no_family_has_created_series() -> None:
    assert b"_created" not in generate_latest(registry(Vitals(watches=[pods()])))


def test_help_texts_hold_nothing_that_the_formats_escape_differently() -> None:
    for family in OwnCollector(Vitals()).collect():
        assert not set(family.documentation) & {'"', "\\", "\n"}
        assert family.documentation.endswith(".")
        assert re.fullmatch(r"pod_exporter(_[a-z]+)+", family.name)


def test_every_counter_is_there_at_zero_from_the_start(own: Own) -> None:
    found = own(Vitals(watches=[pods()]))
    counters = {key: value for key, value in found.items() if key[0].endswith("_total")}
    assert set(counters.values()) == {0}
    for reason in RESTART_REASONS:
        assert ("watch_restarts_total", "reason", reason, "resource", "pods") in counters
    for reason in RELIST_REASONS:
        assert ("relists_total", "reason", reason, "resource", "pods") in counters
    for reason in REJECTED:
        assert ("http_rejected_total", "reason", reason) in counters
    for event in ("ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR", "LISTED"):
        assert ("watch_events_total", "event", event, "resource", "pods") in counters
    assert {
        ("decode_errors_total", "resource", "pods"),
        ("faults_total", "room", "lifecycle"),
        ("faults_total", "room", "listener"),
        ("unobserved_restarts_total",),
        ("unobserved_deletions_total",),
        ("restart_count_resets_total",),
        ("clamped_durations_total", "family", "pod_phase_seconds_total"),
        ("inferred_causes_total", "cause", "LivenessProbe"),
        ("inferred_causes_total", "cause", "StartupProbe"),
        ("label_overflow_total", "family", "all", "label", "workload"),
        ("label_overflow_total", "family", "all", "label", "workload_kind"),
        ("label_overflow_total", "family", "pod_workload_resource_requests", "label", "resource"),
        ("label_overflow_total", "family", "pod_container_terminations_total", "label", "exit_code"),
        ("label_overflow_total", "family", "pod_container_restarts_total", "label", "reason"),
    } <= counters.keys()


def test_every_kind_of_observation_is_counted_from_zero(own: Own) -> None:
    kinds = {key[2] for key in own(Vitals()) if key[0] == "observations_total"}
    assert {"PhaseChanged", "ContainerAppeared", "ContainerRestarted", "RestartCountReset"} <= kinds
    assert not kinds & {"Observation", "ContainerObservation"}


def test_a_value_that_nobody_foresaw_is_shown_besides(own: Own) -> None:
    vitals = Vitals(watches=[pods()])
    vitals.watches[0].restarts["cosmic"] += 2
    vitals.core.faults["attic"] += 1
    vitals.web.rejected["rude"] += 3
    found = own(vitals)
    assert found["watch_restarts_total", "reason", "cosmic", "resource", "pods"] == 2
    assert found["faults_total", "room", "attic"] == 1
    assert found["http_rejected_total", "reason", "rude"] == 3


def test_a_resource_is_synced_when_all_its_namespaces_are(own: Own) -> None:
    watch = pods(unsynced={"a", "b"})
    found = []
    for done in ("a", "b"):
        watch.unsynced.discard(done)
        found.append(own(Vitals(watches=[watch]))["synced", "resource", "pods"])
    assert found == [0, 1]


def test_what_may_not_be_read_has_neither_synced_nor_contact_but_keeps_its_counters(own: Own) -> None:
    jobs = WatchVitals("jobs", enabled=False, last_contact={"": 5.0})
    jobs.restarts["forbidden"] += 1
    found = own(Vitals(watches=[pods(), jobs]))
    assert ("synced", "resource", "pods") in found
    assert ("synced", "resource", "jobs") not in found
    assert ("watch_last_contact_timestamp_seconds", "resource", "jobs") not in found
    assert found["watch_restarts_total", "reason", "forbidden", "resource", "jobs"] == 1


def test_last_contact_is_that_of_the_quietest_namespace(own: Own) -> None:
    found = own(Vitals(watches=[pods(last_contact={"a": 300.0, "b": 100.0, "c": 200.0})]))
    assert found["watch_last_contact_timestamp_seconds", "resource", "pods"] == 100


def test_a_watch_that_never_had_contact_shows_no_time(own: Own) -> None:
    assert ("watch_last_contact_timestamp_seconds", "resource", "pods") not in own(Vitals(watches=[pods()]))


def test_the_buckets_of_delays_are_cumulative_and_their_bounds_inclusive(own: Own) -> None:
    vitals, delays = Vitals(), Delays()
    vitals.core.delays["pods"] = delays
    for seconds in (-5.0, 0.5, 1.0, 1.5, 5.0, 299.0, 1000.0):
        delays.observe(seconds)
    found = own(vitals)
    buckets = {key[2]: value for key, value in found.items() if key[0] == "event_delay_seconds_bucket"}
    assert buckets == {
        "1.0": 3, "2.0": 4, "5.0": 5, "10.0": 5, "30.0": 5, "60.0": 5, "300.0": 6, "+Inf": 7
    }  # fmt: skip
    assert found["event_delay_seconds_count", "resource", "pods"] == 7
    assert found["event_delay_seconds_sum", "resource", "pods"] == 1307


def test_sizes_are_read_where_they_live_at_each_scrape(own: Own) -> None:
    held, vitals = {"pods": 1}, Vitals()
    vitals.objects = lambda: held
    vitals.workloads = lambda: 4
    vitals.series = lambda: {"rows": 10, "ledger": 75}
    vitals.overflow = lambda: {("all", "workload"): 6, ("pod_x_total", "reason"): 1}
    assert own(vitals)["objects", "resource", "pods"] == 1
    held["pods"] = 2
    found = own(vitals)
    assert found["objects", "resource", "pods"] == 2
    assert found["workloads",] == 4
    assert found["series", "tier", "ledger"] == 75
    assert found["label_overflow_total", "family", "all", "label", "workload"] == 6
    assert found["label_overflow_total", "family", "pod_x_total", "label", "reason"] == 1


def test_the_last_scrape_and_the_loops_lag_are_shown(own: Own) -> None:
    vitals = Vitals()
    vitals.web.scrape_seconds, vitals.web.scrape_bytes, vitals.loop.lag_seconds = 0.25, 1000, 0.5
    vitals.loop.tasks = lambda: 7
    found = own(vitals)
    assert (found["scrape_duration_seconds",], found["scrape_bytes",], found["loop_lag_seconds",]) == (0.25, 1000, 0.5)
    assert found["tasks",] == 7
