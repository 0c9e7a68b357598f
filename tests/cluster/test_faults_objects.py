"""Odd objects that a real API server accepts: each costs at most itself, and the others' counts stay the truth."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.cluster.api import Object, RefusedError, wait_until
from tests.cluster.fleet import now
from tests.cluster.followed import Followed
from tests.cluster.random_pods import draft
from tests.cluster.scene import NAMES, NAMESPACE, Scene

pytestmark = pytest.mark.cluster
ODD = "odd"
"""The namespace of odd pods; those that must not suffer live in another one."""
PODS = f"/api/v1/namespaces/{ODD}/pods"
MOST = 2**31 - 1
NASTY = 'a"b\\c\nd{},=}\t\r\x00 é 🚀 # EOF'
LARGE = 400_000
SEED = 20261126
LAST = "9999-12-31T23:59:59Z"
TOO_LATE = "9999-12-31T23:59:59-01:00"
"""In UTC the year is 10000: the API server takes it and gives it out with five digits, which is no time of RFC 3339."""


def container(name: str = "main", restarts: int = 0, state: Object | None = None, **more: Any) -> Object:
    shown = state or {"running": {"startedAt": now()}}
    return {"name": name, "image": "i", "imageID": "i", "restartCount": restarts, "ready": True, "state": shown, **more}


def ended(**more: Any) -> Object:
    return {"terminated": {"exitCode": 1, "finishedAt": now(), "startedAt": now(), "containerID": "c://0", **more}}


STATUSES: dict[str, Callable[[], Object]] = {
    "the largest restartCount": lambda: {"containerStatuses": [container(restarts=MOST, lastState=ended())]},
    "a negative restartCount": lambda: {"containerStatuses": [container(restarts=-MOST)]},
    "times at the end of the calendar": lambda: {
        "startTime": LAST,
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": LAST}],
        "containerStatuses": [
            container(restarts=1, lastState=ended(startedAt="1971-01-01T00:00:00Z", finishedAt=LAST))
        ],
    },
    "times at its beginning": lambda: {
        "startTime": "0001-01-01T00:00:01Z",
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "0001-01-01T00:00:02Z"}],
        "containerStatuses": [container(restarts=1, lastState=ended(finishedAt="0001-01-01T00:00:01Z"))],
    },
    "a thousand containers": lambda: {"containerStatuses": [container(f"c{n}", n % 3) for n in range(1000)]},
    "one container a thousand times": lambda: {"containerStatuses": [container(restarts=n) for n in range(1000)]},
    "nasty texts": lambda: {
        "reason": NASTY,
        "message": NASTY,
        "containerStatuses": [
            container(state={"waiting": {"reason": NASTY, "message": NASTY}}, lastState=ended(reason=NASTY)),
            container(NASTY, image=NASTY, imageID=NASTY, containerID=NASTY),
        ],
        "conditions": [{"type": "Nasty", "status": "True", "reason": NASTY, "message": NASTY}],
    },
    "large texts": lambda: {
        "reason": "r" * LARGE,
        "containerStatuses": [
            container(state={"waiting": {"reason": "w" * LARGE}}, lastState=ended(reason="e" * 1000))
        ],
    },
    "a back-off of a million digits": lambda: {
        "containerStatuses": [
            container(state={"waiting": {"reason": "CrashLoopBackOff", "message": f"back-off {'1' * 10**6} x"}})
        ],
    },
    "a message of a million digits": lambda: {
        "conditions": [
            {"type": "PodScheduled", "status": "False", "message": f"0/1 nodes are available: {'1' * 10**6} x"}
        ],
    },
    "exit codes of all sizes": lambda: {
        "containerStatuses": [
            container(f"c{code}", 1, lastState=ended(exitCode=code)) for code in (-MOST, MOST, 255, 0)
        ]
    },
    "a phase that nobody knows": lambda: {"phase": "Melancholy", "containerStatuses": [container()]},
    "nothing at all": lambda: {"phase": "", "conditions": None, "containerStatuses": None},
}


def pod(name: str, **metadata: Any) -> Object:
    spec = {"containers": [{"name": "main", "image": "i"}], "nodeName": "node-1"}
    metadata = {"name": name, "namespace": ODD, **metadata}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def is_accepted(scene: Scene, path: str, status: Object) -> bool:
    try:
        scene.api.patch(path, {"status": status})
    except RefusedError as error:
        if error.status != 422:
            raise
        return False
    return True


@pytest.fixture(scope="module", autouse=True)
def odd(scene: Scene) -> None:
    scene.node.create_namespace(ODD)


def harmless(followed: Followed, *, unreadable: int = 0) -> None:
    """What holds after every odd object: it was taken in, the others are counted, and the answer is well formed."""
    followed.has_all()
    assert followed.told("decode_errors_total") == unreadable
    assert followed.told("faults_total") == followed.told("relists_total") == 0
    assert followed.told("watch_restarts_total", reason="protocol") == 0
    assert followed.exporter.scrape().duplicates() == []
    assert [followed.exporter.get(path).status for path in ("/livez", "/readyz", "/")] == [200, 200, 200]


@pytest.mark.parametrize("what", STATUSES)
def test_an_odd_status_costs_nobody_else_anything(followed: Followed, scene: Scene, what: str) -> None:
    name = f"odd-{list(STATUSES).index(what)}"
    with followed.fleet.living(NAMES):
        scene.api.create(pod(name))
        scene.api.patch(f"{PODS}/{name}/status", {"status": {"phase": "Running", "containerStatuses": [container()]}})
        scene.api.patch(f"{PODS}/{name}/status", {"status": STATUSES[what]()})
        time.sleep(0.5)
        scene.api.delete(f"{PODS}/{name}", force=True)
        time.sleep(0.2)
    harmless(followed)
    assert not followed.exporter.scrape().select("pod_info", pod=name)


def test_a_leap_to_the_largest_restart_count_is_counted_at_once(followed: Followed, scene: Scene) -> None:
    scene.api.create(pod("leap-0"))
    scene.api.patch(f"{PODS}/leap-0/status", {"status": {"containerStatuses": [container(containerID="c://0")]}})
    change = {
        "containerStatuses": [container(restarts=MOST, containerID="c://1", lastState=ended(containerID="c://9"))]
    }
    scene.api.patch(f"{PODS}/leap-0/status", {"status": change})
    family = {"name": "pod_container_restarts_total", "workload": "leap-0"}
    wait_until(lambda: followed.exporter.scrape().total(**family) == MOST, "all of them are counted", 20)
    assert followed.told("unobserved_restarts_total") == MOST - 1
    scene.api.delete(f"{PODS}/leap-0", force=True)
    harmless(followed)
    followed.is_as_before()


def test_a_time_that_cannot_be_read_costs_that_update_and_the_deletion_is_seen(
    followed: Followed, scene: Scene
) -> None:
    """The last good state stays until the next good update, or until the pod goes, in whatever state."""
    with followed.fleet.living(NAMES):
        scene.api.create(pod("late-0"))
        scene.api.patch(f"{PODS}/late-0/status", {"status": {"containerStatuses": [container(containerID="c://0")]}})
        bad = {"containerStatuses": [container(restarts=1, state={"running": {"startedAt": TOO_LATE}})]}
        scene.api.patch(f"{PODS}/late-0/status", {"status": bad})
        followed.is_told("decode_errors_total", resource="pods")
        assert followed.exporter.scrape().select("pod_info", pod="late-0")
        good = {"containerStatuses": [container(restarts=2, containerID="c://2", lastState=ended(containerID="c://1"))]}
        scene.api.patch(f"{PODS}/late-0/status", {"status": good})
        family = {"name": "pod_container_restarts_total", "workload": "late-0"}
        wait_until(lambda: followed.exporter.scrape().total(**family) == 2, "the good update is taken", 20)
        scene.api.patch(f"{PODS}/late-0/status", {"status": bad})
        scene.api.delete(f"{PODS}/late-0", force=True)
        wait_until(lambda: not followed.exporter.scrape().select("pod_info", pod="late-0"), "the pod is gone", 20)
    assert followed.told("unobserved_deletions_total") == 1
    harmless(followed, unreadable=4)  # a forced deletion is two lines: asked for, and gone


def test_odd_metadata_and_specs_cost_nobody_else_anything(followed: Followed, scene: Scene) -> None:
    owner = {"apiVersion": "v1", "uid": "u", "controller": True}
    pods = [
        pod("owned-0", ownerReferences=[{**owner, "kind": "Workflow", "name": f"x-{'2020-01-01-' * 20_000}"}]),
        pod(
            "owned-1", ownerReferences=[{**owner, "kind": NASTY.replace("\x00", ""), "name": NASTY.replace("\x00", "")}]
        ),
        pod("noted-0", annotations={"example.com/large": "x" * 250_000}),
        pod("named-0", labels={f"example.com/l{n}": "v" for n in range(2000)}),
    ]
    large = {name: str(2**63 - 1) for name in ("memory", "ephemeral-storage", "example.com/gpu")}
    asking = pod("asking-0")
    asking["spec"]["containers"] = [
        {"name": f"c{n}", "image": "i", "resources": {"requests": {**large, "cpu": "1e10"}, "limits": large}}
        for n in range(50)
    ]
    waiting = pod("waiting-0")
    waiting["spec"]["terminationGracePeriodSeconds"] = 2**62
    with followed.fleet.living(NAMES):
        for one in (*pods, asking, waiting):
            scene.api.create(one)
        time.sleep(1)
        scene.api.delete(f"{PODS}/waiting-0")
        time.sleep(0.5)
        harmless_scrape = followed.exporter.scrape()
        for one in (*pods, asking, waiting):
            scene.api.delete(f"{PODS}/{one['metadata']['name']}", force=True)
    assert harmless_scrape.duplicates() == []
    assert max(len(value) for s in harmless_scrape.samples for value in s.labels.values()) <= 1000
    harmless(followed)


def test_odd_events_cost_nobody_else_anything(followed: Followed, scene: Scene) -> None:
    uid = followed.fleet.pods["web-0"].uid
    subject = {"kind": "Pod", "namespace": NAMESPACE, "name": "web-0", "uid": uid}
    pulled = f'Successfully pulled image "a.example.com/x" in {"1" * 10**6}'
    odd: list[Object] = [
        {"reason": "Pulled", "type": "Normal", "message": pulled},
        {"reason": "Unhealthy", "type": "Normal", "message": "Liveness probe failed: " + "connection " * 90_000},
        {"reason": "Killing", "type": "Normal", "message": NASTY, "involvedObject": {**subject, "fieldPath": NASTY}},
        {"reason": "Unhealthy", "type": "Normal", "message": "Liveness probe failed: x", "count": -MOST},
        {"reason": "Unhealthy", "type": "Normal", "message": "Liveness probe failed: x", "lastTimestamp": LAST},
        {"reason": NASTY, "type": NASTY, "message": "", "involvedObject": {**subject, "uid": ""}},
        {"reason": "Unhealthy", "type": "Normal", "message": "Liveness probe failed: x", "firstTimestamp": TOO_LATE},
    ]
    with followed.fleet.living(NAMES):
        for number, event in enumerate(odd):
            metadata = {"name": f"web-0.odd{number}", "namespace": NAMESPACE}
            draft = {"apiVersion": "v1", "kind": "Event", "metadata": metadata, "involvedObject": subject}
            scene.api.create({**draft, "count": 1, **event})
        followed.is_told("decode_errors_total", resource="events")
        time.sleep(0.5)
    harmless(followed, unreadable=1)


def test_random_statuses_cost_nobody_else_anything(followed: Followed, scene: Scene, report: list[str]) -> None:
    """Whatever the API server accepts, in whatever order."""
    draw, taken, refused = random.Random(SEED), 0, 0
    with followed.fleet.living(NAMES, every=0.1):
        for number in range(40):
            made = scene.api.create(draft(SEED, number, ODD).pod)
            path = f"{PODS}/{made['metadata']['name']}"
            for _ in range(4):
                status = draft(SEED, draw.randrange(10**6), ODD).status
                accepted = is_accepted(scene, f"{path}/status", status)
                taken, refused = taken + accepted, refused + (not accepted)
            scene.api.patch(path, {"metadata": {"finalizers": None}})
            scene.api.delete(path, force=True)
    report.append(f"faults: {taken} random statuses taken, {refused} refused")
    assert taken > refused
    harmless(followed)
