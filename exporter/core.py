"""Tracker, ledger and rows without sockets: changes go in, exposition comes out.

Every change is applied behind a blast door: what raises is counted and logged, the pod's old state stays. The log
says where it was raised, but neither messages nor variables: they may hold what no one should read.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Mapping
from itertools import islice
from math import inf
from time import monotonic
from typing import TypeVar

import structlog

from exporter.lifecycle.observations import (
    CREATED,
    UNOBSERVED,
    ContainerRestarted,
    Observation,
    PhaseChanged,
    ProbeFailed,
    RestartCountReset,
    StartupFinished,
)
from exporter.lifecycle.records import Record
from exporter.lifecycle.saved import EVERYWHERE, Known, Records, Sharing, watched, worth_saving
from exporter.lifecycle.tracker import Tracker
from exporter.logs import OnceAMinute, described
from exporter.metrics.catalogue import FAMILY_NAMES, ROWS
from exporter.metrics.exposition import exposition
from exporter.metrics.families import Level
from exporter.metrics.ledger import Ledger
from exporter.metrics.own import Vitals, registry
from exporter.metrics.rows import Rows, Which, label_names
from exporter.metrics.saved import Accounts, Part
from exporter.objects import Anything, Applied, Change, Deleted, Event, Job, Listed, Pod, ReplicaSet, Unreadable
from exporter.vitals import CoreVitals, Delays

Arg = TypeVar("Arg")
SLICE = 0.01
"""Seconds of work after which others get their turn: thousands of pods may go in one list."""
RECORDS, ACCOUNTS = 512, 64
"""How many of them a part of a checkpoint has: some 5 ms of work."""


class Core:
    """The product without a network. `birth_hold` and `retention` are seconds, times Unix seconds.

    `attribution_wait`: seconds that an end waits for the Event that tells its cause; `normal_events`: count Events of
    type Normal too. `pods`: which pods have rows; `drop`: a regular expression of families to leave out; `pod_labels`:
    keys of labels to show; `histogram_levels`: on which accounts histograms are kept, where not as usual; `restarts`:
    keep what a checkpoint needs.
    """

    def __init__(
        self,
        vitals: Vitals | None = None,
        *,
        birth_hold: float = 130.0,
        retention: float = 900.0,
        attribution_wait: float = 0.0,
        normal_events: bool = False,
        workload_label: str = "",
        pods: Which = "all",
        drop: str = "",
        pod_labels: tuple[str, ...] = (),
        histogram_levels: Mapping[str, Level] | None = None,
        restarts: bool = False,
        listener: Callable[[Observation], None] | None = None,
    ) -> None:
        self.vitals = vitals or Vitals()
        self.tracker = Tracker(
            self._deliver,
            workload_label,
            pod_labels,
            attribution_wait=attribution_wait,
            normal_events=normal_events,
        )
        dropped = frozenset(name for name in FAMILY_NAMES if drop and re.fullmatch(drop, name))
        self._ledger = Ledger(birth_hold, retention, histogram_levels, dropped, restarts=restarts)
        self._rows = Rows(tuple(family for family in ROWS if family.name not in dropped), pods, pod_labels)
        self._pod_labels = pod_labels
        self._clashes = label_names(pod_labels).count(None)
        self._listener = listener
        self._own = registry(self.vitals)
        self._now = 0.0
        self._stepped = 0.0
        """Seconds by which the clock has been stepped."""
        self._missing: deque[str] = deque()
        """Keys of pods whose deletion a list has revealed and that is still to be told."""
        self._log = OnceAMinute(structlog.stdlib.get_logger(__name__))
        self.vitals.core.delays |= {"pods": Delays(), "events": Delays()}
        self.vitals.unmatched = lambda: self.tracker.early.lost
        self.vitals.objects = lambda: self.tracker.objects
        self.vitals.workloads = lambda: len(self._ledger)
        self.vitals.series = lambda: {"rows": self._rows.series, "ledger": self._ledger.series}
        self.vitals.overflow = self._overflow

    @property
    def undecided(self) -> set[str]:
        """Keys of the pods that wait for their owner."""
        return self.tracker.undecided

    def waits(self, keys: Iterable[str]) -> bool:
        """Whether one of these pods still waits for its owner."""
        return any(map(self.tracker.waits, keys))

    def apply(self, change: Change, now: float) -> None:
        """Take in one change; it never raises."""
        self._now = now
        if isinstance(change, Listed):
            self._guard(self._listed, change)
        elif isinstance(change, Unreadable):
            self._guard(lambda gone: self.tracker.lost(gone.of, gone.uid, now), change)
        else:
            self._guard(self._change, change)

    def probes(self, node: str, totals: Iterable[tuple[str, str, str, int]], now: float, *, first: bool) -> None:
        """Take in a kubelet's totals of failed probes: pod uid, container, probe, failures; it never raises.

        `first`: it is the first that this kubelet says to this process.
        """
        self._now = now
        first = self.tracker.kubelet_read(node, first=first)
        for total in totals:
            self._guard(lambda total: self.tracker.probe_failures(node, *total, now, first=first), total)

    def elapse(self, now: float) -> bool:
        """Let time do its work for a slice: waits end, memories are dropped, accounts close; whether more is due."""
        self._now = now
        until = monotonic() + SLICE
        if self._vanish(until):
            return True
        for key in self.tracker.due(now):
            self._guard(lambda key: self.tracker.elapsed(key, now), key)
            if monotonic() >= until:
                return True
        self._ledger.expire(self._booked(now))
        return False

    def stepped(self, by: float) -> None:
        """The clock was stepped by so many seconds: what is waited for must come neither earlier nor later."""
        self.vitals.loop.clock_steps["forward" if by > 0 else "back"] += 1
        self._stepped += by
        self.tracker.stepped(by)

    def exposition(
        self, now: float, *, openmetrics: bool, names: frozenset[str] = frozenset()
    ) -> Generator[bytes, None, int | None]:
        """Blocks of the answer to a scrape; see `metrics.exposition`."""
        booked = self._booked(now)
        return exposition(self._rows, self._ledger, self._own, booked, openmetrics=openmetrics, names=names)

    def _booked(self, now: float) -> float:
        """The ledger's time: it knows no times but its own, and so goes without the steps of the clock."""
        return now - self._stepped

    def scraped(self, mark: int) -> None:
        """The answer that returned `mark` was taken to its end."""
        self._ledger.exposed.completed(mark)

    def saved(self, now: float) -> Generator[Part, None, None]:
        """What a restart needs, all of the moment of the first part."""
        with self._ledger.exposed.moment() as moment:
            known, records = self.tracker.saved()
            yield known
            accounts = self._ledger.saved(self._booked(now), moment)
            while some := tuple(islice(accounts, ACCOUNTS)):
                yield Accounts(some)
            kept = filter(worth_saving, records)
            while many := tuple(islice(kept, RECORDS)):
                yield Records(many)

    def restore(self, parts: Iterable[Part], made: float, now: float, namespaces: tuple[str, ...] = ()) -> None:
        """Go on from what `saved` gave at Unix time `made`, in a core that knows nothing yet.

        Counters begin at 0 and show, when the birth-hold is over, what no scrape had shown. What happened meanwhile is
        what the next lists tell. `namespaces`: those that are watched, () for all.
        """
        self._now, counts = now, self.vitals.checkpoint.restored
        namespaces = namespaces or EVERYWHERE
        sharing = Sharing(self._pod_labels)
        for part in parts:
            if isinstance(part, Known):
                self.tracker.restore(part, made, now, namespaces)
                sharing = Sharing(self._pod_labels, part.pod_labels)
            elif isinstance(part, Accounts):
                counts.update(self._ledger.restore(part.accounts, now))
            else:
                for record in part.records:
                    if watched(record.pod.namespace, namespaces):
                        counts["pods"] += 1
                        self._guard(self.tracker.resume, sharing.shared(record))
        self._ledger.restored()

    def _overflow(self) -> Mapping[tuple[str, str], int]:
        return self._ledger.overflow + Counter({("pod_labels", "label"): self._clashes})

    def _change(self, change: Applied[Anything] | Deleted[Anything]) -> None:
        changed = change.object
        if isinstance(change, Applied):
            if isinstance(changed, Pod):
                self.tracker.pod(changed, self._now, gap=change.listed)
            elif isinstance(changed, Event):
                self._event(changed, listed=change.listed)
            elif isinstance(changed, ReplicaSet | Job):
                self.tracker.owner(changed)
        elif isinstance(changed, Pod):
            self.tracker.deleted(changed, self._now)
        elif isinstance(changed, ReplicaSet | Job):  # what an Event told stays told
            self.tracker.disowned(changed)

    def _event(self, event: Event, *, listed: bool) -> None:
        occurred = self.tracker.event(event, self._now, listed=listed)
        late = listed or event.series is not None  # recorders write series late by design
        if occurred is not None and not late:
            self.vitals.core.delays["events"].observe(self._now - occurred)

    def _listed(self, change: Listed) -> None:
        if change.of is Event:
            self.tracker.events_listed(change)
            return
        if change.of is not Pod:
            self.tracker.owners_listed(change)
            return
        self._missing.extend(self.tracker.missing(change))
        self._vanish(monotonic() + SLICE)

    def _vanish(self, until: float) -> bool:
        """Tell the deletions that a list has revealed, until the slice is over; whether some are left."""
        while self._missing:
            self._guard(lambda key: self.tracker.vanished(key, self._now), self._missing.popleft())
            if monotonic() >= until:
                break
        return bool(self._missing)

    def _guard(self, action: Callable[[Arg], None], argument: Arg) -> None:
        """The blast door: one odd object must not stop the stream."""
        try:
            action(argument)
        except Exception as error:  # noqa: BLE001 - whatever it is
            self.vitals.core.faults["lifecycle"] += 1
            self._log.warning("an object could not be handled, its old state is kept", **described(error))

    def _deliver(self, before: Record | None, after: Record, seen: list[Observation]) -> None:
        """One step of a pod: what may raise on its data comes first."""
        decided, there = after.pod.workload is not None, after.gone_at == inf
        row = self._rows.render(after) if decided and there else None
        self._delay(before, after, after.undecided.held if after.undecided else seen)
        if not decided:
            return
        self.vitals.core.probe_fills += _filled(before, after, seen) if self.vitals.kubelet.enabled else 0
        booked = self._booked(self._now)
        self._ledger.track(before, after, booked)
        if row is not None:
            self._rows.put(after, row)
        else:
            self._rows.drop(after)
        for observation in seen:
            self._ledger.add(observation, booked)
            count(self.vitals.core, observation)
            self._tell(observation)

    def _tell(self, observation: Observation) -> None:
        """The listener's faults are its own: what it could not take has happened all the same."""
        if self._listener is None:
            return
        try:
            self._listener(observation)
        except Exception as error:  # noqa: BLE001 - whatever it is
            self.vitals.core.faults["listener"] += 1
            self._log.warning("an observation could not be passed on", **described(error))

    def _delay(self, before: Record | None, after: Record, seen: Iterable[Observation]) -> None:
        """How late we learn, by the newest time that is new to us; a baseline's are not."""
        new = before is None and any(isinstance(o, PhaseChanged) and o.before == CREATED for o in seen)
        if new or (before is not None and after.newest > before.newest):
            self.vitals.core.delays["pods"].observe(self._now - after.newest)


def _filled(before: Record | None, after: Record, seen: Iterable[Observation]) -> int:
    """Failures of probes that Events told of a pod that is gone, beyond the kubelet's last word."""
    if before is None or after.gone_at == inf:
        return 0
    if before.gone_at == inf:
        return sum(failures.filled for c in after.containers for failures in c.failures)
    return sum(o.counted for o in seen if isinstance(o, ProbeFailed) and o.outcome == "failed")


def count(vitals: CoreVitals, observation: Observation) -> None:
    """Keep the numbers that bound the truth of the counts."""
    vitals.observations[type(observation).__name__] += 1
    if isinstance(observation, ContainerRestarted):
        vitals.unobserved_restarts += observation.times if observation.reason == UNOBSERVED else 0
        if observation.inferred:
            vitals.inferred_causes[observation.reason] += 1
    elif isinstance(observation, PhaseChanged):
        vitals.unobserved_deletions += observation.unobserved
        vitals.clamped_durations["pod_phase_seconds_total"] += observation.clamped
    elif isinstance(observation, StartupFinished):
        vitals.clamped_durations["pod_startup_stage_seconds_total"] += observation.clamped
    elif isinstance(observation, RestartCountReset):
        vitals.restart_count_resets += 1
