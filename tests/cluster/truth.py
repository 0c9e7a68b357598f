"""What really happened: the containers' own log of their starts, and every pod that the API ever showed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from tests.cluster.api import Api, Object
from tests.cluster.scenarios import NEVER_RUNS
from tests.cluster.tape import Tape


class Workload(NamedTuple):
    kind: str
    name: str


SPAN = 2
"""Seconds around a failed start within which the container may have logged it; no other start is so near."""
Key = tuple[Workload, str]
"""A workload and the name of one of its containers: what a restart counter is about."""


class Instance(NamedTuple):
    """One container of one pod, through all its restarts."""

    pod_uid: str
    container: str


@dataclass(frozen=True, slots=True)
class Starts:
    """The lines that containers wrote, one a start, and the starts that failed before a line was written."""

    counts: Counter[Instance]
    times: dict[Instance, list[int]]

    @classmethod
    def read(cls, folder: Path, failed: Iterable[tuple[Instance, int]] = ()) -> Starts:
        """`failed`: instances with the Unix times at which the runtime gave up to start them."""
        counts: Counter[Instance] = Counter()
        times: dict[Instance, list[int]] = {}
        log = folder / "starts"
        for line in log.read_text().splitlines() if log.exists() else ():
            uid, _, container, time = line.split()
            instance = Instance(uid, container)
            counts[instance] += 1
            times.setdefault(instance, []).append(int(time))
        for instance, at in failed:
            if all(abs(time - at) > SPAN for time in times.get(instance, ())):
                counts[instance] += 1
                times.setdefault(instance, []).append(at)
        return cls(counts, times)


def container_statuses(pod: Object) -> Iterator[tuple[Instance, Object]]:
    for name in ("initContainerStatuses", "containerStatuses"):
        for status in pod.get("status", {}).get(name, ()):
            yield Instance(pod["metadata"]["uid"], status["name"]), status


def restart_counts(pods: list[Object]) -> dict[Instance, int]:
    """restartCount as the API shows it."""
    return {instance: status["restartCount"] for pod in pods for instance, status in container_statuses(pod)}


def failed_starts(pod: Object) -> Iterator[tuple[Instance, str, int]]:
    """Instances that the runtime could not start, with the id of their container and the Unix time."""
    for instance, status in container_statuses(pod):
        for state in (status["state"], status.get("lastState", {})):
            end = state.get("terminated", {})
            if end.get("reason") == "StartError":
                yield instance, end["containerID"], int(datetime.fromisoformat(end["finishedAt"]).timestamp())


def workload_of(pod: Object) -> Workload:
    labels = pod["metadata"].get("labels", {})
    return Workload(labels["truth-kind"], labels["truth-workload"])


class Recorder:
    """The last state of every pod that ever was, by a watch of its own; all that it and the Events' say is on tape."""

    def __init__(self, api: Api, namespace: str, folder: Path) -> None:
        collections = f"/api/v1/namespaces/{namespace}"
        self.pods: dict[str, Object] = {}
        """By uid."""
        self.deleted: set[str] = set()
        self._listed: set[str] = set()
        self._failed: dict[str, tuple[Instance, int]] = {}
        """Starts that failed, by the id of their container: a kubelet that ends while it starts one leaves such."""
        self.tape = Tape(api, f"{collections}/pods", folder / "pods.watch.jsonl", self._heard)
        self._events = Tape(api, f"{collections}/events", folder / "events.watch.jsonl")

    def start(self) -> None:
        self.tape.start()
        self._events.start()

    def stop(self) -> None:
        self.tape.stop()
        self._events.stop()

    def truth(self, folder: Path) -> Truth:
        return Truth(Starts.read(folder, self._failed.values()), dict(self.pods), frozenset(self.deleted))

    def note_failed(self, created: Iterable[tuple[str, Instance]], at: int) -> None:
        """Starts that the API never shows, by the id of the container: the kubelet ended before it asked for them."""
        self._failed |= {key: (instance, at) for key, instance in created if instance.pod_uid in self.pods}

    def _heard(self, event: Object) -> None:
        if event["type"] == "END":
            self.deleted |= self.pods.keys() - self._listed
            self._listed.clear()
            return
        uid = event["object"]["metadata"]["uid"]
        self.pods[uid] = event["object"]
        self._failed |= {key: (instance, at) for instance, key, at in failed_starts(event["object"])}
        if event["type"] == "LISTED":
            self._listed.add(uid)
        elif event["type"] == "DELETED":
            self.deleted.add(uid)


@dataclass(frozen=True, slots=True)
class Truth:
    """Both sources together: what an exact exporter must have counted."""

    starts: Starts
    pods: dict[str, Object]
    """By uid, every pod that ever was."""
    deleted: frozenset[str]

    def restarts(
        self, baseline: Mapping[Instance, int] = MappingProxyType({}), ignored: AbstractSet[str] = frozenset()
    ) -> dict[Key, int]:
        """Restarts of every container since the baseline; pods that are `ignored` were gone before it."""
        sums: Counter[Key] = Counter()
        for instance, count in self._restarts_of_instances().items():
            if instance.pod_uid not in ignored:
                # An evicted pod's restartCount may have grown by one for a restart that never came (R2).
                sums[self.key(instance)] += max(0, count - baseline.get(instance, 0))
        return dict(sums)

    def starts_within(self, key: Key, windows: Iterable[tuple[float, float]]) -> int:
        """How often a container started in any of these spans of Unix time."""
        times = [time for instance, times in self.starts.times.items() if self.key(instance) == key for time in times]
        return sum(any(begin <= time <= end for begin, end in windows) for time in times)

    def created(self) -> Counter[Workload]:
        return Counter(map(workload_of, self.pods.values()))

    def gone(self) -> Counter[Workload]:
        return Counter(workload_of(self.pods[uid]) for uid in self.deleted)

    def key(self, instance: Instance) -> Key:
        return workload_of(self.pods[instance.pod_uid]), instance.container

    def _restarts_of_instances(self) -> dict[Instance, int]:
        """By the log of starts; by the API where no instance ever ran to write one."""
        logged = {instance: count - 1 for instance, count in self.starts.counts.items()}
        never_run = [pod for pod in self.pods.values() if workload_of(pod).name == NEVER_RUNS]
        return logged | restart_counts(never_run)
