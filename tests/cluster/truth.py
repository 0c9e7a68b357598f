"""What really happened: the containers' own log of their starts, and every pod that the API ever showed."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple
from urllib.error import URLError

from tests.cluster.api import Api, Object, RefusedError
from tests.cluster.scenarios import NEVER_RUNS


class Workload(NamedTuple):
    kind: str
    name: str


Key = tuple[Workload, str]
"""A workload and the name of one of its containers: what a restart counter is about."""


class Instance(NamedTuple):
    """One container of one pod, through all its restarts."""

    pod_uid: str
    container: str


@dataclass(frozen=True, slots=True)
class Starts:
    """The lines that containers wrote, one a start."""

    counts: Counter[Instance]
    times: dict[Instance, list[int]]

    @classmethod
    def read(cls, folder: Path) -> Starts:
        counts: Counter[Instance] = Counter()
        times: dict[Instance, list[int]] = {}
        log = folder / "starts"
        for line in log.read_text().splitlines() if log.exists() else ():
            uid, _, container, time = line.split()
            instance = Instance(uid, container)
            counts[instance] += 1
            times.setdefault(instance, []).append(int(time))
        return cls(counts, times)


def restart_counts(pods: list[Object]) -> dict[Instance, int]:
    """restartCount as the API shows it."""
    return {
        Instance(pod["metadata"]["uid"], status["name"]): status["restartCount"]
        for pod in pods
        for name in ("initContainerStatuses", "containerStatuses")
        for status in pod.get("status", {}).get(name, ())
    }


def workload_of(pod: Object) -> Workload:
    labels = pod["metadata"].get("labels", {})
    return Workload(labels["truth-kind"], labels["truth-workload"])


@dataclass(slots=True)
class Recorder:
    """A watch of its own beside the exporter's: it keeps the last state of every pod, and all raw lines."""

    api: Api
    namespace: str
    raw: Path
    pods: dict[str, Object] = field(default_factory=dict)
    """The last object of every pod that ever was, by uid."""
    deleted: set[str] = field(default_factory=set)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()

    def truth(self, folder: Path) -> Truth:
        return Truth(Starts.read(folder), dict(self.pods), frozenset(self.deleted))

    def _run(self) -> None:
        while not self._stopping.wait(0.5):
            try:
                self._follow(self._list())
            except (OSError, URLError, RefusedError, ValueError):
                continue  # the API server is away for a while: that is part of the story

    def _list(self) -> str:
        answer = self.api.get(f"/api/v1/namespaces/{self.namespace}/pods")
        listed = {pod["metadata"]["uid"]: pod for pod in answer["items"]}
        self.deleted |= self.pods.keys() - listed.keys()
        for pod in listed.values():
            self._note({"type": "LISTED", "object": pod})
        version: str = answer["metadata"]["resourceVersion"]
        return version

    def _follow(self, version: str) -> None:
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        for line in self.api.watch(path, resourceVersion=version, timeoutSeconds="40"):
            event = json.loads(line)
            if event["type"] == "ERROR":
                return
            self._note(event)

    def _note(self, event: Object) -> None:
        pod = event["object"]
        uid = pod["metadata"]["uid"]
        self.pods[uid] = pod
        if event["type"] == "DELETED":
            self.deleted.add(uid)
        with self.raw.open("a") as raw:
            raw.write(json.dumps(event) + "\n")


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
        """By the container's own log; by the API where no instance ever ran to write one."""
        logged = {instance: count - 1 for instance, count in self.starts.counts.items()}
        never_run = [pod for pod in self.pods.values() if workload_of(pod).name == NEVER_RUNS]
        return logged | restart_counts(never_run)
