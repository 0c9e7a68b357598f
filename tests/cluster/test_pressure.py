"""A node that is short of memory: the kubelet evicts a pod, and turns others away, running ones too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import configs
from tests.cluster.api import wait_until
from tests.cluster.exporter_process import Exporter
from tests.cluster.node import Node
from tests.cluster.scenarios import SLEEP, container, placed, pod, spec, with_volume
from tests.cluster.scrape import Scrape
from tests.cluster.truth import Recorder

pytestmark = pytest.mark.cluster
NAMESPACE = "short"
DISRUPTIONS = "pod_disruptions_total"
TERMINATIONS = "pod_container_terminations_total"
LAST = {
    "apiVersion": "scheduling.k8s.io/v1",
    "kind": "PriorityClass",
    "metadata": {"name": "last"},
    "value": -1000,
    "description": "evicted before all others",
}


MIB = 1 << 20


def eats(memory: int) -> str:
    """A script that fills so many bytes of the volume in memory."""
    return f"dd if=/dev/zero of=/memory/x bs=1M count={memory // MIB}; {SLEEP}"


def create(node: Node, name: str, script: str = SLEEP, **more: Any) -> None:
    """A pod with a volume in memory."""
    mounts, volumes = with_volume("memory", {"medium": "Memory"})
    whole = spec(container("main", script, calm="", volumeMounts=mounts), volumes=volumes, **more)
    [created] = placed([pod(name, whole, namespace=NAMESPACE)], node.truth)
    node.api.create(created)


def await_phase(node: Node, name: str, phase: str) -> None:
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{name}"
    wait_until(lambda: node.api.get(path)["status"]["phase"] == phase, f"{name} is {phase}", 90)


def is_short(node: Node) -> bool:
    return any(c["type"] == "MemoryPressure" and c["status"] == "True" for c in node.status()["conditions"])


@contextmanager
def evicting_below(node: Node, memory: str) -> Iterator[None]:
    """A kubelet that wants so much memory to be left, then the usual one again."""
    node.stop_kubelet()
    try:
        node.start_kubelet(evicts_below=memory)
        yield
    finally:
        node.stop_kubelet()
        node.start_kubelet()
    wait_until(lambda: not is_short(node), "the node has memory again", 90)


@pytest.fixture(scope="module")
def scrape(node: Node, folder: Path) -> Iterator[Scrape]:
    node.create_namespace(NAMESPACE)
    node.api.create(LAST)
    recorder = Recorder(node.api, NAMESPACE, folder)
    recorder.start()
    with closing(Exporter(folder, node.kubeconfig())) as exporter:
        exporter.start().wait_ready()
        available = node.available_memory()
        left = min(2048 * MIB, available // 4)  # other processes of the machine come and go
        with evicting_below(node, str(available - left)):
            create(node, "greedy", eats(3 * left), priorityClassName="last")
            await_phase(node, "greedy", "Failed")
        create(node, "resident")
        await_phase(node, "resident", "Running")
        with evicting_below(node, "99%"):
            await_phase(node, "resident", "Failed")
            wait_until(lambda: is_short(node), "the node says that it is short", 60)
            create(node, "late", nodeName=configs.NODE)
            await_phase(node, "late", "Failed")
        wait_until(lambda: exporter.scrape().total(DISRUPTIONS, namespace=NAMESPACE) >= 3, "all were counted", 20)
        wait_until(lambda: exporter.scrape().total(TERMINATIONS, namespace=NAMESPACE) >= 2, "both ends were seen", 60)
        yield exporter.scrape()
    recorder.stop()


def test_an_eviction_by_the_node_is_told_with_what_it_was_short_of(scrape: Scrape) -> None:
    assert scrape.by("reason", DISRUPTIONS, workload="greedy") == {"NodePressureEviction": 1}
    assert scrape.by("resource", DISRUPTIONS, workload="greedy") == {"memory": 1}
    assert scrape.total("pod_events_total", workload="greedy", reason="Evicted") == 1


def test_an_evicted_container_was_stopped_with_its_pod(scrape: Scrape) -> None:
    assert scrape.by("reason", TERMINATIONS, workload="greedy") == {"PodStopped": 1}
    assert scrape.total("pod_container_restarts_total", workload="greedy") == 0


def test_a_pod_that_the_kubelet_turns_away_is_a_disruption_of_its_own(scrape: Scrape) -> None:
    assert scrape.by("reason", DISRUPTIONS, workload="late") == {"AdmissionRejected": 1}
    assert scrape.by("resource", DISRUPTIONS, workload="late") == {"memory": 1}
    assert scrape.total(TERMINATIONS, workload="late") == 0
    assert scrape.total("pod_phase_transitions_total", workload="late", to="Failed") == 1


def test_a_running_pod_is_disrupted_once_when_its_kubelet_starts_on_a_node_under_pressure(scrape: Scrape) -> None:
    """Whichever comes first: the kubelet turns it away, as if it were new, or evicts it.

    A kubelet that turned it away may be stopped before it shows the container's end, and the next one no longer finds
    the container.
    """
    [(reason, times)] = scrape.by("reason", DISRUPTIONS, workload="resident").items()
    assert (reason in ("AdmissionRejected", "NodePressureEviction"), times) == (True, 1)
    assert scrape.by("resource", DISRUPTIONS, workload="resident") == {"memory": 1}
    [(end, ends)] = scrape.by("reason", TERMINATIONS, workload="resident").items()
    assert (end in ("PodStopped", "ContainerStatusUnknown"), ends) == (True, 1)
