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

from exporter.lifecycle.bounded import READ
from exporter.lifecycle.images import cause_of as cause_of_pull
from exporter.lifecycle.loops import backoff
from exporter.lifecycle.resources import quantity, shape_of, sums, unit_of
from exporter.lifecycle.scheduling import cause_of
from exporter.lifecycle.status import kubectl_status, shortened
from exporter.lifecycle.texts import KILLS, PROBE_CAUSES, container_of, killed_for, probed, pulled, registry_of
from exporter.lifecycle.times import go_duration
from exporter.objects import Pod, PodSpec
from tests.lifecycle.builders import T0, Witness, event, pod, status, waiting

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
    assert dict(sums(spec(json.dumps(pod)))[0])["cpu"] == cpu


def test_limits_are_summed_likewise_and_what_is_not_limited_has_none() -> None:
    one = spec(json.dumps({"containers": [asks("2")], "overhead": {"memory": "1Gi"}}))
    assert dict(sums(one)[1]) == {"cpu": 2}


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


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        ("Container main failed liveness probe, will be restarted", "LivenessProbe"),
        ("Container main failed liveness probe", "LivenessProbe"),
        ("Container main failed startup probe, will be restarted", "StartupProbe"),
        ("Init container proxy failed liveness probe", "LivenessProbe"),
        ("Container main definition changed, will be restarted", "DefinitionChanged"),
        ("Container main resize requires restart, will be restarted", "Resize"),
        ("FailedPostStartHook", "PostStartHook"),
        ("Stopping container main", ""),
        ("Stopping container failed", ""),
        ("", ""),
    ],
)
def test_a_kill_tells_its_cause(message: str, cause: str) -> None:
    assert killed_for(message) == cause


@pytest.mark.parametrize(
    ("output", "cause"),
    [
        ('Get "http://10.0.0.7:8080/": dial tcp 10.0.0.7:8080: connect: connection refused', "connection_refused"),
        ("HTTP probe failed with statuscode: 503", "http_status"),
        (
            'Get "http://x/": context deadline exceeded (Client.Timeout exceeded while awaiting headers)',
            "timeout",
        ),
        ("dial tcp 10.0.0.7:80: i/o timeout", "timeout"),
        ('command timed out: "sh -c x" timed out after 1s', "timeout"),
        ("timeout: health rpc did not complete within 1s", "timeout"),
        ('Get "http://x/": read tcp 10.0.0.1:3->10.0.0.7:80: read: connection reset by peer', "connection_reset"),
        ('Get "http://x/": EOF', "connection_reset"),
        ('Get "http://nowhere/": dial tcp: lookup nowhere: no such host', "dns"),
        ('Get "https://x/": http: server gave HTTP response to HTTPS client', "tls"),
        ('Get "https://x/": remote error: tls: handshake failure', "tls"),
        ('service unhealthy (responded with "NOT_SERVING")', "grpc"),
        ("error: this server does not implement the grpc health protocol (grpc.health.v1.Health)", "grpc"),
        ("something else", ""),
    ],
)
def test_the_output_of_a_probe_tells_its_cause(output: str, cause: str) -> None:
    for text in (f"Liveness probe failed: {output}", f"Liveness probe errored and resulted in unknown state: {output}"):
        told = probed(text)
        assert told is not None
        assert (told.probe, told.cause) == ("liveness", cause)


def test_a_failure_without_output_is_a_commands() -> None:
    told = probed("Liveness probe failed: ")
    assert told is not None
    assert told.cause == "exec_exit"


def test_every_row_of_the_tables_has_a_text_that_only_it_explains_first() -> None:
    """A row that never comes first would be dead."""
    texts = [
        "timed out", "connection refused", "connection reset", "HTTP probe failed with statuscode: 1", "no such host",
        "x509", "service unhealthy",
    ]  # fmt: skip
    found = [probed(f"Startup probe failed: {text}") for text in texts]
    assert [f.cause for f in found if f] == [row.meaning for row in PROBE_CAUSES]
    assert all(row.seen_in for row in (*PROBE_CAUSES, *KILLS))


@pytest.mark.parametrize(
    ("image", "registry"),
    [
        ("nginx", "docker.io"), ("library/nginx:1", "docker.io"), ("ghcr.io/a/b:1", "ghcr.io"),
        ("localhost/busybox:1", "localhost"), ("127.0.0.1:5000/x", "127.0.0.1:5000"),
        ("Reg.example.com/x", "reg.example.com"),
        ("", "unknown"),
    ],
)  # fmt: skip
def test_an_image_names_its_registry(image: str, registry: str) -> None:
    assert registry_of(image) == registry


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (
            'Successfully pulled image "a.io/x" in 1.561s (2s including waiting). Image size: 5.',
            ("pulled", 1.561),
        ),
        ('Successfully pulled image "a.io/x" in 3.800450597s', ("pulled", 3.800450597)),
        ('Successfully pulled image "a.io/x" in 250ms (250ms including waiting)', ("pulled", 0.25)),
        ('Successfully pulled image "a.io/x"', ("pulled", None)),
        ('Container image "x" already present on machine', ("present", None)),
        ('Container image "x" already present on machine and can be accessed by the pod', ("present", None)),
        ("something else", None),
    ],
)
def test_a_pull_tells_how_it_went(message: str, told: tuple[str, float | None] | None) -> None:
    text = pulled(message)
    assert (text and (text.result, text.seconds)) == told


def test_only_the_beginning_of_a_message_is_read() -> None:
    """Whoever may write Events may write a megabyte."""
    far = "x" * READ
    assert probed(f"Liveness probe failed: timeout {far}") == ("liveness", "failed", "timeout")
    assert (
        Witness().tracker.event(event("Killing", f"{far} failed liveness probe", kind="Normal"), T0, listed=False)
        is None
    )
    assert cause_of(f"0/5 nodes are available: {far} 3 Insufficient cpu") == "other"
    assert cause_of_pull("ErrImagePull", f"{far} not found") == "other"
    assert backoff(f"back-off {far} 10s ") is None


def test_a_text_that_is_too_long_for_a_duration_is_none() -> None:
    """Looking for its parts takes the square of its length: 20,000 digits took 20 s."""
    assert go_duration("2562047h47m16.854775807s") == pytest.approx(2562047 * 3600 + 47 * 60 + 16.854775807)
    assert go_duration("1s" * 17) is None


def test_a_number_that_no_number_of_nodes_can_be_counts_for_nothing() -> None:
    assert (
        cause_of(f"0/5 nodes are available: {'9' * 5000} Insufficient cpu, 1 Insufficient memory.")
        == "insufficient_memory"
    )


def test_status_is_no_longer_than_a_reason() -> None:
    witness = Witness()
    witness.apply(pod(status(0, "", waiting("R" * 1000))))
    assert witness.record().status == "R" * 128


def test_a_registry_is_no_longer_than_a_reason() -> None:
    assert registry_of(f"a.{'b' * 1000}/x") == f"a.{'b' * 126}"


@pytest.mark.parametrize(
    ("path", "container"),
    [
        ("spec.containers{main}", "main"), ("spec.initContainers{model-download}", "model-download"),
        ("spec.ephemeralContainers{debug-1}", "debug-1"), ("", ""), ("spec.containers[0]", ""),
    ],
)  # fmt: skip
def test_a_field_path_names_a_container(path: str, container: str) -> None:
    assert container_of(path) == container
