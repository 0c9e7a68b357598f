"""R5: what the kubelet said of its kills, which ends that explains, and ends that wait to be explained."""

from __future__ import annotations

from collections.abc import Iterable

from exporter.lifecycle.observations import ContainerRestarted, ContainerTerminated, Observation, Told, Value
from exporter.lifecycle.texts import SANDBOX

EARLY = 1.0
"""Seconds by which an end may precede the Event of its kill: both are whole seconds of one clock."""
SANDBOX_LATE = 5.0
"""The same for a sandbox: it was found dead by a look that the kubelet takes every second or two."""
SLACK = 10.0
"""Seconds that an end may take beyond the grace period."""
LATE = 60.0
"""Seconds that a status may be behind what it tells."""
MOST = 16
"""Kills of one pod that wait for their end."""


class Kill(Value, frozen=True):
    """A Killing Event, or one of a changed sandbox (then `container` is ""). Times are Unix seconds."""

    container: str
    cause: str
    at: float
    heard: float


class Unsettled(Value, frozen=True):
    """What is told of an end when its Event has come, at the latest at `due`: only its path tells the cause so far."""

    due: float
    told: tuple[Told, ...]

    def settled(self, cause: str) -> list[Observation]:
        """What is told now, with the cause that an Event named; "" leaves the path's."""
        return [_because(o, cause) for o in self.told] if cause else list(self.told)


def _because(observation: Observation, cause: str) -> Observation:
    if isinstance(observation, ContainerTerminated):
        return _terminated(observation, cause)
    return _restarted(observation, cause) if isinstance(observation, ContainerRestarted) else observation


def _terminated(o: ContainerTerminated, cause: str) -> ContainerTerminated:
    return ContainerTerminated(o.at, o.pod, o.container, o.container_type, cause, o.exit_code, o.ran)


def _restarted(o: ContainerRestarted, cause: str) -> ContainerRestarted:
    return ContainerRestarted(o.at, o.pod, o.container, o.container_type, cause, inferred=False, node=o.node)


def explains(
    kill: Kill, container: str, finished: float | None, now: float, grace: float, began: float | None = None
) -> bool:
    """Whether an end is the kill's: not before it, and not later than its grace period allows (seconds).

    `began`: when the instance was started. One that came with the new sandbox has not ended with the old one.
    """
    if kill.container not in ("", container):
        return False
    if not kill.container and began is not None and began >= kill.at:
        return False
    at = now if finished is None else finished
    early = EARLY if kill.container else SANDBOX_LATE
    return kill.at - early <= at <= kill.at + grace + SLACK


def cause_of(
    kills: Iterable[Kill],
    container: str,
    finished: float | None,
    now: float,
    grace: float,
    *,
    stopping: bool,
    began: float | None = None,
) -> str:
    """The cause of an end by the kills that were heard, "" if none of them explains it.

    A container's own kill comes before the pod's sandbox; the sandbox of a pod that stops is taken down as a matter of
    course.
    """
    causes = [k.cause for k in kills if explains(k, container, finished, now, grace, began)]
    if stopping:
        causes = [cause for cause in causes if cause != SANDBOX]
    return min(causes, key=SANDBOX.__eq__, default="")


def remembered(kills: tuple[Kill, ...], kill: Kill) -> tuple[Kill, ...]:
    """With one more, the oldest forgotten where they are too many."""
    return (*kills, kill)[-MOST:]


def remaining(kills: tuple[Kill, ...], finished: dict[str, float], now: float, grace: float) -> tuple[Kill, ...]:
    """The kills that may still explain an end: a later end is never theirs.

    `finished`: of each container, when the newest instance whose end is known has ended.
    """
    return tuple(
        k
        for k in kills
        if now <= k.heard + grace + LATE and (not k.container or finished.get(k.container, 0.0) < k.at - EARLY)
    )
