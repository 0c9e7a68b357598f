"""The plain numbers that each room keeps about itself; `metrics/own.py` reads them at each scrape.

They stand at the bottom of the layers so that rooms which may not know each other can share their form.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

DELAY_BUCKETS = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper bounds in seconds of the delay between what the API says happened and our knowing it."""


@dataclass(slots=True)
class Delays:
    """A histogram of delays in seconds: one count per bucket of `DELAY_BUCKETS`, the last one open."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(DELAY_BUCKETS) + 1))
    total: float = 0.0

    def observe(self, seconds: float) -> None:
        """Count one delay; clocks differ, so a negative one counts as none."""
        seconds = max(0.0, seconds)
        self.counts[bisect_left(DELAY_BUCKETS, seconds)] += 1
        self.total += seconds


@dataclass(slots=True)
class WatchVitals:
    """What one watched resource (pods, replicasets, jobs) has been through; several watches may share it."""

    resource: str
    enabled: bool = True
    """False once the API server has said that we may not read it and the feature is off."""
    unsynced: set[str] = field(default_factory=set)
    """Namespaces ("" for all) of which no complete list has been seen since the start."""
    last_contact: dict[str, float] = field(default_factory=dict)
    """Unix time of the last byte, clean end or connection, by namespace."""
    events: Counter[str] = field(default_factory=Counter)
    """Lines by type: ADDED, MODIFIED, DELETED, BOOKMARK, ERROR; objects of lists count as LISTED."""
    restarts: Counter[str] = field(default_factory=Counter)
    """Watches begun anew, by reason: see `RESTART_REASONS`."""
    relists: Counter[str] = field(default_factory=Counter)
    """Complete lists begun after the first one, by reason: see `RELIST_REASONS`."""
    decode_errors: int = 0

    @property
    def synced(self) -> bool:
        """Whether a complete list of every watched namespace has been seen."""
        return not self.unsynced


RESTART_REASONS = (
    "end",
    "expired",
    "silence",
    "connection",
    "tls",
    "unauthorized",
    "forbidden",
    "throttled",
    "server",
    "protocol",
)
"""end: the server closed it cleanly; expired: 410; tls: a certificate or CA was refused, by us or by the server;
throttled: 429 or 503; server: another status; protocol: no JSON."""
RELIST_REASONS = ("expired", "interrupted")
"""expired: 410, our resource version is too old; interrupted: a list broke off before its end and began again."""


KUBELET_RESULTS = ("ok", "unauthorized", "forbidden", "tls", "unreachable", "protocol")


@dataclass(slots=True)
class KubeletVitals:
    """How reading the kubelets goes."""

    enabled: bool = False
    reads: Counter[str] = field(default_factory=Counter)
    """By `KUBELET_RESULTS`."""
    answering: int = 0
    """Kubelets that answered when all were read last."""


DISABLED = "disabled"
LOADS = ("loaded", "missing", "old", "foreign", "bad", DISABLED)
"""How the start found the checkpoint. old: too old to go on from; foreign: of another API server; bad: unreadable."""
RESTORED = ("pods", "series", "owing", "lost")
"""What a start takes over. owing: series that had counted what no scrape had shown; lost: those that cannot show it."""
WRITES = ("ok", "failed")


@dataclass(slots=True)
class CheckpointVitals:
    """How remembering over restarts goes. Times are seconds."""

    load: str = DISABLED
    """One of `LOADS`."""
    restored: Counter[str] = field(default_factory=Counter)
    """By `RESTORED`."""
    writes: Counter[str] = field(default_factory=Counter)
    """By `WRITES`."""
    written_at: float = 0.0
    """Unix time of the newest complete checkpoint, 0 before the first."""
    size: int = 0
    """Its bytes."""
    seconds: float = 0.0
    """How long writing it took."""


@dataclass(slots=True)
class CoreVitals:
    """What the tracker has met."""

    delays: dict[str, Delays] = field(default_factory=dict)
    """By resource."""
    faults: Counter[str] = field(default_factory=Counter)
    """Objects whose handling raised, by room; the previous state was kept."""
    observations: Counter[str] = field(default_factory=Counter)
    """Observations by kind."""
    unobserved_restarts: int = 0
    unobserved_deletions: int = 0
    restart_count_resets: int = 0
    probe_fills: int = 0
    """Failures of probes that Events told and the kubelet's last read had missed."""
    inferred_causes: Counter[str] = field(default_factory=Counter)
    clamped_durations: Counter[str] = field(default_factory=Counter)
    """Durations below -2 s that were set to 0, by family."""


REJECTED = ("busy", "connections", "disconnected", "failed", "idle", "slow")
"""Why a request was refused or cut. busy: no turn came in time; connections: too many are open, all with a request;
disconnected: the client left, for instance at Prometheus's scrape_timeout; failed: an error of ours; idle: too many
were open, and one that asked for nothing was closed for a new one; slow: the client did not read in time."""


@dataclass(slots=True)
class WebVitals:
    """What the HTTP server has met."""

    rejected: Counter[str] = field(default_factory=Counter)
    """By `REJECTED`."""
    scrape_seconds: float = 0.0
    scrape_bytes: int = 0
    scraped_at: float = 0.0
    """Unix time of the last completed scrape of everything, 0 before the first."""


@dataclass(slots=True)
class LoopVitals:
    """How punctual the event loop is."""

    lag_seconds: float = 0.0
    """The longest delay of a timer within the last ten seconds."""
    turned_at: float = 0.0
    """Monotonic time of the loop's last turn; /livez looks at it."""
    clock_steps: Counter[str] = field(default_factory=Counter)
    """Steps of the clock, back or forward."""
    tasks: Callable[[], int] = int
    """How many tasks it has."""
