"""Events about pods: how often they occurred, and what they tell.

An Event's message is classified at once and dropped. Its occurrences are counted by growth: recorders write the same
Event again with a higher count, one that has expired even anew under its old name (client-go tools/record and
tools/events; KEP-383), so a name and the count that was seen last are remembered as long as the pod's record.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec.structs import replace

from exporter.lifecycle import kills, probes
from exporter.lifecycle.bounded import READ, bounded
from exporter.lifecycle.course import TROUBLE
from exporter.lifecycle.endings import SAID_BY_THE_API, synthetic
from exporter.lifecycle.kills import Kill
from exporter.lifecycle.observations import (
    ContainerType,
    EventOccurred,
    ImagePulled,
    Observation,
    Value,
)
from exporter.lifecycle.phases import SLACK, TERMINAL
from exporter.lifecycle.records import Container, Heard, Record, with_container
from exporter.lifecycle.texts import (
    COMBINED,
    SANDBOX,
    ProbeText,
    PullText,
    container_of,
    killed_for,
    probed,
    pulled,
)
from exporter.lifecycle.times import unix
from exporter.objects import Event

MOST = 64
"""Events of one pod whose counts are remembered."""
WARNING = "Warning"
_UNHEALTHY = frozenset(("Unhealthy", "ProbeFailureIgnored"))
"""The second is what some attempts below the threshold are to be called (k/k#141531)."""

Meaning: TypeAlias = ProbeText | PullText | str | None
"""What an Event tells besides having occurred; a text is the cause of a kill."""
Step: TypeAlias = tuple[Record, list[Observation]]


class Notice(Value, frozen=True):
    """An Event about a pod, without its message. Times are Unix seconds."""

    name: str
    namespace: str
    pod: str
    uid: str
    """Of the pod; "" where the recorder gave none; of a mirror pod the hash of its config."""
    container: str
    """"" for the pod as a whole, and where the Event stands for several containers."""
    type: str
    reason: str
    count: int
    began: float
    at: float
    counted: bool
    """Whether its occurrences are counted as such; else it only matters for what it tells."""
    meaning: Meaning

    @property
    def key(self) -> str:
        """The Event's name without what all of the pod's Events have in common."""
        return self.name.removeprefix(f"{self.pod}.")


def notice_of(event: Event, now: float, *, normal: bool) -> Notice | None:
    """Read an Event; None for one that tells nothing. `normal`: count those of type Normal too."""
    subject = event.involved_object
    meaning = _meaning(event)
    counted = normal or event.type == WARNING
    if subject.kind != "Pod" or not (counted or meaning):
        return None
    at = unix(event.last_timestamp) or unix(event.event_time) or unix(event.first_timestamp)
    combined = event.message.startswith(COMBINED)
    return Notice(
        event.metadata.name,
        subject.namespace or event.metadata.namespace,
        subject.name,
        subject.uid,
        "" if combined else container_of(subject.field_path),
        bounded(event.type),
        bounded(event.reason),
        max(event.count or 0, event.series.count if event.series else 0, 1),
        unix(event.first_timestamp) or unix(event.event_time) or at or now,
        at or now,
        counted,
        meaning,
    )


def _meaning(event: Event) -> Meaning:
    message = event.message[:READ].removeprefix(COMBINED)
    if event.reason in _UNHEALTHY:
        return probed(message)
    if event.reason == "Pulled":
        return pulled(message)
    if event.reason == "Killing":
        return killed_for(message) or None
    return SANDBOX if event.reason == "SandboxChanged" else None


def heard(record: Record, notice: Notice, now: float, *, since: float, baseline: bool) -> Step:
    """An Event about the pod, as it is now. `since`: when our watch began; `baseline`: it is of the first list."""
    record, grown = _grown(record, notice, since, baseline=baseline)
    if not grown:
        return record, []
    seen: list[Observation] = []
    if notice.counted:
        seen.append(EventOccurred(now, record.pod, notice.type, notice.reason, grown))
    match notice.meaning:
        case ProbeText() as text:
            record = probes.heard(record, notice.container, text, grown, now, seen)
        case PullText() as text:
            seen.append(_image_pulled(record, notice, text, grown, now))
        case str() as cause:
            container = "" if cause == SANDBOX else notice.container
            record = _killed(record, Kill(container, cause, notice.at, now), now, seen)
    return record, seen


def _grown(record: Record, notice: Notice, since: float, *, baseline: bool) -> tuple[Record, int]:
    """How many occurrences are news.

    An Event that begins after our watch did counts in full; in the first list, an older one is the base; later, an
    older one counts once: how much of it was before, nobody knows. So does one that was forgotten for others.
    API times are whole seconds: in the first list, what began in the second in which our watch did is the base too.
    """
    known = next((h for h in record.heard if h.name == notice.key), None)
    count = notice.count
    if known is not None:
        if count <= known.count:
            return record, 0
        others = tuple(h for h in record.heard if h is not known)
        return replace(record, heard=(*others, replace(known, count=count))), count - known.count
    kept = (*record.heard, Heard(notice.key, count, notice.began))
    forgotten = max([record.forgotten, *(h.began for h in kept[:-MOST])])
    old = 0 if baseline else 1
    news = notice.began > since if baseline else notice.began >= since - SLACK
    grown = count if news and notice.began > record.forgotten else old
    return replace(record, heard=kept[-MOST:], forgotten=forgotten), grown


def _image_pulled(record: Record, notice: Notice, text: PullText, grown: int, now: float) -> ImagePulled:
    """Of a container that the pod does not have the name is not told."""
    c = next((c for c in record.containers if c.name == notice.container), None)
    kind: ContainerType | Literal[""] = c.type if c else ""
    name = c.name if c else ""
    return ImagePulled(now, record.pod, name, kind, text.result, "", grown, text.registry, text.seconds)


def _killed(record: Record, kill: Kill, now: float, seen: list[Observation]) -> Record:
    """A fact: it explains an end that is known and whose restart is yet to come, else one that comes (R5.2)."""
    stopping = kill.cause == SANDBOX and (record.phase in TERMINAL or record.deletion is not None)
    if stopping:
        return record
    explained = [c for c in record.containers if _explains(kill, c, record.stop_grace, now)]
    settled: list[Observation] = []
    for c in explained:
        record = with_container(record, _attributed(c, kill, settled))
    if settled:
        record = replace(record, quiet_at=now + TROUBLE)
    seen += settled
    if explained and kill.container:
        return record  # it never blames a later end, be it too late for this one
    return replace(record, kills=kills.remembered(record.kills, kill))


def _explains(kill: Kill, c: Container, grace: float, now: float) -> bool:
    """Whether the newest known end of a container is the kill's."""
    ending = c.ending
    if ending is None or ending.reason in SAID_BY_THE_API or synthetic(ending):
        return False
    return kills.explains(kill, c.name, ending.finished, now, grace_of(c, grace), ending.began)


def _attributed(c: Container, kill: Kill, seen: list[Observation]) -> Container:
    """With the cause of its newest end, unless its restart was told already."""
    ending = c.ending
    if ending is None or (c.unsettled is None and ending.instance < c.counted):
        return c
    if c.unsettled is not None:
        seen += c.unsettled.settled(kill.cause)
    return replace(c, unsettled=None, ending=replace(ending, cause=kill.cause, inferred=False))


def grace_of(c: Container, grace: float) -> float:
    """Seconds that a container may take to end: the pod's, or a probe's own if that is longer."""
    return max([grace, *(p.grace for p in c.shape.probes)])
