from __future__ import annotations

from exporter.kube.resources import JOBS, PODS, REPLICASETS
from exporter.objects import Job, Pod, ReplicaSet


def test_a_path_is_that_of_the_cluster_or_of_a_namespace() -> None:
    assert PODS.path() == "/api/v1/pods"
    assert PODS.path("demo") == "/api/v1/namespaces/demo/pods"
    assert REPLICASETS.path("demo") == "/apis/apps/v1/namespaces/demo/replicasets"
    assert JOBS.path() == "/apis/batch/v1/jobs"


def test_pods_are_asked_for_whole() -> None:
    assert PODS.accept(listing=True) == PODS.accept(listing=False) == "application/json"


def test_owners_are_asked_for_without_spec_and_status() -> None:
    form = "application/json;as=PartialObjectMetadata{};g=meta.k8s.io;v=v1, application/json"
    assert JOBS.accept(listing=True) == form.format("List")
    assert JOBS.accept(listing=False) == form.format("")


def test_only_pods_are_indispensable() -> None:
    assert [resource.optional for resource in (PODS, REPLICASETS, JOBS)] == [False, True, True]
    assert [resource.of for resource in (PODS, REPLICASETS, JOBS)] == [Pod, ReplicaSet, Job]
