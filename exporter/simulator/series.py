"""Events as the scheduler's recorder writes them: a series instead of a count, and little of what is repeated.

A model of client-go's tools/events/event_broadcaster.go, 1.36: the first occurrence is written, the second makes it a
series, further ones are only counted until half an hour has passed since the last write.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from exporter.simulator.clock import Clock, rfc3339
from exporter.simulator.recorder import TTL, Known, Subject
from exporter.simulator.resources import EVENTS, Json
from exporter.simulator.store import Store

REFRESH = 1800.0
"""Seconds after its last write at which a series is written again."""


@dataclass(slots=True, eq=False)
class _Known(Known):
    """A series, which also knows when it was written last."""

    at: float = 0.0


class SeriesRecorder:
    """The recorder of one source. `record` gives by how much the count that the API shows has grown, 0 if held back."""

    def __init__(self, store: Store, clock: Clock, component: str) -> None:
        self._store = store
        self._clock = clock
        self._component = component
        self._known: dict[tuple[Subject, str, str], _Known] = {}

    def record(self, subject: Subject, kind: str, reason: str, message: str) -> int:
        """An occurrence. `kind` is Normal or Warning; another message comes with another version of the pod."""
        name = f"{subject.pod}.{int(self._clock.now * 1e9) + len(self._known):x}"
        known = self._known.setdefault((subject, reason, message), _Known(name, self._clock.now))
        known.count += 1
        if known.written > 1 and self._clock.now - known.at < REFRESH:
            return 0
        grown, known.written, known.at = known.count - known.written, known.count, self._clock.now
        self._write(known, self._json(known, subject, kind, reason, message))
        return grown

    def _write(self, known: _Known, event: Json) -> None:
        self._store.put(EVENTS, event)
        if known.expiry is not None:
            known.expiry.cancelled = True
        known.expiry = self._clock.after(TTL, partial(self._store.remove, EVENTS, event))

    def _json(self, known: _Known, subject: Subject, kind: str, reason: str, message: str) -> Json:
        involved = {"kind": "Pod", "namespace": subject.namespace, "name": subject.pod, "uid": subject.uid}
        event: Json = {
            "kind": "Event",
            "apiVersion": "v1",
            "metadata": {
                "name": known.name,
                "namespace": subject.namespace,
                "uid": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{known.name}/{known.began}")),
                "creationTimestamp": rfc3339(known.began),
            },
            "involvedObject": involved | {"apiVersion": "v1"},
            "reason": reason,
            "message": message,
            "source": {},
            "firstTimestamp": None,
            "lastTimestamp": None,
            "type": kind,
            "eventTime": _micro(known.began),
            "action": "Scheduling" if kind == "Warning" else "Binding",
            "reportingComponent": self._component,
            "reportingInstance": f"{self._component}-1",
        }
        series = {"count": known.count, "lastObservedTime": _micro(self._clock.now)}
        return event | ({"series": series} if known.count > 1 else {})


def _micro(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
