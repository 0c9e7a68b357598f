"""One-shot jobs by the hundred, each under a name of its own, leave nothing behind that grows."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import NamedTuple

import pytest

from exporter.core import Core
from exporter.kube.decoding import Decoder
from exporter.kube.resources import JOBS, PODS
from exporter.lifecycle.pods import LINGER
from exporter.objects import Added, Applied, Deleted, Listed, Modified, Pod, Removed
from exporter.vitals import WatchVitals
from tests.bench.jobs import GAP, KINDS, told

BEGAN = 1795381600.0
EVERY = 1.8
"""Seconds between two jobs: 2,000 an hour."""
RETENTION = 900.0


class Stand(NamedTuple):
    """How much there is."""

    accounts: int
    series: float
    records: int
    deadlines: int


class Cluster:
    """A core that is told of jobs, on a clock of its own."""

    def __init__(self) -> None:
        self.now = BEGAN
        self.core = Core(retention=RETENTION)
        self.core.apply(Listed(Pod, "", frozenset(), BEGAN - 60), BEGAN)
        versions = count(1)
        self._version: Callable[[], int] = lambda: next(versions)
        self._decoders = {resource.name: Decoder(resource, WatchVitals(resource.name)) for resource in (PODS, JOBS)}
        self._begun = 0

    def run(self, jobs: int) -> Stand:
        """Let so many jobs come and go, and give what there is then."""
        for lines in told(self._begun, jobs, self._version, lambda: self.now):
            for resource, line in lines:
                self._take(resource, line)
            self.wait(EVERY)
        self._begun += jobs
        tracker = self.core.tracker
        series = sum(self.core.vitals.series().values())
        return Stand(len(self.core._ledger), series, len(list(tracker.records())), len(tracker._deadlines._heap))

    def wait(self, seconds: float) -> None:
        self.now += seconds
        while self.core.elapse(self.now):
            pass

    def _take(self, resource: str, line: bytes) -> None:
        match self._decoders[resource].line(line.rstrip()):
            case Added(item) | Modified(item):
                self.core.apply(Applied(item), self.now)
            case Removed(item):
                self.core.apply(Deleted(item), self.now)


@pytest.fixture(scope="module")
def stands() -> tuple[Cluster, Stand, Stand]:
    cluster = Cluster()
    return cluster, cluster.run(400), cluster.run(800)


def test_neither_accounts_nor_series_nor_memories_grow_with_the_jobs(stands: tuple[Cluster, Stand, Stand]) -> None:
    _, early, late = stands
    assert early == late
    assert late.accounts == len(KINDS)


def test_each_is_counted_on_the_account_of_its_kind(stands: tuple[Cluster, Stand, Stand]) -> None:
    cluster, _, _ = stands
    text = b"".join(cluster.core.exposition(cluster.now + 1000, openmetrics=False)).decode()
    ended = [line for line in text.splitlines() if line.startswith("pod_container_terminations_total")]
    assert sum(float(line.rpartition(" ")[2]) for line in ended) == 1200
    assert sum(float(line.rpartition(" ")[2]) for line in ended if 'reason="Error"' in line) == 120


def test_of_jobs_that_are_over_nothing_stays_but_what_their_nodes_and_accounts_keep() -> None:
    cluster = Cluster()
    cluster.run(2 * GAP)
    cluster.wait(LINGER)
    assert list(cluster.core.tracker.records()) == []
    cluster.wait(RETENTION)
    assert sum(cluster.core.vitals.series().values()) == 0
    assert cluster.core.vitals.objects() == {"pods": 0, "replicasets": 0, "jobs": 0}
