"""What the exporter sees with fewer rights, and of fewer namespaces, as a real API server enforces them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.cluster.api import Object, wait_until
from tests.cluster.exporter_process import Exporter
from tests.cluster.node import Node
from tests.cluster.scenarios import SLEEP, container, deployment, spec

pytestmark = pytest.mark.cluster
NAMESPACES = ("ns-a", "ns-b", "ns-c")
RBAC = "rbac.authorization.k8s.io"
StartExporter = Callable[..., Exporter]


@pytest.fixture(scope="module", autouse=True)
def deployments(node: Node) -> None:
    """One Deployment `web` in each namespace, running."""
    for namespace in NAMESPACES:
        node.create_namespace(namespace)
        node.api.create(web(namespace))
    wait_until(lambda: all(is_running(node, namespace) for namespace in NAMESPACES), "web runs everywhere")


def web(namespace: str) -> Object:
    main = container("main", SLEEP, volumeMounts=[])
    main["command"] = ["sh", "-c", SLEEP]
    obj = deployment("web", {**spec(main), "volumes": []})
    obj["metadata"]["namespace"] = namespace
    return obj


def is_running(node: Node, namespace: str) -> bool:
    pods = node.api.pods(namespace)
    return bool(pods) and all(pod["status"]["phase"] == "Running" for pod in pods)


@pytest.fixture
def start_exporter(node: Node, folder: Path, request: pytest.FixtureRequest) -> Iterator[StartExporter]:
    """Starts exporters that end with the test."""
    with ExitStack() as stack:

        def start(kubeconfig: Path, *flags: str) -> Exporter:
            exporter = Exporter(folder, kubeconfig, *flags, name=request.node.name)
            stack.enter_context(closing(exporter))
            return exporter.start()

        yield start


def account(node: Node, name: str, *resources: tuple[str, str], namespaces: tuple[str, ...] = ()) -> Path:
    """A kubeconfig of a service account that may list and watch these (API group, resource), and no more."""
    meta = {"name": name, "namespace": "ns-a"}
    node.api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta})
    verbs = ["list", "watch"]
    rules = [{"apiGroups": [group], "resources": [resource], "verbs": verbs} for group, resource in resources]
    for namespace in namespaces or (None,):
        bind(node, name, rules, namespace)
    answer = node.api.request("POST", f"/api/v1/namespaces/ns-a/serviceaccounts/{name}/token", token_request())
    return node.kubeconfig(answer["status"]["token"], name)


def token_request() -> Object:
    return {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}


def bind(node: Node, name: str, rules: list[Object], namespace: str | None) -> None:
    prefix = "" if namespace else "Cluster"
    meta = {"name": name, **({"namespace": namespace} if namespace else {})}
    common = {"apiVersion": f"{RBAC}/v1", "metadata": meta}
    node.api.create({**common, "kind": f"{prefix}Role", "rules": rules})
    subjects = [{"kind": "ServiceAccount", "name": name, "namespace": "ns-a"}]
    role = {"apiGroup": RBAC, "kind": f"{prefix}Role", "name": name}
    node.api.create({**common, "kind": f"{prefix}RoleBinding", "subjects": subjects, "roleRef": role})


PODS, EVENTS = ("", "pods"), ("", "events")
OWNERS = (("apps", "replicasets"), ("batch", "jobs"))


def workloads(exporter: Exporter) -> set[tuple[str, str, str]]:
    return {
        (sample.labels["namespace"], sample.labels["workload_kind"], sample.labels["workload"])
        for sample in exporter.scrape().select("pod_info")
        if sample.labels["namespace"] in NAMESPACES
    }


def test_only_the_named_namespaces_are_seen(node: Node, start_exporter: StartExporter) -> None:
    """With rights in these namespaces and nowhere else: one watch for each is all that it may do."""
    kubeconfig = account(node, "two-namespaces", PODS, EVENTS, *OWNERS, namespaces=("ns-a", "ns-b"))
    exporter = start_exporter(kubeconfig, "--kube.namespaces=ns-a,ns-b").wait_ready()
    assert workloads(exporter) == {("ns-a", "Deployment", "web"), ("ns-b", "Deployment", "web")}


def test_changes_in_each_named_namespace_are_followed(node: Node, start_exporter: StartExporter) -> None:
    exporter = start_exporter(node.kubeconfig(), "--kube.namespaces=ns-a,ns-b").wait_ready()
    for namespace in ("ns-a", "ns-b", "ns-c"):
        node.api.delete(f"/api/v1/namespaces/{namespace}/pods/{node.api.pods(namespace)[0]['metadata']['name']}")
    family = {"name": "pod_phase_transitions_total", "to": "Deleted", "workload": "web"}
    seen = {"ns-a": 1.0, "ns-b": 1.0}
    wait_until(lambda: exporter.scrape().by("namespace", **family) == seen, "two deletions are counted", 20)


def test_without_rights_on_owners_the_workload_comes_from_the_template_hash(
    node: Node, start_exporter: StartExporter
) -> None:
    exporter = start_exporter(account(node, "no-owners", PODS, EVENTS)).wait_ready()
    assert workloads(exporter) == {(namespace, "Deployment", "web") for namespace in NAMESPACES}
    assert exporter.scrape().select("pod_exporter_synced", resource="replicasets") == []


def test_without_rights_on_events_it_is_ready_all_the_same(node: Node, start_exporter: StartExporter) -> None:
    exporter = start_exporter(account(node, "no-events", PODS, *OWNERS)).wait_ready()
    assert exporter.scrape().select("pod_exporter_synced", resource="events") == []


def test_without_rights_on_pods_it_is_not_ready_and_says_why(node: Node, start_exporter: StartExporter) -> None:
    exporter = start_exporter(account(node, "no-pods", EVENTS, *OWNERS))
    wait_until(lambda: exporter.readiness() == 503, "it answers that it is not ready", 20)
    wait_until(lambda: says_why(exporter), "the log names the missing right", 20)
    assert exporter.readiness() == 503
    assert exporter.get("/livez").status == 200


def says_why(exporter: Exporter) -> bool:
    lines = exporter.log.read_text().lower().splitlines()
    return any("pods" in line and ("403" in line or "forbidden" in line) for line in lines)


def test_rights_that_are_granted_later_make_it_ready(node: Node, start_exporter: StartExporter) -> None:
    exporter = start_exporter(account(node, "late-rights", EVENTS))
    wait_until(lambda: exporter.readiness() == 503, "it answers that it is not ready", 20)
    rule = {"apiGroups": [""], "resources": ["pods", "events"], "verbs": ["list", "watch"]}
    node.api.patch(f"/apis/{RBAC}/v1/clusterroles/late-rights", {"rules": [rule]})
    exporter.wait_ready(60)
