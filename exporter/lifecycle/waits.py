"""Waits of a record that are our own, not the API's: what becomes of them when the clock is stepped."""

from __future__ import annotations

from math import inf

from msgspec.structs import replace

from exporter.lifecycle.records import Container, Record


def stepped(record: Record, by: float) -> Record:
    """The clock was stepped by `by` seconds: our own waits move along, the API's times do not."""
    waits = record.undecided or record.kills or min(record.quiet_at, record.gone_at) < inf
    if not waits and not any(map(_waits, record.containers)):
        return record
    return replace(
        record,
        undecided=record.undecided and replace(record.undecided, due=record.undecided.due + by),
        kills=tuple([replace(kill, heard=kill.heard + by) for kill in record.kills]),
        containers=tuple([_stepped(c, by) if _waits(c) else c for c in record.containers]),
        quiet_at=record.quiet_at + by,
        gone_at=record.gone_at + by,
    )


def _waits(c: Container) -> bool:
    return c.unsettled is not None or c.lost_at < inf


def _stepped(c: Container, by: float) -> Container:
    unsettled = c.unsettled and replace(c.unsettled, due=c.unsettled.due + by)
    return replace(c, unsettled=unsettled, lost_at=c.lost_at + by)
