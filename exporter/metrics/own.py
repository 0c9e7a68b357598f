"""What the exporter says of itself, `pod_exporter_*`: read from the rooms' vitals at each scrape.

Everything that bounds the truth of the counts is visible here. Every counter exists at 0 for its known label values.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from exporter import __version__
from exporter.lifecycle.observations import kinds
from exporter.metrics.catalogue import COUNTED, COUNTERS, HISTOGRAMS
from exporter.vitals import (
    DELAY_BUCKETS,
    DISABLED,
    KUBELET_RESULTS,
    LOADS,
    REJECTED,
    RELIST_REASONS,
    RESTART_REASONS,
    RESTORED,
    WRITES,
    CheckpointVitals,
    CoreVitals,
    Delays,
    KubeletVitals,
    LoopVitals,
    WatchVitals,
    WebVitals,
)

EVENTS = ("ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR", "LISTED")
ROOMS = ("lifecycle", "listener")
INFERRED = ("LivenessProbe", "StartupProbe")
CLAMPED = ("pod_phase_seconds_total", "pod_startup_stage_seconds_total")
BOUNDED = (
    ("all", "workload"),
    ("all", "workload_kind"),
    ("all", "node"),
    ("all", "registry"),
    ("pod_labels", "label"),
    *((family.name, label) for family in (*COUNTERS, *HISTOGRAMS, *COUNTED) for label, _, _ in family.bounds),
)

Key = TypeVar("Key")
Samples: TypeAlias = Iterable[tuple[tuple[str, ...], float]]


@dataclass(slots=True)
class Vitals:
    """All rooms' numbers, and the sizes that are counted where they live."""

    watches: list[WatchVitals] = field(default_factory=list)
    kubelet: KubeletVitals = field(default_factory=KubeletVitals)
    checkpoint: CheckpointVitals = field(default_factory=CheckpointVitals)
    core: CoreVitals = field(default_factory=CoreVitals)
    web: WebVitals = field(default_factory=WebVitals)
    loop: LoopVitals = field(default_factory=LoopVitals)
    objects: Callable[[], Mapping[str, int]] = dict
    """Objects held, by resource."""
    workloads: Callable[[], int] = lambda: 0
    series: Callable[[], Mapping[str, int]] = dict
    overflow: Callable[[], Mapping[tuple[str, str], int]] = dict
    unmatched: Callable[[], int] = lambda: 0
    """Events about pods that never came."""


def everything_on() -> Vitals:
    """Vitals of an exporter of which no part is switched off, so that every family is there."""
    return Vitals(kubelet=KubeletVitals(enabled=True), checkpoint=CheckpointVitals(load=LOADS[0]))


def registry(vitals: Vitals) -> CollectorRegistry:
    """The exporter's own registry, with the process and its garbage collector."""
    own = CollectorRegistry(auto_describe=False)
    own.register(OwnCollector(vitals))
    ProcessCollector(registry=own)
    GCCollector(registry=own)
    return own


class OwnCollector(Collector):
    """Makes families of the vitals; nothing is kept between scrapes."""

    def __init__(self, vitals: Vitals) -> None:
        self._vitals = vitals

    def collect(self) -> Iterable[Metric]:
        """Give all families of the exporter's own."""
        yield _gauge(
            "build_info",
            "Version of exporter and Python. Always 1.",
            ("version", "python"),
            [((__version__, platform.python_version()), 1)],
        )
        yield from self._watches()
        yield from self._probes()
        yield from self._core()
        yield from self._bounds()
        yield from self._checkpoint()
        yield from self._process()

    def _watches(self) -> Iterator[Metric]:
        watches = self._vitals.watches
        live = [w for w in watches if w.enabled]
        yield _gauge(
            "synced",
            "1 once a complete list has been seen; no series for what may not be read.",
            ("resource",),
            [((w.resource,), w.synced) for w in live],
        )
        yield _counter(
            "watch_events",
            "Lines of watches and items of lists (LISTED).",
            ("resource", "event"),
            [((w.resource, event), w.events[event]) for w in watches for event in _known(EVENTS, w.events)],
        )
        yield _counter(
            "watch_restarts",
            f"Watches begun anew: {', '.join(RESTART_REASONS)}; end is the server's regular end.",
            ("resource", "reason"),
            [
                ((w.resource, reason), w.restarts[reason])
                for w in watches
                for reason in _known(RESTART_REASONS, w.restarts)
            ],
        )
        yield _counter(
            "relists",
            "Complete lists after the first: what happened between was not seen as it happened; "
            f"{', '.join(RELIST_REASONS)}.",
            ("resource", "reason"),
            [
                ((w.resource, reason), w.relists[reason])
                for w in watches
                for reason in _known(RELIST_REASONS, w.relists)
            ],
        )
        yield _gauge(
            "watch_last_contact_timestamp_seconds",
            "Last byte, clean end or reconnect of the quietest watch; never older than 10 min when healthy.",
            ("resource",),
            [((w.resource,), min(w.last_contact.values())) for w in live if w.last_contact],
        )
        yield _counter(
            "decode_errors",
            "Lines and items that could not be decoded and were skipped.",
            ("resource",),
            [((w.resource,), w.decode_errors) for w in watches],
        )

    def _probes(self) -> Iterator[Metric]:
        kubelet, events = self._vitals.kubelet, [w for w in self._vitals.watches if w.resource == "events"]
        sources = {"events": any(w.enabled and w.synced for w in events), "kubelet": kubelet.answering > 0}
        yield _gauge(
            "probe_source",
            "1 for each source from which failures of probes are counted; with the kubelet's they are exact.",
            ("source",),
            [((source,), counts) for source, counts in sources.items()],
        )
        if not kubelet.enabled:
            return
        yield _counter(
            "kubelet_reads",
            f"Reads of kubelets' /metrics/probes: {', '.join(KUBELET_RESULTS)}.",
            ("result",),
            [((result,), kubelet.reads[result]) for result in _known(KUBELET_RESULTS, kubelet.reads)],
        )
        yield _gauge("kubelets_answering", "Kubelets that answered the newest read.", (), [((), kubelet.answering)])
        yield _counter(
            "probe_fills",
            "Failures of probes after the kubelet's last read of a pod, filled in from Events.",
            (),
            [((), self._vitals.core.probe_fills)],
        )

    def _core(self) -> Iterator[Metric]:
        core = self._vitals.core
        yield _gauge(
            "objects",
            "Objects that are remembered.",
            ("resource",),
            [((resource,), count) for resource, count in self._vitals.objects().items()],
        )
        yield _delays(core.delays)
        yield _counter(
            "faults",
            "Objects whose handling failed; their previous state was kept.",
            ("room",),
            [((room,), core.faults[room]) for room in _known(ROOMS, core.faults)],
        )
        yield _counter(
            "observations",
            "Facts derived, by kind.",
            ("kind",),
            [((kind.__name__,), core.observations[kind.__name__]) for kind in kinds()],
        )
        yield _counter(
            "inferred_causes",
            "Causes read from the path of the status, not from an Event (R5).",
            ("cause",),
            [((cause,), core.inferred_causes[cause]) for cause in _known(INFERRED, core.inferred_causes)],
        )

    def _bounds(self) -> Iterator[Metric]:
        core, overflow = self._vitals.core, self._vitals.overflow()
        yield _counter(
            "unobserved_restarts", "Restarts that left no trace of their cause.", (), [((), core.unobserved_restarts)]
        )
        yield _counter(
            "unmatched_events",
            "Events about pods that did not come within a minute, and so could not be counted.",
            (),
            [((), self._vitals.unmatched())],
        )
        yield _counter(
            "unobserved_deletions",
            "Deletions of pods that only a list revealed.",
            (),
            [((), core.unobserved_deletions)],
        )
        yield _counter(
            "restart_count_resets",
            "Times that a container's restartCount fell (R1).",
            (),
            [((), core.restart_count_resets)],
        )
        yield _counter(
            "clamped_durations",
            "Durations below -2 s, counted as 0: clocks differ.",
            ("family",),
            [((name,), core.clamped_durations[name]) for name in _known(CLAMPED, core.clamped_durations)],
        )
        yield _counter(
            "label_overflow",
            "Label values past their bound, counted as other.",
            ("family", "label"),
            [(pair, overflow.get(pair, 0)) for pair in _known(BOUNDED, overflow)],
        )

    def _checkpoint(self) -> Iterator[Metric]:
        kept = self._vitals.checkpoint
        yield _gauge(
            "checkpoint_load_info",
            "How the start found the checkpoint: loaded, missing, old, foreign, bad or disabled. Always 1.",
            ("result",),
            [((kept.load,), 1)],
        )
        if kept.load == DISABLED:
            return
        yield _gauge(
            "checkpoint_restored",
            "What the start took over from the checkpoint: pods; series; owing, series with counts that no scrape had "
            "shown; lost, those of them that could not be taken over.",
            ("kind",),
            [((kind,), kept.restored[kind]) for kind in _known(RESTORED, kept.restored)],
        )
        yield _counter(
            "checkpoint_writes",
            f"Checkpoints written, or not: {', '.join(WRITES)}.",
            ("result",),
            [((result,), kept.writes[result]) for result in _known(WRITES, kept.writes)],
        )
        yield _gauge(
            "checkpoint_last_success_timestamp_seconds",
            "When the newest complete checkpoint was written; 0 before the first of this process.",
            (),
            [((), kept.written_at)],
        )
        yield _gauge("checkpoint_size_bytes", "Size of the newest complete checkpoint.", (), [((), kept.size)])
        yield _gauge(
            "checkpoint_duration_seconds",
            "How long writing the newest complete checkpoint took, from its moment to the disk.",
            (),
            [((), kept.seconds)],
        )

    def _process(self) -> Iterator[Metric]:
        vitals = self._vitals
        yield _gauge("workloads", "Workloads with an account.", (), [((), vitals.workloads())])
        yield _gauge(
            "series",
            "Series of pods (rows) and of workloads (ledger).",
            ("tier",),
            [((tier,), count) for tier, count in vitals.series().items()],
        )
        yield _counter(
            "http_rejected",
            f"Requests refused or cut, and idle connections closed to make room for others: {', '.join(REJECTED)}.",
            ("reason",),
            [((reason,), vitals.web.rejected[reason]) for reason in _known(REJECTED, vitals.web.rejected)],
        )
        yield _gauge(
            "scrape_duration_seconds", "How long the last complete scrape took.", (), [((), vitals.web.scrape_seconds)]
        )
        yield _counter(
            "clock_steps",
            "Steps of the clock by more than a second; the process standing still for more than 5 s is one forward.",
            ("direction",),
            [((direction,), vitals.loop.clock_steps[direction]) for direction in ("back", "forward")],
        )
        yield _gauge(
            "tasks",
            "Tasks of the event loop: a few for each watch, one for each open connection of a client.",
            (),
            [((), vitals.loop.tasks())],
        )
        yield _gauge(
            "scrape_bytes", "Size of the last complete scrape, before compression.", (), [((), vitals.web.scrape_bytes)]
        )
        yield _gauge(
            "loop_lag_seconds",
            "Longest delay of the event loop within the last ten seconds.",
            (),
            [((), vitals.loop.lag_seconds)],
        )


def _known(known: tuple[Key, ...], met: Mapping[Key, int]) -> list[Key]:
    """What is known beforehand, then what was met besides."""
    return [*known, *(key for key in met if key not in known)]


def _gauge(name: str, text: str, labels: tuple[str, ...], samples: Samples) -> Metric:
    family = GaugeMetricFamily(f"pod_exporter_{name}", text, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family


def _counter(name: str, text: str, labels: tuple[str, ...], samples: Samples) -> Metric:
    family = CounterMetricFamily(f"pod_exporter_{name}", text, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family


def _delays(delays: Mapping[str, Delays]) -> Metric:
    text = "From the newest time in an update to our knowing it; API times are whole seconds."
    family = HistogramMetricFamily("pod_exporter_event_delay_seconds", text, labels=("resource",))
    for resource, seen in delays.items():
        total, buckets = 0, []
        for bound, count in zip((*map(str, DELAY_BUCKETS), "+Inf"), seen.counts, strict=True):
            total += count
            buckets.append((bound, total))
        family.add_metric((resource,), buckets, seen.total)
    return family
