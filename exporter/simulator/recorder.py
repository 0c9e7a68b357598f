"""Events as a kubelet's recorder writes them: similar ones put together, bursts held back, expired ones made again.

A model of client-go's tools/record/events_cache.go, 1.36: every occurrence is observed and counted; one that the spam
filter holds back is not lost but carried by the next write of the same Event, if there is one.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from functools import partial

from exporter.simulator.clock import Clock, Timer, rfc3339
from exporter.simulator.resources import EVENTS, Json
from exporter.simulator.store import Store

BURST = 25
"""Events of one source about one object that pass at once."""
REFILL = 300.0
"""Seconds after which one more passes."""
ALIKE = 10
"""Different messages of one reason after which they are put together, …"""
ALIKE_WITHIN = 600.0
"""… if no more seconds lie between two of them."""
TTL = 3600.0
"""Seconds after its last write at which the API server drops an Event."""
COMBINED = "(combined from similar events): "


@dataclass(frozen=True, slots=True)
class Subject:
    """What an Event is about; `field` names a container, "" for the pod itself."""

    namespace: str
    pod: str
    uid: str
    field: str = ""


@dataclass(slots=True, eq=False)
class Known:
    """One Event in the recorder's cache."""

    name: str
    began: float
    count: int = 0
    written: int = 0
    expiry: Timer | None = None


@dataclass(slots=True)
class _Alike:
    messages: set[str] = field(default_factory=set)
    last: float = 0.0


class Recorder:
    """The recorder of one source. `record` gives by how much the count that the API shows has grown, 0 if held back."""

    def __init__(self, store: Store, clock: Clock, component: str, host: str = "") -> None:
        self._store = store
        self._clock = clock
        self._source = {"component": component, **({"host": host} if host else {})}
        self._known: dict[tuple[Subject, str, str, str], Known] = {}
        self._alike: dict[tuple[str, str, str], _Alike] = {}
        self._tokens: dict[str, tuple[float, float]] = {}
        self._made = 0

    def record(self, subject: Subject, kind: str, reason: str, message: str) -> int:
        """An occurrence. `kind` is Normal or Warning."""
        message, combined = self._aggregated(subject, kind, reason, message)
        key = (subject if not combined else Subject(subject.namespace, subject.pod, subject.uid), kind, reason)
        known = self._known.get((*key, "" if combined else message))
        if known is None:
            known = self._known[*key, "" if combined else message] = self._new(subject)
        known.count += 1
        if not self._passes(subject):
            return 0
        grown, known.written = known.count - known.written, known.count
        self._write(known, subject, kind, reason, message)
        return grown

    def restart(self) -> None:
        """The kubelet begins anew and knows no Event any more: the next ones have new names and count from 1."""
        self._known.clear()
        self._alike.clear()
        self._tokens.clear()

    def _aggregated(self, subject: Subject, kind: str, reason: str, message: str) -> tuple[str, bool]:
        """The message to write, and whether it stands for similar ones, of whichever container."""
        alike = self._alike.setdefault((subject.uid, kind, reason), _Alike())
        if self._clock.now - alike.last > ALIKE_WITHIN:
            alike.messages.clear()
        alike.last = self._clock.now
        alike.messages.add(message)
        if len(alike.messages) < ALIKE:
            return message, False
        alike.messages.remove(message)
        return COMBINED + message, True

    def _passes(self, subject: Subject) -> bool:
        tokens, at = self._tokens.get(subject.uid, (float(BURST), self._clock.now))
        tokens = min(float(BURST), tokens + (self._clock.now - at) / REFILL)
        passes = tokens >= 1
        self._tokens[subject.uid] = (tokens - passes, self._clock.now)
        return passes

    def _new(self, subject: Subject) -> Known:
        """Names end in the nanoseconds of the first occurrence; virtual time may stand still, hence the number."""
        self._made += 1
        nanoseconds = int(self._clock.now * 1e9) + self._made
        return Known(f"{subject.pod}.{nanoseconds:x}", self._clock.now)

    def _write(self, known: Known, subject: Subject, kind: str, reason: str, message: str) -> None:
        """Create or patch; one that has expired is created anew, under its old name and with its whole count."""
        event = self._json(known, subject, kind, reason, message)
        self._store.put(EVENTS, event)
        if known.expiry is not None:
            known.expiry.cancelled = True
        known.expiry = self._clock.after(TTL, partial(self._expire, known, event))

    def _expire(self, known: Known, event: Json) -> None:
        known.expiry = None
        self._store.remove(EVENTS, event)

    def _json(self, known: Known, subject: Subject, kind: str, reason: str, message: str) -> Json:
        involved: Json = {"kind": "Pod", "namespace": subject.namespace, "name": subject.pod, "uid": subject.uid}
        involved["apiVersion"] = "v1"
        if subject.field:
            involved["fieldPath"] = subject.field
        began, now = rfc3339(known.began), rfc3339(self._clock.now)
        uid = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{known.name}/{known.began}"))
        return {
            "kind": "Event",
            "apiVersion": "v1",
            "metadata": {"name": known.name, "namespace": subject.namespace, "uid": uid, "creationTimestamp": began},
            "involvedObject": involved,
            "reason": reason,
            "message": message,
            "source": self._source,
            "firstTimestamp": began,
            "lastTimestamp": now,
            "count": known.count,
            "type": kind,
            "eventTime": None,
            "reportingComponent": self._source["component"],
            "reportingInstance": self._source.get("host", ""),
        }
