"""The API's times (R19): whole seconds, from three clocks; 1970 and the year 1 mean that there is none."""

from __future__ import annotations

import re
from datetime import datetime

from exporter.objects import ContainerState, ContainerStatus, Pod, PodStatus

_LONGEST_DURATION = 32
"""Characters: Go's longest one has 25, and looking for parts in a text takes the square of its length."""
_PART_OF_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|us|µs|ns)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def go_duration(text: str) -> float | None:
    """Seconds of a duration as Go writes it, such as 1m2.5s or 350ms; None if it is none."""
    if len(text) > _LONGEST_DURATION:
        return None
    parts = _PART_OF_DURATION.findall(text)
    if not parts or "".join(amount + unit for amount, unit in parts) != text:
        return None
    return sum(float(amount) * _SECONDS[unit] for amount, unit in parts)


def unix(time: datetime | None) -> float | None:
    """Unix seconds, None for a time that is absent, zero or 1970 (an instance that never ran has such)."""
    if time is None or time.year <= 1970:  # noqa: PLR2004 - the epoch
        return None
    return time.timestamp()


def newest(pod: Pod) -> float:
    """The newest creation, transition, start or finish time in a pod, Unix seconds; 0 if there is none at all."""
    status = pod.status or PodStatus()
    times = [pod.metadata.creation_timestamp]
    times += [c.last_transition_time for c in status.conditions or ()]
    for statuses in (
        status.container_statuses,
        status.init_container_statuses,
        status.ephemeral_container_statuses,
    ):
        for container in statuses or ():
            times += _times(container)
    latest = max([t for t in times if t is not None], default=None)
    return latest.timestamp() if latest else 0.0


def _times(status: ContainerStatus) -> list[datetime | None]:
    state = status.state or ContainerState()
    if state.running is not None:
        return [state.running.started_at]
    if state.terminated is not None:
        return [state.terminated.finished_at]
    last = status.last_state.terminated if status.last_state else None
    return [last.finished_at] if last else []
