"""Pods without a kubelet: the test writes their statuses and Events, so it knows all that happened to them."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPException
from random import Random
from typing import Any, TypeVar

from tests.cluster.api import Api, Object, RefusedError

CAUSES = (("Error", 1), ("OOMKilled", 137), ("Completed", 0), ("Error", 139))
AGAIN = 0.1
"""Seconds between two tries of a write while the API server is away."""

T = TypeVar("T")


@dataclass
class Truth:
    """What has happened, by what Prometheus will be told: a workload is a pod here."""

    restarts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By workload and reason."""
    ends: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """By workload, reason and exit code."""
    created: Counter[str] = field(default_factory=Counter)
    deleted: Counter[str] = field(default_factory=Counter)
    events: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Warning Events by workload and reason."""

    def since(self, before: Truth) -> Truth:
        """What has happened since then."""
        names = self.__dataclass_fields__
        return Truth(**{name: getattr(self, name) - getattr(before, name) for name in names})


@dataclass
class Pod:
    """One pod of the fleet, and how often its container was started."""

    name: str
    uid: str
    restarts: int = 0
    last: Object = field(default_factory=dict)
    deleted: bool = False


class Fleet:
    """Pods in one namespace. A write is tried until the API server has taken it; then it is true."""

    def __init__(self, api: Callable[[], Api], namespace: str) -> None:
        self._api = api
        self.namespace = namespace
        self.truth = Truth()
        self.pods: dict[str, Pod] = {}
        self._events: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def path(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}"

    def moment(self) -> Truth:
        """What is true by now."""
        with self._lock:
            return deepcopy(self.truth)

    def create(self, name: str, **metadata: Any) -> Pod:
        """A pod whose container runs."""
        draft: Object = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": self.namespace, **metadata},
            "spec": {"containers": [{"name": "main", "image": "i"}], "nodeName": "node-1"},
        }
        made = self._write(lambda api: _created(api, draft, f"{self.path}/pods/{name}"))
        pod = self.pods[name] = Pod(name, made["metadata"]["uid"])
        self._note(created=[name])
        self._show(pod, {"running": {"startedAt": now()}})
        return pod

    def restart(self, name: str, reason: str = "Error", code: int = 1, *, at_once: bool = False) -> None:
        """The container ends and is started again; `at_once`: nobody is shown the time between."""
        pod = self.pods[name]
        end = {"reason": reason, "exitCode": code, "startedAt": now(), "finishedAt": now()}
        end["containerID"] = f"containerd://{name}-{pod.restarts}"
        if not at_once:
            self._show(pod, {"terminated": end})
        pod.restarts, pod.last = pod.restarts + 1, {"terminated": end}
        self._show(pod, {"running": {"startedAt": now()}})
        self._note(restarts=[(name, reason)], ends=[(name, reason, str(code))])

    def delete(self, name: str) -> None:
        """Gone at once, as by `kubectl delete --force`: how its running container ended nobody knows."""
        self._write(lambda api: _deleted(api, f"{self.path}/pods/{name}"))
        self.pods.pop(name).deleted = True
        self._note(deleted=[name], ends=[(name, "Unobserved", "")])

    def warn(self, name: str, reason: str) -> None:
        """A Warning Event about the pod occurs once more."""
        key = f"{name}.{reason.lower()}"
        count = self._events[key] + 1
        path = f"{self.path}/events"
        if count == 1:
            self._write(lambda api: _created(api, self._event(key, name, reason), f"{path}/{key}"))
        else:
            change = {"count": count, "lastTimestamp": now()}
            self._write(lambda api: api.patch(f"{path}/{key}", change))
        self._events[key] = count
        self._note(events=[(name, reason)])

    def write_status(self, name: str, status: Object) -> None:
        self._write(lambda api: api.patch(f"{self.path}/pods/{name}/status", {"status": status}))

    @contextmanager
    def living(self, names: list[str], *, every: float = 0.03, seed: int = 1) -> Iterator[None]:
        """Let these pods restart and be warned about, again and again, as long as the block lasts."""
        over, failed = threading.Event(), list[BaseException]()

        def live() -> None:
            try:
                draw = Random(seed)
                while not over.wait(every):
                    self._step(draw, draw.choice(names))
            except BaseException as error:  # noqa: BLE001 # told by the test's own thread
                failed.append(error)

        thread = threading.Thread(target=live, name="life", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(120)
        assert not thread.is_alive(), "the pods' life did not end"
        assert not failed, failed

    def _step(self, draw: Random, name: str) -> None:
        if draw.random() < 0.2:
            self.warn(name, draw.choice(("BackOff", "Failed")))
        else:
            reason, code = draw.choice(CAUSES)
            self.restart(name, reason, code, at_once=draw.random() < 0.3)

    def _event(self, key: str, name: str, reason: str) -> Object:
        subject = {"kind": "Pod", "namespace": self.namespace, "name": name, "uid": self.pods[name].uid}
        times = {"firstTimestamp": now(), "lastTimestamp": now()}
        metadata = {"name": key, "namespace": self.namespace}
        about = {"involvedObject": subject, "reason": reason, "type": "Warning", "message": "m", "count": 1}
        return {"apiVersion": "v1", "kind": "Event", "metadata": metadata, **about, **times}

    def _show(self, pod: Pod, state: Object) -> None:
        status = {"name": "main", "image": "i", "imageID": "i", "restartCount": pod.restarts, "lastState": pod.last}
        status |= {"state": state, "ready": "running" in state, "started": "running" in state}
        status["containerID"] = f"containerd://{pod.name}-{pod.restarts}"
        self.write_status(pod.name, {"phase": "Running", "containerStatuses": [status]})

    def _note(self, **happened: list[Any]) -> None:
        with self._lock:
            for name, keys in happened.items():
                getattr(self.truth, name).update(keys)

    def _write(self, write: Callable[[Api], T]) -> T:
        """Every write can be made twice: whether one that broke off was taken, nobody knows."""
        until = time.monotonic() + 100
        while True:
            try:
                return write(self._api())
            except (OSError, HTTPException, RefusedError) as error:
                if time.monotonic() > until or (isinstance(error, RefusedError) and error.status in (400, 404, 422)):
                    raise
                time.sleep(AGAIN)


def _created(api: Api, draft: Object, path: str) -> Object:
    try:
        return api.create(draft)
    except RefusedError as error:
        if error.status != 409:
            raise
        found: Object = api.get(path)
        return found


def _deleted(api: Api, path: str) -> None:
    try:
        api.delete(path, force=True)
    except RefusedError as error:
        if error.status != 404:
            raise


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
