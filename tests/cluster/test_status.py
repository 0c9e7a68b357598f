"""STATUS as kubectl prints it: the real API server's own Table answer is the oracle."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

from exporter.lifecycle.status import kubectl_status
from exporter.objects import Pod
from tests.cluster.api import Api, Object, RefusedError
from tests.cluster.node import Node, StartNode

pytestmark = pytest.mark.cluster
PODS = int(os.environ.get("POD_EXPORTER_STATUSES", "2200"))
ACCEPTED = 2000
SEED = 20261122
NAMESPACE = "statuses"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
WAITING = ("", "PodInitializing", "ContainerCreating", "CrashLoopBackOff", "ErrImagePull", "CreateContainerConfigError")
ENDED = ("", "Completed", "Error", "OOMKilled", "ContainerStatusUnknown", "StartError")
REASONS = ("", "", "", "Evicted", "NodeLost", "DeadlineExceeded", "Preempting", "UnexpectedAdmissionError")


@pytest.fixture(scope="module")
def bare(start_node: StartNode) -> Iterator[Node]:
    with start_node(control=False) as node:
        node.create_namespace(NAMESPACE)
        yield node


def state(draw: random.Random) -> Object:
    """Any state of a container, none at all included."""
    kind = draw.choice(("running", "waiting", "terminated", "terminated", "none"))
    if kind == "running":
        return {"running": {"startedAt": "2026-11-22T10:00:00Z"}}
    if kind == "waiting":
        return {"waiting": {"reason": reason} if (reason := draw.choice(WAITING)) else {}}
    if kind == "none":
        return {}
    code = draw.choice((0, 0, 1, 137))
    ended: Object = {"exitCode": code, "reason": draw.choice(ENDED), "signal": draw.choice((0, 0, 9))}
    return {"terminated": ended}


def container_status(draw: random.Random, name: str) -> Object:
    return {
        "name": name, "image": "i", "imageID": "", "ready": draw.random() < 0.5, "restartCount": draw.randrange(3),
        "started": draw.choice((True, False)), "state": state(draw), "lastState": {},
    }  # fmt: skip


def spec(draw: random.Random) -> Object:
    inits = [
        {"name": f"init-{i}", "image": "i", **({"restartPolicy": "Always"} if draw.random() < 0.4 else {})}
        for i in range(draw.choice((0, 0, 1, 3)))
    ]
    apps = [{"name": f"app-{i}", "image": "i"} for i in range(draw.choice((1, 1, 2, 3)))]
    policy = draw.choice(("Always", "OnFailure", "Never"))
    return {"containers": apps, "initContainers": inits, "nodeName": "n1", "restartPolicy": policy}


def status(draw: random.Random, made: Object) -> Object:
    """A status that a kubelet could have written, or not: all that counts is that the API server takes it."""
    shown: dict[str, Any] = {"phase": draw.choice(("Pending", "Running", "Running", "Succeeded", "Failed", "Unknown"))}
    if reason := draw.choice(REASONS):
        shown["reason"] = reason
    kinds = ("PodScheduled", "Initialized", "Ready", "ContainersReady")
    conditions = [{"type": kind, "status": draw.choice(("True", "False"))} for kind in kinds if draw.random() < 0.7]
    if draw.random() < 0.1:
        conditions = [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}, *conditions[1:]]
    shown["conditions"] = [{**c, "lastTransitionTime": "2026-11-22T10:00:00Z"} for c in conditions]
    for part, key in (("initContainers", "initContainerStatuses"), ("containers", "containerStatuses")):
        names = [c["name"] for c in made[part]]
        shown[key] = [container_status(draw, name) for name in names if draw.random() < 0.95]
    return shown


def write(api: Api, number: int) -> bool:
    """Write one pod; give whether the API server accepted its status. A refused pod counts for nothing."""
    draw = random.Random(SEED * 100_000 + number)
    name, made = f"pod-{number}", spec(draw)
    held = draw.random() < 0.2
    metadata = {"name": name, "namespace": NAMESPACE, **({"finalizers": ["example.com/held"]} if held else {})}
    pods = f"/api/v1/namespaces/{NAMESPACE}/pods"
    created = api.request("POST", pods, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": made})
    try:
        api.request("PUT", f"{pods}/{name}/status", {**created, "status": status(draw, made)})
    except RefusedError as error:
        if error.status != 422:
            raise
        return False
    if held:
        api.request("DELETE", f"{pods}/{name}", {"gracePeriodSeconds": 0})
    return True


def test_status_is_what_the_api_server_prints_for_two_thousand_random_pods(bare: Node, report: list[str]) -> None:
    with ThreadPoolExecutor(8) as threads:
        accepted = dict(enumerate(threads.map(lambda number: write(bare.api, number), range(PODS))))
    pods = f"/api/v1/namespaces/{NAMESPACE}/pods"
    printed = {row["cells"][0]: row["cells"][2] for row in bare.api.request("GET", pods, accept=TABLE)["rows"]}
    items = bare.api.request("GET", pods)["items"]
    ours = {item["metadata"]["name"]: kubectl_status(msgspec.json.decode(json.dumps(item), type=Pod)) for item in items}
    taken = {f"pod-{number}" for number, fine in accepted.items() if fine}
    wrong = {name: (ours[name], printed[name]) for name in sorted(taken) if ours[name] != printed[name]}
    assert wrong == {}, f"seed {SEED}: (ours, the API server's)"
    classes = Counter(printed[name].split(":")[0] for name in taken)
    report.append(f"status: {len(taken)} accepted, {PODS - len(taken)} refused, {len(set(printed.values()))} kinds")
    assert len(taken) >= ACCEPTED
    assert {"Init", "Terminating", "Unknown", "Running", "Completed", "NotReady", "SchedulingGated"} <= classes.keys()
    assert {"Signal", "ExitCode", "Evicted", "CrashLoopBackOff", "Error"} <= classes.keys()
    inits = Counter(printed[name].split(":")[1].split("/")[0] for name in taken if printed[name].startswith("Init:"))
    assert {"Signal", "ExitCode", "OOMKilled", "CrashLoopBackOff", "0", "1"} <= inits.keys()
