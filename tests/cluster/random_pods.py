"""Random pods with statuses that a kubelet could have written, or not: the API server decides which it takes."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

from tests.cluster.api import Object

THEN = "2026-11-22T10:00:00Z"
NOWHERE = {"image": "i", "imageID": ""}
PHASES = ("Pending", "Running", "Running", "Succeeded", "Failed", "Unknown")
POD_REASONS = ("Evicted", "NodeLost", "NodeAffinity", "DeadlineExceeded", "Preempting", "OutOfcpu", "Terminated", "Odd")
CONDITIONS = (
    "PodScheduled",
    "PodReadyToStartContainers",
    "Initialized",
    "ContainersReady",
    "Ready",
    "example.com/gate",
)
CONDITION_REASONS = ("", "", "ContainersNotReady", "PodCompleted", "Unschedulable")
WAITING = (
    "", "", "PodInitializing", "PodInitializing", "ContainerCreating", "CrashLoopBackOff", "ErrImagePull",
    "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "ImageInspectError", "RegistryUnavailable",
    "SignatureValidationFailed", "CreateContainerConfigError", "CreateContainerError", "RunContainerError",
    "RestartingAllContainers", "Completed", "Odd",
)  # fmt: skip
ENDED = (
    "", "", "", "Completed", "Completed", "Completed", "Error", "OOMKilled", "StartError", "ContainerCannotRun",
    "ContainerStatusUnknown", "DeadlineExceeded", "Unknown", "Odd",
)  # fmt: skip


class Draft(NamedTuple):
    """A pod to be created, the status that is then written, and whether it is then deleted (a finalizer holds it)."""

    pod: Object
    status: Object
    deleted: bool


def draft(seed: int, number: int, namespace: str) -> Draft:
    """The same seed and number always make the same pod."""
    draw = random.Random(seed * 1_000_000 + number)
    spec, deleted = _spec(draw), draw.random() < 0.2
    metadata = {"name": f"pod-{number}", "namespace": namespace}
    held: Object = {"finalizers": ["example.com/held"]} if deleted else {}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {**metadata, **held}, "spec": spec}
    return Draft(pod, _status(draw, spec), deleted)


def _spec(draw: random.Random) -> Object:
    inits = [
        {"name": f"init-{i}", "image": "i", **({"restartPolicy": "Always"} if draw.random() < 0.4 else {})}
        for i in range(draw.choice((0, 0, 1, 2, 3)))
    ]
    spec: Object = {
        "containers": [{"name": f"app-{i}", "image": "i"} for i in range(draw.choice((1, 1, 2, 3)))],
        "initContainers": inits,
        "restartPolicy": draw.choice(("Always", "OnFailure", "Never")),
    }
    where = draw.random()
    if where < 0.1:  # a gated pod must not be bound
        spec["schedulingGates"] = [{"name": "example.com/wait"}]
    elif where < 0.9:
        spec["nodeName"] = "n1"
    return spec


def _status(draw: random.Random, spec: Object) -> Object:
    status: Object = {} if draw.random() < 0.02 else {"phase": draw.choice(PHASES)}
    if draw.random() < 0.3:
        status["reason"] = draw.choice(POD_REASONS)
    status |= _array(draw, "conditions", _conditions(draw, gated="schedulingGates" in spec))
    for kind, key in (("initContainers", "initContainerStatuses"), ("containers", "containerStatuses")):
        names = [container["name"] for container in spec[kind] if draw.random() < 0.95]
        names += draw.choices(("app-0", "init-0", "unknown"), k=int(draw.random() < 0.05))
        status |= _array(draw, key, [_container(draw, name) for name in names])
    if draw.random() < 0.1:
        status["ephemeralContainerStatuses"] = [_container(draw, "debugger")]
    return status


def _array(draw: random.Random, key: str, items: list[Object]) -> Object:
    """Usually all of it; now and then in another order, empty, null or missing."""
    if draw.random() < 0.1:
        draw.shuffle(items)
    odd = draw.random()
    if odd < 0.04:
        return {}
    return {key: None if odd < 0.06 else [] if odd < 0.08 else items}


def _conditions(draw: random.Random, *, gated: bool) -> list[Object]:
    conditions = [
        {
            "type": kind,
            "status": draw.choice(("True", "True", "False", "Unknown")),
            "reason": draw.choice(CONDITION_REASONS),
            "lastTransitionTime": THEN,
        }
        for kind in CONDITIONS
        if draw.random() < 0.75
    ]
    for condition in conditions:
        if condition["type"] == "PodScheduled" and draw.random() < (0.9 if gated else 0.05):
            condition["reason"] = "SchedulingGated"
    return conditions


def _container(draw: random.Random, name: str) -> Object:
    status = {"name": name, "ready": draw.random() < 0.6, "restartCount": draw.randrange(4), **NOWHERE}
    status |= draw.choice(({"started": True}, {"started": True}, {"started": False}, {}))
    return {**status, "state": _state(draw), "lastState": draw.choice(({}, _state(draw)))}


def _state(draw: random.Random) -> Object:
    """Any state of a container, none at all included."""
    kind = draw.choice(("running", "running", "waiting", "terminated", "terminated", "none"))
    state: dict[str, Any] = {}
    if kind == "running":
        state = {"running": {"startedAt": THEN}}
    elif kind == "waiting":
        state = {"waiting": {"reason": draw.choice(WAITING)}}
    elif kind == "terminated":
        end = {"exitCode": draw.choice((0, 0, 0, 1, 42, 137, 255)), "signal": draw.choice((0, 0, 0, 9, 15))}
        state = {"terminated": {**end, "reason": draw.choice(ENDED)}}
    return state
