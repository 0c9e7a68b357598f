"""R17: changes of a pod's conditions, its readiness gates among them."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

from exporter.lifecycle.bounded import bounded
from exporter.lifecycle.observations import ConditionChanged, Observation, PodRef
from exporter.objects import Condition, Pod

TRACKED = frozenset(("Ready", "DisruptionTarget", "PodResizePending", "PodResizeInProgress", "AllContainersRestarting"))
FAILED = "PodFailed"
STATUSES = frozenset(("True", "False", "Unknown"))
ENDED = frozenset(("PodCompleted", FAILED))
"""Reasons of Ready=False that only say that the pod has ended; they are written before the phase."""

Known: TypeAlias = tuple[tuple[str, str], ...]
"""Type and status of each condition that is followed."""


def applied(before: Known, pod: Pod, ref: PodRef, at: float, seen: list[Observation]) -> Known:
    """Compare conditions: a change of status is told; a first appearance as False or Unknown is birth, not change.

    A condition that disappears is forgotten.
    """
    gates = {gate.condition_type for gate in (pod.spec.readiness_gates if pod.spec else None) or ()}
    conditions = (pod.status.conditions if pod.status else None) or ()
    followed = [c for c in conditions if c.type in TRACKED or c.type in gates]
    after = tuple([_pair(c.type, _status(c)) for c in followed])
    if after == before:
        return before
    statuses = dict(before)
    for c in followed:
        old, new = statuses.get(c.type), _status(c)
        changed = old != new and (old is not None or new == "True")
        if changed and not (c.type == "Ready" and new == "False" and c.reason in ENDED):
            seen.append(ConditionChanged(at, ref, c.type, new, bounded(c.reason)))
    return after


def _status(condition: Condition) -> str:
    """True, False or Unknown; the API takes any text, and what it does not define says nothing."""
    return condition.status if condition.status in STATUSES else "Unknown"


@lru_cache(maxsize=1024)
def _pair(kind: str, status: str) -> tuple[str, str]:
    """One object for all pods: there are few."""
    return kind, status
