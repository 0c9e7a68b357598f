"""What an exporter has counted of a fleet beside the truth, what it says of itself, and what it holds."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.api import wait_until
from tests.cluster.exporter_process import Exporter
from tests.cluster.fleet import Fleet, Truth
from tests.cluster.scrape import Scrape

MIB = 1 << 20
GROWTH = 16 * MIB
"""Bytes of resident memory that a fault may leave behind: what the allocator keeps of a list or a burst."""
THREADS = min(32, (os.cpu_count() or 1) + 4)
"""What asyncio's executor grows to and stays at."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a process holds."""

    resident: int
    descriptors: int
    threads: int
    tasks: int

    @classmethod
    def of(cls, exporter: Exporter) -> Footprint:
        process = Path(f"/proc/{exporter.daemon.pid}")
        tasks = exporter.scrape().total("pod_exporter_tasks")
        descriptors, threads = len(list((process / "fd").iterdir())), len(list((process / "task").iterdir()))
        return cls(exporter.daemon.resident_bytes(), descriptors, threads, int(tasks))

    def is_back_at(self, before: Footprint) -> bool:
        """One descriptor more may be the connection that renews the version of Events, kept for a while."""
        return (
            self.resident <= before.resident + GROWTH
            and self.descriptors <= before.descriptors + 1
            and self.threads <= max(before.threads, THREADS + 2)
            and self.tasks <= before.tasks
        )


class Followed:
    """A fleet as an exporter sees it, from the moment on at which it is made; the fleet rests then."""

    def __init__(self, exporter: Exporter, fleet: Fleet, footprint: Footprint | None = None) -> None:
        self.exporter, self.fleet = exporter, fleet
        self._base = fleet.moment()
        self.before = exporter.scrape()
        self._counted = counted(self.before, fleet.namespace)
        self.footprint = footprint or Footprint.of(exporter)
        """What it held when it was followed first."""

    def without_loss(self) -> None:
        """What holds after every fault that a watch can go on from: all is told as it happened."""
        self.has_all()
        assert self.told("relists_total") == 0
        self.is_well()

    def is_well(self) -> None:
        """Nothing of a fault is left: neither in what could not be handled nor in what is held."""
        assert self.told("decode_errors_total") == self.told("faults_total") == 0
        assert self.exporter.readiness() == 200
        self.is_as_before()

    def settles(self, seconds: float = 20) -> None:
        """Wait until all that has happened so far is counted, as far as it will be."""
        with suppress(AssertionError):
            wait_until(lambda: _sums(self.counts()) == _sums(self.truth()), "all is counted", seconds)

    def truth(self) -> Truth:
        return self.fleet.moment().since(self._base)

    def counts(self) -> Truth:
        return counted(self.exporter.scrape(), self.fleet.namespace).since(self._counted)

    def has_all(self, seconds: float = 60) -> None:
        """Wait until every count is the truth, each with its cause."""
        truth = self.truth()
        try:
            wait_until(lambda: self.counts() == truth, "the counts are the truth", seconds)
        except AssertionError:
            raise AssertionError(f"told {self.counts()}, true {truth}") from None

    def has_sums(self, seconds: float = 60) -> None:
        """Wait until all is counted, though a list has told of it: causes may be Unobserved, none may be invented."""
        truth = self.truth()
        sums = _sums(truth)
        try:
            wait_until(lambda: _sums(self.counts()) == sums, "the sums are the truth", seconds)
        except AssertionError:
            raise AssertionError(f"told {_sums(self.counts())}, true {sums}") from None
        counts = self.counts()
        unobserved = Counter({key: n for key, n in counts.restarts.items() if key[1] == "Unobserved"})
        assert counts.restarts - unobserved <= truth.restarts
        assert unobserved.total() == self.told("unobserved_restarts_total")

    def told(self, name: str, **labels: str) -> float:
        """By how much one of the exporter's own counters has grown."""
        name = f"pod_exporter_{name}"
        return self.exporter.scrape().total(name, **labels) - self.before.total(name, **labels)

    def is_told(self, name: str, seconds: float = 60, **labels: str) -> float:
        """Wait until one of the exporter's own counters has grown; by how much."""
        grown: float = wait_until(lambda: self.told(name, **labels), f"{name} {labels} has grown", seconds)
        return grown

    def is_as_before(self, seconds: float = 60) -> Footprint:
        """Wait until memory, descriptors, threads and tasks are back where they were."""
        looks: list[Footprint] = []

        def is_back() -> bool:
            looks.append(Footprint.of(self.exporter))
            return looks[-1].is_back_at(self.footprint)

        try:
            wait_until(is_back, "all is given back", seconds)
        except AssertionError:
            raise AssertionError(f"a fault has left something behind: {looks[-1]} after {self.footprint}") from None
        return looks[-1]


def counted(scrape: Scrape, namespace: str) -> Truth:
    """What a scrape says of a namespace."""
    truth = Truth()
    _add(truth.restarts, scrape, namespace, "pod_container_restarts_total", "workload", "reason")
    _add(truth.ends, scrape, namespace, "pod_container_terminations_total", "workload", "reason", "exit_code")
    _add(truth.events, scrape, namespace, "pod_events_total", "workload", "reason")
    _add(truth.created, scrape, namespace, "pod_phase_transitions_total", "workload", **{"from": "None"})
    _add(truth.deleted, scrape, namespace, "pod_phase_transitions_total", "workload", to="Deleted")
    return truth


def _add(
    counter: Counter[str] | Counter[tuple[str, str]] | Counter[tuple[str, str, str]],
    scrape: Scrape,
    namespace: str,
    name: str,
    *by: str,
    **labels: str,
) -> None:
    for sample in scrape.select(name, namespace=namespace, **labels):
        key = tuple(sample.labels[label] for label in by)
        counter[key if len(by) > 1 else key[0]] += int(sample.value)  # type: ignore[index]


def _sums(truth: Truth) -> tuple[Counter[str], ...]:
    """By workload alone."""
    restarts, ends, events = Counter[str](), Counter[str](), Counter[str]()
    for (workload, _), n in truth.restarts.items():
        restarts[workload] += n
    for (workload, *_), n in truth.ends.items():
        ends[workload] += n
    for (workload, _), n in truth.events.items():
        events[workload] += n
    return restarts, ends, events, +truth.created, +truth.deleted
