"""Ten thousand pods of 11 KB in a real API server: what the exporter needs to hold and follow them.

Memory and series are bounded here; times only stand in the report, because machines differ.
"""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.cluster.api import Api, Object, wait_until
from tests.cluster.exporter_process import Exporter
from tests.cluster.node import Node, StartNode
from tests.cluster.scrape import OPENMETRICS

pytestmark = pytest.mark.cluster
PODS = int(os.environ.get("POD_EXPORTER_SCALE", "10000"))
PER_WORKLOAD = 20
UPDATES = 1500
MIB = 1 << 20
NAMESPACE = "scale"
HASH = "7d9f8b6c5d"


@dataclass(slots=True)
class Figures:
    """What was measured, for the report."""

    seconds_to_ready: float = 0
    cpu_to_first_scrape: float = 0
    resident: int = 0
    series: int = 0
    scrape_bytes: int = 0


@pytest.fixture(scope="module")
def full(start_node: StartNode, report: list[str]) -> Iterator[Node]:
    """An API server that holds all the pods."""
    with start_node(control=False) as node:
        node.create_namespace(NAMESPACE)
        started = time.monotonic()
        size = fill(node, node.api)
        report.append(f"scale: {PODS} pods of {size} bytes written in {time.monotonic() - started:.0f} s")
        yield node


@pytest.fixture(scope="module")
def figures() -> Figures:
    return Figures()


@pytest.fixture(scope="module")
def exporter(full: Node, folder: Path, figures: Figures) -> Iterator[Exporter]:
    started = time.monotonic()
    with closing(Exporter(folder, full.kubeconfig())) as exporter:
        exporter.start().wait_ready(120)
        figures.seconds_to_ready = time.monotonic() - started
        body = exporter.get("/metrics", OPENMETRICS).body
        figures.cpu_to_first_scrape = exporter.daemon.cpu_seconds()
        figures.scrape_bytes, figures.resident = len(body), exporter.daemon.resident_bytes()
        figures.series = sum(not line.startswith("#") for line in body.splitlines())
        yield exporter


def fill(node: Node, api: Api) -> int:
    """Write one pod through the API, then copies of what it stored straight into etcd, several times as fast.

    The API server reads JSON from etcd as well as protobuf; it defaults, lists and watches them as any others.
    """
    with ThreadPoolExecutor(8) as pool:
        replica_sets = [api_object["metadata"] for api_object in pool.map(api.create, new_replica_sets())]
        model = json.dumps(model_pod(api, replica_sets[0]))
        copies = range(1, PODS)
        for _ in pool.map(lambda number: store(node, model, number, replica_sets[number // PER_WORKLOAD]), copies):
            pass
    listed = api.get("/api/v1/pods", limit="1")
    assert listed["metadata"]["remainingItemCount"] == PODS - 1
    return len(json.dumps(api.get(pod_path(PODS - 1)), separators=(",", ":")))


def new_replica_sets() -> Iterator[Object]:
    for number in range(-(-PODS // PER_WORKLOAD)):
        owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"web-{number}", "controller": True}
        meta = {"name": f"web-{number}-{HASH}", "namespace": NAMESPACE, "ownerReferences": [{**owner, "uid": "0"}]}
        template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "main", "image": "x"}]}}
        body = {"replicas": 0, "selector": {"matchLabels": {"app": "web"}}, "template": template}
        yield {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": meta, "spec": body}


def model_pod(api: Api, replica_set: Object) -> Object:
    """A pod as the API stores it, managed fields and all."""
    created = api.create(new_pod(replica_set))
    stored: Object = api.request("PUT", f"{pod_path(0)}/status", {**created, "status": running_status(0)})
    return stored


def store(node: Node, model: str, number: int, replica_set: Object) -> None:
    pod = json.loads(model)
    metadata = pod["metadata"]
    metadata["name"] = pod_name(number)
    metadata["uid"] = f"00000000-0000-4000-8000-{number:012}"
    metadata["ownerReferences"][0] |= {"name": replica_set["name"], "uid": replica_set["uid"]}
    metadata.pop("resourceVersion")
    put_in_etcd(node, f"/registry/pods/{NAMESPACE}/{pod_name(number)}", pod)


def put_in_etcd(node: Node, key: str, value: Any) -> None:
    body = {"key": encode(key), "value": encode(json.dumps(value))}
    url = f"http://127.0.0.1:{node.ports.etcd}/v3/kv/put"
    with urlopen(Request(url, json.dumps(body).encode()), timeout=30) as response:
        response.read()


def encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def pod_path(number: int) -> str:
    return f"/api/v1/namespaces/{NAMESPACE}/pods/{pod_name(number)}"


def pod_name(number: int) -> str:
    return f"web-{number // PER_WORKLOAD}-{HASH}-{number:05}"


def new_pod(replica_set: Object) -> Object:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": replica_set["name"], "controller": True}
    metadata = {
        "name": pod_name(0),
        "namespace": NAMESPACE,
        "labels": {"app": "web", "pod-template-hash": HASH},
        "annotations": {f"example.com/note-{number}": "x" * 100 for number in range(8)},
        "ownerReferences": [{**owner, "uid": replica_set["uid"]}],
    }
    containers = [container(name) for name in ("main", "log-shipper")]
    spec = {"nodeName": "node-1", "containers": containers, "initContainers": [container("setup", probes=False)]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def container(name: str, *, probes: bool = True) -> Object:
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 10}
    resources = {"cpu": "100m", "memory": "128Mi"}
    return {
        "name": name,
        "image": f"registry.example.com/team/{name}:v1.2.3",
        "env": [{"name": f"SETTING_{number}", "value": "value " * 8} for number in range(8)],
        "resources": {"requests": resources, "limits": resources},
        **({"livenessProbe": probe, "readinessProbe": probe} if probes else {}),
    }


def running_status(restarts: int) -> Object:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    conditions = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    done = {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now}}
    running = {"running": {"startedAt": now}}
    return {
        "phase": "Running",
        "hostIP": "10.0.0.1",
        "podIP": "10.1.0.1",
        "startTime": now,
        "qosClass": "Guaranteed",
        "conditions": [{"type": name, "status": "True", "lastTransitionTime": now} for name in conditions],
        "initContainerStatuses": [container_status("setup", 0, done, ready=True)],
        "containerStatuses": [container_status(name, restarts, running) for name in ("main", "log-shipper")],
    }


def container_status(name: str, restarts: int, state: Object, *, ready: bool = True) -> Object:
    end = {"exitCode": 1, "reason": "Error", "containerID": f"containerd://{name}{restarts - 1:064}"}
    image = f"registry.example.com/team/{name}"
    return {
        "name": name,
        "image": f"{image}:v1.2.3",
        "imageID": f"{image}@sha256:{'0123456789abcdef' * 4}",
        "containerID": f"containerd://{name}{restarts:064}",
        "ready": ready,
        "started": True,
        "restartCount": restarts,
        "state": state,
        "lastState": {"terminated": end} if restarts else {},
    }


def test_all_pods_are_shown(exporter: Exporter, figures: Figures, report: list[str]) -> None:
    report.append(
        f"scale: ready after {figures.seconds_to_ready:.1f} s, {figures.cpu_to_first_scrape:.1f} s CPU to the first"
        f" scrape, {figures.resident / MIB:.0f} MiB resident, {figures.series} series"
    )
    scrape = exporter.scrape()
    assert len(scrape.select("pod_info", namespace=NAMESPACE)) == PODS
    assert scrape.duplicates() == []


def test_memory_and_series_stay_within_bounds(exporter: Exporter, figures: Figures) -> None:
    """Twice the budget of `make bench`, which measures it more strictly."""
    assert figures.resident < 2 * (70 * MIB + 8192 * PODS)
    assert figures.series < 30 * PODS + 200 * PODS / PER_WORKLOAD


def test_scrapes_are_measured(exporter: Exporter, figures: Figures, report: list[str]) -> None:
    for encoding in ("identity", "gzip"):
        cpu, clock, size = scrape_cost(exporter, encoding)
        report.append(f"scale: scrape {encoding}: {size / 1e6:.1f} MB, {clock:.2f} s, {cpu:.2f} s CPU")
        assert size > 0


def scrape_cost(exporter: Exporter, encoding: str, times: int = 5) -> tuple[float, float, int]:
    """CPU seconds, wall seconds and bytes of one scrape."""
    request = Request(exporter.address + "/metrics", headers={"Accept": OPENMETRICS, "Accept-Encoding": encoding})
    cpu, clock = exporter.daemon.cpu_seconds(), time.monotonic()
    for _ in range(times):
        with urlopen(request, timeout=60) as response:
            size = len(response.read())
    return (exporter.daemon.cpu_seconds() - cpu) / times, (time.monotonic() - clock) / times, size


def test_updates_are_followed(full: Node, exporter: Exporter, report: list[str]) -> None:
    """Each update restarts one container of one pod; all are counted."""
    cpu, started = exporter.daemon.cpu_seconds(), time.monotonic()
    api = full.api
    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda number: restart(api, number), range(min(PODS, UPDATES))):
            pass
    rate = UPDATES / (time.monotonic() - started)
    time.sleep(2)
    used = exporter.daemon.cpu_seconds() - cpu
    report.append(f"scale: {UPDATES} updates at {rate:.0f}/s: {used / UPDATES * 1e6:.0f} µs CPU each")
    family = {"name": "pod_container_restarts_total", "namespace": NAMESPACE, "container": "main"}
    expected = min(PODS, UPDATES)
    wait_until(lambda: exporter.scrape().total(**family) == expected, f"{expected} restarts are counted", 30, every=2)


def restart(api: Api, number: int) -> None:
    running = {"running": {"startedAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}}
    statuses = [container_status("main", 1, running), container_status("log-shipper", 0, running)]
    api.patch(f"{pod_path(number)}/status", {"status": {"containerStatuses": statuses}})


def test_memory_has_not_grown_since(exporter: Exporter, figures: Figures, report: list[str]) -> None:
    grown = exporter.daemon.resident_bytes() - figures.resident
    report.append(f"scale: {grown / MIB:+.0f} MiB resident after scrapes and updates")
    assert grown < 60 * MIB + figures.resident / 2
