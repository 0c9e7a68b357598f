"""What is owed: counted, and shown by no scrape that came to its end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from exporter.lifecycle.observations import (
    ContainerRestarted,
    ContainerTerminated,
    ImagePulled,
    Observation,
    PhaseChanged,
    PodRef,
    StartupFinished,
    Workload,
)
from exporter.lifecycle.records import Record
from exporter.metrics import ledger as module
from exporter.metrics.catalogue import COUNTERS
from exporter.metrics.ledger import Ledger
from exporter.metrics.saved import Accounts, SavedAccount, SavedSeries
from tests.ingest import Ingested

HOLD, RETENTION = 10.0, 900.0
W = 'namespace="shop",workload_kind="Deployment",workload="w0"'
OTHER = 'namespace="shop",workload_kind="other",workload="other",container="main",container_type="container",'


def shown(ledger: Ledger, now: float) -> str:
    return "".join(
        chunk.decode() for _, accounts in ledger.tiers() for account in accounts for chunk in account.chunks(now)
    )


def saved(ledger: Ledger, now: float, meanwhile: Iterable[Observation] = ()) -> tuple[SavedAccount, ...]:
    """What a ledger saves, through the bytes of it; `meanwhile`: what it counts while that is being written."""
    later = [*meanwhile]
    with ledger.exposed.moment() as moment:
        parts = []
        for account in ledger.saved(now, moment):
            parts.append(account)
            for observation in later:
                ledger.add(observation, now)
            later.clear()
    written = msgspec.msgpack.encode(Accounts(tuple(parts)))
    return msgspec.msgpack.decode(written, type=Accounts).accounts


def restarted(ledger: Ledger, now: float, meanwhile: Iterable[Observation] = (), **settings: Any) -> Ledger:
    """Another ledger that goes on from what this one has saved."""
    after = Ledger(HOLD, RETENTION, restarts=True, **settings)
    after.restore(saved(ledger, now, meanwhile), now)
    after.restored()
    return after


def ledger_of(*observations: Observation, now: float = 0.0) -> Ledger:
    ledger = Ledger(HOLD, RETENTION, restarts=True)
    for observation in observations:
        ledger.add(observation, now)
    return ledger


def restart(workload: str = "w0", reason: str = "Error", node: str = "n1") -> Observation:
    return ContainerRestarted(0.0, pod_of(workload), "main", "container", reason, node=node)


def pod_of(workload: str, kind: str = "Deployment") -> PodRef:
    return PodRef("shop", "p", "u", Workload("shop", kind, workload))


def observations(random: Random) -> Iterable[Observation]:
    """A few facts: some of families that are new each time, some of histograms, nodes and registries."""
    pod = pod_of(f"w{random.randrange(3)}")
    for _ in range(random.randrange(4)):
        reason = random.choice(("Error", "OOMKilled", f"Odd{random.randrange(50)}"))
        yield random.choice(
            (
                ContainerRestarted(0.0, pod, "main", "container", reason, node=f"n{random.randrange(3)}"),
                ContainerTerminated(0.0, pod, "main", "container", reason, "1", ran=random.choice((None, 3.5, 700.0))),
                PhaseChanged(0.0, pod, "Running", "Failed", random.random() * 100),
                StartupFinished(0.0, pod, 30.5, (("init", 10.25), ("start", 20.25))),
                ImagePulled(0.0, pod, "main", "container", "pulled", "", 1, f"r{random.randrange(60)}", 2.0),
            )
        )


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 2**32))
def test_one_server_sees_the_same_with_and_without_restarts(seed: int) -> None:
    """Scrapes fail or complete, counting goes on meanwhile, and restarts come at any time: while series are held, while
    a scrape runs, one after the other. In the end the server has seen all that was counted, and nothing twice.
    """
    random = Random(seed)
    lived, ledger, server = Ledger(0.0, RETENTION), ledger_of(), Ingested()
    scrape: tuple[int, float, str] | None = None
    now = completed = 0.0
    for _ in range(random.randrange(80)):
        if now + 4.0 >= completed + HOLD:  # the birth-hold is for two scrapes
            server.take(shown(ledger, now))
            ledger.exposed.completed(ledger.exposed.snapshot(now))
            completed, scrape = now, None
        now += random.choice((0.0, 0.5, 4.0))
        match random.randrange(8):
            case 0 | 1 | 2:  # one that was running is abandoned
                scrape = ledger.exposed.snapshot(now), now, shown(ledger, now)
            case 3 | 4 if scrape:
                mark, at, text = scrape
                ledger.exposed.completed(mark)
                server.take(text)
                completed, scrape = at, None
            case 5:  # a kill, later: what came after the moment of the checkpoint is told again by the API
                again = [*observations(random)]
                ledger, scrape = restarted(ledger, now, again), None
                for observation in again:
                    ledger.add(observation, now)
                    lived.add(observation, now)
            case _:
                for observation in observations(random):
                    ledger.add(observation, now)
                    lived.add(observation, now)
    for later in (0.0, HOLD + 1):
        server.take(shown(ledger, now + later))
    assert server.non_zero() == values(shown(lived, now))


def values(text: str) -> dict[str, float]:
    lines = [line.rpartition(" ") for line in text.splitlines()]
    return {name: round(float(value), 6) for name, _, value in lines if name[:4] == "pod_" and float(value)}


def owed(ledger: Ledger, now: float = 0.0) -> dict[str, float]:
    """What each family owes, all series together."""
    sums: dict[str, float] = {}
    for account in saved(ledger, now):
        for family, series in account.series.items():
            amount = sum(one.value for one in series)
            sums |= {family: sums.get(family, 0.0) + amount} if amount else {}
    return sums


def scraped(ledger: Ledger, now: float) -> None:
    ledger.exposed.completed(ledger.exposed.snapshot(now))


def changed(accounts: Iterable[SavedAccount], change: Callable[[SavedSeries], SavedSeries]) -> Iterator[SavedAccount]:
    """Accounts as another version might have saved them."""
    for account in accounts:
        yield replace(account, series={family: tuple(map(change, known)) for family, known in account.series.items()})


RESTARTS, BY_NODE = "pod_container_restarts_total", "pod_node_container_restarts_total"


class TestOwed:
    def test_what_no_scrape_has_shown_is_owed(self) -> None:
        ledger = ledger_of(restart())
        scraped(ledger, HOLD)
        assert owed(ledger) == {}
        ledger.add(restart(), HOLD)
        assert owed(ledger) == {RESTARTS: 1, BY_NODE: 1}

    def test_what_was_held_at_0_in_the_scrape_is_owed(self) -> None:
        ledger = ledger_of(restart())
        scraped(ledger, HOLD - 1)
        assert owed(ledger) == {RESTARTS: 1, BY_NODE: 1}

    def test_each_series_is_held_by_its_own_birth(self) -> None:
        """One restart counts for its workload, shown already, and for a node on which it is the first."""
        ledger = ledger_of(restart(node="n1"))
        ledger.add(restart(node="n2"), 5.0)
        scraped(ledger, HOLD)
        assert owed(ledger) == {BY_NODE: 1}

    def test_what_counts_while_a_scrape_runs_is_owed(self) -> None:
        ledger = ledger_of(restart())
        mark = ledger.exposed.snapshot(HOLD)
        ledger.add(restart(), HOLD + 1)
        ledger.exposed.completed(mark)
        assert owed(ledger) == {RESTARTS: 1, BY_NODE: 1}

    def test_a_scrape_that_broke_off_has_shown_nothing(self) -> None:
        ledger = ledger_of(restart())
        for _ in range(20):
            ledger.exposed.snapshot(HOLD)
            ledger.add(restart(), HOLD)
        assert owed(ledger)[RESTARTS] == 21

    def test_scrapes_that_overlap_may_complete_in_any_order(self) -> None:
        ledger = ledger_of(restart())
        first = ledger.exposed.snapshot(HOLD)
        ledger.add(restart(), HOLD)
        second = ledger.exposed.snapshot(HOLD + 1)
        ledger.add(restart(), HOLD)
        ledger.exposed.completed(second)
        assert owed(ledger)[RESTARTS] == 1
        ledger.exposed.completed(first)
        assert owed(ledger)[RESTARTS] == 1

    def test_of_many_scrapes_that_broke_off_one_that_completes_still_counts(self) -> None:
        """Rather too much is owed than too little: marks of so many broken scrapes are not told apart for ever."""
        ledger = ledger_of(restart())
        marks = []
        for _ in range(20):
            marks.append(ledger.exposed.snapshot(HOLD))
            ledger.add(restart(), HOLD)
        ledger.exposed.completed(marks[0])
        assert owed(ledger)[RESTARTS] == 21
        ledger.exposed.completed(marks[-1])
        assert owed(ledger)[RESTARTS] == 1

    def test_counting_while_a_checkpoint_is_written_is_not_in_it(self) -> None:
        ledger = ledger_of(restart())
        written = saved(ledger, 0.0, [restart(), restart("new")])
        assert [one.value for a in written if a.scope == "workload" for one in a.series[RESTARTS]] == [1.0]
        assert owed(ledger)[RESTARTS] == 3

    def test_without_a_checkpoint_nothing_is_noted(self) -> None:
        ledger = Ledger(HOLD, RETENTION)
        scraped(ledger, HOLD)
        ledger.add(restart(), HOLD)
        assert not ledger.exposed._generations

    def test_series_that_are_shown_no_more_are_not_held(self) -> None:
        ledger = ledger_of(restart())
        ledger.exposed.snapshot(0.0)
        ledger.add(restart(), 1.0)
        assert ledger.exposed._generations[-1][1]
        ledger.expire(RETENTION + 10)
        assert not any(changed for _, changed in ledger.exposed._generations)


class TestRestored:
    def test_every_series_is_there_at_once_at_0_and_shows_after_the_hold_what_was_owed(self) -> None:
        before = ledger_of(restart())
        scraped(before, HOLD)
        before.add(restart(), HOLD)
        after = restarted(before, 100.0)
        names = [line.rpartition(" ")[0] for line in shown(before, HOLD + 1).splitlines()]
        assert [line.rpartition(" ")[0] for line in shown(after, 100.0).splitlines()] == names
        assert values(shown(after, 100.0 + HOLD - 1)) == {}
        assert values(shown(after, 100.0 + HOLD)) == {
            f'{RESTARTS}{{{W},container="main",container_type="container",reason="Error"}}': 1,
            f'{BY_NODE}{{node="n1",reason="Error"}}': 1,
        }

    def test_accounts_close_when_they_would_have(self) -> None:
        before = ledger_of(restart())
        before.add(restart("later"), 500.0)
        after = restarted(before, 800.0)
        after.expire(RETENTION + 1)
        assert len(after) == 1
        after.expire(RETENTION + 501)
        assert len(after) == 0

    def test_an_account_with_pods_stays_until_they_come_back_or_are_missed(self, record: Callable[..., Record]) -> None:
        before = ledger_of()
        before.track(None, pod := record(), 0.0)
        after = restarted(before, 5000.0)
        after.track(None, pod, 5001.0)
        after.expire(10_000.0)
        assert len(after) == 1
        after.track(pod, replace(pod, gone_at=10_000.0), 10_000.0)
        after.expire(10_000.0 + RETENTION)
        assert len(after) == 0

    def test_what_was_booked_as_other_stays_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "WORKLOADS_PER_NAMESPACE", 2)
        before = ledger_of(*[restart(f"w{i}") for i in range(4)])
        after = restarted(before, 0.0)
        assert shown(after, HOLD) == shown(before, HOLD)
        after.add(restart("w3"), 1.0)
        assert len(after) == 3
        assert values(shown(after, HOLD))[f'{RESTARTS}{{{OTHER}reason="Error"}}'] == 3

    def test_what_an_exporter_with_wider_bounds_has_saved_is_folded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seen = [
            ContainerTerminated(0.0, pod_of(f"w{i}", f"Kind{i}"), f"c{k}", "container", "Error", "1", ran=3.5)
            for i in range(3)
            for k in range(i, 4)
        ]
        before = saved(ledger_of(*seen), 0.0)
        low = [f._replace(bounds=tuple((label, 2, apart) for label, _, apart in f.bounds)) for f in COUNTERS]
        monkeypatch.setattr(module, "COUNTERS", low)
        monkeypatch.setattr(module, "WORKLOADS_PER_NAMESPACE", 2)
        monkeypatch.setattr(module, "KINDS_PER_NAMESPACE", 2)
        after = Ledger(HOLD, RETENTION, restarts=True)
        assert after.restore(before, 0.0)["lost"] == 0
        after.restored()
        assert len(after) == 3
        assert after.overflow["all", "workload"] == after.overflow["all", "workload_kind"] == 1
        found = values(shown(after, HOLD))
        ended = [value for name, value in found.items() if name.startswith("pod_container_terminations_total")]
        assert sorted(ended) == [1, 1, 1, 1, 1, 1, 1, 2]
        family = 'pod_container_run_duration_seconds_count{namespace="shop",'
        assert [value for name, value in found.items() if name.startswith(family)] == [4, 3, 2]
        assert saved(after, 0.0) != before
        assert shown(restarted(after, 0.0), HOLD) == shown(after, HOLD)

    def test_families_that_are_not_kept_any_more_are_left_out(self) -> None:
        after = restarted(ledger_of(restart()), 0.0, dropped=frozenset({RESTARTS}))
        assert {name.partition("{")[0] for name in values(shown(after, HOLD))} == {BY_NODE}

    def test_a_histogram_follows_its_level(self) -> None:
        ended = ContainerTerminated(0.0, pod_of("w0"), "main", "container", "Error", "1", ran=3.5)
        name = "pod_container_run_duration_seconds"
        before = ledger_of(ended)
        assert name in shown(restarted(before, 0.0), HOLD)
        assert name not in shown(restarted(before, 0.0, levels={name: "off"}), HOLD)

    def test_a_histogram_with_other_buckets_begins_anew_and_the_loss_is_counted(self) -> None:
        written = saved(ledger_of(StartupFinished(0.0, pod_of("w0"), 30.5, ())), 0.0)
        after = Ledger(HOLD, RETENTION, restarts=True)
        counts = after.restore(changed(written, lambda series: replace(series, buckets=series.buckets[1:])), 0.0)
        assert counts["lost"] == 1
        assert values(shown(after, HOLD)) == {}
        assert 'pod_startup_duration_seconds_count{namespace="shop"' in shown(after, HOLD)

    def test_labels_that_have_changed_are_left_out(self) -> None:
        written = saved(ledger_of(restart()), 0.0)
        after = Ledger(HOLD, RETENTION, restarts=True)
        assert after.restore(changed(written, lambda series: replace(series, labels=("x",) * 9)), 0.0) == {}
        assert shown(after, HOLD) == ""
