"""What a restart needs of the tracker: which parts of it, and how they fit settings that have changed since.

A restart is a gap in the watch and nothing else. So all records are saved as they are; the next list is compared with
them by the same rules as after any other gap.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from sys import intern
from typing import TypeVar

from msgspec.structs import replace

from exporter.lifecycle.observations import Value, Workload
from exporter.lifecycle.records import Container, Record
from exporter.lifecycle.resources import Amounts, ContainerShape

T = TypeVar("T")
EVERYWHERE = ("",)
"""All namespaces, as a watch names them."""


class Known(Value, frozen=True, tag=True):
    """What a tracker knows besides its records; fields are the tracker's own."""

    baseline: dict[str, float]
    events_listed: tuple[str, ...]
    templates: tuple[tuple[Workload, tuple[str, ...]], ...]
    flipped: dict[str, float]
    kubelets: tuple[str, ...]
    """Nodes whose kubelets have been read, so that what their counters have grown by is news."""
    pod_labels: tuple[str, ...]
    """Keys of the labels that records have."""
    normal_events: bool


class Records(Value, frozen=True, tag=True):
    """Some of the records."""

    records: tuple[Record, ...]


def worth_saving(record: Record) -> bool:
    """Nothing was told of a pod that still waits for its owner: seen again, it is as new as it was."""
    return record.undecided is None or record.gone_at < inf


def watched(namespace: str, namespaces: tuple[str, ...]) -> bool:
    """Whether the watch of `namespaces` has this one in view."""
    return namespaces == EVERYWHERE or namespace in namespaces


def narrowed(by_namespace: Mapping[str, T], namespaces: tuple[str, ...]) -> dict[str, T]:
    """What was known of watched namespaces ("" for all), as far as those watched now were among them."""
    kept = {name: value for name, value in by_namespace.items() if watched(name, namespaces)}
    if "" in by_namespace:
        kept |= {name: by_namespace[""] for name in namespaces if name not in kept}
    return kept


class Sharing:
    """Makes one copy of what many records have in common, as it was before they were written down one by one.

    `labels`: keys of pod labels that are allowed now; `before`: those that were when the records were made.
    """

    def __init__(self, labels: tuple[str, ...] = (), before: tuple[str, ...] = ()) -> None:
        self._labels: tuple[None, ...] | None = None if labels == before else (None,) * len(labels)
        self._workloads: dict[Workload, Workload] = {}
        self._shapes: dict[ContainerShape, ContainerShape] = {}
        self._amounts: dict[Amounts, Amounts] = {}
        self._conditions: dict[tuple[str, str], tuple[str, str]] = {}

    def shared(self, r: Record) -> Record:
        """The record; a pod's labels it keeps only if the same keys are allowed now."""
        workload = r.pod.workload and self._workloads.setdefault(r.pod.workload, r.pod.workload)
        return replace(
            r,
            key=r.pod.uid if r.key == r.pod.uid else r.key,
            pod=replace(r.pod, namespace=intern(r.pod.namespace), workload=workload),
            phase=intern(r.phase),
            status=intern(r.status),
            node=intern(r.node),
            qos_class=intern(r.qos_class),
            priority_class=intern(r.priority_class),
            service_account=intern(r.service_account),
            template=intern(r.template),
            conditions=tuple([self._conditions.setdefault(pair, pair) for pair in r.conditions]),
            requests=self._amounts.setdefault(r.requests, r.requests),
            limits=self._amounts.setdefault(r.limits, r.limits),
            containers=tuple(map(self._container, r.containers)),
            labels=r.labels if self._labels is None else self._labels,
        )

    def _container(self, c: Container) -> Container:
        return replace(
            c,
            name=intern(c.name),
            state=intern(c.state),
            reason=intern(c.reason),
            image=intern(c.image),
            image_id=intern(c.image_id),
            shape=self._shapes.setdefault(c.shape, c.shape),
        )
