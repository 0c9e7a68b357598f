"""R13: how long a pod took to its first Ready, stage by stage.

Boundaries are the first observed True of conditions and the first starts of containers; each is never earlier than
the one before, so the stages add up to the whole by construction.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import inf

from msgspec.structs import replace

from exporter.lifecycle.observations import Observation, PodRef, StartupFailed, StartupFinished, Value
from exporter.lifecycle.phases import SLACK, condition
from exporter.lifecycle.times import unix
from exporter.objects import ContainerStatus, Pod, PodSpec, PodStatus

STAGES = ("gated", "scheduling", "sandbox", "init", "start", "readiness")
CONDITIONS = ("PodScheduled", "PodReadyToStartContainers", "Initialized")
GIVEN_UP_AFTER = 60.0
"""Seconds after which a pod that ends before its first Ready was no quick scale-down."""


class Startup(Value, frozen=True):
    """A start in progress. Times are Unix seconds; `ends[i]` is when `STAGES[i]` ended, None while it has not."""

    began: float
    ends: tuple[float | None, ...] = (None,) * len(STAGES)
    gated: bool = False
    starts: tuple[tuple[str, float], ...] = ()
    """First start of each app container that has started."""
    failed: bool = False
    """A container has failed in this start."""

    @property
    def stage(self) -> tuple[str, float]:
        """The stage that the pod is in, and when it entered it."""
        if self.gated:
            return STAGES[0], self.began
        last = next((i for i, end in enumerate(self.ends[1:], 1) if end is None), len(STAGES) - 1)
        return STAGES[last], max([self.began, *(end for end in self.ends[:last] if end is not None)])


def applied(before: Startup, pod: Pod, now: float, stop: float = inf) -> Startup:
    """What the pod shows of its start by now. `stop`: since when it is being stopped (R6), Unix seconds."""
    scheduled = condition(pod, "PodScheduled")
    gated = scheduled is not None and scheduled.reason == "SchedulingGated" and scheduled.status != "True"
    starts = _starts(before, pod)
    ends = list(before.ends)
    if before.gated and not gated and ends[0] is None:
        ends[0] = now
    for i, kind in enumerate(CONDITIONS, 1):
        ends[i] = ends[i] if ends[i] is not None else _became_true(pod, kind, now)
    if ends[4] is None and starts and len(starts) >= len((pod.spec or PodSpec()).containers or ()):
        ends[4] = max(time for _, time in starts)
    ends[5] = ends[5] if ends[5] is not None else _became_true(pod, "Ready", now)
    after = Startup(before.began, tuple(ends), gated, starts, before.failed or _failed(pod, now, stop))
    return before if after == before else after


def finished(startup: Startup, ref: PodRef, at: float) -> StartupFinished:
    """The pod is Ready for the first time: all stages at once. A stage without an end of its own is not told."""
    ends = list(startup.ends)
    for i in range(len(ends) - 2, 0, -1):
        ends[i] = ends[i + 1] if ends[i] is None else ends[i]
    clocks, clamped = [startup.began], 0
    for end in ends:
        time = clocks[-1] if end is None else end
        clamped += time < clocks[-1] - SLACK
        clocks.append(max(clocks[-1], time))
    lengths = [later - earlier for earlier, later in pairwise(clocks)]
    told = tuple(
        (name, length) for name, length, end in zip(STAGES, lengths, startup.ends, strict=True) if end is not None
    )
    return StartupFinished(at, ref, clocks[-1] - startup.began, told, clamped)


def failed(startup: Startup, ref: PodRef, ended: float, at: float) -> list[Observation]:
    """The pod ended at `ended` before its first Ready: a failure, unless it was only taken back at once."""
    if not startup.failed and ended - startup.began <= GIVEN_UP_AFTER:
        return []
    return [StartupFailed(at, ref, startup.stage[0])]


def first_ready_unseen(pod: Pod) -> bool:
    """Whether the pod was Ready before we saw it and has restarted since, so that its start can't be told."""
    return any(status.restart_count for status in _app_statuses(pod))


def restarted(startup: Startup) -> Startup:
    """A container failed: whatever ends this start now, it was no scale-down."""
    return startup if startup.failed else replace(startup, failed=True)


def _became_true(pod: Pod, kind: str, now: float) -> float | None:
    found = condition(pod, kind)
    if found is None or found.status != "True":
        return None
    return unix(found.last_transition_time) or now


def _starts(before: Startup, pod: Pod) -> tuple[tuple[str, float], ...]:
    known = dict(before.starts)
    for status in _app_statuses(pod):
        first = min(_start_times(status), default=None)
        if first is not None:
            known[status.name] = min(first, known.get(status.name, first))
    return tuple(known.items())


def _start_times(status: ContainerStatus) -> Iterator[float]:
    for state in (status.state, status.last_state):
        for part in (state.running, state.terminated) if state else ():
            if part is not None and (start := unix(part.started_at)) is not None:
                yield start


def _failed(pod: Pod, now: float, stop: float) -> bool:
    """Whether a container has failed; an end that the pod's own end has brought is none."""
    status = pod.status or PodStatus()
    for container in (*(status.init_container_statuses or ()), *(status.container_statuses or ())):
        if container.restart_count:
            return True
        for state in (container.state, container.last_state):  # the end of what could not be started is the last one
            end = state.terminated if state else None
            if end is not None and end.exit_code and (unix(end.finished_at) or now) < stop - 1:
                return True
    return False


def _app_statuses(pod: Pod) -> tuple[ContainerStatus, ...]:
    return (pod.status.container_statuses if pod.status else None) or ()
