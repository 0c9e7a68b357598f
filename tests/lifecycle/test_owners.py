from __future__ import annotations

import pytest

from exporter.lifecycle.observations import Workload
from exporter.lifecycle.owners import Unresolved, folded, identify, workload_of
from exporter.objects import Job, Metadata, OwnerReference, Pod, ReplicaSet
from tests.lifecycle.builders import owned, pod

DEPLOYMENT = Workload("shop", "Deployment", "web")


def name_of(pod: Pod, label: str = "") -> str:
    """The workload as kind/name, with a question mark while only names suggest it."""
    found = identify(pod, {"uid-of-web-5d4": DEPLOYMENT}, label)
    if isinstance(found, Unresolved):
        return f"{found.fallback.kind}/{found.fallback.name}?"
    return f"{found.kind}/{found.name}"


def test_a_bare_pod_is_its_own_workload() -> None:
    assert name_of(pod(name="db-0")) == "Pod/db-0"


def test_a_bare_pod_with_a_generated_name_is_counted_under_what_was_given() -> None:
    assert name_of(pod(name="probe-x7k2p", generate_name="probe-")) == "Pod/probe"


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet", "PyTorchJob", "RayCluster", "ReplicationController"])
def test_a_controller_that_makes_pods_itself_is_the_workload(kind: str) -> None:
    assert name_of(pod(owner=owned(kind, "train-2"))) == f"{kind}/train-2"


@pytest.mark.parametrize("kind", ["Workflow", "TaskRun", "PipelineRun", "SparkApplication"])
def test_a_one_shot_controller_is_folded(kind: str) -> None:
    assert name_of(pod(owner=owned(kind, "nightly-7xk2p"))) == f"{kind}/nightly"


def test_an_owner_that_does_not_manage_the_pod_is_not_asked() -> None:
    other = OwnerReference(kind="ConfigMap", name="settings", uid="u")
    assert name_of(pod(name="db-0", owner=other)) == "Pod/db-0"


def test_an_owner_whose_name_no_object_can_have_is_cut() -> None:
    """The API checks only that it is not empty."""
    assert name_of(pod(owner=owned("Foo", "x" * 300_000))) == f"Foo/{'x' * 253}"
    assert name_of(pod(owner=owned("F" * 300_000, "x"))) == f"{'F' * 253}/x"
    assert name_of(pod(owner=owned("Foo", "x" * 253))) == f"Foo/{'x' * 253}"


def test_a_pod_of_a_known_replicaset_belongs_to_its_controller() -> None:
    assert name_of(pod(owner=owned("ReplicaSet", "web-5d4"))) == "Deployment/web"


@pytest.mark.parametrize(
    ("label", "kind"), [("pod-template-hash", "Deployment"), ("rollouts-pod-template-hash", "Rollout")]
)
def test_the_template_hash_suggests_what_is_above_an_unknown_replicaset(label: str, kind: str) -> None:
    assert name_of(pod(owner=owned("ReplicaSet", "api-v2-77f"), labels={label: "77f"})) == f"{kind}/api-v2?"


@pytest.mark.parametrize("labels", [None, {"pod-template-hash": "other"}, {"pod-template-hash": ""}])
def test_without_its_hash_an_unknown_replicaset_stands_for_itself(labels: dict[str, str] | None) -> None:
    assert name_of(pod(owner=owned("ReplicaSet", "api-77f"), labels=labels)) == "ReplicaSet/api-77f?"


@pytest.mark.parametrize(
    ("job", "workload"),
    [
        ("tick-29923040", "CronJob/tick?"),
        ("nightly-backup-29923040", "CronJob/nightly-backup?"),
        ("train-x7k2p", "Job/train?"),
        ("train", "Job/train?"),
        ("worker-2", "Job/worker-2?"),
        ("tick-1234567", "Job/tick-1234567?"),
    ],
)
def test_the_name_of_an_unknown_job_suggests_what_is_above(job: str, workload: str) -> None:
    assert name_of(pod(owner=owned("Job", job))) == workload


def test_a_static_pod_is_named_without_its_node_although_the_node_owns_it() -> None:
    static = pod(name="etcd-node-1", node="node-1", mirror="hash", owner=owned("Node", "node-1"))
    assert name_of(static) == "StaticPod/etcd"


@pytest.mark.parametrize(
    ("label", "kind"),
    [("leaderworkerset.sigs.k8s.io/name", "LeaderWorkerSet"), ("jobset.sigs.k8s.io/jobset-name", "JobSet")],
)
def test_a_group_label_comes_before_the_controller(label: str, kind: str) -> None:
    assert name_of(pod(owner=owned("Job", "llm-workers-0"), labels={label: "llm"})) == f"{kind}/llm"


@pytest.mark.parametrize(
    ("owner", "workload"),
    [
        (None, "Pod/shopfront"),
        (owned("StatefulSet", "web"), "StatefulSet/shopfront"),
        (owned("ReplicaSet", "web-5d4"), "Deployment/shopfront"),
        (owned("ReplicaSet", "new-5d4"), "ReplicaSet/shopfront?"),
    ],
)
def test_a_workload_label_gives_the_name_and_leaves_the_kind(owner: OwnerReference | None, workload: str) -> None:
    assert name_of(pod(owner=owner, labels={"app": "shopfront"}), "app") == workload


@pytest.mark.parametrize("labels", [None, {}, {"app": ""}, {"other": "x"}])
def test_a_pod_without_the_workload_label_is_named_as_ever(labels: dict[str, str] | None) -> None:
    assert name_of(pod(owner=owned("StatefulSet", "web"), labels=labels), "app") == "StatefulSet/web"


def test_the_workload_label_outlives_the_wait_for_the_owner() -> None:
    found = identify(pod(owner=owned("ReplicaSet", "new-5d4"), labels={"app": "shopfront"}), {}, "app")
    assert isinstance(found, Unresolved)
    assert found.resolved(DEPLOYMENT) == Workload("shop", "Deployment", "shopfront")


def test_a_replicaset_stands_for_its_deployment_in_its_own_namespace() -> None:
    metadata = Metadata(name="web-5d4", namespace="other", owner_references=(owned("Deployment", "web"),))
    assert workload_of(ReplicaSet(metadata)) == Workload("other", "Deployment", "web")


def test_a_replicaset_without_controller_stands_for_itself() -> None:
    assert workload_of(ReplicaSet(Metadata(name="web-x7k2p", namespace="shop"))) == Workload(
        "shop", "ReplicaSet", "web-x7k2p"
    )


def test_a_job_stands_for_its_cronjob() -> None:
    metadata = Metadata(name="tick-29923040", namespace="shop", owner_references=(owned("CronJob", "tick"),))
    assert workload_of(Job(metadata)) == Workload("shop", "CronJob", "tick")


def test_a_job_without_controller_is_folded() -> None:
    assert workload_of(Job(Metadata(name="train-29923040", namespace="shop"))) == Workload("shop", "Job", "train")
    assert workload_of(Job(Metadata(name="x", namespace="shop", generate_name="train-"))).name == "train"


def test_a_job_of_a_one_shot_controller_is_folded_with_it() -> None:
    metadata = Metadata(name="step-1", namespace="shop", owner_references=(owned("Workflow", "etl-7xk2p"),))
    assert workload_of(Job(metadata)) == Workload("shop", "Workflow", "etl")


@pytest.mark.parametrize(
    ("name", "common"),
    [
        ("backup-1700000000", "backup"),
        ("backup-20240131", "backup"),
        ("backup-2024-01-31", "backup"),
        ("backup-2024-01-31-06-30-00", "backup"),
        ("run-550e8400-e29b-41d4-a716-446655440000", "run"),
        ("train-fghjk", "train"),
        ("train-7xk2p", "train"),
        ("my-big-train-fghjk", "my-big-train"),
    ],
)
def test_a_unique_ending_is_dropped(name: str, common: str) -> None:
    assert folded("Job", name) == common


@pytest.mark.parametrize(
    "name",
    [
        "worker-2",
        "gpt-4",
        "db-0",
        "llama-3-70",
        "shard-1234567",
        "shard-24567",
        "train-large",
        "app-mysql",
        "train-fghj",
        "train-fghjkl",
        "train-FGHJK",
        "fghjk",
        "20240131",
        "train-",
        "",
    ],
)
def test_a_name_without_unique_ending_stays(name: str) -> None:
    assert folded("Job", name) == name


@pytest.mark.parametrize(
    ("name", "common"),
    [
        ("build-run-7xk2p-fetch-source", "build-run-fetch-source"),
        ("build-1700000000-test", "build-test"),
        ("build-7xk2p", "build"),
        ("build-24567-test", "build-24567-test"),
        ("build-fetch-source", "build-fetch-source"),
    ],
)
def test_a_task_is_common_to_the_runs_of_its_pipeline(name: str, common: str) -> None:
    assert folded("TaskRun", name) == common
    assert folded("Job", name) == (name if name.count("-") > 1 else common)


def test_only_one_shot_kinds_are_folded() -> None:
    assert folded("EphemeralRunner", "runners-x7xk2-runner-fghjk") == "runners-x7xk2-runner"
    assert folded("StatefulSet", "train-fghjk") == "train-fghjk"


@pytest.mark.parametrize(("given", "common"), [("train-", "train"), ("train.", "train"), ("gpt-4-", "gpt-4")])
def test_a_generated_name_is_what_was_given(given: str, common: str) -> None:
    assert folded("Job", f"{given}fghjk", given) == common
