"""One-shot jobs as their controllers and the kubelet write them: each under a name of its own, each soon over.

By turns: a Job of a CronJob, a Job with a random name, a Workflow's pod and a bare pod. Every tenth fails.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple, TypeAlias

from tests.bench.fleet import Json, container_spec, encode, line, rfc3339, suffix

KINDS = ("CronJob", "Job", "Workflow", "Pod")
GAP = 5
"""Jobs that begin between two steps of one."""
_FAILS = 10
Resource: TypeAlias = Literal["pods", "jobs"]


class Told(NamedTuple):
    """A line of a watch, and of which."""

    resource: Resource
    line: bytes


class Run:
    """One job from its creation to its deletion."""

    def __init__(self, number: int, version: Callable[[], int], clock: Callable[[], float]) -> None:
        self._kind = KINDS[number % len(KINDS)]
        self._failed = number % _FAILS == 0
        self._version, self._clock = version, clock
        self._created = rfc3339(clock())
        self._suffix = (
            f"{29_000_000 + number}" if self._kind == "CronJob" else f"x{suffix(number)[:4]}"
        )  # never all digits
        self._base = f"{self._kind.lower()}-import"
        self._uid = f"00000000-0000-4000-b000-{number:012x}"

    def steps(self) -> Iterator[list[Told]]:
        """What the watches tell of it, step by step."""
        job = [Told("jobs", line(b"ADDED", self._job()))] if self._kind in ("CronJob", "Job") else []
        yield [*job, Told("pods", line(b"ADDED", self._pod("Pending", {"waiting": {"reason": "ContainerCreating"}})))]
        self._started = rfc3339(self._clock())
        running = self._pod("Running", {"running": {"startedAt": self._started}})
        yield [Told("pods", line(b"MODIFIED", running))]
        ended = self._ended()
        phase = "Failed" if self._failed else "Succeeded"
        yield [Told("pods", line(b"MODIFIED", self._pod(phase, ended)))]
        gone = [Told("jobs", line(b"DELETED", self._job()))] if job else []
        yield [Told("pods", line(b"DELETED", self._pod(phase, ended, deleted=True))), *gone]

    def _ended(self) -> Json:
        code, reason = (1, "Error") if self._failed else (0, "Completed")
        times = {"startedAt": self._started, "finishedAt": rfc3339(self._clock())}
        return {"terminated": {"exitCode": code, "reason": reason, "containerID": self._container_id(), **times}}

    def _container_id(self) -> str:
        return f"containerd://{self._uid[-12:]:0>64}"

    def _metadata(self, name: str, owner: Json | None) -> Json:
        owners = {"ownerReferences": [{**owner, "controller": True}]} if owner else {}
        version = {"resourceVersion": str(self._version()), "creationTimestamp": self._created}
        return {"name": name, "namespace": "batch", "uid": self._uid, **version, **owners}

    def _job(self) -> bytes:
        above = {"kind": "CronJob", "name": self._base, "uid": "cron"} if self._kind == "CronJob" else None
        metadata = self._metadata(f"{self._base}-{self._suffix}", above) | {"uid": f"{self._uid}-job"}
        if not above:
            metadata["generateName"] = f"{self._base}-"
        return encode({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})

    def _pod(self, phase: str, state: Json, *, deleted: bool = False) -> bytes:
        name, owner = f"{self._base}-{self._suffix}", None
        if self._kind in ("CronJob", "Job"):
            owner = {"kind": "Job", "name": name, "uid": f"{self._uid}-job"}
        elif self._kind == "Workflow":
            owner = {"kind": "Workflow", "name": name, "uid": f"{self._uid}-wf"}
        metadata = self._metadata(f"{name}-main", owner)
        if self._kind == "Pod":
            metadata["generateName"] = f"{self._base}-"
        if deleted:
            metadata |= {"deletionTimestamp": rfc3339(self._clock()), "deletionGracePeriodSeconds": 0}
        spec = {"nodeName": "node-1", "restartPolicy": "Never", "containers": [container_spec("app", probes=False)]}
        return encode(
            {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": spec} | self._status(phase, state)
        )

    def _status(self, phase: str, state: Json) -> Json:
        started = {"started": "running" in state, "ready": "running" in state, "restartCount": 0, "state": state}
        container = {"name": "app", "image": "app", "imageID": "app", **started}
        if "waiting" not in state:
            container["containerID"] = self._container_id()
        conditions = [
            {"type": kind, "status": "True" if there else "False", "lastTransitionTime": self._created}
            for kind, there in (("PodScheduled", True), ("Ready", "running" in state))
        ]
        return {"status": {"phase": phase, "conditions": conditions, "containerStatuses": [container]}}


def told(first: int, count: int, version: Callable[[], int], clock: Callable[[], float]) -> Iterator[list[Told]]:
    """What the watches tell whenever another job begins; each is over `3 * GAP` beginnings later."""
    going: deque[Iterator[list[Told]]] = deque()
    for number in range(count + 4 * GAP):
        going.append(Run(first + number, version, clock).steps() if number < count else iter(()))
        due = [going[at] for at in range(len(going) - 1, -1, -GAP)]
        yield [told for steps in due for told in next(steps, ())]
        if len(going) > 4 * GAP:
            going.popleft()
