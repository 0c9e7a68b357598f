"""The simulation's own book of what happened, written at the moment of happening, never read off a status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

from exporter.simulator.episodes import Loops, Readiness, Rollouts, Starts

ContainerType: TypeAlias = Literal["container", "init", "sidecar", "ephemeral"]
TERMINAL = ("Succeeded", "Failed")
PASSING = ("PodCompleted", "PodFailed")
"""Reasons of Ready=False that only say that the pod ends."""
ON_THE_WAY = ("ContainerCreating", "PodInitializing")
"""Waiting reasons of every start; they are no trouble and are not booked."""


FOLLOWED = ("Ready", "DisruptionTarget", "PodResizePending", "PodResizeInProgress", "AllContainersRestarting")
"""Conditions whose changes are booked, besides readiness gates."""


class Workload(NamedTuple):
    """To whom a pod is accounted. One-shot owners are folded: Job `import-20261122` is workload `import`."""

    namespace: str
    kind: str
    name: str


class Container(NamedTuple):
    """A container of a workload, whichever pod it is in."""

    namespace: str
    kind: str
    name: str
    container: str
    container_type: ContainerType


Labels: TypeAlias = tuple[str, ...]


class Truth:
    """Exact counts since the start of the simulation (or the last `forget`), and the pods that are there now.

    Keys are tuples of label values in this order, W = namespace, workload_kind, workload:
    `starts`, `readiness_losses`: W, container, container_type; `restarts`: … + cause;
    `terminations`: … + reason, exit_code (a string; "" if nobody saw it); `waits`: … + reason;
    `transitions`: W, from, to ("None" before the first phase, "Deleted" after the last);
    `conditions`: W, condition, status, reason; `disruptions`: W, reason, resource ("" where none was short);
    `startups`, `rollouts`, `in_place_restarts`, `graces_exceeded`, `loops_ended`: W; `startup_failures`: W, stage;
    `regained`: W, cause of the lost Ready; `scheduling_failures`: W, cause; `crash_loops`: W, container, type;
    `pull_failures`: W, container, type, cause; `stops`: namespace, kind, of pods deleted before their end.
    What the API carried in Events, which senders hold back in bursts: `events`: W, reason, of Warnings;
    `probe_failures`: W, container, container_type, probe; `probe_causes`: … + cause; `pulls`: … + result.
    """

    def __init__(self) -> None:
        self.starts: Counter[Labels] = Counter()
        self.restarts: Counter[Labels] = Counter()
        self.terminations: Counter[Labels] = Counter()
        self.waits: Counter[Labels] = Counter()
        self.readiness_losses: Counter[Labels] = Counter()
        self.transitions: Counter[Labels] = Counter()
        self.disruptions: Counter[Labels] = Counter()
        self.conditions: Counter[Labels] = Counter()
        self.startups: Counter[Labels] = Counter()
        self.startup_failures: Counter[Labels] = Counter()
        self.regained: Counter[Labels] = Counter()
        self.rollouts: Counter[Labels] = Counter()
        self.in_place_restarts: Counter[Labels] = Counter()
        self.graces_exceeded: Counter[Labels] = Counter()
        self.scheduling_failures: Counter[Labels] = Counter()
        self.crash_loops: Counter[Labels] = Counter()
        self.loops_ended: Counter[Labels] = Counter()
        self.pull_failures: Counter[Labels] = Counter()
        self.stops: Counter[Labels] = Counter()
        self.events: Counter[Labels] = Counter()
        self.probe_failures: Counter[Labels] = Counter()
        self.probe_causes: Counter[Labels] = Counter()
        self.pulls: Counter[Labels] = Counter()
        self.starting = Starts(self.startups, self.startup_failures)
        self.readiness = Readiness(self.regained)
        self.loops = Loops(self.crash_loops, self.loops_ended)
        self.templates = Rollouts(self.rollouts)
        self._phases: dict[str, tuple[Workload, str]] = {}
        self._statuses: dict[str, dict[str, str]] = {}

    @property
    def pods(self) -> dict[Labels, int]:
        """Pods now, by W and phase (Terminating included)."""
        return dict(Counter((*workload, phase) for workload, phase in self._phases.values()))

    @property
    def ready_pods(self) -> dict[Labels, int]:
        """Pods now in phase Running with condition Ready True, by W; 0 where a workload has pods but none is."""
        ready: Counter[Labels] = Counter()
        for uid, (workload, phase) in self._phases.items():
            ready[workload] += phase == "Running" and uid in self.readiness
        return dict(ready)

    def phase(self, uid: str) -> str:
        """The phase of a pod that is there."""
        return self._phases[uid][1]

    def forget(self) -> None:
        """Set all counts to 0; the pods stay, and of what goes on only what one sees now."""
        for book in vars(self).values():
            if isinstance(book, Counter):
                book.clear()
        self.readiness.forget()
        self.loops.forget()
        self.templates.forget()

    def entered(self, uid: str, workload: Workload, phase: str) -> None:
        """A pod entered a phase; its first one makes it known, and Terminating lasts until it is gone."""
        before = self._phases[uid][1] if uid in self._phases else "None"
        if before not in (phase, "Terminating"):
            self.transitions[*workload, before, phase] += 1
            self._phases[uid] = (workload, phase)

    def deleted(self, uid: str) -> None:
        """A pod is gone."""
        workload, before = self._phases.pop(uid)
        self.transitions[*workload, before, "Deleted"] += 1
        self._statuses.pop(uid, None)
        for episodes in (self.readiness, self.loops, self.templates):
            episodes.gone(uid)

    def written(self, uid: str, workload: Workload, conditions: Mapping[str, tuple[str, str]]) -> None:
        """Status and reason of a pod's conditions: appearing as False or Unknown is no change, nor is its own end."""
        before = self._statuses.get(uid, {})
        self._statuses[uid] = {kind: status for kind, (status, _) in conditions.items()}
        for kind, (status, reason) in conditions.items():
            passing = kind == "Ready" and status == "False" and reason in PASSING
            born = kind not in before and status != "True"
            if before.get(kind) != status and not born and not passing:
                self.conditions[*workload, kind, status, reason] += 1

    def disrupted(self, workload: Workload, reason: str, resource: str = "") -> None:
        """Somebody else takes a pod away."""
        self.disruptions[*workload, reason, resource] += 1

    def started(self, container: Container) -> None:
        """An instance began to run."""
        self.starts[container] += 1

    def restarted(self, container: Container, cause: str) -> None:
        """An instance took the place of one that had ended by `cause`."""
        self.restarts[*container, cause] += 1

    def ended(self, container: Container, reason: str, exit_code: str) -> None:
        """An instance ended."""
        self.terminations[*container, reason, exit_code] += 1

    def waited(self, container: Container, reason: str) -> None:
        """A container began to wait for a reason."""
        if reason not in ON_THE_WAY:
            self.waits[*container, reason] += 1

    def unreadied(self, container: Container) -> None:
        """A running instance went from ready to not ready by its readiness probe."""
        self.readiness_losses[container] += 1

    def unscheduled(self, workload: Workload, cause: str) -> None:
        """The scheduler found out that it cannot place a pod, or that it is for another reason than before."""
        self.scheduling_failures[*workload, cause] += 1

    def restarted_in_place(self, workload: Workload) -> None:
        """All containers of a pod are made anew."""
        self.in_place_restarts[workload] += 1

    def overran(self, workload: Workload) -> None:
        """A pod had a container that was killed when the grace period was over."""
        self.graces_exceeded[workload] += 1

    def stopped(self, workload: Workload) -> None:
        """A pod that was deleted while it was on its way is gone."""
        self.stops[workload[:2]] += 1

    def not_pulled(self, container: Container, cause: str) -> None:
        """An image could not be had."""
        self.pull_failures[*container, cause] += 1

    def carried(self, workload: Workload, reason: str, count: int) -> None:
        """The API shows so many more occurrences of a Warning."""
        self.events[*workload, reason] += count

    def probe_failed(self, container: Container, probe: str, cause: str, count: int) -> None:
        """The API shows so many more failed attempts of a probe."""
        self.probe_failures[*container, probe] += count
        self.probe_causes[*container, probe, cause] += count

    def pulled(self, container: Container, result: str, count: int) -> None:
        """The API shows so many more images that were pulled or present."""
        self.pulls[*container, result] += count
