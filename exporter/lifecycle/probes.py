"""Attempts of probes that did not succeed: what an Event or the kubelet's counter adds to what was told."""

from __future__ import annotations

from msgspec.structs import replace

from exporter.lifecycle import failures
from exporter.lifecycle.observations import Observation, ProbeFailed
from exporter.lifecycle.records import Container, Record, with_container
from exporter.lifecycle.texts import OTHER, ProbeText, cause_of

Step = tuple[Record, list[Observation]]


def heard(record: Record, container: str, text: ProbeText, grown: int, now: float, seen: list[Observation]) -> Record:
    """An Event told of `grown` more attempts; `container` is "" where it stands for several.

    One that names a container which the pod does not have counts for none: anything may stand in an Event.
    """
    c = _probed(record, container, text.probe)
    if c is None:
        cause = text.cause or OTHER
        seen.append(ProbeFailed(now, record.pod, "", "", text.probe, text.outcome, cause, grown, grown))
        return record
    counted = grown
    if text.outcome == "failed":
        record, counted = _told(record, c, failures.heard(failures.of(c.failures, text.probe), grown))
    handler = next((p.handler for p in c.shape.probes if p.probe == text.probe), "")
    cause = cause_of(text.cause, handler)
    seen.append(ProbeFailed(now, record.pod, c.name, c.type, text.probe, text.outcome, cause, counted, grown))
    return record


def read(record: Record, container: str, probe: str, total: int, now: float, *, base: bool) -> Step:
    """The kubelet's counter of failed attempts of one probe shows `total`; see `failures.read`."""
    c = next((c for c in record.containers if c.name == container), None)
    if c is None:
        return record, []
    known = failures.of(c.failures, probe)
    after = failures.read(known, total, base=base)
    if after == known:
        return record, []
    record, counted = _told(record, c, after)
    if counted <= 0:
        return record, []
    return record, [ProbeFailed(now, record.pod, c.name, c.type, probe, "failed", "", counted, None)]


def _told(record: Record, c: Container, after: failures.Failures) -> tuple[Record, int]:
    """Remember failures as told, and give how many are to be told now."""
    parts = failures.put(c.failures, failures.told(after))
    return with_container(record, replace(c, failures=parts)), after.untold


def _probed(record: Record, name: str, probe: str) -> Container | None:
    """The container that is meant; if the Event does not say it, the only one that has such a probe."""
    if name:
        return next((c for c in record.containers if c.name == name), None)
    having = [c for c in record.containers if any(p.probe == probe for p in c.shape.probes)]
    return having[0] if len(having) == 1 else None
