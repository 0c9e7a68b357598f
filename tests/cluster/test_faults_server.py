"""The API server or its etcd fails: killed, stopped, overloaded, or past the version at which a watch would go on."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.cluster.api import RefusedError, wait_until
from tests.cluster.daemon import Daemon
from tests.cluster.exporter_process import COMMAND
from tests.cluster.followed import Followed
from tests.cluster.scene import ACCOUNT, LONG, NAMES, NAMESPACE, Scene

pytestmark = pytest.mark.cluster
FLOW = "flowcontrol.apiserver.k8s.io"
FOLLOWED = ("pods", "events", "jobs", "replicasets")
LARGE_PODS = 50
LIFE = 1.5
"""Seconds that life goes on before a fault and after it."""


def test_a_killed_api_server_is_followed_when_it_is_back(followed: Followed, scene: Scene) -> None:
    """It remembers no version from before its start, so a list may have to tell what came between."""
    with followed.fleet.living(NAMES):
        time.sleep(LIFE)
        scene.node.restart_api_server(away=3)
        assert followed.exporter.readiness() == 200
        time.sleep(LIFE)
    assert followed.told("watch_restarts_total", reason="connection", resource="pods") > 0
    followed.has_sums()
    ends = {one: followed.told("watch_restarts_total", reason="end", resource=one) for one in FOLLOWED}
    wait_until(
        lambda: all(followed.told("watch_restarts_total", reason="end", resource=one) > n for one, n in ends.items()),
        "a watch of each resource has stood until its end, so what had to be listed anew has been",
    )
    followed.is_well()


def test_an_api_server_that_hangs_is_given_up_and_asked_again(followed: Followed, scene: Scene) -> None:
    with followed.fleet.living(NAMES):
        time.sleep(LIFE)
        with stopped(scene.node.daemons["api"]):
            followed.is_told("watch_restarts_total", reason="silence", resource="pods")
        time.sleep(LIFE)
    followed.without_loss()


def test_an_etcd_that_hangs_is_waited_for(followed: Followed, scene: Scene) -> None:
    with followed.fleet.living(NAMES):
        time.sleep(LIFE)
        with stopped(scene.node.daemons["etcd"]):
            time.sleep(6)
            assert followed.exporter.readiness() == 200
        time.sleep(LIFE)
    followed.has_sums()
    followed.is_well()


def test_a_version_too_old_is_made_good_by_a_list(followed: Followed, scene: Scene) -> None:
    """410: of each pod's two restarts only the newer one has left a trace; sums are exact all the same."""
    fleet = followed.fleet
    fleet.create("old-0")
    runs = {"namespace": fleet.namespace, "workload": "old-0", "to": "Running"}
    wait_until(lambda: followed.exporter.scrape().total("pod_phase_transitions_total", **runs), "old-0 is known to run")
    followed.has_all()
    with unreached(scene):
        for name in NAMES:
            fleet.restart(name, "OOMKilled", 137)
            fleet.restart(name, "Error", 3)
            fleet.warn(name, "BackOff")
        fleet.delete("old-0")
        fleet.create("young-0")
        scene.compact()
        scene.node.restart_api_server()
    followed.is_told("relists_total", reason="expired", resource="pods")
    followed.is_told("relists_total", reason="expired", resource="events")
    followed.has_sums()
    assert followed.told("unobserved_restarts_total") == len(NAMES)
    assert followed.told("unobserved_deletions_total") == 1
    assert {reason for _, reason in followed.counts().restarts} == {"Error", "Unobserved"}
    followed.is_well()


def test_events_past_a_compaction_are_listed_anew_and_pods_are_not(followed: Followed, scene: Scene) -> None:
    """Events have no watch cache: etcd itself has forgotten the version."""
    with unreached(scene):
        for name in NAMES:
            followed.fleet.warn(name, "BackOff")
            followed.fleet.restart(name)
        scene.compact()
    followed.is_told("relists_total", reason="expired", resource="events")
    followed.has_all()
    assert followed.told("relists_total", resource="pods") == 0
    followed.is_well()


def test_a_storm_of_429_is_waited_out(followed: Followed, scene: Scene) -> None:
    """Priority and fairness has no seat for the exporter: each of its requests is refused, with Retry-After."""
    with followed.fleet.living(NAMES):
        with crowded_out(scene):
            scene.proxy.cut("FIN")
            followed.is_told("watch_restarts_total", reason="throttled", resource="pods")
            followed.is_told("watch_restarts_total", reason="throttled", resource="events")
            before = followed.told("watch_restarts_total", reason="throttled")
            time.sleep(5)
            assert followed.told("watch_restarts_total", reason="throttled") - before <= 24, "once a second and watch"
            assert followed.exporter.readiness() == 200
        time.sleep(LIFE)
    followed.without_loss()


@pytest.mark.skipif(not LONG, reason="takes five minutes by the real limits: POD_EXPORTER_LONG=1")
def test_an_api_server_away_for_minutes_is_followed_by_the_real_limits(
    followed: Followed, scene: Scene, folder: Path
) -> None:
    with closing(scene.start_exporter(folder, name="patient", command=COMMAND)) as patient:
        real = scene.follow(patient)
        with followed.fleet.living(NAMES):
            time.sleep(LIFE)
        with stopped(scene.node.daemons["etcd"]):
            scene.node.daemons["api"].stop(signal.SIGKILL)
            time.sleep(200)
            assert patient.readiness() == 200
        scene.node.restart_api_server()
        with followed.fleet.living(NAMES):
            time.sleep(LIFE)
        real.has_sums(120)
        real.is_well()


@contextmanager
def stopped(daemon: Daemon) -> Iterator[None]:
    """The process stands still."""
    os.kill(daemon.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(daemon.pid, signal.SIGCONT)


@contextmanager
def unreached(scene: Scene) -> Iterator[None]:
    """The exporter is cut off from the API server, the test is not."""
    scene.proxy.refuse()
    scene.proxy.cut()
    try:
        yield
    finally:
        scene.heal()


@contextmanager
def crowded_out(scene: Scene) -> Iterator[None]:
    """The exporter's account has one seat at the API server, and a client that does not read its answer sits on it."""
    common = {"apiVersion": f"{FLOW}/v1", "metadata": {"name": "one-seat"}}
    limited = {"nominalConcurrencyShares": 0, "lendablePercent": 0, "borrowingLimitPercent": 0}
    level = {"type": "Limited", "limited": {**limited, "limitResponse": {"type": "Reject"}}}
    scene.api.create({**common, "kind": "PriorityLevelConfiguration", "spec": level})
    subject = {"kind": "ServiceAccount", "serviceAccount": {"namespace": NAMESPACE, "name": ACCOUNT}}
    rules = [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": True, "namespaces": ["*"]}]
    flow = {"priorityLevelConfiguration": {"name": "one-seat"}, "matchingPrecedence": 2}
    schema = {**flow, "rules": [{"subjects": [subject], "resourceRules": rules}]}
    scene.api.create({**common, "kind": "FlowSchema", "spec": schema})
    try:
        with unread_answer(scene):
            wait_until(lambda: is_refused(scene), "the exporter's account is refused", 20)
            yield
    finally:
        for kind in ("flowschemas", "prioritylevelconfigurations"):
            scene.api.delete(f"/apis/{FLOW}/v1/{kind}/one-seat")


@contextmanager
def unread_answer(scene: Scene) -> Iterator[None]:
    """A list of more bytes than the buffers on the way hold, asked for by the exporter's account and not read."""
    for number in range(LARGE_PODS):
        scene.fleet.create(f"bulk-{number}", annotations={"example.com/filler": "x" * 250_000})
    tls = ssl.create_default_context(cafile=str(scene.node.certificate))
    lines = ("GET /api/v1/pods HTTP/1.1", "Host: localhost", f"Authorization: Bearer {scene.token.read_text()}")
    while True:
        with socket.socket() as plain:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            plain.connect(("127.0.0.1", scene.node.ports.api))
            with tls.wrap_socket(plain, server_hostname="localhost") as client:
                client.sendall("\r\n".join((*lines, "", "")).encode())
                if client.recv(100).startswith(b"HTTP/1.1 200"):
                    yield
                    return
        time.sleep(0.2)  # the exporter itself had the seat just then


def is_refused(scene: Scene) -> bool:
    try:
        scene.as_exporter().get("/api/v1/pods", limit="1")
    except RefusedError as error:
        return error.status == 429
    return False
