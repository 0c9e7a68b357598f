"""Failed attempts of a probe, from two sources that both may miss some: the larger count is the better one.

Events lose some to the kubelet's spam filter and come at once; the kubelet's own counters are exact, come at each read
and miss what followed the last one. Neither ever says more than happened, so the larger of the two is told.
"""

from __future__ import annotations

from msgspec.structs import replace

from exporter.lifecycle.observations import Value

NEVER = -1
"""Total of a series that was not read yet."""
MOST = 2**53
"""Failures that are counted of one probe; a kubelet that makes up numbers must not make one that no file can hold."""


class Failures(Value, frozen=True):
    """Failed attempts of one probe of one container since we watch, by source, and how many of them were told."""

    probe: str
    events: int = 0
    kubelet: int = 0
    total: int = NEVER
    """What the kubelet's counter showed last; it begins anew with the kubelet."""
    told: int = 0

    @property
    def untold(self) -> int:
        """How many are still to be told."""
        return max(self.events, self.kubelet) - self.told

    @property
    def filled(self) -> int:
        """How many the kubelet's last read had missed and Events told."""
        return max(0, self.events - self.kubelet)


def of(failures: tuple[Failures, ...], probe: str) -> Failures:
    """The failures of one probe."""
    return next((f for f in failures if f.probe == probe), Failures(probe))


def put(failures: tuple[Failures, ...], changed: Failures) -> tuple[Failures, ...]:
    """With one probe's failures changed."""
    return (*(f for f in failures if f.probe != changed.probe), changed)


def heard(failures: Failures, count: int) -> Failures:
    """An Event told of so many more."""
    return replace(failures, events=failures.events + count)


def read(failures: Failures, total: int, *, base: bool) -> Failures:
    """The kubelet's counter shows `total`. `base`: what it showed at first is older than our watch."""
    known = failures.total
    if known == NEVER:
        counted = failures.events if base else total
    else:
        counted = failures.kubelet + (total - known if total >= known else total)
    return replace(failures, kubelet=min(counted, MOST), total=total)


def told(failures: Failures) -> Failures:
    """All that is known has been told."""
    return replace(failures, told=max(failures.events, failures.kubelet))
