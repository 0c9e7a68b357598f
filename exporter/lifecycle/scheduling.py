"""R18: what keeps a pod from being scheduled, read from the message of its condition PodScheduled.

Events lag behind it by up to half an hour. The message names a cause and how many nodes it blocks; the one that blocks
most is the pod's. 1.36 writes `untolerated taint(s)`, older servers `taint {key: value}`.
"""

from __future__ import annotations

import re
from collections import Counter
from sys import intern
from zlib import crc32

from exporter.lifecycle.bounded import READ, bounded
from exporter.lifecycle.observations import Observation, PodRef, SchedulingFailed, Value
from exporter.lifecycle.phases import condition
from exporter.objects import Pod

_NODES = re.compile(r"0/\d+ nodes are available: ?(.*)", re.DOTALL)
_TAIL = re.compile(r"\.?,? ?(?:no new claims to deallocate|preemption: |All PostFilter plugins are skipped)", re.DOTALL)
_PART = re.compile(r"(\d{1,9}) (.*)", re.DOTALL)
_INSUFFICIENT = re.compile(r"Insufficient (\S+)")
_CAUSES = (
    ("taint", re.compile(r"taint|were unschedulable")),
    ("volume", re.compile(r"volume|[Pp]ersistent[Vv]olume|claim")),
    ("affinity", re.compile(r"affinity|selector|topology spread|didn't match")),
    ("port", re.compile(r"free ports|host port")),
)


class Blocked(Value, frozen=True):
    """A pod that could not be scheduled. `message`: checksum of what the scheduler wrote."""

    cause: str
    message: int


def applied(before: Blocked | None, pod: Pod, ref: PodRef, at: float, seen: list[Observation]) -> Blocked | None:
    """A new message is one more failure: a lower bound of attempts, equal ones write nothing."""
    scheduled = condition(pod, "PodScheduled")
    if scheduled is None or scheduled.status == "True":
        return None
    if scheduled.reason == "SchedulingGated":
        return Blocked("gated", 0)
    message = crc32(scheduled.message.encode())
    if before is not None and before.message == message:
        return before
    blocked = Blocked(cause_of(scheduled.message), message)
    seen.append(SchedulingFailed(at, ref, blocked.cause))
    return blocked


def cause_of(message: str) -> str:
    """insufficient_<resource>, taint, affinity, volume, port or other: what blocks most nodes."""
    message = message[:READ]
    match = _NODES.match(message)
    if match is None:
        return _classified(message)
    blocked: Counter[str] = Counter()
    for part in re.split(r", (?=\d+ )", _TAIL.split(match[1], maxsplit=1)[0].strip(" .")):
        counted = _PART.fullmatch(part)
        blocked[_classified(counted[2] if counted else part)] += int(counted[1]) if counted else 0
    return blocked.most_common(1)[0][0]


def _classified(text: str) -> str:
    if insufficient := _INSUFFICIENT.search(text):
        return bounded(f"insufficient_{insufficient[1].rstrip('.')}")
    if "Too many pods" in text:
        return "insufficient_pods"
    return next((intern(cause) for cause, pattern in _CAUSES if pattern.search(text)), "other")
