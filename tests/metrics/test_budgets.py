"""What a pod may cost. Absolute numbers, so that whoever makes a record or a row larger has to say so here."""

from __future__ import annotations

import gc
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from time import process_time
from typing import Any, TypeAlias

import msgspec
import pytest

from exporter.core import Core
from exporter.objects import Applied, Listed, Pod

PODS, PER_WORKLOAD = 2000, 10
NOW = 1795381600.0
DECODE = msgspec.json.Decoder(Pod).decode
PROBES: dict[str, Any] = {f"{kind}Probe": {"httpGet": {"path": "/"}} for kind in ("liveness", "readiness", "startup")}
RESOURCES = {"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"cpu": "2", "memory": "4Gi"}}
Measured: TypeAlias = tuple[Core, float, float]


def status(i: int, name: str, restarts: int) -> dict[str, Any]:
    ended = {"exitCode": 137, "reason": "OOMKilled", "startedAt": "2026-11-22T10:00:05Z"}
    ended |= {"finishedAt": "2026-11-22T10:00:45Z", "containerID": f"containerd://{i:062x}{restarts - 1:02x}"}
    return {
        "name": name,
        "ready": True,
        "started": True,
        "restartCount": restarts,
        "containerID": f"containerd://{i:062x}{restarts:02x}",
        "image": f"registry.example.org/models/{name}:1.4.2",
        "imageID": f"registry.example.org/models/{name}@sha256:{7:064x}",
        "state": {"running": {"startedAt": "2026-11-22T10:01:00Z"}},
        "lastState": {"terminated": ended} if restarts else {},
    }


def pod(i: int, containers: tuple[str, ...] = ("main", "log-shipper"), restarts: int = 1) -> bytes:
    """A running pod of a StatefulSet as the API server writes it; bytes, so that no string is shared by accident."""
    conditions = ("PodScheduled", "PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready")
    workload = f"model-server-{i // PER_WORKLOAD:04d}"
    return msgspec.json.encode(
        {
            "metadata": {
                "name": f"{workload}-{i % PER_WORKLOAD}",
                "namespace": f"team-{i // PER_WORKLOAD % 20}",
                "uid": f"3f1c6f7e-5a33-4c1e-9d4e-{i:012x}",
                "creationTimestamp": "2026-11-22T10:00:00Z",
                "labels": {"app": workload, "controller-revision-hash": f"{workload}-5f7d9c"},
                "ownerReferences": [{"kind": "StatefulSet", "name": workload, "uid": "o", "controller": True}],
            },
            "spec": {
                "nodeName": f"ip-10-0-3-{i % 50}.eu-west-1.compute.internal",
                "serviceAccountName": "default",
                "priorityClassName": "high",
                "containers": [{"name": name, "resources": RESOURCES} | PROBES for name in containers],
            },
            "status": {
                "phase": "Running",
                "qosClass": "Burstable",
                "startTime": "2026-11-22T10:00:01Z",
                "conditions": [
                    {"type": kind, "status": "True", "lastTransitionTime": "2026-11-22T10:00:03Z"}
                    for kind in conditions
                ],
                "containerStatuses": [status(i, name, restarts) for name in containers],
            },
        }
    )


def tracked() -> int:
    gc.collect()
    return len(gc.get_objects())


def scrape(core: Core) -> Iterator[str]:
    return iter(b"".join(core.exposition(NOW + 900, openmetrics=True)).decode().splitlines())


@pytest.fixture(scope="module")
def measured() -> Measured:
    """A core with many pods, and what each of them took: bytes, and objects that the garbage collector must visit."""
    lines = [pod(i) for i in range(PODS)]
    core = Core()
    core.apply(Listed(Pod, "", frozenset(), NOW - 1e9), NOW)
    for line in lines[:PER_WORKLOAD]:  # what the first ones bring with them is nobody's share
        core.apply(Applied(DECODE(line)), NOW)
    objects = tracked()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for line in lines:
        core.apply(Applied(DECODE(line)), NOW)
    list(scrape(core))
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return core, (after - before) / PODS, (tracked() - objects) / PODS


def test_a_pod_with_its_share_of_an_account_takes_less_than_8_kilobytes(measured: Measured) -> None:
    _, size, _ = measured
    assert size < 8192


def test_the_garbage_collector_has_hardly_anything_to_visit(measured: Measured) -> None:
    _, _, objects = measured
    assert objects < 3 / PER_WORKLOAD


def test_a_second_look_at_the_same_pods_takes_nothing_more(measured: Measured) -> None:
    core, _, _ = measured
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for i in range(500):
        core.apply(Applied(DECODE(pod(i))), NOW + 1)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    rows = sum(len(chunk) for row in core._rows.snapshot()[:500] for chunk in row)  # made anew, and traced only now
    assert (after - before - rows) / 500 < 4096


def seconds(containers: int) -> float:
    """CPU time in which one new pod is taken in, and two updates that change all its containers."""
    core = Core()
    core.apply(Listed(Pod, "", frozenset(), NOW - 1e9), NOW)
    line = pod(0, tuple(f"c{i}" for i in range(containers)))
    running = b'{"running":{"startedAt":"2026-11-22T10:01:00Z"}}'
    lines = [line, *(line.replace(running, b'{"waiting":{"reason":"%s"}}' % reason) for reason in (b"A", b"B"))]
    changes = [Applied(DECODE(one)) for one in lines]
    begun = process_time()
    for change in changes:
        core.apply(change, NOW)
    return process_time() - begun


def test_a_pod_takes_as_long_as_it_has_containers_however_many_they_are() -> None:
    """Every container adds some series to the same account; nothing may look through all of them each time."""
    few, many = (min(seconds(containers) for _ in range(3)) for containers in (400, 3200))
    assert many < 2.5 * 8 * few


def simple(containers: tuple[str, ...] = ("main",)) -> Counter[str]:
    """Series by family of one healthy pod that is new, so that all its past is counted."""
    core = Core(birth_hold=0)
    core.apply(Listed(Pod, "", frozenset(), NOW - 1e9), NOW)
    core.apply(Applied(DECODE(pod(0, containers, restarts=0))), NOW)
    lines = [line for line in scrape(core) if line.startswith("pod_") and not line.startswith("pod_exporter_")]
    assert sum(core.vitals.series().values()) == len(lines)
    return Counter("rows" if 'pod="' in line else "ledger" if 'workload="' in line else "shared" for line in lines)


def test_a_simple_pod_has_at_most_10_rows() -> None:
    assert 5 <= simple()["rows"] <= 10


def test_a_workload_of_one_container_has_at_most_75_series() -> None:
    assert 5 <= simple()["ledger"] <= 75


def test_a_further_container_adds_at_most_10_series_and_5_for_each_probe_to_its_workload() -> None:
    assert simple(("main", "second"))["ledger"] - simple()["ledger"] <= 10 + 3 * 5
