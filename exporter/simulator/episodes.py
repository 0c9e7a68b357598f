"""The parts of the book that span time: starts, lost readiness, crash loops, and which templates a workload has had."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TypeAlias

Labels: TypeAlias = tuple[str, ...]
GIVEN_UP_AFTER = 60.0
"""Seconds after which a pod that goes before its first Ready was no quick scale-down."""
TEMPLATES = 10
"""Templates of a workload that are remembered: going back to one of them is no rollout."""


@dataclass(slots=True)
class _Start:
    workload: Labels
    began: float
    failed: bool = False


class Starts:
    """Pods on their way to their first Ready. `finished`: by W; `failures`: by W, stage."""

    def __init__(self, finished: Counter[Labels], failures: Counter[Labels]) -> None:
        self._finished, self._failures = finished, failures
        self._going: dict[str, _Start] = {}

    def begin(self, uid: str, workload: Labels, now: float) -> None:
        """A pod was created."""
        self._going[uid] = _Start(workload, now)

    def fail(self, uid: str) -> None:
        """One of its containers has failed: if it goes now, it was no scale-down."""
        if uid in self._going:
            self._going[uid].failed = True

    def ready(self, uid: str) -> None:
        """The pod is Ready; only the first time ends a start."""
        if start := self._going.pop(uid, None):
            self._finished[start.workload] += 1

    def succeed(self, uid: str) -> None:
        """The pod has done its work without ever being Ready: that is no failure."""
        self._going.pop(uid, None)

    def give_up(self, uid: str, stage: str, now: float) -> None:
        """The pod goes, or has failed, in this stage of its start."""
        start = self._going.pop(uid, None)
        if start and (start.failed or now - start.began > GIVEN_UP_AFTER):
            self._failures[*start.workload, stage] += 1


class Readiness:
    """Pods that have lost Ready. `regained`: by W, cause."""

    def __init__(self, regained: Counter[Labels]) -> None:
        self._regained = regained
        self._ready: set[str] = set()
        self._lost: dict[str, str] = {}
        self._now_because: dict[str, str] = {}

    def __contains__(self, uid: str) -> bool:
        return uid in self._ready

    def turn(self, uid: str, workload: Labels, *, ready: bool, cause: str, going: bool) -> None:
        """Whether a pod is Ready now, and why it would not be; `going`: it has ended or is about to."""
        if ready and uid in self._lost:
            self._regained[*workload, self._lost.pop(uid)] += 1
        if uid in self._ready and not ready and not going:
            self._lost[uid] = cause
        if going:
            self._lost.pop(uid, None)
        (self._ready.add if ready else self._ready.discard)(uid)
        self._now_because[uid] = cause

    def forget(self) -> None:
        """Who looks from now on sees only why a pod is not Ready by now."""
        self._lost = {uid: self._now_because[uid] for uid in self._lost}

    def gone(self, uid: str) -> None:
        """The pod is no more."""
        self._ready.discard(uid)
        self._lost.pop(uid, None)
        self._now_because.pop(uid, None)


@dataclass(slots=True)
class _Loop:
    workload: Labels
    counted: bool = True
    backs_off: bool = True


class Loops:
    """Containers in a crash loop, which outlasts the runs in between. `begun`: by container; `over`: by W."""

    def __init__(self, begun: Counter[Labels], over: Counter[Labels]) -> None:
        self._begun, self._over = begun, over
        self._loops: dict[tuple[str, str], _Loop] = {}

    def back_off(self, uid: str, container: Labels) -> None:
        """A container (W, name, type) waits before it is restarted."""
        loop = self._loops.get((uid, container[3]))
        if loop is None:
            self._loops[uid, container[3]] = _Loop(container[:3])
            self._begun[container] += 1
        else:
            loop.backs_off = True

    def run(self, uid: str, name: str) -> None:
        """It runs again; the loop goes on."""
        if (uid, name) in self._loops:
            self._loops[uid, name].backs_off = False

    def end(self, uid: str, name: str) -> None:
        """It has run long enough, or has done its work."""
        loop = self._loops.pop((uid, name), None)
        if loop is not None and loop.counted:
            self._over[loop.workload] += 1

    def gone(self, uid: str) -> None:
        """The pod has ended, and all its loops with it."""
        for key in [key for key in self._loops if key[0] == uid]:
            self.end(*key)

    def forget(self) -> None:
        """Who looks from now on knows only of those that back off now, and not since when."""
        self._loops = {key: loop for key, loop in self._loops.items() if loop.backs_off}
        for loop in self._loops.values():
            loop.counted = False


class Rollouts:
    """Which templates workloads have had. `counts`: by W."""

    def __init__(self, counts: Counter[Labels]) -> None:
        self._counts = counts
        self._known: dict[Labels, list[str]] = {}
        self._there: dict[str, tuple[Labels, str]] = {}

    def create(self, uid: str, workload: Labels, template: str) -> None:
        """A pod was made from a template, "" if its workload has none."""
        known = self._known.setdefault(workload, [])
        if template and template not in known:
            self._counts[workload] += bool(known)
            self._known[workload] = [*known[-TEMPLATES + 1 :], template]
        self._there[uid] = (workload, template)

    def gone(self, uid: str) -> None:
        """The pod is no more; its template is still remembered."""
        self._there.pop(uid, None)

    def forget(self) -> None:
        """Who looks from now on knows the templates of the pods that are there."""
        self._known = {}
        for workload, template in self._there.values():
            known = self._known.setdefault(workload, [])
            known += [template] if template and template not in known else []
