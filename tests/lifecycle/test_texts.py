"""What is read from the API's texts: scheduling causes, pull failures, back-off, quantities, kubectl's STATUS."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.utils.quantity import parse_quantity

from exporter.lifecycle.images import cause_of as cause_of_pull
from exporter.lifecycle.loops import backoff
from exporter.lifecycle.resources import limited, quantity, requested, shape_of, unit_of
from exporter.lifecycle.scheduling import cause_of
from exporter.lifecycle.status import kubectl_status, shortened
from exporter.objects import Pod, PodSpec

RECORDED = Path(__file__).parent.parent / "recorded"
PREEMPTION = " preemption: 0/5 nodes are available: 5 Preemption is not helpful for scheduling."


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        ("0/5 nodes are available: 3 Insufficient cpu, 2 Insufficient memory." + PREEMPTION, "insufficient_cpu"),
        ("0/5 nodes are available: 1 Insufficient cpu, 4 Insufficient nvidia.com/gpu.", "insufficient_nvidia.com/gpu"),
        ("0/5 nodes are available: 5 Too many pods.", "insufficient_pods"),
        ("0/5 nodes are available: 5 node(s) had untolerated taint(s).", "taint"),
        (
            "0/5 nodes are available: 3 node(s) had taint {a: b}, that the pod didn't tolerate, 2 Insufficient cpu.",
            "taint",
        ),
        ("0/5 nodes are available: 5 node(s) were unschedulable.", "taint"),
        ("0/5 nodes are available: 5 node(s) didn't match Pod's node affinity/selector.", "affinity"),
        ("0/5 nodes are available: 5 node(s) didn't match pod anti-affinity rules.", "affinity"),
        ("0/5 nodes are available: 5 node(s) didn't match pod topology spread constraints.", "affinity"),
        ("0/5 nodes are available: 5 node(s) had volume node affinity conflict.", "volume"),
        ("0/5 nodes are available: pod has unbound immediate PersistentVolumeClaims.", "volume"),
        ('persistentvolumeclaim "data" not found', "volume"),
        ("0/5 nodes are available: 5 node(s) didn't have free ports for the requested pod ports.", "port"),
        ("something that nobody has written yet", "other"),
        ("", "other"),
    ],
)
def test_the_cause_of_a_scheduling_failure_is_what_blocks_most_nodes(message: str, cause: str) -> None:
    assert cause_of(message) == cause


@pytest.mark.parametrize(
    ("reason", "message", "cause"),
    [
        ("ErrImagePull", 'failed to resolve reference "r/x:1": r/x:1: not found', "not_found"),
        ("ErrImagePull", "manifest unknown: manifest unknown", "not_found"),
        ("ErrImagePull", "failed to authorize: 401 Unauthorized", "auth"),
        ("ErrImagePull", "pull access denied, repository does not exist or may require authorization", "auth"),
        (
            "ErrImagePull",
            "429 Too Many Requests - toomanyrequests: You have reached your pull rate limit",
            "rate_limit",
        ),
        ("ErrImagePull", "dial tcp 127.0.0.1:9: connect: connection refused", "network"),
        ("ErrImagePull", "dial tcp: lookup registry.example.org: no such host", "network"),
        ("ErrImagePull", "net/http: TLS handshake timeout", "network"),
        ("ErrImageNeverPull", "", "not_found"),
        ("RegistryUnavailable", "", "network"),
        ("InvalidImageName", "couldn't parse image name", "other"),
    ],
)
def test_the_cause_of_a_failed_pull_is_read_from_its_message(reason: str, message: str, cause: str) -> None:
    assert cause_of_pull(reason, message) == cause


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("back-off 10s restarting failed container=main pod=x", 10),
        ("back-off 1m20s restarting failed container=main pod=x", 80),
        ("back-off 5m0s restarting failed container=main pod=x", 300),
        ("back-off 1h0m0.5s restarting failed container=main pod=x", 3600.5),
        ("Back-off pulling image", None),
        ("", None),
    ],
)
def test_the_back_off_is_the_duration_in_the_waiting_message(message: str, seconds: float | None) -> None:
    assert backoff(message) == seconds


@given(
    st.decimals(0, 10**6, places=3, allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]),
)
def test_a_quantity_is_what_the_official_client_takes_it_for(number: object, suffix: str) -> None:
    text = f"{number}{suffix}"
    assert quantity(text) == pytest.approx(float(parse_quantity(text)))  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("text", ["", "x", "1.2.3", "1 Gi", "1GiB", "-"])
def test_what_is_no_quantity_counts_for_nothing(text: str) -> None:
    assert quantity(text) is None


def spec(text: str) -> PodSpec:
    return msgspec.json.decode(text, type=PodSpec)


def asks(cpu: str, name: str = "c", **more: str) -> dict[str, object]:
    return {"name": name, "resources": {"requests": {"cpu": cpu}, "limits": {"cpu": cpu}}, **more}


@pytest.mark.parametrize(
    ("pod", "cpu"),
    [
        ({"containers": [asks("1"), asks("500m", "d")]}, 1.5),
        ({"containers": [asks("1")], "initContainers": [asks("3", "i"), asks("2", "j")]}, 3),
        ({"containers": [asks("1")], "initContainers": [asks("1", "s", restartPolicy="Always")]}, 2),
        ({"containers": [asks("1")], "initContainers": [asks("1", "s", restartPolicy="Always"), asks("3", "i")]}, 4),
        ({"containers": [asks("1")], "initContainers": [asks("3", "i"), asks("1", "s", restartPolicy="Always")]}, 3),
        ({"containers": [asks("1")], "overhead": {"cpu": "250m"}}, 1.25),
        ({"containers": [asks("1")], "resources": {"requests": {"cpu": "4"}}}, 4),
    ],
)
def test_a_pods_request_is_what_the_scheduler_reserves(pod: dict[str, object], cpu: float) -> None:
    assert dict(requested(spec(json.dumps(pod))))["cpu"] == cpu


def test_limits_are_summed_likewise_and_what_is_not_limited_has_none() -> None:
    one = spec(json.dumps({"containers": [asks("2")], "overhead": {"memory": "1Gi"}}))
    assert dict(limited(one)) == {"cpu": 2}


def test_containers_that_are_configured_alike_share_one_shape() -> None:
    first, second = (spec(json.dumps({"containers": [asks("1")]})) for _ in range(2))
    assert first.containers
    assert second.containers
    assert shape_of(first.containers[0]) is shape_of(second.containers[0])


@pytest.mark.parametrize(
    ("resource", "unit"),
    [("cpu", "core"), ("memory", "byte"), ("hugepages-2Mi", "byte"), ("nvidia.com/gpu", "integer")],
)
def test_every_resource_has_a_unit(resource: str, unit: str) -> None:
    assert unit_of(resource) == unit


def test_status_is_what_kubectl_printed_for_every_recorded_pod() -> None:
    printed = dict(line.split()[0::2][:2] for line in (RECORDED / "kubectl-get-pods.txt").read_text().splitlines()[1:])
    items = json.loads(gzip.decompress((RECORDED / "final-pods.json.gz").read_bytes()))["items"]
    pods = [msgspec.json.decode(json.dumps(item), type=Pod) for item in items]
    assert {pod.metadata.name: kubectl_status(pod) for pod in pods} == printed
    assert len(pods) > 20


@pytest.mark.parametrize(
    ("status", "short"), [("Init:1/3", "Init"), ("Init:Error", "Init:Error"), ("Running", "Running")]
)
def test_progress_of_initialisation_makes_no_new_label_value(status: str, short: str) -> None:
    assert shortened(status) == short
