"""The simulation's book and its objects tell the same story, although neither is made from the other."""

import json
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import pytest

from exporter.simulator import Simulation, demo
from exporter.simulator.resources import PODS
from exporter.simulator.samples import app, template
from exporter.simulator.store import Event
from exporter.simulator.truth import Workload
from exporter.simulator.workloads import bare_pod

START = 1_795_381_620.0
REMOVED = "RestartingAllContainers"
AGAIN = {"PodSandboxChanged", "RestartAllContainers", "RestartRule"}
"""Causes of restarts that follow ends of another name: init containers had completed, a rule needs an exit code."""


class Reader:
    """Derives the counts from the watch alone, by the plainest possible reading of complete histories."""

    def __init__(self) -> None:
        self.pods: dict[str, Any] = {}
        self.phases: dict[str, str] = {}
        self.restarts = 0
        self.starts: set[str] = set()
        self.ends: set[tuple[str, str]] = set()
        self.lost = 0
        self.transitions: Counter[tuple[str, str]] = Counter()
        self.waits: Counter[str] = Counter()
        self.lines = 0

    def hear(self, event: Event) -> None:
        self.lines += 1
        pod = json.loads(event.version.body)
        uid = pod["metadata"]["uid"]
        before = self.pods.get(uid)
        self.containers(before, pod)
        was, now = self.phases.get(uid, "None"), phase(pod)
        if was not in (now, "Terminating"):
            self.transitions[was, now] += 1
            self.phases[uid] = now
        self.pods[uid] = pod
        if event.kind == "DELETED":
            del self.pods[uid]
            self.transitions[self.phases.pop(uid), "Deleted"] += 1
            mirror = "kubernetes.io/config.mirror" in pod["metadata"]["annotations"]  # its containers run on
            self.lost += sum("running" in status["state"] for status in statuses(pod)) * (not mirror)

    def containers(self, before: Any, pod: Any) -> None:
        past = {status["name"]: status for status in statuses(before)}
        for status in statuses(pod):
            old = past.get(status["name"], {"restartCount": 0, "state": {}})
            growth = status["restartCount"] - old["restartCount"]
            assert growth in (0, 1)
            self.restarts += growth
            if "running" in status["state"]:
                self.starts.add(status["containerID"])
            for state in (status["state"], status["lastState"]):
                ended = state.get("terminated", {})
                if ended.get("containerID"):
                    self.ends.add((ended["containerID"], str(ended["exitCode"])))
                    self.starts |= {ended["containerID"]} - ({ended["containerID"]} if never_ran(ended) else set())
            if "running" in old["state"] and status["state"].get("waiting", {}).get("reason") == REMOVED:
                self.ends.add((old["containerID"], ""))
            reason = status["state"].get("waiting", {}).get("reason", "")
            fresh = growth or reason != old["state"].get("waiting", {}).get("reason", "")
            if fresh and reason not in ("", "ContainerCreating", "PodInitializing"):
                self.waits[reason] += 1


def never_ran(ended: Any) -> bool:
    return str(ended["startedAt"]).startswith("1970")


def statuses(pod: Any) -> Iterator[Any]:
    for kind in ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"):
        yield from (pod or {"status": {}})["status"].get(kind, [])


def phase(pod: Any) -> str:
    name = str(pod["status"]["phase"])
    if name not in ("Succeeded", "Failed") and "deletionTimestamp" in pod["metadata"]:
        return "Terminating"
    return "ContainerCreating" if name == "Pending" and "nodeName" in pod["spec"] else name


@lru_cache
def watched(seed: int, minutes: int) -> tuple[Simulation, Reader]:
    """The demo and what a watch from before its first pod made of it; tests share one and only look."""
    return run(seed, minutes)


def run(seed: int, minutes: int) -> tuple[Simulation, Reader]:
    reader = Reader()
    sim = Simulation(seed=seed, start=START)
    with sim.store.following(PODS, reader.hear):
        demo(sim.cluster)
        sim.advance(minutes * 60)
    return sim, reader


@pytest.mark.parametrize("seed", [1, 2])
def test_half_an_hour_of_the_demo_adds_up(seed: int) -> None:
    sim, reader = watched(seed, 30)
    truth = sim.truth
    assert reader.lines > 2000
    assert truth.restarts.total() == reader.restarts
    assert truth.starts.total() == len(reader.starts)
    seen, unseen = Counter[str](), 0
    for labels, count in truth.terminations.items():
        if labels[-2] == "Unobserved":
            unseen += count
        else:
            seen[labels[-1]] += count
    assert seen == Counter(code for _, code in reader.ends)
    assert unseen == reader.lost > 0
    transitions: Counter[tuple[str, str]] = Counter()
    waits: Counter[str] = Counter()
    for labels, count in truth.transitions.items():
        transitions[labels[-2], labels[-1]] += count
    for labels, count in truth.waits.items():
        waits[labels[-1]] += count
    assert transitions == reader.transitions
    assert waits == reader.waits
    assert Counter(reader.phases.values()) == Counter(label for *_, label in Counter(truth.pods).elements())
    ready = [p for p in reader.pods.values() if phase(p) == "Running" and condition(p, "Ready") == "True"]
    assert sum(truth.ready_pods.values()) == len(ready)


def condition(pod: Any, kind: str) -> str:
    return next(str(c["status"]) for c in pod["status"]["conditions"] if c["type"] == kind)


def test_every_restart_has_exactly_one_termination_before_it() -> None:
    sim, _ = watched(1, 30)
    ended, restarted = Counter[tuple[str, ...]](), Counter[tuple[str, ...]]()
    for labels, count in sim.truth.terminations.items():
        ended[labels[:-1]] += count
        ended[labels[:-2]] += count
    for labels, count in sim.truth.restarts.items():
        restarted[labels[:-1]] += count
        assert ended[labels] >= count or labels[-1] in AGAIN
    assert all(ended[container] >= count for container, count in restarted.items())


def test_pods_come_and_go_by_their_transitions() -> None:
    sim, _ = watched(2, 30)
    balance: Counter[tuple[str, ...]] = Counter()
    for (*workload, before, after), count in sim.truth.transitions.items():
        balance[*workload, after] += count
        balance[*workload, before] -= count
    there = {labels: n for labels, n in balance.items() if n and labels[-1] not in ("None", "Deleted")}
    assert there == sim.truth.pods


def test_equal_seeds_give_equal_bytes_and_others_do_not() -> None:
    def bodies(seed: int) -> list[bytes]:
        return [version.body for version in run(seed, 2)[0].store.versions(PODS)]

    assert bodies(7) == bodies(7)
    assert bodies(7) != bodies(8)


def test_the_demo_shows_everything_within_two_minutes() -> None:
    sim, _ = watched(1, 2)
    causes = {labels[-1] for labels in sim.truth.restarts}
    assert causes == {"Completed", "Error", "LivenessProbe", "OOMKilled", "StartError", "StartupProbe"} | AGAIN | {
        "PostStartHook",
        "Resize",
    }
    assert {labels[-1] for labels in sim.truth.waits} == {
        "CrashLoopBackOff",
        "CreateContainerConfigError",
        "ErrImagePull",
        "ImagePullBackOff",
        "PostStartHookError",
        "RestartingAllContainers",
        "RunContainerError",
    }
    kinds = {"CronJob", "DaemonSet", "Deployment", "Job", "Pod", "PyTorchJob", "StatefulSet", "StaticPod"}
    assert {labels[1] for labels in sim.truth.transitions} == kinds
    assert {labels[-2] for labels in sim.truth.terminations} >= {"Completed", "PodStopped", "Unobserved"}
    assert sim.truth.readiness_losses
    assert sim.truth.pods["llm", "Pod", "llama-405b", "Pending"] == 1
    assert sim.truth.restarts["llm", "Deployment", "llm-with-monitoring", "model-download", "init", "Error"] == 1


def test_forgetting_keeps_the_pods() -> None:
    sim, _ = run(1, 1)
    pods = sim.truth.pods
    sim.truth.forget()
    assert not sim.truth.restarts
    assert not sim.truth.transitions
    assert sim.truth.pods == pods


def test_a_workload_without_ready_pods_is_0_not_absent() -> None:
    sim = Simulation(start=START)
    bare_pod(sim.cluster, "demo", "nginx-pod", template(app()))
    assert sim.truth.ready_pods == {Workload("demo", "Pod", "nginx-pod"): 0}
    sim.advance(10)
    assert sim.truth.ready_pods == {Workload("demo", "Pod", "nginx-pod"): 1}
