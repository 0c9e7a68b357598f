"""Restarts with a checkpoint: what a Prometheus has seen in the end, and what the file holds."""

from __future__ import annotations

import asyncio
import os
import zlib
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from random import Random
from time import time
from typing import Any

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.app import Exporter
from exporter.checkpoint.form import NAME, Scribe, read
from exporter.core import Core
from exporter.objects import Applied, Change, Deleted, Listed, Pod
from exporter.simulator import Simulation, demo
from tests.ingest import Ingested
from tests.lifecycle.builders import T0
from tests.lifecycle.test_histories import OWNER, PROFILE, STOP, History, histories
from tests.test_simulated import OWNER as OF_WORKLOAD
from tests.test_simulated import PART, counts, exporter_of, live, until
from tests.test_simulated import scrape as samples_of

HOLD = 10.0


def scrape(core: Core, now: float, server: Ingested | None = None) -> str:
    """A whole scrape; one that a server takes to its end."""
    text, blocks = "", core.exposition(now, openmetrics=False)
    while True:
        try:
            text += next(blocks).decode()
        except StopIteration as end:
            if server is not None:
                server.take(text)
                core.scraped(end.value)
            return text


def restarted(core: Core, now: float, **settings: Any) -> Core:
    """Another core that goes on from the bytes that this one has saved."""
    scribe = Scribe()
    content = b"".join(
        [scribe.begin("", now), *(scribe.packed(scribe.frame(part)) for part in core.saved(now)), scribe.end()]
    )
    after = Core(birth_hold=HOLD, restarts=True, **settings)
    after.restore(read(content, "", 0.0)[1], now, now)
    return after


def begun(**settings: Any) -> Core:
    core = Core(birth_hold=HOLD, restarts=True, **settings)
    core.apply(Applied(OWNER), T0)
    core.apply(Listed(Pod, "", frozenset(), T0), T0)
    return core


class Pair:
    """An exporter that lives on and one that restarts where the other has a gap in its watch; a server for each."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.lived, self.core = begun(), begun()
        self.servers = Ingested(), Ingested()
        self.now = T0 + 30.0
        self.gap = False

    def apply(self, *changes: Change) -> None:
        for core in (self.lived, self.core):
            for change in changes:
                core.apply(change, self.now)
            core.elapse(self.now)

    def update(self, pod: Pod) -> None:
        """By the watch, or after a gap by a list."""
        listed = [Listed(Pod, "", frozenset({pod.metadata.uid}), self.now)] if self.gap else []
        self.apply(Applied(pod, listed=self.gap), *listed)
        self.gap = False

    def scrape(self) -> None:
        """Now and then the answer of the one that will restart does not get to the server."""
        scrape(self.lived, self.now, self.servers[0])
        scrape(self.core, self.now, self.servers[1] if self.random.random() < 0.9 else None)

    def restart(self) -> None:
        self.core, self.gap = restarted(self.core, self.now), True
        self.core.apply(Applied(OWNER), self.now)
        scrape(self.core, self.now, self.servers[1])

    def finish(self, history: History) -> None:
        if history.ends_by == "list":
            self.apply(Listed(Pod, "", frozenset(), self.now))
        elif self.gap:
            self.update(history.pods[-1])
        self.look()
        self.now += HOLD
        self.look()
        self.now = max(self.now, T0 + STOP + 40)
        if history.ends_by.startswith("deletion"):
            self.apply(Deleted(history.pods[-1]))
        for _ in range(3):
            self.apply()
            self.look()
            self.now += HOLD + 10

    def look(self) -> None:
        for core, server in zip((self.lived, self.core), self.servers, strict=True):
            scrape(core, self.now, server)


@settings(PROFILE, max_examples=60)
@given(histories(resets=True), st.integers(0, 2**32))
def test_in_the_end_a_server_has_seen_what_it_sees_without_restarts(history: History, seed: int) -> None:
    pair = Pair(seed)
    for one in history.pods:
        pair.now += pair.random.choice((0.0, 0.25, 1.0))
        if not (pair.gap and one is not history.pods[-1] and pair.random.random() < 0.5):  # missed meanwhile
            pair.update(one)
        if pair.random.random() < 0.6:
            pair.scrape()
        if pair.random.random() < 0.2:
            pair.restart()
    pair.finish(history)
    lived, restarted = pair.servers
    assert restarted.non_zero() == lived.non_zero()


@pytest.fixture
async def cluster() -> AsyncIterator[Simulation]:
    async with Simulation(seed=11, scenario=demo, start=time() // 60 * 60 + 42.5) as simulation:
        simulation.advance(20)
        yield simulation


async def text_of(exporter: Exporter) -> str:
    url = f"http://127.0.0.1:{exporter.server.port}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return await response.text()


async def take(exporter: Exporter, server: Ingested) -> None:
    server.take(await text_of(exporter))


def by_container(server: Ingested) -> dict[tuple[str, ...], int]:
    """Restarts that a server has seen, whatever their cause."""
    sums: dict[tuple[str, ...], int] = {}
    for series, grown in server.non_zero().items():
        name, _, labels = series.partition("{")
        if name == "pod_container_restarts_total":
            values = dict(pair.split("=", 1) for pair in labels.rstrip("}").split(","))
            key = tuple(values[label].strip('"') for label in PART[:5])
            sums[key] = sums.get(key, 0) + int(grown)
    return sums


async def shown(exporter: Exporter, server: Ingested) -> None:
    """Two scrapes as the birth-hold is for: one that sees the zeros, one that sees all."""
    await take(exporter, server)
    await asyncio.sleep(2)
    await take(exporter, server)


async def test_over_restarts_a_server_sees_each_restart_of_a_container_once(
    cluster: Simulation, tmp_path: Path
) -> None:
    """Pods that went while nobody looked took what had happened since the last look with them; all others are exact."""
    start = partial(exporter_of, cluster, tmp_path, f"--state.checkpoint-file={tmp_path / 'state'}", hold="1500ms")
    server, away = Ingested(), set[tuple[str, ...]]()
    async with start() as exporter:
        cluster.truth.forget()
        await shown(exporter, server)
    for _ in range(2):
        before = cluster.truth.transitions.copy()
        await live(cluster, 40)
        away |= {key[:3] for key in cluster.truth.transitions - before if key[4] == "Deleted"}
        async with start() as exporter:
            assert exporter.vitals.checkpoint.load == "loaded"
            await shown(exporter, server)
            await live(cluster, 30)
            await asyncio.sleep(1)
            await take(exporter, server)
            await live(cluster, 10)
            await asyncio.sleep(1)
    async with start() as exporter:
        await shown(exporter, server)
    seen = {key: n for key, n in by_container(server).items() if key[:3] not in away}
    true: dict[tuple[str, ...], int] = {}
    for key, n in cluster.truth.restarts.items():
        if n and key[:3] not in away:
            true[key[:5]] = true.get(key[:5], 0) + n
    assert seen == true
    assert len(true) >= 4
    assert sum(true.values()) >= 8


async def test_all_counters_of_known_workloads_are_there_at_0_at_once(cluster: Simulation, tmp_path: Path) -> None:
    start = partial(exporter_of, cluster, tmp_path, f"--state.checkpoint-file={tmp_path / 'state'}", hold="60s")
    async with start() as exporter:
        await live(cluster, 60)
        before = counters(await text_of(exporter))
    async with start() as exporter:
        after = counters(await text_of(exporter))
    assert before.keys() <= after.keys()
    assert set(after.values()) == {"0"}
    assert exporter.vitals.checkpoint.restored["series"] > len(before) / 2


def counters(text: str) -> dict[str, str]:
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith(("#", "pod_exporter_"))]
    return {name: value for name, _, value in lines if name.startswith("pod_") and "_total{" in name}


async def test_no_planted_secret_is_in_the_file(cluster: Simulation, tmp_path: Path) -> None:
    path = tmp_path / "state"
    async with exporter_of(cluster, tmp_path, f"--state.checkpoint-file={path}"):
        await live(cluster, 60)
    content = zlib.decompressobj().decompress(path.read_bytes().removeprefix(NAME))
    assert b"payments" in content
    assert len(cluster.canaries) > 10
    assert [canary for canary in cluster.canaries if canary.encode() in content] == []
    assert cluster.url.encode() not in content


async def test_a_bad_file_stops_nothing(cluster: Simulation, tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_bytes(os.urandom(1000))
    async with exporter_of(cluster, tmp_path, f"--state.checkpoint-file={path}") as exporter:
        assert counts(await samples_of(exporter), "pod_exporter_checkpoint_load_info", ("result",)) == {("bad",): 1}
    assert (tmp_path / "state.bad").stat().st_size == 1000
    async with exporter_of(cluster, tmp_path, f"--state.checkpoint-file={path}") as exporter:
        assert counts(await samples_of(exporter), "pod_exporter_checkpoint_load_info", ("result",)) == {("loaded",): 1}


async def test_one_that_can_be_read_but_not_gone_on_from_is_put_aside(
    cluster: Simulation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flag = f"--state.checkpoint-file={tmp_path / 'state'}"
    async with exporter_of(cluster, tmp_path, flag):
        pass

    def broken(*_: object) -> None:
        raise KeyError("s3cret")

    monkeypatch.setattr(Core, "restore", broken)
    async with exporter_of(cluster, tmp_path, flag) as exporter:
        assert exporter.vitals.checkpoint.load == "bad"
        assert len(counts(await samples_of(exporter), "pod_workload_pods", OF_WORKLOAD)) > 5
    assert (tmp_path / "state.bad").exists()


async def test_a_disk_that_fails_for_a_while_is_counted_and_the_exporter_goes_on(
    cluster: Simulation, tmp_path: Path
) -> None:
    folder = tmp_path / "volume"
    flags = (f"--state.checkpoint-file={folder / 'state'}", "--state.checkpoint-interval=1s")
    async with exporter_of(cluster, tmp_path, *flags) as exporter:
        writes = exporter.vitals.checkpoint.writes
        await until(lambda: writes["failed"] > 0)
        await live(cluster, 10)
        shown = counts(await samples_of(exporter), "pod_exporter_checkpoint_writes", ("result",))
        assert shown[("failed",)] > 0
        assert exporter.ready() == ""
        folder.mkdir()
        await until(lambda: writes["ok"] > 0)
    assert (folder / "state").exists()


async def test_namespaces_that_are_not_watched_any_more_are_forgotten(cluster: Simulation, tmp_path: Path) -> None:
    flag = f"--state.checkpoint-file={tmp_path / 'state'}"
    async with exporter_of(cluster, tmp_path, flag) as exporter:
        pods = exporter.core.tracker.objects["pods"]
    async with exporter_of(cluster, tmp_path, flag, "--kube.namespaces=shop") as exporter:
        assert 0 < exporter.core.tracker.objects["pods"] < pods
        assert exporter.vitals.core.unobserved_deletions == 0
    async with exporter_of(cluster, tmp_path, flag) as exporter:
        assert exporter.core.tracker.objects["pods"] == pods
        assert exporter.vitals.core.observations["PhaseChanged"] == 0, "all others are baseline"


async def test_a_file_of_another_api_server_is_not_gone_on_from(cluster: Simulation, tmp_path: Path) -> None:
    flag = f"--state.checkpoint-file={tmp_path / 'state'}"
    async with exporter_of(cluster, tmp_path, flag):
        pass
    async with Simulation(seed=12, scenario=demo) as other, exporter_of(other, tmp_path, flag) as exporter:
        assert exporter.vitals.checkpoint.load == "foreign"
        assert exporter.vitals.core.unobserved_deletions == 0


async def test_a_file_that_is_too_old_is_not_gone_on_from(cluster: Simulation, tmp_path: Path) -> None:
    flag = f"--state.checkpoint-file={tmp_path / 'state'}"
    async with exporter_of(cluster, tmp_path, flag):
        pass
    await asyncio.sleep(0.05)
    async with exporter_of(cluster, tmp_path, flag, "--state.checkpoint-max-age=10ms") as exporter:
        assert exporter.vitals.checkpoint.load == "old"
    async with exporter_of(cluster, tmp_path, flag, "--state.checkpoint-max-age=0") as exporter:
        assert exporter.vitals.checkpoint.load == "loaded"


async def test_until_the_cluster_has_been_seen_again_a_checkpoint_is_as_old_as_the_one_before(
    cluster: Simulation, tmp_path: Path
) -> None:
    """Else an exporter that cannot reach the API server would keep old knowledge young for ever."""
    path = tmp_path / "state"
    async with exporter_of(cluster, tmp_path, f"--state.checkpoint-file={path}") as exporter:
        cluster_of = exporter._keeper._cluster  # type: ignore[union-attr]
    made = read(path.read_bytes(), cluster_of, 0.0)[0].made
    async with exporter_of(cluster, tmp_path, f"--state.checkpoint-file={path}") as exporter:
        exporter._unready = "as if no list had come"
    assert read(path.read_bytes(), cluster_of, 0.0)[0].made == made
