"""Seldom stories show what a real node of 1.36.3 showed, and the book has each of them once."""

import json
from typing import Any

import pytest

from exporter.simulator import Simulation, endings
from exporter.simulator.pods import Pod
from exporter.simulator.resources import EVENTS
from exporter.simulator.samples import app, template
from exporter.simulator.specs import container_json
from exporter.simulator.stories import TARGET, LoadBalancer
from exporter.simulator.templates import Container, Rule, Run, Template
from exporter.simulator.workloads import DaemonSet, Deployment, bare_pod, recreate_mirror, static_pod
from tests.simulator.told import ALIVE, W, main, sequence, shown, simulation, status_of, story, told

MAIN = (*W, "main", "container")


def pod_of(sim: Simulation) -> Pod:
    return sim.cluster.pods["demo", "story"]


def conditions(line: Any) -> dict[str, tuple[str, str]]:
    found = line["object"]["status"].get("conditions", [])
    return {c["type"]: (c["status"], c.get("reason", "")) for c in found}


def turns(sim: Simulation, kind: str) -> list[tuple[str, str]]:
    """The values that a condition takes, each once."""
    values = [conditions(line).get(kind, ("", "")) for line in told(sim)]
    return [value for n, value in enumerate(values) if n == 0 or value != values[n - 1]]


def phases(sim: Simulation) -> list[str]:
    values = [line["object"]["status"]["phase"] for line in told(sim)]
    return [value for n, value in enumerate(values) if n == 0 or value != values[n - 1]]


def events(sim: Simulation, reason: str) -> list[Any]:
    found = [json.loads(version.body) for version in sim.store.versions(EVENTS)]
    return [event for event in found if event["reason"] == reason]


def test_a_rule_restarts_a_container_whose_policy_is_never() -> None:
    rules = (Rule("Restart", (42,)),)
    one = main(Run(4.0, exit_code=42), Run(4.0, exit_code=0), restart_policy="Never", rules=rules)
    sim = story(one, restart_policy="Never", seconds=30)
    assert sequence(sim)[1:] == ["running 0", "Error 0", "running 1", "Completed 1"]
    assert sim.truth.restarts == {(*MAIN, "RestartRule"): 1}
    assert sim.truth.pods == {(*W, "Succeeded"): 1}


def test_a_rule_restarts_all_containers_in_place() -> None:
    setup = Container("setup", type="init", runs=(Run(2.0),))
    worker = Container(
        "worker", runs=(Run(8.0, exit_code=43), Run()), restart_policy="Never",
        rules=(Rule("RestartAllContainers", (43,)),),
    )  # fmt: skip
    sim = story(setup, worker, Container("helper"), restart_policy="Never", seconds=40)
    again = "RestartingAllContainers"
    assert sequence(sim, "worker")[1:] == ["running 0", "Error 0", f"{again} 1", "PodInitializing 1", "running 1"]
    assert sequence(sim, "helper")[1:] == ["running 0", f"{again} 1", "PodInitializing 1", "running 1"]
    assert sequence(sim, "setup")[1:] == ["running 0", "Completed 0", f"{again} 1", "running 1", "Completed 1"]
    assert turns(sim, "AllContainersRestarting") == [
        ("", ""), ("False", ""), ("True", "RestartAllContainersStarted"), ("False", "")
    ]  # fmt: skip
    assert phases(sim) == ["Pending", "Running", "Pending", "Running"]
    assert turns(sim, "Initialized")[-1] == ("True", "")
    removed = next(line for line in told(sim) if again in json.dumps(status_of(line["object"], "helper")))
    status = status_of(removed["object"], "helper")
    assert "containerID" not in status
    assert status["lastState"]["terminated"]["startedAt"] is None
    assert sim.truth.in_place_restarts == {W: 1}
    causes = {(key[3], key[5]): n for key, n in sim.truth.restarts.items()}
    assert causes == {
        ("worker", "Error"): 1,
        ("helper", "RestartAllContainers"): 1,
        ("setup", "RestartAllContainers"): 1,
    }
    ends = {(key[3], key[5], key[6]): n for key, n in sim.truth.terminations.items()}
    assert ends["helper", "RestartAllContainers", ""] == 1
    assert ends["worker", "Error", "43"] == 1


def test_a_sandbox_that_dies_takes_all_containers_with_it_and_init_containers_run_again() -> None:
    sim = story(Container("setup", type="init", runs=(Run(2.0),)), main(), seconds=15)
    sim.cluster.kubelet.renewal.change_sandbox(pod_of(sim))
    sim.advance(20)
    assert sequence(sim, "setup")[1:] == ["running 0", "Completed 0", "running 1", "Completed 1"]
    assert sequence(sim)[1:] == ["running 0", "Error 0", "running 1"]
    assert [status for status, _ in turns(sim, "PodReadyToStartContainers")] == ["", "False", "True", "False", "True"]
    assert phases(sim) == ["Pending", "Running", "Pending", "Running"]
    assert len(events(sim, "SandboxChanged")) == 1
    assert {key[5] for key in sim.truth.restarts} == {"PodSandboxChanged"}
    assert sim.truth.restarts.total() == 2


def test_more_memory_in_place_takes_a_restart_where_the_container_asks_for_one() -> None:
    sim = story(main(requests={"memory": "64Mi"}, resized_by="RestartContainer"), seconds=10)
    sim.cluster.kubelet.renewal.resize(pod_of(sim), "main", {"requests": {"memory": "128Mi"}})
    sim.advance(10)
    assert sequence(sim)[1:] == ["running 0", "running 1"]
    assert turns(sim, "PodResizeInProgress") == [("", ""), ("True", ""), ("", "")]
    wished = [line["object"] for line in told(sim) if "128Mi" in json.dumps(line["object"]["spec"])]
    seen = [(pod["metadata"]["generation"], pod["status"]["observedGeneration"]) for pod in wished]
    assert seen == [(2, 1), (2, 2), (2, 2)]
    given = [status_of(pod, "main")["resources"]["requests"]["memory"] for pod in wished]
    assert given == ["64Mi", "64Mi", "128Mi"]
    assert [event["message"] for event in events(sim, "Killing")] == ["Container main resize requires restart"]
    assert sim.truth.restarts == {(*MAIN, "Resize"): 1}


def test_a_resize_that_is_never_granted_stays_a_wish() -> None:
    sim = story(main(requests={"memory": "64Mi"}), seconds=10)
    sim.cluster.kubelet.renewal.resize(pod_of(sim), "main", {"requests": {"memory": "1Ti"}}, "no swap")
    sim.advance(10)
    assert turns(sim, "PodResizePending") == [("", ""), ("True", "Infeasible")]
    assert status_of(told(sim)[-1]["object"], "main")["resources"]["requests"]["memory"] == "64Mi"
    assert not sim.truth.restarts


def test_a_failed_hook_is_told_by_the_wait_and_the_run_before_it_never_shows() -> None:
    sim = story(main(Run(2.0, hook_fails=True)), seconds=40)
    assert sequence(sim)[:5] == [
        "ContainerCreating 0",
        "PostStartHookError 0",
        "PostStartHookError 1",
        "CrashLoopBackOff 1",
        "PostStartHookError 2",
    ]
    assert {key[5] for key in sim.truth.restarts} == {"PostStartHook"}
    assert sim.truth.starts == {MAIN: 4}
    assert sim.truth.terminations == {(*MAIN, "PostStartHook", "137"): 4}


def test_a_gate_keeps_a_pod_from_the_scheduler() -> None:
    sim = story(main(), gated_seconds=20.0, seconds=30)
    first, opened = told(sim)[0]["object"], told(sim)[1]["object"]
    assert first["spec"]["schedulingGates"]
    assert "schedulingGates" not in opened["spec"]
    assert (first["metadata"]["generation"], opened["metadata"]["generation"]) == (1, 2)
    assert turns(sim, "PodScheduled") == [("False", "SchedulingGated"), ("True", "")]
    assert not events(sim, "FailedScheduling")


def test_the_scheduler_says_each_new_reason_and_repeats_an_old_one_only_in_events() -> None:
    sim = story(main(), blocked=("insufficient_memory", "volume"), unschedulable=True, seconds=25)
    messages = [line["object"]["status"]["conditions"][0]["message"] for line in told(sim)[1:]]
    assert [message[:60] for message in messages] == [
        "0/3 nodes are available: 1 node(s) had untolerated taint(s),",
        "0/3 nodes are available: pod has unbound immediate Persisten",
    ]
    assert sim.truth.scheduling_failures == {(*W, "insufficient_memory"): 1, (*W, "volume"): 1}
    told_in = events(sim, "FailedScheduling")
    assert sorted(event.get("series", {}).get("count", 1) for event in told_in) == [1, 2]
    assert all(event["firstTimestamp"] is None and "count" not in event for event in told_in)
    sim.advance(100)
    assert sim.truth.events[*W, "FailedScheduling"] == 3, "the third of a series is held back"


def test_a_load_balancer_opens_and_closes_the_readiness_gate() -> None:
    sim = simulation()
    web = Deployment(sim.cluster, "demo", "web", Template((app(),), readiness_gates=(TARGET,)))
    balancer = LoadBalancer(sim.cluster, web)
    sim.advance(4)
    assert "does not exist" in web.pods[0].conditions["Ready"]["message"]
    sim.cluster.add(balancer)
    sim.advance(4)
    balancer.drain(5.0)
    sim.advance(10)
    ready = turns(sim, "Ready")
    assert ready[-3:] == [("True", ""), ("False", "ReadinessGatesNotReady"), ("True", "")]
    assert [value for value, _ in turns(sim, "ContainersReady")][-1] == "True"
    assert turns(sim, TARGET) == [("", ""), ("True", "Registered"), ("False", "Unhealthy"), ("True", "Healthy")]
    assert sim.truth.regained == {("demo", "Deployment", "web", "readiness_gate"): 1}


def edge(sim: Simulation) -> Deployment:
    """Two pods on two nodes of their own."""
    sim.cluster.fleet.add("edge", "edge-1", "edge-2")
    made = Template((app(),), pool="edge", grace_seconds=5)
    deployment = Deployment(sim.cluster, "demo", "edge", made, replicas=2)
    sim.advance(15)
    return deployment


def test_a_node_that_is_away_for_a_moment_turns_only_the_condition() -> None:
    sim = simulation()
    edge(sim)
    sim.cluster.fleet.lose("edge-1")
    lost = told(sim)[-1]
    assert conditions(lost)["Ready"] == ("False", "")
    assert conditions(lost)["ContainersReady"] == ("True", "")
    assert len(events(sim, "NodeNotReady")) == 1
    sim.advance(5)
    sim.cluster.fleet.find("edge-1")
    sim.advance(5)
    assert sim.truth.regained == {("demo", "Deployment", "edge", "node_not_ready"): 1}
    assert sim.truth.ready_pods == {("demo", "Deployment", "edge"): 2}


def test_pods_of_a_node_that_is_away_too_long_are_deleted_and_go_when_it_is_back() -> None:
    sim = simulation()
    edge(sim)
    sim.cluster.fleet.lose("edge-1")
    sim.cluster.fleet.taint("edge-1")
    sim.advance(20)
    assert sim.truth.pods["demo", "Deployment", "edge", "Terminating"] == 1
    assert sim.truth.disruptions == {("demo", "Deployment", "edge", "DeletionByTaintManager", ""): 1}
    assert events(sim, "TaintManagerEviction")[0]["involvedObject"]["uid"] == ""
    sim.cluster.fleet.find("edge-1")
    sim.advance(20)
    assert sim.truth.pods == {("demo", "Deployment", "edge", "Running"): 2}
    assert {key[5] for key in sim.truth.terminations} == {"PodStopped"}


def test_pods_of_a_node_that_is_gone_are_failed_and_removed() -> None:
    sim = simulation()
    edge(sim)
    sim.cluster.fleet.remove("edge-1")
    sim.advance(20)
    assert sim.truth.disruptions == {("demo", "Deployment", "edge", "DeletionByPodGC", ""): 1}
    assert sim.truth.transitions["demo", "Deployment", "edge", "Running", "Failed"] == 1
    assert {key[5] for key in sim.truth.terminations} == {"Unobserved"}
    assert {pod.node for pod in sim.cluster.pods.values()} == {"edge-2"}


def test_the_agent_of_a_virtual_node_may_not_know_the_phase() -> None:
    sim = story(main(), seconds=10)
    sim.cluster.kubelet.lose_sight(pod_of(sim), 5.0)
    sim.advance(10)
    assert phases(sim) == ["Pending", "Running", "Unknown", "Running"]
    assert sim.truth.transitions[*W, "Running", "Unknown"] == sim.truth.transitions[*W, "Unknown", "Running"] == 1


@pytest.mark.parametrize(
    ("lack", "reason", "message", "resource"),
    [
        ("cpu", "OutOfcpu", "Node didn't have enough resource: cpu, requested: 500000, used: 800, capacity: 8000", ""),
        ("MemoryPressure", "Evicted", "The node had condition: [MemoryPressure]. ", "memory"),
    ],
)
def test_a_pod_that_its_node_cannot_take_has_no_trace_of_containers(
    lack: str, reason: str, message: str, resource: str
) -> None:
    sim = simulation()
    bare_pod(sim.cluster, "demo", "story", Template((main(),), rejected_for=lack), node="node-1")
    sim.advance(10)
    assert "conditions" not in told(sim)[0]["object"]["status"], "no scheduler has seen it"
    status = told(sim)[-1]["object"]["status"]
    assert (status["phase"], status["reason"]) == ("Failed", reason)
    assert status["message"] == f"Pod was rejected: {message}"
    assert status.keys() & {"containerStatuses", "hostIP", "conditions"} == set()
    assert sim.truth.disruptions == {(*W, "AdmissionRejected", resource): 1}
    assert sim.truth.events == {(*W, reason): 1}


VERDICTS = [
    (endings.low("memory"), "NodePressureEviction", "memory", True),
    (endings.FULL, "LocalStorageLimit", "ephemeral-storage", False),
    (endings.DISPLACED, "PreemptionByKubelet", "", True),
    (endings.SHUT_DOWN, "NodeShutdown", "", True),
]


@pytest.mark.parametrize(("verdict", "cause", "resource", "target"), VERDICTS)
def test_a_pod_that_its_kubelet_ends_says_why_when_its_containers_have_ended(
    verdict: endings.Verdict, cause: str, resource: str, *, target: bool
) -> None:
    sim = story(main(readiness=ALIVE), seconds=10)
    sim.cluster.kubelet.end(pod_of(sim), verdict)
    sim.advance(10)
    assert phases(sim) == ["Pending", "Running", "Failed"]
    assert turns(sim, "Ready")[-2:] == [("True", ""), ("False", "PodFailed")]
    last = told(sim)[-1]["object"]["status"]
    assert (last["reason"], last["message"]) == (verdict.reason, verdict.message)
    assert ("DisruptionTarget" in conditions(told(sim)[-1])) == target
    assert sim.truth.disruptions == {(*W, cause, resource): 1}
    assert {key[5] for key in sim.truth.terminations} == {"PodStopped"}


def test_a_deadline_turns_ready_before_the_phase() -> None:
    sim = story(main(Run(stop_seconds=99.0)), deadline_seconds=20, seconds=40)
    steps = [(line["object"]["status"]["phase"], conditions(line)["Ready"]) for line in told(sim)[-2:]]
    assert steps == [("Running", ("False", "PodFailed")), ("Failed", ("False", "PodFailed"))]
    assert told(sim)[-2]["object"]["status"].keys() & {"reason", "message"} == set()
    assert shown(status_of(told(sim)[-2]["object"], "main")) == "running 0"
    assert sim.truth.disruptions == {(*W, "DeadlineExceeded", ""): 1}
    assert sim.truth.terminations == {(*MAIN, "PodStopped", "137"): 1}


def test_a_pod_that_is_deleted_while_its_kubelet_ends_it_goes_all_the_same() -> None:
    sim = story(main(Run(stop_seconds=3.0)), seconds=10)
    sim.cluster.kubelet.end(pod_of(sim), endings.SHUT_DOWN)
    sim.advance(1)
    sim.cluster.delete_pod(pod_of(sim))
    sim.advance(10)
    assert not sim.truth.pods
    assert sim.truth.disruptions == {(*W, "NodeShutdown", ""): 1}


def test_a_debug_container_is_beside_all_others() -> None:
    sim = story(main(), seconds=10)
    debugger = Container("debugger", type="ephemeral", runs=(Run(4.0, exit_code=4),))
    written = container_json(debugger, pod_of(sim).template, sim.cluster.canaries)
    sim.cluster.kubelet.renewal.debug(pod_of(sim), debugger, written)
    sim.advance(20)
    pods = [line["object"] for line in told(sim) if "ephemeralContainers" in line["object"]["spec"]]
    statuses = [pod["status"].get("ephemeralContainerStatuses", [None])[0] for pod in pods]
    assert statuses[0] is None, "the kubelet has yet to see it"
    assert [shown(status) for status in statuses[1:]] == ["ContainerCreating 0", "running 0", "Error 0"]
    assert not any("started" in status or status["ready"] for status in statuses[1:])
    assert turns(sim, "Ready")[-1] == ("True", "")
    assert sim.truth.terminations == {(*W, "debugger", "ephemeral", "Error", "4"): 1}
    assert "debugger" in events(sim, "Started")[-1]["involvedObject"]["fieldPath"]


def test_a_mirror_pod_that_is_deleted_comes_back_with_another_uid_and_the_same_containers() -> None:
    sim = simulation()
    pod = static_pod(sim.cluster, "demo", "etcd", template(main(Run(20.0, exit_code=1), Run())), "node-1")
    sim.advance(10)
    recreate_mirror(sim.cluster, pod)
    sim.advance(30)
    lines = told(sim)
    assert len({line["object"]["metadata"]["uid"] for line in lines}) == 2
    added = [line["object"] for line in lines if line["type"] == "ADDED"]
    assert added[0]["metadata"]["annotations"] == added[1]["metadata"]["annotations"]
    assert added[1]["status"].keys() == added[0]["status"].keys()
    assert sequence(sim)[1:] == ["running 0", "Error 0", "running 1"]
    assert sim.truth.starts["demo", "StaticPod", "etcd", "main", "container"] == 2
    assert sim.truth.transitions["demo", "StaticPod", "etcd", "Terminating", "Deleted"] == 1
    assert not sim.truth.startups
    assert not sim.truth.stops


def test_a_daemon_sets_pod_is_placed_on_its_node() -> None:
    sim = simulation()
    agents = DaemonSet(sim.cluster, "demo", "agent", template(app()))
    sim.advance(10)
    assert {node: pod.node for node, pod in agents.pods.items()} == {node: node for node in sim.cluster.nodes}


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("network", "no such host"),
        ("auth", "authorization failed"),
        ("not_found", "registry.example.com/shop/app:1.4.2: not found"),
        ("rate_limit", "429 Too Many Requests"),
    ],
)
def test_an_image_that_cannot_be_had_says_why(error: Any, words: str) -> None:
    sim = story(main(pull_failures=1, pull_error=error))
    messages = [status_of(line["object"], "main")["state"].get("waiting", {}).get("message") for line in told(sim)[2:]]
    assert any(message and message.endswith(words) for message in messages)
    assert sim.truth.pull_failures == {(*MAIN, error): 1}
