"""A real API server that refuses watch-lists: its etcd is too old for them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.cluster.api import Object, wait_until
from tests.cluster.exporter_process import Exporter
from tests.cluster.node import Node, StartNode

pytestmark = pytest.mark.cluster
PODS = "/api/v1/namespaces/old/pods"


@pytest.fixture(scope="module")
def old(start_node: StartNode) -> Iterator[Node]:
    with start_node(control=False, etcd="debian") as node:
        node.create_namespace("old")
        for number in range(3):
            node.api.create(waiting_pod(f"before-{number}"))
        yield node


@pytest.fixture(scope="module")
def exporter(old: Node, folder: Path) -> Iterator[Exporter]:
    with closing(Exporter(folder, old.kubeconfig())) as exporter:
        yield exporter.start().wait_ready()


def waiting_pod(name: str) -> Object:
    spec = {"containers": [{"name": "main", "image": "none"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "old"}, "spec": spec}


def container_status(restarts: int, state: Object, last_state: Object) -> Object:
    status = {"name": "main", "image": "none", "imageID": "none", "restartCount": restarts}
    return {**status, "ready": "running" in state, "state": state, "lastState": last_state}


def pods_shown(exporter: Exporter) -> set[str]:
    return {sample.labels["pod"] for sample in exporter.scrape().select("pod_info", namespace="old")}


def test_this_api_server_refuses_watch_lists(old: Node) -> None:
    query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    event = json.loads(next(iter(old.api.watch("/api/v1/pods", **query))))
    assert (event["type"], event["object"]["code"]) == ("ERROR", 500)


def test_the_exporter_syncs_by_a_list(exporter: Exporter) -> None:
    assert pods_shown(exporter) == {"before-0", "before-1", "before-2"}
    assert exporter.scrape().total("pod_exporter_synced", resource="pods") == 1


def test_a_new_pod_is_seen(old: Node, exporter: Exporter) -> None:
    old.api.create(waiting_pod("later"))
    wait_until(lambda: "later" in pods_shown(exporter), "the new pod is shown", 10)


def test_a_restart_is_counted(old: Node, exporter: Exporter) -> None:
    old.api.create(waiting_pod("restarting"))
    ran = {"startedAt": "2026-01-01T00:00:00Z", "containerID": "containerd://1"}
    end = {**ran, "finishedAt": "2026-01-01T00:01:00Z", "exitCode": 3, "reason": "Error"}
    again = {"running": {"startedAt": "2026-01-01T00:01:10Z"}}
    first = {**container_status(0, {"running": {"startedAt": ran["startedAt"]}}, {}), "containerID": "containerd://1"}
    second = {**container_status(1, again, {"terminated": end}), "containerID": "containerd://2"}
    for status in (first, second):
        change = {"status": {"phase": "Running", "containerStatuses": [status]}}
        old.api.patch(f"{PODS}/restarting/status", change)
    restarts = {"workload": "restarting", "reason": "Error"}
    wait_until(
        lambda: exporter.scrape().total("pod_container_restarts_total", **restarts) == 1, "the restart is counted", 10
    )


def test_a_deleted_pod_is_gone(old: Node, exporter: Exporter) -> None:
    old.api.delete(f"{PODS}/before-0", force=True)
    wait_until(lambda: "before-0" not in pods_shown(exporter), "the deleted pod is gone", 10)


def test_a_crash_of_the_api_server_is_survived(old: Node, exporter: Exporter) -> None:
    old.restart_api_server(away=2)
    assert exporter.readiness() == 200
    old.api.create(waiting_pod("after-crash"))
    wait_until(lambda: "after-crash" in pods_shown(exporter), "the exporter has come back", 60)
