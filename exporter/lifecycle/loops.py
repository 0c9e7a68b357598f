"""R8: crash-loop episodes. They survive the runs in between: 52 entries into CrashLoopBackOff were 9 episodes, seen."""

from __future__ import annotations

import re
from math import inf

from exporter.lifecycle.bounded import READ
from exporter.lifecycle.observations import (
    ContainerType,
    CrashLoopBegan,
    CrashLoopEnded,
    Observation,
    PodRef,
    Value,
)
from exporter.lifecycle.times import go_duration, unix
from exporter.objects import ContainerSpec, ContainerState, ContainerStatus

CALM = 600.0
"""Seconds of one run after which the kubelet forgets the back-off, whatever its maximum is."""
BACK_OFF = "CrashLoopBackOff"
_DELAY = re.compile(r"back-off (\S+) ")


class Loop(Value, frozen=True):
    """An episode. Times are Unix seconds."""

    since: float
    backoff: float | None = None
    """Seconds, from the newest waiting message."""
    counted: bool = True
    """False for an episode of the baseline: neither its begin nor its length is told."""
    image: str = ""
    running_since: float | None = None

    @property
    def calm_at(self) -> float:
        """When the present run ends the episode, infinity while nothing runs."""
        return inf if self.running_since is None else self.running_since + CALM


class Place(Value, frozen=True):
    """Which container an episode is of, and when we look at it."""

    at: float
    pod: PodRef
    container: str
    container_type: ContainerType


def applied(
    before: Loop | None,
    status: ContainerStatus,
    spec: ContainerSpec,
    place: Place,
    seen: list[Observation],
    *,
    finished: float | None,
    restarts_after_success: bool,
    counted: bool,
) -> Loop | None:
    """One update. `finished`: when the newest instance ended; `counted`: False at the first sight of a baseline pod."""
    state = status.state or ContainerState()
    if before is not None and before.image != spec.image:
        ended(before, place.at, place, seen)
        return None  # what the status still says is of the old image
    running = unix(state.running.started_at) if state.running is not None else None
    if before is not None and running is not None and place.at >= running + CALM:
        ended(before, running, place, seen)
        return None
    end = state.terminated
    if before is not None and end is not None and end.exit_code == 0 and not restarts_after_success:
        ended(before, unix(end.finished_at) or place.at, place, seen)
        return None
    backing_off = state.waiting is not None and state.waiting.reason == BACK_OFF
    if before is None and not backing_off:
        return None
    if before is None:
        before = Loop(finished or place.at, counted=counted, image=spec.image)
        if counted:
            seen.append(CrashLoopBegan(place.at, place.pod, place.container, place.container_type))
    delay = backoff(state.waiting.message) if backing_off and state.waiting else None
    after = Loop(before.since, before.backoff if delay is None else delay, before.counted, before.image, running)
    return before if after == before else after


def ended(loop: Loop, at: float, place: Place, seen: list[Observation]) -> None:
    """The episode is over since `at`."""
    if loop.counted:
        length = max(0.0, at - loop.since)
        seen.append(CrashLoopEnded(place.at, place.pod, place.container, place.container_type, length))


def backoff(message: str) -> float | None:
    """Seconds of the Go duration in a waiting message such as `back-off 1m20s restarting failed container=...`."""
    match = _DELAY.match(message[:READ])
    return go_duration(match[1]) if match else None
