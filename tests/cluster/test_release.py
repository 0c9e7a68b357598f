"""The chart installed on the real node, with the image that its Dockerfile makes."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.cluster import image
from tests.cluster.api import Object, RefusedError, wait_until
from tests.cluster.exporter_process import Exporter
from tests.cluster.helm import Helm, of
from tests.cluster.image import Sources
from tests.cluster.node import Node, StartNode
from tests.cluster.prometheus import Prometheus
from tests.cluster.release import Release, create_operator_resources
from tests.cluster.scenarios import SLEEP, container, pod, spec

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def release(node: Node, folder: Path) -> Release:
    create_operator_resources(node)
    release = Release(node, folder)
    release.create_namespace()
    release.install("--set=serviceMonitor.enabled=true,prometheusRule.enabled=true,dashboards.enabled=true")
    release.settled()
    return release


def test_it_is_ready_where_only_restricted_pods_are_let_in(node: Node, release: Release) -> None:
    privileged = {**container("main", SLEEP), "securityContext": {"privileged": True}}
    with pytest.raises(RefusedError, match="violates PodSecurity"):
        node.api.create(pod("privileged", spec(privileged), namespace=release.namespace))
    assert release.get("/readyz") == "ok\n"


def test_it_runs_as_its_own_service_account_and_not_as_root(release: Release) -> None:
    running = release.settled()
    assert running["spec"]["serviceAccountName"] == "pod-exporter"
    assert running["spec"]["securityContext"]["runAsUser"] == 65532
    assert running["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True


def test_it_sees_the_cluster_and_itself_in_it(release: Release) -> None:
    own = {"namespace": release.namespace, "workload_kind": "Deployment", "workload": "pod-exporter"}
    wait_until(lambda: release.scrape().total("pod_workload_ready_pods", **own) == 1, "it knows that it is ready", 20)
    scrape = release.scrape()
    assert scrape.by("resource", "pod_exporter_synced") == dict.fromkeys(("pods", "replicasets", "jobs", "events"), 1)
    assert scrape.total("pod_exporter_faults_total") == 0


def test_helm_test_passes(release: Release) -> None:
    assert "Succeeded" in release.helm("test", release.name, f"--namespace={release.namespace}", "--timeout=60s")


def test_a_real_prometheus_scrapes_it_through_its_service(release: Release, folder: Path) -> None:
    prometheus = Prometheus(folder, release.address)
    with closing(prometheus.daemon.start()):
        query = f'pod_workload_pods{{namespace="{release.namespace}", phase="Running"}}'
        wait_until(lambda: prometheus.value(query) == 1, "Prometheus knows the exporter's own pod", 30)


@pytest.mark.parametrize(("kind", "part"), [("ServiceMonitor", "endpoints"), ("PrometheusRule", "groups")])
def test_what_the_operator_reads_is_as_it_defines_it(
    node: Node, release: Release, tmp_path: Path, kind: str, part: str
) -> None:
    everything = Helm("4", tmp_path).template("--values=charts/pod-exporter/ci/everything-values.yaml")
    made = of(everything, kind)
    made["metadata"]["namespace"] = release.namespace
    node.api.check(made)
    made["spec"][part][0]["mistaken"] = True
    with pytest.raises(RefusedError, match="mistaken"):
        node.api.check(made)


def test_sigterm_ends_it_in_order(node: Node, release: Release) -> None:
    name = release.settled()["metadata"]["name"]
    path = f"/api/v1/namespaces/{release.namespace}/pods"
    events = node.api.watch(path, fieldSelector=f"metadata.name={name}", timeoutSeconds="30")
    next(events)
    node.api.delete(f"{path}/{name}")
    last = {}
    for line in events:
        event = json.loads(line)
        last = event["object"]
        if event["type"] == "DELETED":
            break
    ended = last["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (0, "Completed")
    release.settled()


def test_upgrade_from_the_commit_before_and_rollback(node: Node, folder: Path) -> None:
    """With Helm 3. Where the commit before has no chart, from this one with other settings."""
    release = Release(node, folder, "pod-exporter-upgraded", helm="3")
    release.create_namespace()
    before, chart = image.previous(), release.previous_chart()
    if before and chart:
        release.install(chart=chart, sources=before)
    else:
        release.install("--set=settings.pods=none")
    old = release.settled()
    release.install("--set=settings.log.level=debug")
    new = release.settled()
    assert new["metadata"]["uid"] != old["metadata"]["uid"]
    assert new["spec"]["containers"][0]["image"].endswith(Sources().tag)
    release.helm("rollback", release.name, "1", f"--namespace={release.namespace}", "--wait", "--timeout=120s")
    again = release.settled()
    assert again["spec"]["containers"][0]["image"] == old["spec"]["containers"][0]["image"]
    assert release.get("/readyz") == "ok\n"
    release.helm("uninstall", release.name, f"--namespace={release.namespace}", "--wait")


def test_of_named_namespaces_it_reads_only_those(node: Node, folder: Path) -> None:
    release = Release(node, folder, "pod-exporter-few")
    release.create_namespace()
    for name in ("few-a", "few-b", "few-c"):
        node.create_namespace(name)
        main = {**container("main", SLEEP), "volumeMounts": [], "command": ["sleep", "100000"]}
        node.api.create(pod("one", {**spec(main), "volumes": []}, namespace=name))
    release.install("--set=settings.kube.namespaces={few-a,few-b}")
    release.settled()
    assert {sample.labels["namespace"] for sample in release.scrape().select("pod_info")} == {"few-a", "few-b"}
    release.helm("uninstall", release.name, f"--namespace={release.namespace}", "--wait")


def test_with_the_kubelet_as_source_it_may_read_it(node: Node, release: Release) -> None:
    release.install("--set=settings.kubelet.probes=true", "--set=settings.kubelet.insecure_skip_verify=true",
                    "--set=settings.kubelet.interval=1s")  # fmt: skip
    release.settled()
    wait_until(lambda: release.scrape().total("pod_exporter_kubelet_reads_total", result="ok") > 0, "it is read", 20)


def test_without_the_right_on_node_metrics_no_kubelet_is_read(node: Node, folder: Path, tmp_path: Path) -> None:
    node.create_namespace("account")
    role = of(Helm("4", tmp_path).template("--set=settings.kubelet.probes=true"), "ClusterRole")
    kubeconfig = account(node, "without-node-metrics", _without(role["rules"], "nodes/metrics", "get"))
    flags = ("--kubelet.probes", "--kubelet.insecure-skip-verify", "--kubelet.interval=1s")
    with closing(Exporter(folder, kubeconfig, *flags, name="without-node-metrics")) as exporter:
        exporter.start().wait_ready()
        reads = "pod_exporter_kubelet_reads_total"
        wait_until(lambda: exporter.scrape().total(reads, result="forbidden") > 0, "it is refused", 20)
        assert exporter.scrape().total(reads, result="ok") == 0


@pytest.fixture(scope="module")
def old(start_node: StartNode) -> Iterator[Node]:
    """An API server that refuses watch-lists: on it every verb is needed."""
    with start_node(control=False, etcd="debian") as node:
        node.create_namespace("account")
        yield node


RIGHTS = [
    (resource, verb) for resource in ("pods", "events", "replicasets", "jobs", "nodes") for verb in ("list", "watch")
]


@pytest.mark.parametrize(("resource", "verb"), RIGHTS, ids="/".join)
def test_no_right_is_superfluous(old: Node, folder: Path, tmp_path: Path, resource: str, verb: str) -> None:
    role = of(Helm("4", tmp_path).template("--set=settings.kubelet.probes=true"), "ClusterRole")
    name = f"without-{verb}-{resource}"
    kubeconfig = account(old, name, _without(role["rules"], resource, verb))
    with closing(Exporter(folder, kubeconfig, "--kubelet.probes", name=name)) as exporter:
        exporter.start()
        wait_until(lambda: _refused(exporter, resource), f"without {verb} on {resource} it is refused", 30)


def test_with_all_its_rights_nothing_is_refused(old: Node, folder: Path, tmp_path: Path) -> None:
    role = of(Helm("4", tmp_path).template("--set=settings.kubelet.probes=true"), "ClusterRole")
    kubeconfig = account(old, "all-rights", role["rules"])
    with closing(Exporter(folder, kubeconfig, "--kubelet.probes", name="all-rights")) as exporter:
        exporter.start().wait_ready()
        resources = ("pods", "events", "replicasets", "jobs", "nodes")
        wait_until(
            lambda: exporter.scrape().by("resource", "pod_exporter_synced") == dict.fromkeys(resources, 1),
            "everything is synced",
            30,
        )
        assert not any(_refused(exporter, resource) for resource in resources)


def _without(rules: list[Object], resource: str, verb: str) -> list[Object]:
    single = [
        {**rule, "resources": [one], "verbs": [v]} for rule in rules for one in rule["resources"] for v in rule["verbs"]
    ]
    return [rule for rule in single if (rule["resources"], rule["verbs"]) != ([resource], [verb])]


def _refused(exporter: Exporter, resource: str) -> bool:
    said = map(json.loads, exporter.log.read_text().splitlines())
    return any(line.get("resource") == resource and " 403 " in line.get("error", "") for line in said)


def account(node: Node, name: str, rules: list[Object]) -> Path:
    """A kubeconfig of a service account with these rights."""
    rbac = "rbac.authorization.k8s.io"
    metadata = {"name": name, "namespace": "account"}
    node.api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    node.api.create({"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules})
    binding = {"apiVersion": f"{rbac}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name}}
    subjects = [{"kind": "ServiceAccount", "name": name, "namespace": "account"}]
    node.api.create(
        {**binding, "subjects": subjects, "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": name}}
    )
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    answer = node.api.request("POST", f"/api/v1/namespaces/account/serviceaccounts/{name}/token", request)
    return node.kubeconfig(answer["status"]["token"], name)


def _unpack(archive: Path, target: Path) -> set[str]:
    """The names of all files in the image; those of /app are written to the target."""
    names: set[str] = set()
    with tarfile.open(archive) as image_file:
        manifest = json.load(image_file.extractfile("manifest.json"))  # type: ignore[arg-type] # it is a file
        for layer_name in manifest[0]["Layers"]:
            with tarfile.open(fileobj=image_file.extractfile(layer_name)) as layer:
                for member in layer:
                    folder, _, name = member.name.rpartition("/")
                    if name.startswith(".wh."):  # what a later layer deletes
                        gone = f"{folder}/{name.removeprefix('.wh.')}"
                        names = {one for one in names if one != gone and not one.startswith(f"{gone}/")}
                        continue
                    names.add(member.name)
                    if member.name.startswith("app/"):
                        layer.extract(member, target, filter="tar")
    return names


def test_the_image_holds_nothing_that_installs_and_loads_every_kind_of_credentials(tmp_path: Path) -> None:
    """What is cut out of the kubernetes package is never needed: its loaders' tests run with what is left."""
    names = _unpack(Sources().archive, tmp_path)
    assert "app/bin/pod-exporter" in names
    assert not [name for name in names if any(f"/{one}/" in name for one in ("pip", "setuptools", "ensurepip"))]
    [package] = tmp_path.glob("app/lib/python3*/site-packages/kubernetes")
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "kubernetes").symlink_to(package)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/kube/test_access.py"]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": str(tmp_path / "only")}
    done = subprocess.run(command, cwd=image.ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert " passed" in done.stdout
    assert not list(package.glob("client/models/v1_*.py"))
