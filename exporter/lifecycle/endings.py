"""R2-R4: the ends of a container that its status shows, and which of them are news."""

from __future__ import annotations

from collections.abc import Iterable

from exporter.lifecycle.bounded import bounded
from exporter.lifecycle.records import Container, Ending
from exporter.lifecycle.times import unix
from exporter.objects import ContainerState, ContainerStatus, RestartRule, Terminated

NOTHING = ContainerState()
STATUS_UNKNOWN, RESTARTING_ALL = "ContainerStatusUnknown", "RestartingAllContainers"
SAID_BY_THE_API = {
    "OOMKilled": "OOMKilled",
    "StartError": "StartError",
    "ContainerCannotRun": "ContainerCannotRun",
    RESTARTING_ALL: "RestartAllContainers",
}
"""Reasons of an end that are its cause, whatever else is known, and what they are called here (R5.1)."""
SAID_BY_THE_WAIT = {"PostStartHookError": "PostStartHook"}
"""Waiting reasons that tell why the end before them came: the kubelet kills a container whose hook fails."""
ON_THE_WAY = frozenset(("", "ContainerCreating", "PodInitializing"))
"""Waiting reasons of every start: no trouble, so not counted (R9)."""


def ends_of(status: ContainerStatus, c: Container) -> list[Ending]:
    """The ends that a status shows, older first, each with the instance that it is the end of (R3).

    A containerID that is known tells better than the pairing: the status may have lost its own for a while, or show
    an end that is older than the last.
    """
    now = (status.state or NOTHING).terminated
    last = (status.last_state or NOTHING).terminated
    ends = []
    if last is not None:
        own = now is None and last.container_id == status.container_id != ""
        ends.append(_ending(last, _instance(last, c, status.restart_count - (0 if own else 1))))
    if now is not None:
        ends.append(_ending(now, _instance(now, c, status.restart_count)))
    return ends


def _instance(end: Terminated, c: Container, shown: int) -> int:
    return c.counted - int(c.ahead) if end.container_id == c.id != "" else shown


def _ending(end: Terminated, instance: int) -> Ending:
    reason = bounded(end.reason) or ("Error" if end.exit_code else "Completed")
    began, finished = unix(end.started_at), unix(end.finished_at)
    ran = None if began is None or finished is None else max(0.0, finished - began)
    return Ending(instance, end.container_id, reason, str(end.exit_code), finished, cause="", ran=ran)


def synthetic(end: Ending) -> bool:
    """Whether the kubelet made this end up for a container that it could not find (R2)."""
    return end.reason == STATUS_UNKNOWN or (end.reason == RESTARTING_ALL and not end.id)


def label_of(end: Ending) -> str:
    """What an end that the kubelet made up is called here."""
    return SAID_BY_THE_API.get(end.reason, end.reason)


def known(end: Ending, ending: Ending | None) -> bool:
    """Whether an end was told already (R4): it is its containerID, without one its instance and reason."""
    if ending is None:
        return False
    if end.id and ending.id:
        return end.id == ending.id
    return (end.instance, end.reason) == (ending.instance, ending.reason)


def ruled(rules: Iterable[RestartRule], exit_code: int) -> bool:
    """Whether a container's own rule restarts it at this exit code (KEP-5307)."""
    return any(
        rule.action == "Restart"
        and rule.exit_codes is not None
        and (exit_code in (rule.exit_codes.values or ())) == (rule.exit_codes.operator == "In")
        for rule in rules
    )
