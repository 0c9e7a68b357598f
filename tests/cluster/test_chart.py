"""The chart as Helm renders it: valid in every Kubernetes, with the rights that it needs and no others."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from exporter.settings import load
from tests.cluster.api import Object
from tests.cluster.helm import CHART, MAJORS, Helm, HelmError, OnlyOnce, of, settings_of
from tests.cluster.image import ROOT

pytestmark = pytest.mark.cluster
VERSIONS = [f"1.{minor}" for minor in range(27, 38)]
VALUES = sorted(CHART.glob("ci/*-values.yaml"))
OPERATORS = ("monitoring.coreos.com/v1", "grafana.integreatly.org/v1beta1")
"""Whose definitions Kubernetes does not have; test_release.py checks the first against the operator's own."""
NAMESPACES = CHART / "ci" / "namespaces-values.yaml"
EVERYTHING = CHART / "ci" / "everything-values.yaml"
COLLISIONS = CHART / "ci" / "collisions-values.yaml"


@pytest.fixture(scope="module", params=MAJORS)
def helm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    return Helm(request.param, tmp_path_factory.mktemp("helm"))


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_lint_finds_nothing(helm: Helm, values: Path) -> None:
    assert "[WARNING]" not in helm("lint", "--strict", "--kube-version=1.36", f"--values={values}", str(CHART))


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_every_manifest_is_valid_in_every_version_of_kubernetes(helm: Helm, values: Path) -> None:
    manifests = helm.template(f"--values={values}")
    checked = [one for one in manifests if one["apiVersion"] not in OPERATORS]
    for version in VERSIONS:
        for manifest in checked:
            kubernetes_validate.validate(manifest, version, strict=True)
    assert len(checked) >= 6


def test_a_wrong_manifest_would_be_found(helm: Helm) -> None:
    deployment = of(helm.template(), "Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["imagePullPolice"] = "Always"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, "1.36", strict=True)


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_both_versions_of_helm_render_the_same(values: Path, tmp_path: Path) -> None:
    three, four = (Helm(major, tmp_path).template(f"--values={values}") for major in MAJORS)
    assert sorted(map(yaml.safe_dump, three)) == sorted(map(yaml.safe_dump, four))


def test_an_older_kubernetes_is_refused(helm: Helm) -> None:
    with pytest.raises(HelmError, match="kubeVersion"):
        helm.template(version="1.26")


BAD = {
    "--set=replicas=2": "replicas",
    "--set=image.pullPolicy=Sometimes": "pullPolicy",
    "--set=image.digest=latest": "digest",
    "--set=service.port=0": "port",
    "--set=scrapeInterval=30": "scrapeInterval",
    "--set=scrapeInterval=10m": "scrapeInterval: at most 4m",
    "--set=settings.pods=some": "pods",
    "--set=settings.log.levle=info": "levle",
    "--set=settings.web.listen_address=:1": "web",
    "--set=settings.kubelet.probes=often": "probes",
    "--set=settings.ledger.retention=soon": "retention",
    "--set=settings.kube.namespaces=shop": "namespaces",
    "--set=tolerations.key=x": "tolerations",
    "--set=prometheusRule.alerts.PodDown.enabled=false": "PodDown",
    "--set=prometheusRule.alerts.PodEvicted.severity=": "severity",
    "--set=prometheusRule.alerts.PodEvicted.for=1.5m": "for",
    "--set=prometheusRule.alerts.PodEvicted.for=1m1h": "for",
    "--set=prometheusRule.alerts.PodEvicted.for=": "for",
    "--set-string=dashboards.grafanaOperator.resyncPeriod=0": "resyncPeriod",
    "--set=prometheusRule.groups.nodes=false": "nodes",
    "--set=serviceMonitor.endpoint.honorLabels=false": "honorLabels",
    "--set=serviceMonitor.limits.selector.matchLabels.a=b": "selector",
    "--set=imagePullSecrets[0].secret=x": "imagePullSecrets",
    "--set=serviceAccount.create=false": "serviceAccount.name: name the account that gets the rights",
    "--set=prometheusRule.alerts.PodEvicted.limits.kills=1": "kills",
    "--set=dashboards.enabled=true,dashboards.grafanaOperator.enabled=true": "instanceSelector",
    "--set=serviceMonitor.enable=true": "enable",
    "--set=checkpoint.volume=disk": "volume",
    "--set=checkpoint.pvc.size=": "size",
    "--set=settings.state.checkpoint_file=/tmp/x": "checkpoint_file",
    "--set=extraArgs[0]=log.level=debug": "extraArgs",
}


@pytest.mark.parametrize(("values", "named"), BAD.items(), ids=BAD)
def test_a_bad_value_is_refused_by_name(helm: Helm, values: str, named: str) -> None:
    with pytest.raises(HelmError) as refused:
        helm.template(values)
    assert named in str(refused.value)


@pytest.mark.parametrize("wait", ["0", "0s", "1h30m", "2d", "500ms"])
def test_an_alert_waits_any_time_that_prometheus_understands(helm: Helm, wait: str) -> None:
    made = alerts_of(helm.template(RULE, f"--set-string=prometheusRule.alerts.PodStartupStuck.for={wait}"))
    assert made["PodStartupStuck"]["for"] == wait


def test_global_takes_what_parent_charts_put_there(helm: Helm) -> None:
    assert helm.template("--set=global.parentsOwn.thing=1")


@pytest.mark.parametrize("key", ["imagePullSecrets", "global.imagePullSecrets"])
def test_pull_secrets_come_in_both_forms_and_each_once(helm: Helm, key: str) -> None:
    manifests = helm.template(f"--set={key}[0]=bare", f"--set={key}[1].name=named", f"--set={key}[2].name=bare")
    for pod in (of(manifests, "Deployment")["spec"]["template"], of(manifests, "Pod")):
        assert pod["spec"]["imagePullSecrets"] == [{"name": "bare"}, {"name": "named"}]


def test_openshift_can_choose_the_user(helm: Helm) -> None:
    nothing = ",".join(f"podSecurityContext.{key}=null" for key in ("runAsUser", "runAsGroup", "fsGroup"))
    manifests = helm.template(f"--set={nothing}")
    for pod in (of(manifests, "Deployment")["spec"]["template"], of(manifests, "Pod")):
        assert pod["spec"]["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def test_a_key_that_is_there_twice_would_be_found() -> None:
    with pytest.raises(yaml.YAMLError, match=r"there twice: \{'a'\}"):
        yaml.load("{b: {a: 1, a: 1}}", OnlyOnce)


SELECTOR = {"app.kubernetes.io/name": "pod-exporter", "app.kubernetes.io/instance": "r"}
WINS = {
    "Service": "own", "ServiceMonitor": "own", "PrometheusRule": "own", "ServiceAccount": "common",
    "ClusterRole": "common", "Deployment": "common", "NetworkPolicy": "common", "GrafanaDashboard": "common",
}  # fmt: skip


def test_the_more_specific_label_wins_but_what_selects_stays(helm: Helm) -> None:
    manifests = helm.template(f"--values={COLLISIONS}")
    labels = [(one["kind"], one["metadata"]["labels"]) for one in manifests if one["kind"] in WINS]
    labels += [("Service", of(manifests, "Deployment")["spec"]["template"]["metadata"]["labels"])]
    labels += [("Service", one["metadata"]["labels"]) for one in boards_of(manifests)]
    assert {kind for kind, _ in labels} == WINS.keys()
    for kind, found in labels:
        assert found.items() >= SELECTOR.items(), kind
        assert (found["app.kubernetes.io/part-of"], found["team"]) == (WINS[kind], WINS[kind]), kind
        assert found["helm.sh/chart"] == "common"


def test_what_selects_fits_the_pod_whatever_labels_it_has(helm: Helm) -> None:
    manifests = helm.template(f"--values={COLLISIONS}")
    deployment = of(manifests, "Deployment")["spec"]
    assert deployment["selector"]["matchLabels"] == of(manifests, "Service")["spec"]["selector"] == SELECTOR
    assert of(manifests, "ServiceMonitor")["spec"]["selector"]["matchLabels"] == SELECTOR


def test_an_empty_label_wins_too_and_a_number_stays_text(helm: Helm) -> None:
    flags = ("--set=commonLabels.team=common", "--set=podLabels.team=", "--set-string=nameOverride=1")
    labels = of(helm.template(*flags), "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert (labels["team"], labels["app.kubernetes.io/name"]) == ("", "1")


def test_the_more_specific_annotation_and_field_win(helm: Helm) -> None:
    manifests = helm.template(f"--values={COLLISIONS}")
    assert {one["metadata"]["annotations"]["grafana_folder"] for one in boards_of(manifests)} == {"own"}
    [endpoint] = of(manifests, "ServiceMonitor")["spec"]["endpoints"]
    assert (endpoint["port"], endpoint["path"], endpoint["honorLabels"]) == ("proxy", "/own", True)
    pod = of(manifests, "Deployment")["spec"]["template"]
    assert pod["metadata"]["annotations"]["checksum/config"] != "own", "a changed setting would start no new pod"


def leaves(tree: Object, path: str = "") -> Iterator[str]:
    for key, value in tree.items():
        if isinstance(value, dict) and value and key not in ("podSecurityContext", "securityContext", "resources"):
            yield from leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}"


def test_every_value_changes_something(helm: Helm) -> None:
    """A value that no template reads would be a promise that nobody keeps."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    everything = yaml.safe_load(EVERYTHING.read_text())
    untested = {"image.registry", "image.repository", "image.tag", "serviceAccount.create", "rbac.create",
                "terminationGracePeriodSeconds", "revisionHistoryLimit", "resources", "podSecurityContext",
                "securityContext", "scrapeInterval"}  # fmt: skip
    tops = {name for name in values if name not in {path.partition(".")[0] for path in untested}}
    assert {name for name in tops if name not in everything} <= {"livenessProbe", "readinessProbe"}
    whole = helm.template(f"--values={EVERYTHING}")
    for key in everything:
        without = {name: value for name, value in everything.items() if name != key}
        less = helm.template(f"--values={_file(helm, without)}")
        assert sorted(map(yaml.safe_dump, less)) != sorted(map(yaml.safe_dump, whole)), key


def _file(helm: Helm, values: Object) -> Path:
    path = helm.home / "values.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def rules(role: Object) -> dict[str, set[str]]:
    return {resource: set(rule["verbs"]) for rule in role["rules"] for resource in rule["resources"]}


OWN = {name: {"list", "watch"} for name in ("pods", "replicasets", "jobs", "events")}
NODES = {"nodes": {"list", "watch"}, "nodes/metrics": {"get"}}


def test_by_default_it_may_read_four_resources_and_nothing_else(helm: Helm) -> None:
    assert rules(of(helm.template(), "ClusterRole")) == OWN


def test_with_the_kubelet_as_source_it_may_read_nodes_too(helm: Helm) -> None:
    assert rules(of(helm.template("--set=settings.kubelet.probes=true"), "ClusterRole")) == OWN | NODES


def test_without_events_it_may_not_read_them(helm: Helm) -> None:
    found = rules(of(helm.template("--set=settings.events.enabled=false"), "ClusterRole"))
    assert found == {name: verbs for name, verbs in OWN.items() if name != "events"}


def test_of_some_namespaces_it_may_read_only_these(helm: Helm) -> None:
    manifests = helm.template("--set=settings.kube.namespaces={shop,search}")
    roles = {one["metadata"]["namespace"]: rules(one) for one in manifests if one["kind"] == "Role"}
    assert roles == {"shop": OWN, "search": OWN}
    assert [one["kind"] for one in manifests if one["kind"].startswith("ClusterRole")] == []


def test_of_some_namespaces_with_kubelets_only_nodes_are_cluster_wide(helm: Helm) -> None:
    assert rules(of(helm.template(f"--values={NAMESPACES}"), "ClusterRole")) == NODES


def test_the_birth_hold_follows_the_scrape_interval_unless_it_is_given(helm: Helm) -> None:
    for interval, hold in (("15s", "40s"), ("30s", "70s"), ("2m", "250s")):
        assert settings_of(helm.template(f"--set=scrapeInterval={interval}"))["ledger"]["birth_hold"] == hold
    given = helm.template("--set=settings.ledger.birth_hold=5s", "--set=settings.ledger.retention=1h")
    assert settings_of(given)["ledger"] == {"birth_hold": "5s", "retention": "1h"}


def test_the_checkpoint_is_written_no_less_often_than_the_birth_hold_lasts(helm: Helm) -> None:
    def interval(*flags: str) -> str | None:
        found: str | None = settings_of(helm.template(*flags))["state"].get("checkpoint_interval")
        return found

    assert interval("--set=scrapeInterval=24s") == "58s"
    assert interval("--set=scrapeInterval=25s") is None, "the exporter's own 60s is short enough"
    assert interval("--set=scrapeInterval=15s", "--set=settings.state.checkpoint_interval=10s") == "10s"
    assert interval("--set=scrapeInterval=15s", "--set=settings.ledger.birth_hold=40s") is None
    assert "state" not in settings_of(helm.template("--set=scrapeInterval=15s", "--set=checkpoint.volume=none"))


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_the_exporter_takes_the_settings_that_the_chart_writes(
    helm: Helm, values: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("POD_EXPORTER_")]:  # those of this tier
        monkeypatch.delenv(name)
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(settings_of(helm.template(f"--values={values}"))))
    load([f"--config={file}"])


def checkpoint_of(manifests: list[Object]) -> tuple[Object, str]:
    """The volume of the checkpoint, and the file that the exporter keeps."""
    pod = of(manifests, "Deployment")["spec"]["template"]["spec"]
    [volume] = [one for one in pod["volumes"] if one["name"] == "checkpoint"]
    [mount] = [one for one in pod["containers"][0]["volumeMounts"] if one["name"] == "checkpoint"]
    file = settings_of(manifests)["state"]["checkpoint_file"]
    assert Path(file).parent == Path(mount["mountPath"])
    assert not mount.get("readOnly")
    assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsGroup"]
    return volume, file


def test_the_checkpoint_outlives_the_container_by_default(helm: Helm) -> None:
    manifests = helm.template()
    assert checkpoint_of(manifests)[0] == {"name": "checkpoint", "emptyDir": {}}
    assert [one for one in manifests if one["kind"] == "PersistentVolumeClaim"] == []
    limited, _ = checkpoint_of(helm.template("--set=checkpoint.sizeLimit=1Gi"))
    assert limited["emptyDir"] == {"sizeLimit": "1Gi"}


def test_a_claim_lets_it_outlive_the_pod(helm: Helm) -> None:
    manifests = helm.template("--set=checkpoint.volume=pvc")
    claim = of(manifests, "PersistentVolumeClaim")
    assert checkpoint_of(manifests)[0]["persistentVolumeClaim"] == {"claimName": claim["metadata"]["name"]}
    assert claim["spec"] == {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    own = helm.template("--set=checkpoint.volume=pvc", "--set=checkpoint.pvc.existingClaim=mine")
    assert checkpoint_of(own)[0]["persistentVolumeClaim"] == {"claimName": "mine"}
    assert [one for one in own if one["kind"] == "PersistentVolumeClaim"] == []


def test_without_a_volume_there_is_no_checkpoint(helm: Helm) -> None:
    manifests = helm.template("--set=checkpoint.volume=none")
    assert "state" not in settings_of(manifests)
    pod = of(manifests, "Deployment")["spec"]["template"]["spec"]
    assert [one["name"] for one in pod["volumes"]] == ["config"]


@pytest.mark.parametrize(
    ("volume", "words"),
    [("none", "is not counted"), ("emptyDir", "an upgrade or a loss of its pod begins anew"), ("pvc", "")],
)
def test_the_notes_say_what_a_restart_loses(tmp_path: Path, volume: str, words: str) -> None:
    """By Helm 4: without a cluster, Helm 3 does not render them."""
    helm = Helm("4", tmp_path)
    notes = helm("install", "r", str(CHART), "--dry-run=client", f"--set=checkpoint.volume={volume}")
    told = notes.partition("NOTES:")[2]
    assert words in told
    assert ("checkpoint" in told or "is not counted" in told) is bool(words)


@pytest.mark.parametrize(("port", "tested"), [("metrics", True), ("9873", True), ("8443", False), ("https", False)])
def test_helm_test_is_there_where_the_service_leads_to_the_exporter_itself(
    tmp_path: Path, port: str, tested: bool
) -> None:
    helm = Helm("4", tmp_path)
    told = helm("install", "r", str(CHART), "--dry-run=client", f"--set=service.targetPort={port}")
    hook, notes = told.partition("NOTES:")[::2]
    assert ("kind: Pod\n" in hook, "helm test r" in notes) == (tested, tested)
    assert "port-forward deployment/r-pod-exporter 9873\n" in notes


def test_the_pod_of_helm_test_can_run_where_the_exporter_can(helm: Helm) -> None:
    manifests = helm.template(f"--values={COLLISIONS}")
    exporter, test = of(manifests, "Deployment")["spec"]["template"]["spec"], of(manifests, "Pod")["spec"]
    same = ("priorityClassName", "runtimeClassName", "nodeSelector", "imagePullSecrets", "securityContext")
    assert {key: test[key] for key in same} == {key: exporter[key] for key in same}
    assert test["affinity"] == {"nodeAffinity": exporter["affinity"]["nodeAffinity"]}
    assert test["containers"][0]["resources"] == exporter["containers"][0]["resources"]


def test_the_service_does_not_lead_to_the_pod_of_helm_test(helm: Helm) -> None:
    labels = of(helm.template(f"--values={COLLISIONS}"), "Pod")["metadata"]["labels"]
    assert labels["app.kubernetes.io/name"] == "pod-exporter-test"
    assert labels["team"] == "common"


def test_a_changed_setting_starts_a_new_pod(helm: Helm) -> None:
    one, other = (
        of(helm.template(f"--set=settings.log.level={level}"), "Deployment")["spec"]["template"]
        for level in ("info", "debug")
    )
    assert one["metadata"]["annotations"] != other["metadata"]["annotations"]


def test_there_is_never_more_than_one_exporter(helm: Helm) -> None:
    deployment = of(helm.template(), "Deployment")["spec"]
    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})


def test_the_target_keeps_its_own_labels_off_the_series(helm: Helm) -> None:
    [endpoint] = of(helm.template("--set=serviceMonitor.enabled=true"), "ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["honorLabels"] is True
    drop, instance = endpoint["relabelings"]
    assert drop["action"] == "labeldrop"
    assert all(re.fullmatch(drop["regex"], name) for name in ("pod", "container", "node", "namespace", "service"))
    assert instance["replacement"] == "monitoring/r"


def test_digest_comes_before_tag_and_the_global_registry_before_the_images(helm: Helm) -> None:
    digest = "sha256:" + "0" * 64
    flags = ["--set=global.imageRegistry=g", "--set=image.registry=i", "--set=image.tag=t"]
    container = of(helm.template(*flags), "Deployment")["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "g/pod-exporter:t"
    container = of(helm.template(f"--set=image.digest={digest}"), "Deployment")["spec"]["template"]["spec"][
        "containers"
    ][0]
    assert container["image"] == f"pod-exporter@{digest}"


def test_a_network_policy_lets_scrapes_in_and_dns_and_the_api_out(helm: Helm) -> None:
    policy = of(helm.template("--set=networkPolicy.enabled=true"), "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert [port["port"] for rule in policy["ingress"] for port in rule["ports"]] == ["metrics"]
    assert {port["port"] for rule in policy["egress"] for port in rule["ports"]} == {53, 443, 6443}


def test_who_may_scrape_shuts_the_charts_own_test_out_no_more_than_them(helm: Helm) -> None:
    scraper = "--set=networkPolicy.from[0].namespaceSelector.matchLabels.name=monitoring"
    manifests = helm.template("--set=networkPolicy.enabled=true", scraper)
    [rule] = of(manifests, "NetworkPolicy")["spec"]["ingress"]
    theirs, ours = rule["from"]
    assert theirs == {"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}
    assert ours["podSelector"]["matchLabels"].items() <= of(manifests, "Pod")["metadata"]["labels"].items()
    assert ours["podSelector"]["matchLabels"] != SELECTOR


def test_a_proxy_can_stand_before_the_exporter(helm: Helm) -> None:
    flags = ["--set=networkPolicy.enabled=true", "--set=serviceMonitor.enabled=true", "--set=service.targetPort=8443"]
    manifests = helm.template(*flags, "--set=serviceMonitor.endpoint.scheme=https")
    assert of(manifests, "Service")["spec"]["ports"][0]["targetPort"] == 8443
    assert of(manifests, "NetworkPolicy")["spec"]["ingress"][0]["ports"][0]["port"] == 8443
    assert of(manifests, "ServiceMonitor")["spec"]["endpoints"][0]["scheme"] == "https"
    few = helm.template(*flags, "--set=networkPolicy.from[0].podSelector.matchLabels.a=b")
    assert len(of(few, "NetworkPolicy")["spec"]["ingress"][0]["from"]) == 1


@pytest.mark.parametrize(("target", "port"), [("metrics", "9873"), ("9873", "9873"), ("8443", "8443"), ("https", None)])
def test_annotations_name_the_port_of_the_pod(helm: Helm, target: str, port: str | None) -> None:
    flags = ("--set=service.prometheusAnnotations=true", "--set=service.port=80", f"--set=service.targetPort={target}")
    annotations = of(helm.template(*flags), "Service")["metadata"]["annotations"]
    assert annotations["prometheus.io/scrape"] == "true"
    assert annotations.get("prometheus.io/port") == port


def test_annotations_name_the_port_of_a_proxy(helm: Helm) -> None:
    proxy = {
        "name": "proxy",
        "image": "proxy",
        "ports": [
            {"name": "other", "containerPort": 1},
            {"containerPort": 2},
            {"name": "https", "containerPort": 8443},
        ],
    }
    values = {"service": {"prometheusAnnotations": True, "targetPort": "https"}}
    for place in ("extraContainers", "extraInitContainers"):
        file = _file(helm, {**values, place: [proxy]})
        annotations = of(helm.template(f"--values={file}"), "Service")["metadata"]["annotations"]
        assert annotations["prometheus.io/port"] == "8443"


def test_your_annotations_come_before_the_charts(helm: Helm) -> None:
    annotations = of(helm.template(f"--values={COLLISIONS}"), "Service")["metadata"]["annotations"]
    assert annotations == {"prometheus.io/scrape": "false", "prometheus.io/port": "1"}


def test_an_account_of_yours_gets_the_rights_and_none_is_needed_without(helm: Helm) -> None:
    mine = ("--set=serviceAccount.create=false", "--set=serviceAccount.name=mine")
    assert of(helm.template(*mine), "ClusterRoleBinding")["subjects"][0]["name"] == "mine"
    none = helm.template("--set=serviceAccount.create=false", "--set=rbac.create=false")
    assert of(none, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"] == "default"


RULE = "--set=prometheusRule.enabled=true"


def alerts_of(manifests: list[Object]) -> dict[str, Object]:
    groups = of(manifests, "PrometheusRule")["spec"]["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def test_by_default_the_chart_has_the_alerts_of_the_plain_files(helm: Helm) -> None:
    plain = [yaml.safe_load(path.read_text()) for path in sorted(ROOT.glob("alerts/*.yaml"))]
    made = of(helm.template(RULE), "PrometheusRule")["spec"]["groups"]
    assert sorted(made, key=lambda group: group["name"]) == [group for one in plain for group in one["groups"]]


def test_single_alerts_can_be_changed_and_switched_off(helm: Helm) -> None:
    changes = {
        "PodEvicted.enabled": "false",
        "PodStartupStuck.limits.seconds": "60",
        "PodContainerOOMKilled.severity": "critical",
        "PodContainerOOMKilled.for": "5m",
        "PodProbeKills.limits.perPod": "0",
    }
    made = alerts_of(helm.template(RULE, *(f"--set=prometheusRule.alerts.{key}={new}" for key, new in changes.items())))
    plain = alerts_of(helm.template(RULE))
    assert plain.keys() - made.keys() == {"PodEvicted"}
    assert made["PodStartupStuck"]["expr"] == plain["PodStartupStuck"]["expr"].replace("1800", "60")
    assert made["PodContainerOOMKilled"]["labels"] == {"severity": "critical"}
    assert made["PodContainerOOMKilled"]["for"] == "5m"
    assert made["PodProbeKills"]["expr"] == plain["PodProbeKills"]["expr"].replace("0.05", "0")
    untouched = plain.keys() - {"PodEvicted", "PodStartupStuck", "PodContainerOOMKilled", "PodProbeKills"}
    assert all(made[name] == plain[name] for name in untouched)


def test_a_group_of_alerts_can_be_switched_off_but_for_single_ones(helm: Helm) -> None:
    plain = alerts_of(helm.template(RULE))
    off = alerts_of(helm.template(RULE, "--set=prometheusRule.groups.workloads=false"))
    assert off == {name: rule for name, rule in plain.items() if name.startswith("PodExporter")}
    but = "--set=prometheusRule.alerts.PodEvicted.enabled=true"
    assert alerts_of(helm.template(RULE, "--set=prometheusRule.groups.workloads=false", but)).keys() == {
        *off,
        "PodEvicted",
    }
    none = helm.template(RULE, "--set=prometheusRule.groups.workloads=false,prometheusRule.groups.itself=false")
    assert of(none, "PrometheusRule")["spec"] == {"groups": []}
    assert alerts_of(helm.template(RULE, "--set=prometheusRule.groups=null")) == plain, "as after --reuse-values"


def test_the_severity_of_one_alert_wins_over_that_of_all(helm: Helm) -> None:
    made = alerts_of(helm.template(f"--values={COLLISIONS}"))
    assert made["PodContainerOOMKilled"]["labels"] == {"severity": "call", "team": "own"}
    assert made["PodEvicted"]["labels"] == {"severity": "page", "team": "own"}


def test_a_slash_at_the_end_of_an_address_does_no_harm(helm: Helm) -> None:
    flags = (
        "--set=prometheusRule.runbookUrl=https://r.example.com/",
        "--set=prometheusRule.grafanaUrl=https://g.example.com/",
    )
    annotations = alerts_of(helm.template(RULE, *flags))["PodStartupStuck"]["annotations"]
    assert annotations["runbook_url"] == "https://r.example.com/PodStartupStuck.md"
    assert annotations["dashboard_url"].startswith("https://g.example.com/d/")


def test_alerts_lead_to_your_runbooks_and_your_grafana(helm: Helm) -> None:
    made = alerts_of(helm.template(f"--values={EVERYTHING}"))["PodStartupStuck"]
    assert made["annotations"]["runbook_url"] == "https://runbooks.example.com/pods/PodStartupStuck.md"
    assert made["annotations"]["dashboard_url"].startswith("https://grafana.example.com/d/pod-exporter-workload?")
    assert made["labels"] == {"severity": "warning", "team": "platform"}


def boards_of(manifests: list[Object]) -> list[Object]:
    """The ConfigMaps of dashboards."""
    return [
        one for one in manifests if one["kind"] == "ConfigMap" and any(key.endswith(".json") for key in one["data"])
    ]


def test_each_dashboard_is_a_config_map_for_the_sidecar(helm: Helm) -> None:
    maps = boards_of(helm.template("--set=dashboards.enabled=true,dashboards.folder=Pods"))
    files = {name: text for one in maps for name, text in one["data"].items()}
    assert {name: json.loads(text) for name, text in files.items()} == {
        path.name: json.loads(path.read_text()) for path in ROOT.glob("dashboards/*.json")
    }
    boards = [one["metadata"] for one in maps]
    assert all(one["labels"]["grafana_dashboard"] == "1" for one in boards)
    assert {one["annotations"]["grafana_folder"] for one in boards} == {"Pods"}


def test_the_grafana_operator_gets_a_resource_for_each_dashboard(helm: Helm) -> None:
    manifests = helm.template(f"--values={EVERYTHING}")
    maps = {one["metadata"]["name"]: one.get("data", {}) for one in manifests if one["kind"] == "ConfigMap"}
    boards = [one["spec"] for one in manifests if one["kind"] == "GrafanaDashboard"]
    assert len(boards) == 7
    assert {board["resyncPeriod"] for board in boards} == {"1h"}
    assert all(board["configMapRef"]["key"] in maps[board["configMapRef"]["name"]] for board in boards)
