"""True courses of pods: what happens to one between its creation and its end, and the updates that tell of it.

A course knows what is true independently of the product: each fact is noted when it happens, with the update that is
the first to show it. All times are whole seconds after T0, as the API gives them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
from hypothesis import strategies as st

from exporter.lifecycle.observations import (
    ConditionChanged,
    CrashLoopBegan,
    CrashLoopEnded,
    GracePeriodExceeded,
    Observation,
    PodDisrupted,
    PodTerminated,
    ReadinessLost,
    ReadinessRegained,
    SchedulingFailed,
    StartupFailed,
    StartupFinished,
)
from exporter.objects import Pod
from tests.lifecycle.builders import at

Json: TypeAlias = dict[str, Any]
Fact: TypeAlias = tuple[Any, ...]
GATE = "example.com/lb"
GRACE = 30
CALM = 600
"""Seconds after which a container that has run on is out of its crash loop."""
FOLLOWED = ("Ready", "DisruptionTarget", GATE)
BLOCKS = {
    "insufficient_cpu": "0/3 nodes are available: 3 Insufficient cpu. preemption: 0/3 nodes are available.",
    "taint": "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint(s).",
    "volume": "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
}
LOW = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 68Mi. "
DECODE = msgspec.json.Decoder(Pod).decode


class Course:
    """A pod of one container with a readiness probe and a readiness gate."""

    def __init__(self) -> None:
        self.now = 0
        self.shots: list[tuple[int, Pod]] = []
        """What the API shows, and when."""
        self.truth: list[tuple[int, Fact]] = []
        """What is true, and which update shows it."""
        self.gone_at: int | None = None
        self.conditions: dict[str, Json] = {}
        self.containers: list[Json] = []
        self.status: Json = {"phase": "Pending"}
        self.metadata: Json = {}
        self.node = ""
        self.runs = self.running_since = 0
        self.loop_since: int | None = None
        self.close = False
        """Something happened within 5 s before a crash loop would have been over."""
        self.end: Json = {}

    def __repr__(self) -> str:
        """What matters when a test fails."""
        return f"<shown at {[now for now, _ in self.shots]}, gone at {self.gone_at}, true: {self.truth}>"

    def show(self) -> None:
        """The API shows all that has happened."""
        self.settle()
        spec = {"nodeName": self.node, "containers": [{"name": "main", "readinessProbe": {"exec": {}}}]}
        metadata = {"name": "web-0", "namespace": "shop", "uid": "uid-0", "creationTimestamp": at(0), **self.metadata}
        status = {**self.status, "conditions": list(self.conditions.values()), "containerStatuses": self.containers}
        body = {"metadata": metadata, "spec": {**spec, "readinessGates": [{"conditionType": GATE}]}, "status": status}
        self.shots.append((self.now, DECODE(msgspec.json.encode(deepcopy(body)))))

    def settle(self) -> None:
        """A container that has run on for long enough is out of its loop, although no update tells that."""
        runs = bool(self.containers) and "running" in self.containers[0]["state"]
        ran = self.now - self.running_since if runs and self.loop_since is not None else 0
        self.close |= CALM - 5 < ran < CALM
        if self.loop_since is not None and ran >= CALM:
            self.truth.append((len(self.shots) - 1, ("loop ended", self.running_since - self.loop_since)))
            self.loop_since = None

    def note(self, *fact: Any) -> None:
        """Something is true that the next update will show."""
        self.truth.append((len(self.shots), fact))

    def turn(self, kind: str, status: str, reason: str = "", message: str = "") -> None:
        """A condition is written."""
        before = self.conditions.get(kind)
        changed = before is None or before["status"] != status
        since = at(self.now) if changed or before is None else before["lastTransitionTime"]
        self.conditions[kind] = {
            "type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": since,
        }  # fmt: skip
        told = changed and (before is not None or status == "True") and reason not in ("PodFailed", "PodCompleted")
        if kind in FOLLOWED and told:
            self.note("condition", kind, status, reason)

    def unready(self, reason: str = "ContainersNotReady") -> None:
        if reason in ("ContainersNotReady", "PodFailed"):
            self.turn("ContainersReady", "False", reason)
        self.turn("Ready", "False", reason)

    def run(self, *, ready: bool) -> None:
        """A new instance runs."""
        self.containers = [
            {
                "name": "main", "ready": ready, "started": True, "restartCount": self.runs,
                "containerID": f"c{self.runs}", "state": {"running": {"startedAt": at(self.now)}},
                "lastState": {"terminated": self.end} if self.runs else {},
            }
        ]  # fmt: skip
        self.running_since = self.now

    def stop(self, code: int) -> None:
        """The instance ends."""
        self.settle()
        self.end = {
            "exitCode": code, "reason": "Error", "containerID": f"c{self.runs}",
            "startedAt": at(self.running_since), "finishedAt": at(self.now),
        }  # fmt: skip
        self.containers = [{**self.containers[0], "ready": False, "started": False, "state": {"terminated": self.end}}]

    # --- what can happen to a pod that is Ready; `seconds` is how long it lasts ------------------------------------

    def fail_probe(self, seconds: int) -> None:
        self.containers = [{**self.containers[0], "ready": False}]
        self.note("readiness lost", "main")
        self.unready()
        self.show()
        self.now += seconds
        self.containers = [{**self.containers[0], "ready": True}]
        self.regain("probe", seconds)

    def crash(self, seconds: int, *, backs_off: bool = True) -> None:
        ended = self.now
        self.stop(1)
        self.unready()
        self.show()
        self.now += seconds // 2
        if backs_off:
            waits = {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container=main"}
            last = {"state": {"waiting": waits}, "lastState": {"terminated": self.end}}
            self.containers = [{**self.containers[0], **last}]
            if self.loop_since is None:
                self.loop_since = ended
                self.note("loop began")
            self.show()
        self.now = ended + seconds
        self.runs += 1
        self.run(ready=True)
        self.regain("container_ended", seconds)

    def restart(self, seconds: int) -> None:
        self.crash(seconds, backs_off=False)

    def close_gate(self, seconds: int) -> None:
        self.turn(GATE, "False", "Unhealthy")
        self.show()
        self.unready("ReadinessGatesNotReady")
        self.show()
        self.now += seconds
        self.turn(GATE, "True", "Healthy")
        self.regain("readiness_gate", seconds)

    def lose_node(self, seconds: int) -> None:
        self.unready("")
        self.show()
        self.now += seconds
        self.regain("node_not_ready", seconds)

    def regain(self, cause: str, seconds: int) -> None:
        self.turn("ContainersReady", "True")
        self.turn("Ready", "True")
        self.note("regained", cause, seconds)
        self.show()

    def withdraw(self, seconds: int) -> None:
        """Somebody wants to take the pod away, and changes their mind."""
        self.turn("DisruptionTarget", "True", "PreemptionByScheduler")
        self.show()
        self.now += seconds
        self.turn("DisruptionTarget", "False", "")
        self.show()

    def calm_down(self, seconds: int) -> None:
        """It runs on, just long enough or not quite."""
        self.now += CALM - 45 + seconds
        self.show()

    # --- how it ends ----------------------------------------------------------------------------------------------

    def delete(self, seconds: int, *, late: bool) -> None:
        """Its deletion is asked for, its container stops, it is gone."""
        asked = self.now
        self.metadata |= {"deletionTimestamp": at(asked + GRACE), "deletionGracePeriodSeconds": GRACE}
        self.show()
        if late and self.containers and self.containers[0]["ready"]:  # a probe that fails now is no readiness loss
            self.containers = [{**self.containers[0], "ready": False}]
            self.unready()
            self.show()
        self.now += GRACE if late else min(seconds, GRACE - 5)
        if self.containers and "running" in self.containers[0]["state"]:
            self.stop(137 if late else 143)
            if late:
                self.note("grace exceeded")
        self.unready("PodFailed")
        self.status["phase"] = "Failed"
        self.show()
        self.now += 1
        self.metadata |= {"deletionTimestamp": at(self.now), "deletionGracePeriodSeconds": 0}
        self.show()
        self.note("terminated", self.now - asked)
        self.end_loop()
        self.gone_at = self.now

    def take(self, seconds: int) -> None:
        """Somebody evicts it through the API."""
        self.turn("DisruptionTarget", "True", "EvictionByEvictionAPI")
        self.show()
        self.note("disrupted", "EvictionByEvictionAPI", "")
        self.delete(seconds, late=False)

    def evict(self, seconds: int) -> None:
        """The kubelet evicts it; what is left is deleted later."""
        self.now += seconds
        self.stop(137)
        self.turn("DisruptionTarget", "True", "TerminationByKubelet")
        self.unready("PodFailed")
        self.status |= {"phase": "Failed", "reason": "Evicted", "message": LOW}
        self.note("disrupted", "NodePressureEviction", "memory")
        self.end_loop()
        self.show()
        self.now += 60
        self.metadata |= {"deletionTimestamp": at(self.now), "deletionGracePeriodSeconds": 0}
        self.show()
        self.gone_at = self.now

    def end_loop(self) -> None:
        if self.loop_since is not None:
            self.note("loop ended", self.now - self.loop_since)
            self.loop_since = None


@dataclass
class Way:
    """How a start goes: seconds until each boundary, and what is in its way."""

    gated: int
    blocks: list[str]
    lengths: list[int]
    given_up: int
    """After which boundary its deletion is asked for; beyond the last: never."""


def begin(course: Course, way: Way) -> bool:
    """Create the pod and bring it to its first Ready; whether it got there."""
    ends: dict[str, int] = {}
    if way.gated:
        course.turn("PodScheduled", "False", "SchedulingGated")
    course.show()
    if way.gated:
        course.now += way.gated
        ends["gated"] = course.now
        del course.conditions["PodScheduled"]
        course.show()
    for cause in way.blocks:
        course.turn("PodScheduled", "False", "Unschedulable", BLOCKS[cause])
        course.note("unscheduled", cause)
        course.show()
        course.now += 5
    for number, (stage, step) in enumerate(STEPS):
        if number == way.given_up:
            give_up(course, stage)
            return False
        course.now += way.lengths[number]
        step(course)
        ends[stage] = course.now
        if number < len(STEPS) - 1:
            course.show()
    clocks = [0, *ends.values()]
    stages = {stage: end - begun for (stage, end), begun in zip(ends.items(), clocks, strict=False)}
    course.note("started", course.now, tuple(stages.items()))
    course.show()
    return True


def give_up(course: Course, stage: str) -> None:
    """The pod is deleted before it was Ready: after a minute that is a failure."""
    course.now += 20
    if course.now > 60:
        course.note("start failed", stage)
    course.delete(3, late=False)


def _schedule(course: Course) -> None:
    course.node = "node-1"
    course.turn("PodScheduled", "True")


def _sandbox(course: Course) -> None:
    course.status["startTime"] = at(course.now)
    course.turn("PodReadyToStartContainers", "True")
    course.turn("Ready", "False", "ContainersNotReady")


def _start(course: Course) -> None:
    course.status["phase"] = "Running"
    course.run(ready=False)


def _become_ready(course: Course) -> None:
    course.containers = [{**course.containers[0], "ready": True}]
    for kind in ("ContainersReady", GATE, "Ready"):
        course.turn(kind, "True")


STEPS: tuple[tuple[str, Callable[[Course], None]], ...] = (
    ("scheduling", _schedule),
    ("sandbox", _sandbox),
    ("init", lambda course: course.turn("Initialized", "True")),
    ("start", _start),
    ("readiness", _become_ready),
)
DEEDS = ("fail_probe", "crash", "restart", "close_gate", "lose_node", "withdraw", "calm_down")
SECONDS = st.integers(1, 90)


@st.composite
def courses(draw: st.DrawFn) -> Course:
    course = Course()
    way = Way(
        draw(st.sampled_from((0, 0, 7, 80))),
        draw(st.lists(st.sampled_from(tuple(BLOCKS)), max_size=3)),
        draw(st.lists(st.integers(0, 40), min_size=len(STEPS), max_size=len(STEPS))),
        draw(st.sampled_from((*range(len(STEPS)), 9, 9, 9, 9, 9, 9, 9, 9))),
    )
    way.blocks = [cause for n, cause in enumerate(way.blocks) if n == 0 or cause != way.blocks[n - 1]]
    if not begin(course, way):
        return course
    for deed, seconds in draw(st.lists(st.tuples(st.sampled_from(DEEDS), SECONDS), max_size=6)):
        course.now += draw(st.integers(1, 20))
        getattr(course, deed)(seconds)
    course.now += 10
    course.settle()
    end, seconds = draw(st.sampled_from(("nothing", "deletion", "late", "take", "evict"))), draw(SECONDS)
    if end in ("deletion", "late"):
        course.delete(seconds, late=end == "late")
    elif end != "nothing":
        getattr(course, end)(seconds)
    return course


TELLERS: dict[type[Observation], tuple[str, tuple[str, ...]]] = {
    ConditionChanged: ("condition", ("condition", "status", "reason")),
    ReadinessLost: ("readiness lost", ("container",)),
    ReadinessRegained: ("regained", ("cause", "seconds")),
    CrashLoopBegan: ("loop began", ()),
    CrashLoopEnded: ("loop ended", ("seconds",)),
    StartupFinished: ("started", ("seconds", "stages")),
    StartupFailed: ("start failed", ("stage",)),
    SchedulingFailed: ("unscheduled", ("cause",)),
    PodDisrupted: ("disrupted", ("reason", "resource")),
    GracePeriodExceeded: ("grace exceeded", ()),
    PodTerminated: ("terminated", ("seconds",)),
}


def facts(seen: Iterable[Observation]) -> list[Fact]:
    """Observations in the words of a course."""
    told = ((o, *TELLERS[type(o)]) for o in seen if type(o) in TELLERS)
    return [(word, *(getattr(o, name) for name in names)) for o, word, names in told]
