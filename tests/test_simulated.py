"""The whole exporter over HTTP against the simulated cluster: its counts equal the simulation's own truth."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from time import time
from typing import Any, TypeAlias

import aiohttp
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from exporter.app import Exporter
from exporter.metrics.catalogue import FAMILY_NAMES
from exporter.settings import load
from exporter.simulator import Simulation, demo
from exporter.simulator.resources import PODS

Counts: TypeAlias = dict[tuple[str, ...], int]
Samples: TypeAlias = dict[str, list[tuple[dict[str, str], float]]]
OWNER = ("namespace", "workload_kind", "workload")
PART = (*OWNER, "container", "container_type", "reason")
LINES = ("ADDED", "MODIFIED", "DELETED")
FAMILIES = {
    "pod_container_restarts": ("restarts", PART),
    "pod_container_terminations": ("terminations", (*PART, "exit_code")),
    "pod_container_waiting": ("waits", PART),
    "pod_container_crash_loops": ("crash_loops", PART[:-1]),
    "pod_container_crash_loop_duration_seconds_count": ("loops_ended", OWNER),
    "pod_phase_transitions": ("transitions", (*OWNER, "from", "to")),
    "pod_condition_transitions": ("conditions", (*OWNER, "condition", "status", "reason")),
    "pod_startup_duration_seconds_count": ("startups", OWNER),
    "pod_startup_failures": ("startup_failures", (*OWNER, "stage")),
    "pod_unready_duration_seconds_count": ("regained", (*OWNER, "cause")),
    "pod_termination_duration_seconds_count": ("stops", OWNER[:2]),
    "pod_grace_period_exceeded": ("graces_exceeded", OWNER),
    "pod_workload_rollouts": ("rollouts", OWNER),
    "pod_in_place_restarts": ("in_place_restarts", OWNER),
    "pod_scheduling_failures": ("scheduling_failures", (*OWNER, "cause")),
    "pod_disruptions": ("disruptions", (*OWNER, "reason", "resource")),
    "pod_events": ("events", (*OWNER, "reason")),
    "pod_container_probe_failures": ("probe_failures", (*OWNER, "container", "container_type", "probe")),
}
"""Families whose every series must equal a book of the simulation, and the labels that the book's keys are."""


CAUSES = {"OOMKilled", "Error", "Completed", "LivenessProbe", "StartupProbe", "StartError", "PostStartHook"}
CAUSES |= {"PodSandboxChanged", "Resize", "RestartRule", "RestartAllContainers"}


@asynccontextmanager
async def exporter_of(simulation: Simulation, folder: Path, *flags: str, hold: str = "0") -> AsyncIterator[Exporter]:
    kubeconfig = folder / "kubeconfig"
    cluster = {"clusters": [{"name": "c", "cluster": {"server": simulation.url}}], "users": [{"name": "u", "user": {}}]}
    context = {"contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}], "current-context": "x"}
    kubeconfig.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", **cluster, **context}))
    words = [
        f"--kube.kubeconfig={kubeconfig}",
        "--web.listen-address=127.0.0.1:0",
        f"--ledger.birth-hold={hold}",
        *flags,
    ]
    async with Exporter(load(words)).running() as exporter:
        await until(lambda: exporter.ready() == "")
        yield exporter


async def until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 - plain numbers of several rooms are waited for
            await asyncio.sleep(0.02)


async def scrape(exporter: Exporter) -> Samples:
    """Samples by the family's name; those of a histogram, which are several, by their own."""
    url = f"http://127.0.0.1:{exporter.server.port}/metrics"
    headers = {"Accept": "application/openmetrics-text; version=1.0.0"}
    found: Samples = {}
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        for family in text_string_to_metric_families(await response.text()):
            for sample in family.samples:
                name = sample.name if family.type == "histogram" else family.name
                found.setdefault(name, []).append((sample.labels, sample.value))
    return found


def counts(samples: Samples, family: str, labels: tuple[str, ...]) -> Counts:
    found = samples.get(family, [])
    return {tuple(shown[label] for label in labels): int(value) for shown, value in found if value}


async def differences(exporter: Exporter, simulation: Simulation) -> dict[str, tuple[Counts, Counts]]:
    """What the exporter counted and what is true, where one is not the other; causes that are known once told."""
    samples, truth = await scrape(exporter), simulation.truth
    pairs = {name: (counts(samples, name, at), known(getattr(truth, book))) for name, (book, at) in FAMILIES.items()}
    causes = counts(samples, "pod_container_probe_failure_causes", (*OWNER, "container", "probe", "cause"))
    pulls = counts(samples, "pod_container_image_pulls", (*OWNER, "container", "result", "cause"))
    pulled = {(*key, ""): n for key, n in without_type(truth.pulls).items()}
    failed = {(*key[:4], "failed", key[4]): n for key, n in without_type(truth.pull_failures).items()}
    pairs["pod_container_probe_failure_causes"] = (causes, without_type(truth.probe_causes))
    pairs["pod_container_image_pulls"] = (pulls, pulled | failed)
    return {name: _apart(*pair) for name, pair in pairs.items() if pair[0] != pair[1]}


def _apart(counted: Counts, true: Counts) -> tuple[Counts, Counts]:
    odd = {key for key in counted.keys() | true.keys() if counted.get(key) != true.get(key)}
    return {k: n for k, n in counted.items() if k in odd}, {k: n for k, n in true.items() if k in odd}


async def caught_up(exporter: Exporter, simulation: Simulation) -> dict[str, tuple[Counts, Counts]]:
    """What is still different when ends have waited long enough for their Event (3 s)."""
    for _ in range(8):
        found = await differences(exporter, simulation)
        if not found:
            break
        await asyncio.sleep(0.5)
    return found


def known(book: Counter[tuple[str, ...]]) -> Counts:
    return {tuple(key): count for key, count in book.items() if count}


def without_type(book: Counter[tuple[str, ...]]) -> Counts:
    """A book of containers as families show it that do not tell their type."""
    total: Counter[tuple[str, ...]] = Counter()
    for key, number in book.items():
        total[*key[:4], *key[5:]] += number
    return known(total)


def per_container(restarts: Mapping[tuple[str, ...], int], without: set[tuple[str, ...]]) -> Counter[tuple[str, ...]]:
    """Restarts whatever their cause: the path to it may have been missed."""
    total: Counter[tuple[str, ...]] = Counter()
    for key, number in restarts.items():
        if key[:3] not in without:
            total[key[:5]] += number
    return +total


@pytest.fixture
async def cluster() -> AsyncIterator[Simulation]:
    """A cluster in which a CronJob's pod starts, at the full minute, just before the exporter does: it is no news."""
    async with Simulation(seed=7, scenario=demo, start=time() // 60 * 60 + 42.5) as simulation:
        simulation.advance(20)
        yield simulation


async def live(simulation: Simulation, seconds: int) -> None:
    for _ in range(seconds):
        simulation.advance(1)
        await asyncio.sleep(0.005)


async def live_together(simulation: Simulation, exporter: Exporter, seconds: int) -> None:
    """Let time pass as slowly as the exporter takes in what happens, however busy this machine is."""

    def behind() -> int:
        taken = sum(watch.events[kind] for watch in exporter.vitals.watches for kind in LINES)
        return simulation.store.published.total() - taken

    before = behind()
    for _ in range(seconds):
        simulation.advance(1)
        async with asyncio.timeout(60):
            while behind() != before:  # noqa: ASYNC110 - plain numbers of two rooms are waited for
                await asyncio.sleep(0.001)


async def test_every_count_equals_the_truth_of_ten_busy_minutes(cluster: Simulation, tmp_path: Path) -> None:
    async with exporter_of(cluster, tmp_path) as exporter:
        cluster.forget()
        await live_together(cluster, exporter, 600)
        assert await caught_up(exporter, cluster) == {}
        samples = await scrape(exporter)
        inferred = counts(samples, "pod_exporter_inferred_causes", ("cause",))
        assert sum(inferred.values()) < sum(cluster.truth.restarts.values()) / 4
        amounts = counts(samples, "pod_container_resource_requests", ("workload", "resource"))
        assert amounts["cache", "memory"] == 256 * 2**20, "the first resize was granted, the second never"
        await asyncio.sleep(5.5)  # for so long a lost readiness waits for its neighbours (R7)
        losses = counts(await scrape(exporter), "pod_container_readiness_losses", PART[:-1])
        assert losses == known(cluster.truth.readiness_losses)
        for book in {name for name, _ in FAMILIES.values()} | {"readiness_losses", "pulls", "pull_failures"}:
            assert known(getattr(cluster.truth, book)), f"nothing to compare: {book}"
        assert {key[5] for key in cluster.truth.restarts} == CAUSES


async def test_the_demo_shows_every_family_within_two_minutes(tmp_path: Path) -> None:
    not_shown = {"pod_labels"}  # only if labels are allowed
    shown: set[str] = set()
    async with Simulation(seed=1, scenario=demo) as simulation, exporter_of(simulation, tmp_path) as exporter:
        for _ in range(12):
            await live_together(simulation, exporter, 10)
            await asyncio.sleep(0.3)
            for name, samples in (await scrape(exporter)).items():
                family = name.removesuffix("_count")
                shown |= {name, family, f"{name}_total"} if any(value for _, value in samples) else set()
    assert FAMILY_NAMES - shown == not_shown


async def test_pods_that_look_for_an_owner_in_vain_do_not_put_off_the_start(
    cluster: Simulation, tmp_path: Path
) -> None:
    """There may always be one: an owner that may not be read, or a name that somebody made up."""

    async def come() -> None:
        for number in range(1000):
            cluster.store.put(PODS, orphan(number))
            await asyncio.sleep(0.5)

    coming = asyncio.ensure_future(come())
    try:
        async with exporter_of(cluster, tmp_path) as exporter:
            assert exporter.core.undecided
    finally:
        coming.cancel()


def orphan(number: int) -> dict[str, Any]:
    owner = {
        "kind": "Job",
        "name": f"run-{number}",
        "uid": f"job-{number}",
        "controller": True,
        "apiVersion": "batch/v1",
    }
    metadata = {"name": f"run-{number}-x", "namespace": "lost", "uid": f"pod-{number}", "ownerReferences": [owner]}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": {"containers": []}, "status": {}}


async def test_gauges_show_the_pods_that_are_there_now(cluster: Simulation, tmp_path: Path) -> None:
    async with exporter_of(cluster, tmp_path) as exporter:
        await live(cluster, 120)
        await until(lambda: exporter.vitals.objects()["pods"] == sum(cluster.truth.pods.values()))
        await asyncio.sleep(0.3)
        assert counts(await scrape(exporter), "pod_workload_pods", (*OWNER, "phase")) == cluster.truth.pods
        samples = (await scrape(exporter))["pod_workload_ready_pods"]
        ready = {tuple(labels[label] for label in OWNER): int(value) for labels, value in samples}
        assert {key: n for key, n in ready.items() if n} == {k: n for k, n in cluster.truth.ready_pods.items() if n}
        assert len((await scrape(exporter))["pod_info"]) == sum(cluster.truth.pods.values())


async def test_restarts_stay_exact_over_cuts_compactions_and_a_refused_watch_list(
    cluster: Simulation, tmp_path: Path
) -> None:
    cluster.faults.refuse_watch_list = "422"
    async with exporter_of(cluster, tmp_path) as exporter:
        cluster.forget()
        for _ in range(2):
            await live(cluster, 60)
            cluster.store.compact()
            cluster.server.cut_watches()
            await live(cluster, 20)
        await asyncio.sleep(2)
        await live(cluster, 5)
        # A pod that goes while nobody looks takes the restarts since the last look with it; all others must be exact.
        went = {key[:3] for key in cluster.truth.transitions if key[4] == "Deleted"}
        true = per_container(cluster.truth.restarts, went)
        for _ in range(40):  # watches begin anew after a back-off, and ends wait 3 s for their Event
            counted = per_container(counts(await scrape(exporter), "pod_container_restarts", PART), went)
            if counted == true:
                break
            await asyncio.sleep(0.5)
        assert counted == true
        assert len(counted) >= 5
        relists = (await scrape(exporter))["pod_exporter_relists"]
        assert sum(value for labels, value in relists if labels["resource"] == "pods") > 0


async def test_no_planted_secret_shows_in_metrics_pages_or_logs(
    cluster: Simulation, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with exporter_of(cluster, tmp_path, "--log.observations=all") as exporter:
        await live(cluster, 60)
        url = f"http://127.0.0.1:{exporter.server.port}"
        async with aiohttp.ClientSession() as session:
            texts = [await (await session.get(url + path)).text() for path in ("/", "/metrics", "/readyz")]
    shown = "".join(texts) + "".join(capfd.readouterr())
    assert len(cluster.canaries) > 10
    assert [canary for canary in cluster.canaries if canary in shown] == []


async def test_namespaces_that_are_not_watched_do_not_show(cluster: Simulation, tmp_path: Path) -> None:
    namespaces = sorted({key[0] for key in cluster.truth.pods})
    async with exporter_of(cluster, tmp_path, f"--kube.namespaces={namespaces[0]},{namespaces[1]}") as exporter:
        await live(cluster, 30)
        shown = {labels["namespace"] for labels, _ in (await scrape(exporter))["pod_info"]}
        assert shown == set(namespaces[:2])
        assert len(namespaces) > 2
