"""A static pod: its kubelet runs it from a file, and the API has only a picture of it, which can be made anew."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.cluster import configs
from tests.cluster.api import wait_until
from tests.cluster.exporter_process import Exporter
from tests.cluster.images import BUSYBOX
from tests.cluster.node import Node
from tests.cluster.story import failed_probes

pytestmark = pytest.mark.cluster
FAILURES = "pod_container_probe_failures_total"
PICTURE = f"/api/v1/namespaces/default/pods/guard-{configs.NODE}"
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "guard", "namespace": "default"},
    "spec": {
        "terminationGracePeriodSeconds": 1,
        "containers": [
            {
                "name": "main",
                "image": BUSYBOX,
                "imagePullPolicy": "Never",
                "command": ["sleep", "100000"],
                "readinessProbe": {"exec": {"command": ["test", "-e", "/nothing"]}, "periodSeconds": 1},
            }
        ],
    },
}


@pytest.fixture(scope="module")
def exporter(node: Node, folder: Path) -> Iterator[Exporter]:
    flags = ("--kubelet.probes", "--kubelet.insecure-skip-verify", "--kubelet.interval=1s")
    file = node.folder / "manifests" / "guard.json"
    with closing(Exporter(folder, node.kubeconfig(), *flags)) as exporter:
        exporter.start().wait_ready()
        file.write_text(json.dumps(POD))
        try:
            wait_until(lambda: told(exporter) >= 3, "its failures are told", 60)
            yield exporter
        finally:
            file.unlink()


def told(exporter: Exporter) -> float:
    return exporter.scrape().total(FAILURES, workload_kind="StaticPod", workload="guard", outcome="failed")


def true(node: Node) -> int:
    """By the kubelet, which calls the pod by the hash of its config."""
    config = node.api.get(PICTURE)["metadata"]["annotations"]["kubernetes.io/config.hash"]
    return failed_probes(node.probes())[config, "main", "readiness"]


def tells_what_is_true(node: Node, exporter: Exporter) -> None:
    before = true(node)
    wait_until(lambda: told(exporter) >= before, "what the kubelet has counted is told", 10)
    assert told(exporter) <= true(node)


def test_the_kubelets_count_of_failures_is_the_static_pods(node: Node, exporter: Exporter) -> None:
    tells_what_is_true(node, exporter)


def test_it_goes_on_when_the_picture_is_made_anew(node: Node, exporter: Exporter) -> None:
    old = node.api.get(PICTURE)["metadata"]["uid"]
    node.api.delete(PICTURE, force=True)
    wait_until(lambda: node.api.get(PICTURE)["metadata"]["uid"] != old, "the kubelet has made it anew", 120)
    tells_what_is_true(node, exporter)
    assert exporter.scrape().total("pod_container_restarts_total", workload="guard") == 0
