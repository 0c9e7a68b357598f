"""Each story a container or pod can have shows the status sequence that recorded clusters showed."""

import json

import pytest

from exporter.simulator.jobs import CronJob, Job
from exporter.simulator.samples import app, template
from exporter.simulator.templates import Container, Run, Template
from exporter.simulator.truth import Workload
from exporter.simulator.workloads import (
    DaemonSet,
    Deployment,
    StatefulSet,
    TrainingJob,
    static_pod,
)
from tests.simulator.told import ALIVE, START, UP, W, main, sequence, shown, simulation, status_of, story, told


def test_a_healthy_pod_comes_up_step_by_step() -> None:
    sim = story(main(readiness=ALIVE), seconds=10)
    lines = told(sim)
    assert [line["type"] for line in lines] == ["ADDED"] + ["MODIFIED"] * (len(lines) - 1)
    steps = [line["object"] for line in lines]
    assert "conditions" not in steps[0]["status"]
    assert [c["type"] for c in steps[1]["status"]["conditions"]] == ["PodScheduled"]
    assert "containerStatuses" not in steps[1]["status"]
    true = [{c["type"] for c in step["status"].get("conditions", []) if c["status"] == "True"} for step in steps]
    assert true[2] == {"Initialized", "PodScheduled"}
    assert true[3] == true[4] == true[2] | {"PodReadyToStartContainers"}
    assert true[5] == true[4] | {"Ready", "ContainersReady"}
    assert [step["status"]["phase"] for step in steps] == ["Pending"] * 4 + ["Running"] * 2


def test_a_crash_shows_its_end_first_then_a_free_restart_then_back_off() -> None:
    sim = story(main(Run(2.0, exit_code=3)))
    assert sequence(sim)[:9] == [
        "ContainerCreating 0",
        "running 0",
        "Error 0",
        "running 1",
        "Error 1",
        "CrashLoopBackOff 1",
        "running 2",
        "Error 2",
        "CrashLoopBackOff 2",
    ]
    waiting = [status_of(line["object"], "main")["state"].get("waiting", {}) for line in told(sim)[5:]]
    texts = [
        state["message"].split(" restarting failed container=main pod=story_demo(")[0] for state in waiting if state
    ]
    assert list(dict.fromkeys(texts)) == ["back-off 10s", "back-off 20s", "back-off 40s"]


def test_back_off_doubles_up_to_its_maximum_and_is_written_as_go_writes_it() -> None:
    sim = story(main(Run(2.0, exit_code=3)), seconds=1800)
    messages = [
        str(status_of(line["object"], "main")["state"].get("waiting", {}).get("message")).split()[1]
        for line in told(sim)
        if "CrashLoopBackOff" in json.dumps(line["object"]["status"])
    ]
    assert list(dict.fromkeys(messages))[:6] == ["10s", "20s", "40s", "1m20s", "2m40s", "5m0s"]


def test_a_long_run_resets_the_back_off() -> None:
    crash = Run(2.0, exit_code=1)
    sim = story(main(crash, crash, Run(700.0, exit_code=1), crash), seconds=760)
    words = sequence(sim)
    assert words[words.index("Error 2") :][:2] == ["Error 2", "running 3"]


def test_an_out_of_memory_kill_is_137_and_says_so() -> None:
    sim = story(main(Run(2.0, oom=True), Run()))
    assert sequence(sim)[1:] == ["running 0", "OOMKilled 0", "running 1"]
    assert sim.truth.terminations[*W, "main", "container", "OOMKilled", "137"] == 1
    assert sim.truth.restarts[*W, "main", "container", "OOMKilled"] == 1


def test_a_liveness_kill_never_shows_terminated() -> None:
    sim = story(main(Run(6.0, killed_by="LivenessProbe", stop_seconds=99.0), liveness=ALIVE))
    assert sequence(sim)[:7] == [
        "ContainerCreating 0",
        "running 0",
        "running 1",
        "running 2",
        "CrashLoopBackOff 2",
        "running 3",
        "CrashLoopBackOff 3",
    ]
    for status in (status_of(line["object"], "main") for line in told(sim)[2:]):
        ended = status["lastState"].get("terminated")
        if ended:
            assert (ended["reason"], ended["exitCode"]) == ("Error", 137)
            assert (ended["containerID"] == status["containerID"]) == ("CrashLoopBackOff" in shown(status))
    assert sim.truth.restarts == {(*W, "main", "container", "LivenessProbe"): 4}


def test_a_liveness_kill_may_end_in_exit_code_0() -> None:
    sim = story(main(Run(6.0, killed_by="LivenessProbe", stop_code=0), liveness=ALIVE), seconds=10)
    assert status_of(told(sim)[-1]["object"], "main")["lastState"]["terminated"]["reason"] == "Completed"
    assert sim.truth.terminations == {(*W, "main", "container", "LivenessProbe", "0"): 1}


def test_a_startup_kill_is_the_same_but_never_started() -> None:
    sim = story(main(Run(6.0, killed_by="StartupProbe"), startup=UP))
    assert sequence(sim)[1:5] == ["running 0", "running 1", "running 2", "CrashLoopBackOff 2"]
    assert not any(status_of(line["object"], "main")["started"] for line in told(sim)[2:])
    assert {key[-1] for key in sim.truth.restarts} == {"StartupProbe"}


def test_a_flapping_readiness_probe_turns_the_pod_but_not_the_container() -> None:
    sim = story(main(Run(flap_seconds=7.0), readiness=ALIVE), seconds=30)
    turns = [line["object"] for line in told(sim)[4:]]
    assert [status_of(pod, "main")["ready"] for pod in turns] == [False, True, False, True, False]
    assert len({status_of(pod, "main")["containerID"] for pod in turns}) == 1
    assert sim.truth.readiness_losses == {(*W, "main", "container"): 2}


def test_an_image_that_cannot_be_pulled_alternates_between_two_reasons() -> None:
    sim = story(main(pull_failures=2))
    assert sequence(sim) == [
        "ContainerCreating 0",
        "ErrImagePull 0",
        "ImagePullBackOff 0",
        "ErrImagePull 0",
        "ImagePullBackOff 0",
        "running 0",
    ]
    pulled = [status_of(line["object"], "main") for line in told(sim)[2:]]
    assert all(("containerID" in status) == ("running" in status["state"]) for status in pulled)
    assert {line["object"]["status"]["phase"] for line in told(sim)[:-1]} == {"Pending"}


def test_a_missing_secret_waits_until_it_exists() -> None:
    sim = story(main(config_error_seconds=30.0))
    assert sequence(sim) == ["ContainerCreating 0", "CreateContainerConfigError 0", "running 0"]
    assert sim.truth.waits == {(*W, "main", "container", "CreateContainerConfigError"): 1}


def test_a_command_that_does_not_exist_never_ran_but_is_restarted() -> None:
    sim = story(main(Run(start_error=True)), seconds=30)
    assert sequence(sim)[1:5] == [
        "RunContainerError 0",
        "RunContainerError 1",
        "CrashLoopBackOff 1",
        "RunContainerError 2",
    ]
    last = told(sim)[-1]["object"]
    ended = status_of(last, "main")["lastState"]["terminated"]
    assert (ended["reason"], ended["exitCode"], ended["startedAt"]) == ("StartError", 128, "1970-01-01T00:00:00Z")
    assert ended["containerID"] == status_of(last, "main")["containerID"]
    assert last["status"]["phase"] == "Running"
    assert not sim.truth.starts


def test_init_containers_run_in_turn_and_are_repeated_when_they_fail() -> None:
    first = Container("model-download", type="init", runs=(Run(5.0, exit_code=1), Run(20.0)))
    second = Container("warm-up", type="init", runs=(Run(3.0),))
    sim = story(first, second, main(), Container("log-shipper"))
    assert sequence(sim, "model-download") == [
        "PodInitializing 0",
        "running 0",
        "Error 0",
        "running 1",
        "Completed 1",
    ]
    assert sequence(sim, "warm-up") == ["PodInitializing 0", "running 0", "Completed 0"]
    both = [
        (shown(status_of(x["object"], "main")), shown(status_of(x["object"], "log-shipper"))) for x in told(sim)[2:]
    ]
    assert set(both) == {("PodInitializing 0", "PodInitializing 0"), ("running 0", "running 0")}
    last = told(sim)[-1]["object"]
    assert (status_of(last, "warm-up")["ready"], last["status"]["phase"]) == (True, "Running")


def test_a_sidecar_starts_before_the_others_and_restarts_alone() -> None:
    proxy = Container("proxy", type="sidecar", runs=(Run(12.0, exit_code=1), Run()))
    sim = story(proxy, main())
    assert sequence(sim, "proxy") == ["PodInitializing 0", "running 0", "Error 0", "running 1"]
    assert sequence(sim) == ["PodInitializing 0", "running 0"]
    assert told(sim)[-1]["object"]["spec"]["initContainers"][0]["restartPolicy"] == "Always"
    assert sim.truth.restarts == {(*W, "proxy", "sidecar", "Error"): 1}


def test_an_unschedulable_pod_says_why() -> None:
    sim = story(main(), unschedulable=True)
    (condition,) = told(sim)[-1]["object"]["status"]["conditions"]
    assert (condition["status"], condition["reason"]) == ("False", "Unschedulable")
    assert condition["message"].startswith(
        "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu. no new claims to deallocate, "
    )
    assert sim.truth.pods == {(*W, "Pending"): 1}


@pytest.mark.parametrize(
    ("stop", "code", "phase"), [(0.4, 0, "Succeeded"), (0.4, 143, "Failed"), (99.0, 137, "Failed")]
)
def test_a_deleted_pod_passes_a_terminal_phase_and_goes(stop: float, code: int, phase: str) -> None:
    sim = story(main(Run(stop_seconds=stop, stop_code=code)), seconds=10)
    before = len(told(sim))
    sim.cluster.delete_pod(sim.cluster.pods["demo", "story"])
    sim.advance(10)
    lines = told(sim)[before:]
    seen = [
        (x["type"], x["object"]["status"]["phase"], x["object"]["metadata"]["deletionGracePeriodSeconds"])
        for x in lines
    ]
    assert seen == [
        ("MODIFIED", "Running", 5),
        ("MODIFIED", "Running", 5),
        ("MODIFIED", phase, 5),
        ("MODIFIED", phase, 0),
        ("DELETED", phase, 0),
    ]
    assert lines[0]["object"]["metadata"]["deletionTimestamp"] == "2026-11-22T21:07:15Z"
    assert status_of(lines[-1]["object"], "main")["state"]["terminated"]["exitCode"] == code
    assert sim.truth.terminations == {(*W, "main", "container", "PodStopped", str(code)): 1}
    assert (
        sim.truth.transitions[*W, "Running", "Terminating"] == sim.truth.transitions[*W, "Terminating", "Deleted"] == 1
    )
    assert (*W, "Terminating", phase) not in sim.truth.transitions


def test_an_application_that_fails_while_it_is_stopped_keeps_its_reason() -> None:
    sim = story(main(Run(stop_code=1)), seconds=10)
    sim.cluster.delete_pod(sim.cluster.pods["demo", "story"])
    sim.advance(10)
    assert sim.truth.terminations == {(*W, "main", "container", "Error", "1"): 1}


def test_a_forced_deletion_hides_how_the_container_ended() -> None:
    sim = story(main(), seconds=10)
    sim.cluster.delete_pod(sim.cluster.pods["demo", "story"], grace=0)
    assert [line["type"] for line in told(sim)[-2:]] == ["MODIFIED", "DELETED"]
    assert shown(status_of(told(sim)[-1]["object"], "main")) == "running 0"
    assert sim.truth.terminations == {(*W, "main", "container", "Unobserved", ""): 1}


def test_deletion_in_back_off_shows_the_last_end_again_and_counts_nothing() -> None:
    sim = story(main(Run(2.0, exit_code=3)), seconds=14)
    ended = sim.truth.terminations.total()
    assert sequence(sim)[-1] == "CrashLoopBackOff 1"
    sim.cluster.delete_pod(sim.cluster.pods["demo", "story"])
    sim.advance(10)
    status = status_of(told(sim)[-1]["object"], "main")
    assert status["state"]["terminated"]["containerID"] == status["containerID"]
    assert status["lastState"]["terminated"]["containerID"] != status["containerID"]
    assert sim.truth.terminations.total() == ended


def test_a_container_that_never_ran_is_lost_when_its_pod_stops() -> None:
    sim = story(main(pull_failures=99), seconds=10)
    sim.cluster.delete_pod(sim.cluster.pods["demo", "story"])
    sim.advance(10)
    status = status_of(told(sim)[-1]["object"], "main")
    assert status["state"]["terminated"]["reason"] == "ContainerStatusUnknown"
    assert "containerID" not in status
    assert not sim.truth.terminations


def test_an_eviction_is_announced_by_a_condition() -> None:
    sim = story(main(), seconds=10)
    sim.cluster.evict_pod(sim.cluster.pods["demo", "story"])
    sim.advance(10)
    evicted = [x for x in told(sim) if "EvictionByEvictionAPI" in json.dumps(x["object"]["status"])]
    assert "deletionTimestamp" not in evicted[0]["object"]["metadata"]
    assert evicted[-1]["type"] == "DELETED"


def test_a_rollout_replaces_pods_one_by_one_and_never_has_fewer_ready() -> None:
    sim = simulation()
    web = Deployment(sim.cluster, "demo", "web", template(app()), replicas=3)
    sim.advance(15)
    old = {pod.name for pod in web.pods}
    web.roll_out()
    for _ in range(60):
        sim.advance(0.5)
        assert sum(pod.ready for pod in web.pods) >= 3
        assert len(web.pods) <= 4
    new = {pod.name for pod in web.pods}
    assert len(new) == 3
    assert not old & new
    assert len({name.rsplit("-", 1)[0] for name in old | new}) == 2
    assert sim.truth.transitions["demo", "Deployment", "web", "Terminating", "Deleted"] == 3


def test_a_deployment_scales_up_and_down() -> None:
    sim = simulation()
    web = Deployment(sim.cluster, "demo", "web", template(app()), replicas=2)
    for wanted in (2, 5, 1):
        web.replicas = wanted
        sim.advance(30)
        assert sim.truth.ready_pods == {("demo", "Deployment", "web"): wanted}


def test_a_stateful_set_keeps_names_and_starts_in_order() -> None:
    sim = simulation()
    db = StatefulSet(sim.cluster, "demo", "db", template(app()), replicas=2)
    sim.advance(30)
    db.roll_out()
    sim.advance(60)
    added = [line["object"]["metadata"] for line in told(sim) if line["type"] == "ADDED"]
    assert [metadata["name"] for metadata in added] == ["db-0", "db-1", "db-1", "db-0"]
    assert len({metadata["uid"] for metadata in added}) == 4


def test_a_daemon_set_refills_a_node() -> None:
    sim = simulation()
    agents = DaemonSet(sim.cluster, "demo", "agent", template(app()))
    sim.advance(10)
    sim.cluster.delete_pod(agents.pods["node-1"])
    sim.advance(30)
    assert sim.truth.ready_pods == {("demo", "DaemonSet", "agent"): 3}


def test_a_job_that_succeeds_is_let_go_by_its_finalizer() -> None:
    sim = simulation()
    Job(sim.cluster, "demo", "train", Template((main(Run(4.0)),), restart_policy="Never"))
    sim.advance(30)
    ends = [(x["object"]["status"]["phase"], "finalizers" in x["object"]["metadata"]) for x in told(sim)[-3:]]
    assert ends == [("Running", True), ("Succeeded", True), ("Succeeded", False)]
    ready = [c for c in told(sim)[-3]["object"]["status"]["conditions"] if c["type"] == "Ready"]
    assert ready[0]["reason"] == "PodCompleted"
    assert sim.truth.pods == {("demo", "Job", "train", "Succeeded"): 1}


def test_a_job_that_fails_tries_again_in_new_pods_and_gives_up() -> None:
    sim = simulation()
    Job(sim.cluster, "demo", "badjob", Template((main(Run(2.0, exit_code=2)),), restart_policy="Never"), retries=2)
    sim.advance(300)
    assert sim.truth.pods == {("demo", "Job", "badjob", "Failed"): 3}
    assert not sim.truth.restarts


def test_a_cron_job_names_jobs_by_the_minute_and_keeps_few() -> None:
    sim = simulation()
    CronJob(sim.cluster, "demo", "tick", Template((main(Run(2.0)),), restart_policy="Never"), keep=2)
    sim.advance(400)
    names = [x["object"]["metadata"]["name"] for x in told(sim) if x["type"] == "ADDED"]
    assert names[0].startswith(f"tick-{int(START // 60) + 1}-")
    assert sim.truth.transitions["demo", "CronJob", "tick", "Succeeded", "Deleted"] >= 3
    assert {key[:3] for key in sim.truth.pods} == {("demo", "CronJob", "tick")}


def test_a_folded_job_is_accounted_to_its_workload() -> None:
    sim = simulation()
    workload = Workload("demo", "Job", "import")
    Job(sim.cluster, "demo", "import-20261122", Template((main(Run(2.0)),), restart_policy="Never"), workload=workload)
    sim.advance(10)
    assert {key[:3] for key in sim.truth.starts} == {workload}


def test_a_training_worker_restarts_in_place_under_its_own_kind_of_owner() -> None:
    sim = simulation()
    TrainingJob(
        sim.cluster, "demo", "tune", Template((main(Run(9.0, exit_code=1), Run()),), restart_policy="OnFailure")
    )
    sim.advance(30)
    owner = told(sim)[-1]["object"]["metadata"]["ownerReferences"][0]
    assert (owner["apiVersion"], owner["kind"], owner["name"]) == ("kubeflow.org/v1", "PyTorchJob", "tune")
    assert sim.truth.restarts == {("demo", "PyTorchJob", "tune", "main", "container", "Error"): 3}


def test_a_static_pod_is_bound_from_the_start_and_owned_by_its_node() -> None:
    sim = simulation()
    static_pod(sim.cluster, "kube-system", "etcd", template(app()), "node-1")
    sim.advance(10)
    first = told(sim)[0]["object"]
    assert (first["metadata"]["name"], first["spec"]["nodeName"]) == ("etcd-node-1", "node-1")
    assert first["metadata"]["ownerReferences"][0]["kind"] == "Node"
    assert first["metadata"]["annotations"]["kubernetes.io/config.mirror"]
    assert sim.truth.transitions["kube-system", "StaticPod", "etcd", "None", "ContainerCreating"] == 1
