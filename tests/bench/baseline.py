"""What one would write with the two official libraries: `kubernetes.watch` feeding a `prometheus_client` registry.

The same series as pod-exporter has today, by the same names: a row of gauges a pod, counters a workload. It is meant to
be good code of its kind: it lists in pages, remembers little of each pod, takes away what is gone, switches `_created`
series off. What it lacks
is not what is measured: owners (the workload is guessed from the pod's name), reconnects, causes.

`python -m tests.bench.baseline KUBECONFIG PORT`; it serves once all pods are known. SIGUSR1 collects garbage.
"""

from __future__ import annotations

import gc
import signal
import sys
from typing import Any, NamedTuple

from kubernetes import client, config, watch
from prometheus_client import Counter, Gauge, disable_created_metrics, start_http_server

PAGE = 500
P = ("namespace", "pod")
W = ("namespace", "workload_kind", "workload")
C = ("container", "container_type")

INFO_LABELS = ("uid", "node", "workload_kind", "workload", "qos_class", "priority_class", "service_account")
INFO = Gauge("pod_info", "A pod.", (*P, *INFO_LABELS))
STATUS = Gauge("pod_status", "Its phase.", (*P, "phase"))
READY = Gauge("pod_ready", "Whether it is ready.", P)
STATE = Gauge("pod_container_status", "What a container does.", (*P, *C, "state", "reason"))
RESTART_COUNT = Gauge("pod_container_status_restarts", "restartCount.", (*P, *C))
LAST = Gauge("pod_container_last_termination_info", "Its last end.", (*P, *C, *W[1:], "reason", "exit_code"))

TRANSITIONS = Counter("pod_phase_transitions", "Changes of phase.", (*W, "from", "to"))
RESTARTS = Counter("pod_container_restarts", "Restarts.", (*W, *C, "reason"))
TERMINATIONS = Counter("pod_container_terminations", "Ends.", (*W, *C, "reason", "exit_code"))
WAITING = Counter("pod_container_waiting", "Entries into a waiting reason.", (*W, *C, "reason"))
PODS = Gauge("pod_workload_pods", "Pods by phase.", (*W, "phase"))
READY_PODS = Gauge("pod_workload_ready_pods", "Pods that are ready.", W)
UPDATES = Counter("baseline_watch_events", "Lines of the watch.")

Labels = tuple[str, ...]


class ContainerState(NamedTuple):
    """What is remembered of a container."""

    state: str
    reason: str
    restarts: int
    ended: str
    """containerID of the last end."""


class PodState(NamedTuple):
    """What is remembered of a pod."""

    workload: Labels
    phase: str
    ready: bool
    containers: dict[Labels, ContainerState]
    gauges: dict[tuple[Gauge, Labels], float]
    """All its gauges as they are set, so that those which no longer hold can be taken away."""


class Exporter:
    """Previous states by uid; each event sets gauges and counts differences."""

    def __init__(self) -> None:
        self.pods: dict[str, PodState] = {}

    def run(self, port: int) -> None:
        """List, serve, watch."""
        api = client.CoreV1Api()
        version = self._list(api)
        start_http_server(port, addr="127.0.0.1")
        stream: Any = watch.Watch().stream(  # type: ignore[no-untyped-call]
            api.list_pod_for_all_namespaces, resource_version=version
        )
        for event in stream:
            UPDATES.inc()
            if event["type"] == "DELETED":
                self.forget(event["object"])
            elif event["type"] in ("ADDED", "MODIFIED"):
                self.apply(event["object"])

    def _list(self, api: Any) -> str:
        token = None
        while True:
            page = api.list_pod_for_all_namespaces(limit=PAGE, _continue=token)
            for pod in page.items:
                self.apply(pod)
            token = page.metadata._continue
            if not token:
                return str(page.metadata.resource_version)

    def apply(self, pod: Any) -> None:
        """Take in a pod as it is now."""
        before = self.pods.get(pod.metadata.uid)
        after = _read(pod)
        for gauge, labels in before.gauges.keys() - after.gauges.keys() if before else ():
            gauge.remove(*labels)
        for (gauge, labels), value in after.gauges.items():
            gauge.labels(*labels).set(value)
        self.pods[pod.metadata.uid] = after
        _count_pod(before, after)
        for key, now in after.containers.items():
            _count_container(after.workload, key, before and before.containers.get(key), now)

    def forget(self, pod: Any) -> None:
        """Take away a pod."""
        state = self.pods.pop(pod.metadata.uid, None)
        if state is None:
            return
        for gauge, labels in state.gauges:
            gauge.remove(*labels)
        PODS.labels(*state.workload, state.phase).dec()
        READY_PODS.labels(*state.workload).dec(state.ready)


def _read(pod: Any) -> PodState:
    meta, spec, status = pod.metadata, pod.spec, pod.status
    at = (meta.namespace, meta.name)
    workload = (meta.namespace, "Deployment", meta.name.rsplit("-", 2)[0])
    ready = any(c.type == "Ready" and c.status == "True" for c in status.conditions or ())
    info = (*at, meta.uid, spec.node_name or "", *workload[1:], status.qos_class or "")
    gauges: dict[tuple[Gauge, Labels], float] = {
        (INFO, (*info, spec.priority_class_name or "", spec.service_account_name or "")): 1,
        (STATUS, (*at, status.phase)): 1,
        (READY, at): ready,
    }
    containers: dict[Labels, ContainerState] = {}
    for kind, statuses in (("init", status.init_container_statuses), ("container", status.container_statuses)):
        for each in statuses or ():
            key = (each.name, kind)
            state = containers[key] = _container(each)
            gauges[STATE, (*at, *key, state.state, state.reason)] = 1
            gauges[RESTART_COUNT, (*at, *key)] = state.restarts
            if end := _end(each):
                gauges[LAST, (*at, *key, *workload[1:], end.reason or "", str(end.exit_code))] = 1
    return PodState(workload, status.phase, ready, containers, gauges)


def _container(status: Any) -> ContainerState:
    end = _end(status)
    name, reason = "waiting", ""
    if status.state.running:
        name = "running"
    elif status.state.terminated:
        name, reason = "terminated", status.state.terminated.reason or ""
    elif status.state.waiting:
        reason = status.state.waiting.reason or ""
    return ContainerState(name, reason, status.restart_count, (end.container_id or "") if end else "")


def _end(status: Any) -> Any:
    return status.state.terminated or (status.last_state and status.last_state.terminated)


def _count_pod(before: PodState | None, after: PodState) -> None:
    if before is None or before.phase != after.phase:
        PODS.labels(*after.workload, after.phase).inc()
        if before is not None:
            PODS.labels(*after.workload, before.phase).dec()
            TRANSITIONS.labels(*after.workload, before.phase, after.phase).inc()
    READY_PODS.labels(*after.workload).inc(after.ready - (before.ready if before else False))


def _count_container(workload: Labels, key: Labels, before: ContainerState | None, now: ContainerState) -> None:
    if before is None:
        for reason in ("OOMKilled", "Error", "LivenessProbe"):
            RESTARTS.labels(*workload, *key, reason)
        TERMINATIONS.labels(*workload, *key, "OOMKilled", "137")
        return
    if now.ended != before.ended:
        TERMINATIONS.labels(*workload, *key, "Error", "1").inc()
    if now.restarts > before.restarts:
        RESTARTS.labels(*workload, *key, "Error").inc(now.restarts - before.restarts)
    if now.state == "waiting" and now.reason and now != before:
        WAITING.labels(*workload, *key, now.reason).inc()


def main() -> None:
    """Run until killed."""
    kubeconfig, port = sys.argv[1:]
    signal.signal(signal.SIGUSR1, lambda *_: gc.collect())
    disable_created_metrics()
    config.load_kube_config(kubeconfig)  # type: ignore[no-untyped-call]
    Exporter().run(int(port))


if __name__ == "__main__":
    main()
