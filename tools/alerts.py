"""The alerts: one table, from which alerts/*.yaml and the chart's PrometheusRule come.

`W` as a label stands for the four labels that name a workload. `@name@` in an expression is a limit that the chart lets
one change. Limits of counts end in a half, because increase() extrapolates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

from exporter.lifecycle.owners import ONE_SHOT
from tools.dashboards.queries import expand

Severity = Literal["critical", "warning", "info"]
TRAINING = ("PyTorchJob", "MPIJob", "TFJob", "XGBoostJob", "PaddleJob", "JAXJob", "TrainJob", "JobSet")
NOT_SERVING = "|".join(sorted({*ONE_SHOT, *TRAINING, "CronJob", "RayJob", "StaticPod"}))
"""Kinds of which nobody expects that some pod is always ready."""
WAITING_FOR_IMAGES = (
    "ErrImagePull|ImagePullBackOff|ErrImageNeverPull|InvalidImageName|ImageInspectError|RegistryUnavailable"
    "|SignatureValidationFailed"
)
CANNOT_START = "CreateContainer(Config)?Error|RunContainerError|(PreCreate|PreStart|PostStart)HookError"
A_POD = ' / on (W) group_left () (sum by (W) (pod_workload_pods{phase="Running"}) > 0)'
"""What comes before, for each running pod of the workload."""
OF_WORKLOAD = "{{ $labels.namespace }}/{{ $labels.workload }} ({{ $labels.workload_kind }})"
RUNBOOKS = "docs/runbooks"


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert; see the runbook of its name."""

    name: str
    severity: Severity
    wait: str
    """`for` of the rule."""
    expr: str
    summary: str
    description: str
    why: str
    """It does not flap."""
    dashboard: str = "workload"
    limits: Mapping[str, float | str] = field(default_factory=dict)
    enabled: bool = True

    @property
    def link(self) -> str:
        """Where to look, below the address of one's Grafana."""
        chosen = "".join(
            f"&var-{label}={{{{ $labels.{label} }}}}" for label in ("namespace", "workload_kind", "workload")
        )
        return f"/d/pod-exporter-{self.dashboard}" + (f"?{chosen[1:]}" if self.dashboard == "workload" else "")

    def query(self, limits: Mapping[str, float | str] | None = None) -> str:
        """The expression with these limits, or its own."""
        text = self.template
        for name, value in (limits or self.limits).items():
            text = text.replace(f"@{name}@", str(value))
        return text

    @property
    def template(self) -> str:
        """The expression with `@name@` where its limits go."""
        return expand(self.expr)


def _killed(by: str, counts: str) -> str:
    """More than `@kills@`, and more than the odd one of many pods."""
    total = f"sum by (W, {by}) ({counts})"
    return f"{total} > @kills@ unless on (W, {by}) ({total}{A_POD} <= @perPod@)"


WORKLOADS = (
    Alert(
        "PodWorkloadDown",
        "critical",
        "5m",
        '(sum by (W) (pod_workload_pods{phase="Running", workload_kind!~"@notServing@"}) > 0)'
        " unless (sum by (W) (avg_over_time(pod_workload_ready_pods[10m])) >= @ready@)"
        " and on (W) (max by (W) (max_over_time(pod_workload_unready_since_timestamp_seconds[15m])) > 0"
        " or max by (W) (pod_workload_crash_looping_containers) > 0)",
        "No pod of a workload is ready",
        "Pods of "
        + OF_WORKLOAD
        + " run, but on average less than @ready@ was ready in the last 10 minutes. Look at the "
        "probes that fail and at restarts by cause first.",
        "The mean of 10 minutes: a container that is ready one minute in four keeps it firing. Downloads of images and "
        "models are not Running; a workload scaled to 0 has no pods; a start behind a startup probe is PodStartupStuck's.",
        limits={"ready": 0.5, "notServing": NOT_SERVING},
    ),
    Alert(
        "PodWorkloadDegraded",
        "warning",
        "15m",
        'sum by (W) (avg_over_time(pod_workload_ready_pods{workload_kind!~"@notServing@"}[10m]))'
        ' / sum by (W) (avg_over_time(pod_workload_pods{phase=~"Pending|ContainerCreating|Running"}[10m])) < @share@'
        " unless on (W) (max by (W) (max_over_time("
        'pod_workload_starting_since_timestamp_seconds{stage=~"gated|init|start|readiness"}[10m])) > 0)',
        "Part of a workload is not ready",
        "Only {{ $value | humanizePercentage }} of the pods of " + OF_WORKLOAD + " are ready. Look for pods that lost "
        "their readiness or wait for a node.",
        "Means on both sides outlast rollouts; pods that start are PodStartupStuck's, and gated ones wait because somebody "
        "wants them to.",
        limits={"share": 0.75, "notServing": NOT_SERVING},
    ),
    Alert(
        "PodContainerCrashLooping",
        "warning",
        "15m",
        "sum by (W, container) (pod_workload_crash_looping_containers) > 0",
        "A container is in a crash loop",
        "{{ $value }} container(s) {{ $labels.container }} of "
        + OF_WORKLOAD
        + " crash again and again. Look at the cause "
        "of the restarts and the exit code first, then at the logs of the run before.",
        "An episode lasts over its running moments, until ten minutes of one run; `for` is longer than that.",
    ),
    Alert(
        "PodStartupStuck",
        "warning",
        "5m",
        "(time() - min by (W, stage) (pod_workload_starting_since_timestamp_seconds"
        '{stage=~"sandbox|start|readiness"}) > @seconds@)'
        " or (time() - min by (W, stage) (pod_workload_starting_since_timestamp_seconds"
        '{stage="init"}) > @initSeconds@)',
        "A pod does not get through its start",
        "A pod of " + OF_WORKLOAD + " has been in the stage {{ $labels.stage }} for {{ $value | humanizeDuration }}. "
        "sandbox: volume or network; init: a download; start: image or crash; readiness: its probe.",
        "The age of the oldest grows steadily; init has a limit of its own, for downloads of models.",
        limits={"seconds": 1800, "initSeconds": 7200},
    ),
    Alert(
        "PodUnschedulable",
        "warning",
        "2m",
        'sum by (W) (pod_workload_unschedulable_pods{cause!="gated"}) > 0 and on (W) (time() - min by (W) '
        '(pod_workload_starting_since_timestamp_seconds{stage="scheduling"}) > @seconds@)',
        "No node takes a pod",
        "{{ $value }} pod(s) of "
        + OF_WORKLOAD
        + " fit on no node. The dashboard names the cause; then add nodes, lower "
        "the requests, or change the rules.",
        "The age of the oldest such pod: pods that come and go, each of them waiting for a new node, do not add up. The cause "
        "is summed away, so another cause does not begin anew.",
        dashboard="startup",
        limits={"seconds": 900},
    ),
    Alert(
        "PodImagePullFailing",
        "warning",
        "10m",
        'sum by (W, container) (pod_workload_waiting_containers{reason=~"' + WAITING_FOR_IMAGES + '"}) > 0',
        "An image cannot be pulled",
        "{{ $value }} container(s) {{ $labels.container }} of " + OF_WORKLOAD + " wait for their image. Look at failed "
        "pulls by cause: auth, not_found, rate_limit or network.",
        "Both of the reasons that alternate are in one sum.",
        dashboard="startup",
    ),
    Alert(
        "PodContainerCannotStart",
        "warning",
        "10m",
        'sum by (W, container) (max_over_time(pod_workload_waiting_containers{reason=~"'
        + CANNOT_START
        + '"}[5m])) > 0',
        "A container cannot be started",
        "Container {{ $labels.container }} of "
        + OF_WORKLOAD
        + " is not even started: a ConfigMap, a Secret, the command "
        "or a hook is wrong. `kubectl describe pod` names it.",
        "The maximum of 5 minutes bridges the retries.",
    ),
    Alert(
        "PodContainerOOMKilled",
        "info",
        "0m",
        'sum by (W, container) (increase(pod_container_terminations_total{reason="OOMKilled"}[1h])) > 0',
        "A container was killed for memory",
        "Container {{ $labels.container }} of " + OF_WORKLOAD + " was killed for memory in the last hour. Compare its "
        "limit with what it uses.",
        "A count of events over an hour ends once.",
    ),
    Alert(
        "PodContainerOOMKilledRepeatedly",
        "warning",
        "0m",
        _killed("container", 'increase(pod_container_terminations_total{reason="OOMKilled"}[1h])'),
        "A container is killed for memory again and again",
        "Container {{ $labels.container }} of "
        + OF_WORKLOAD
        + " was killed for memory {{ $value | humanize }} times in "
        "an hour. Raise its limit, or find the leak: growing intervals between kills speak for one.",
        "As above, from three kills on. In large workloads a share of the pods counts.",
        limits={"kills": 2.5, "perPod": 0.05},
    ),
    Alert(
        "PodProbeKills",
        "warning",
        "0m",
        _killed(
            "container, reason",
            'increase(pod_container_restarts_total{reason=~"LivenessProbe|StartupProbe"}[1h])',
        ),
        "The kubelet kills a container because of its probe",
        "Container {{ $labels.container }} of " + OF_WORKLOAD + " was killed {{ $value | humanize }} times in an hour "
        "({{ $labels.reason }}). Look at the cause of the failed probes: a time-out of a container that is well means a "
        "probe that is too strict.",
        "An hour's count, from the second kill on. In large workloads a share of the pods counts.",
        limits={"kills": 1.5, "perPod": 0.05},
    ),
    Alert(
        "PodContainerRestartsHigh",
        "warning",
        "30m",
        '(sum by (W, container) (increase(pod_container_restarts_total{container_type!="init"}[1h])) > @restarts@)'
        + A_POD
        + " > @perPod@"
        " and on (W, container) sum by (W, container) (increase(pod_container_restarts_total[20m])) > 0"
        " unless on (W, container) (sum by (W, container) (pod_workload_crash_looping_containers) > 0)",
        "A container restarts often",
        "Container {{ $labels.container }} of "
        + OF_WORKLOAD
        + " restarts {{ $value | humanize }} times a pod and hour, "
        "though it is in no crash loop. Look at the causes.",
        "Per pod, so the size of the workload does not matter. It goes on: all pods restarting once, because something they "
        "need was away, is over before `for`. Silent where PodContainerCrashLooping speaks.",
        limits={"restarts": 4.5, "perPod": 0.5},
    ),
    Alert(
        "PodReadinessFlapping",
        "warning",
        "15m",
        'sum by (W, container) (increase(pod_container_readiness_losses_total{cause="container"}[30m]))'
        + A_POD
        + " > @losses@",
        "A container goes in and out of traffic",
        "Container {{ $labels.container }} of "
        + OF_WORKLOAD
        + " lost its readiness {{ $value | humanize }} times a pod in "
        "half an hour. Look at the failed readiness probes by cause, and at its load.",
        "It counts the flaps themselves; restarts of kubelets and lost nodes have another cause.",
        dashboard="probes",
        limits={"losses": 3},
    ),
    Alert(
        "PodProbeFailingOften",
        "info",
        "15m",
        "sum by (W, container, probe) (rate(pod_container_probe_failures_total"
        '{probe=~"liveness|readiness", outcome="failed"}[30m]))'
        " * on (W, container, probe) max by (W, container, probe) (pod_container_probe_period_seconds)"
        + A_POD
        + " > @share@",
        "A probe fails often, though it does not kill yet",
        "{{ $value | humanizePercentage }} of the {{ $labels.probe }} probes of {{ $labels.container }} of "
        + OF_WORKLOAD
        + " fail. Look at the causes before it kills or cuts off.",
        "A share of the attempts; 30 minutes are longer than the steps of Events; startup probes fail by design.",
        dashboard="probes",
        limits={"share": 0.2},
    ),
    Alert(
        "PodEvicted",
        "warning",
        "0m",
        'sum by (W, reason, resource) (increase(pod_disruptions_total{reason=~"NodePressureEviction|PreemptionByKubelet"}'
        "[30m])) > 0",
        "The kubelet evicted a pod",
        "A pod of " + OF_WORKLOAD + " was evicted ({{ $labels.reason }} {{ $labels.resource }}). Its node ran out of "
        "something: compare requests with use.",
        "Once for each pod.",
        dashboard="stability",
    ),
    Alert(
        "PodDisruptionStorm",
        "warning",
        "0m",
        "sum by (cluster, reason) (increase(pod_disruptions_total"
        '{reason=~"DeletionByTaintManager|DeletionByPodGC|NodeShutdown|PreemptionByScheduler|AdmissionRejected", '
        'workload_kind!="DaemonSet"}[15m]))'
        " > @pods@",
        "Many pods are taken away at once",
        "{{ $value | humanize }} pods went in 15 minutes ({{ $labels.reason }}). Look at the nodes first.",
        "One alert for a cluster and reason. Pods of DaemonSets go with each node that an autoscaler takes away.",
        dashboard="stability",
        limits={"pods": 20},
    ),
    Alert(
        "PodStuckTerminating",
        "warning",
        "5m",
        "time() - min by (W) (pod_workload_termination_deadline_timestamp_seconds) > @seconds@",
        "A pod does not end",
        "A pod of "
        + OF_WORKLOAD
        + " is {{ $value | humanizeDuration }} past the deadline of its deletion. A finalizer, a "
        "volume or a dead node holds it.",
        "Measured from the deadline, so long grace periods (model servers that drain) are fine.",
        dashboard="stability",
        limits={"seconds": 600},
    ),
    Alert(
        "PodNodeRestartHotspot",
        "warning",
        "20m",
        "(sum by (cluster, node) (increase(pod_node_container_restarts_total[30m])) > @restarts@)"
        " / on (cluster) group_left () sum by (cluster) (increase(pod_node_container_restarts_total[30m])) > @share@"
        " and on (cluster, node) sum by (cluster, node) (increase(pod_node_container_restarts_total[15m])) > 0",
        "One node has most of the cluster's restarts",
        "{{ $value | humanizePercentage }} of all restarts happen on {{ $labels.node }}. Cordon it and look at its kernel "
        "log, disk and memory. Switch this alert off in clusters of one node.",
        "A share and a floor, and it goes on: a node that boots once is over before `for`.",
        dashboard="stability",
        limits={"restarts": 10, "share": 0.5},
    ),
    Alert(
        "PodTrainingWorkerRestarted",
        "warning",
        "0m",
        "sum by (W, container, reason) (increase(pod_container_restarts_total"
        '{container_type="container", workload_kind=~"@kinds@"}[30m])) > 0',
        "A training worker was restarted",
        "Worker {{ $labels.container }} of "
        + OF_WORKLOAD
        + " was restarted ({{ $labels.reason }}): the run goes on from "
        "its last checkpoint, if at all.",
        "Workers are not meant to restart at all.",
        limits={"kinds": "|".join(TRAINING)},
    ),
)
EXPORTER = (
    Alert(
        "PodExporterDown",
        "critical",
        "5m",
        "absent(pod_exporter_build_info)",
        "pod-exporter is away",
        "No Prometheus target of pod-exporter answers: nothing of all this is counted. Look at its pod and at the target.",
        "Five minutes outlast an upgrade.",
        dashboard="exporter",
    ),
    Alert(
        "PodExporterDownFleet",
        "critical",
        "5m",
        "count by (cluster) (last_over_time(pod_exporter_build_info[1d]))"
        " unless on (cluster) count by (cluster) (pod_exporter_build_info)"
        " and on () count(count by (cluster) (last_over_time(pod_exporter_build_info[1d]))) > 1",
        "pod-exporter is away in one cluster of many",
        "The exporter of {{ $labels.cluster }} answered within the last day, but does no more.",
        "For a ruler of many clusters: absent() cannot see that one of them is missing.",
        dashboard="exporter",
    ),
    Alert(
        "PodExporterStale",
        "warning",
        "5m",
        "(min by (cluster, instance, resource) (pod_exporter_synced) == 0) or (time() - "
        "max by (cluster, instance, resource) (pod_exporter_watch_last_contact_timestamp_seconds) > @seconds@)",
        "pod-exporter does not follow the cluster",
        "{{ $labels.instance }} has no complete list of {{ $labels.resource }}, or has not heard of the API server for "
        "long. Its log says why: a missing right, the network, or the API server.",
        "A healthy watch is silent for 600 s at most.",
        dashboard="exporter",
        limits={"seconds": 900},
    ),
    Alert(
        "PodExporterForbidden",
        "warning",
        "5m",
        'sum by (cluster, instance, resource) (increase(pod_exporter_watch_restarts_total{reason="forbidden"}[15m])) > 0',
        "pod-exporter may not read something",
        "{{ $labels.instance }} is refused {{ $labels.resource }}. Grant list and watch on it, or switch off what needs it.",
        "A refusal is repeated every few minutes until it is granted.",
        dashboard="exporter",
    ),
    Alert(
        "PodExporterLagging",
        "info",
        "10m",
        "histogram_quantile(0.99, sum by (cluster, instance, resource, le) "
        "(rate(pod_exporter_event_delay_seconds_bucket[10m]))) > @seconds@",
        "pod-exporter hears of changes late",
        "{{ $labels.instance }} hears of {{ $labels.resource }} {{ $value | humanizeDuration }} late. Look at its CPU and "
        "at the API server.",
        "A quantile over 10 minutes.",
        dashboard="exporter",
        limits={"seconds": 30},
    ),
    Alert(
        "PodExporterCheckpointFailing",
        "warning",
        "5m",
        'sum by (cluster, instance) (increase(pod_exporter_checkpoint_writes_total{result="failed"}[15m])) > 0'
        " unless on (cluster, instance) sum by (cluster, instance) "
        '(increase(pod_exporter_checkpoint_writes_total{result="ok"}[15m])) > 0',
        "pod-exporter cannot write its checkpoint",
        "{{ $labels.instance }} could not write its checkpoint for 15 minutes. It counts on, but a restart now would begin "
        "anew, or from an old file: what happens meanwhile would be missing. Its log names the file and the error.",
        "One write that succeeds ends it.",
        dashboard="exporter",
    ),
    Alert(
        "PodExporterCountsDegraded",
        "warning",
        "0m",
        "(sum by (cluster, resource) (increase(pod_exporter_decode_errors_total[30m])) > 0)"
        " or (sum by (cluster, room) (increase(pod_exporter_faults_total[30m])) > 0)"
        " or (sum by (cluster, family, label) (increase(pod_exporter_label_overflow_total[30m])) > 0)",
        "Some of pod-exporter's counts are not exact",
        "Objects could not be read or handled ({{ $labels.resource }}{{ $labels.room }}), or label values were folded into "
        "`other` ({{ $labels.family }} {{ $labels.label }}). Its log names them.",
        "A window of 30 minutes.",
        dashboard="exporter",
    ),
)
GROUPS = {"pod-exporter-workloads": WORKLOADS, "pod-exporter-itself": EXPORTER}
ALERTS = (*WORKLOADS, *EXPORTER)


def rule(alert: Alert) -> dict[str, Any]:
    """One rule as Prometheus reads it."""
    description = alert.description
    for name, value in alert.limits.items():
        description = description.replace(f"@{name}@", str(value))
    return {
        "alert": alert.name,
        "expr": alert.query(),
        "for": alert.wait,
        "labels": {"severity": alert.severity},
        "annotations": {
            "summary": alert.summary,
            "description": description,
            "runbook_url": f"{RUNBOOKS}/{alert.name}.md",
            "dashboard_url": alert.link,
        },
    }


_HEAD = """\
# Written by `make docs` from tools/alerts.py; a test compares them. Plain Prometheus rules: name this file in
# `rule_files`, or let the chart make a PrometheusRule of it. runbook_url and dashboard_url are relative; the chart's
# values prometheusRule.runbookUrl and prometheusRule.grafanaUrl put your own addresses before them.
"""


class _Dumper(yaml.SafeDumper):
    """Long lines stay whole."""


def text(group: str) -> str:
    """One file of rules."""
    rules = {"groups": [{"name": group, "rules": [rule(alert) for alert in GROUPS[group]]}]}
    return _HEAD + yaml.dump(rules, Dumper=_Dumper, sort_keys=False, width=10_000, allow_unicode=True)


def chart_text() -> str:
    """The same table for the chart, which puts limits in."""
    groups = [
        {
            "name": name,
            "alerts": [
                {
                    "alert": alert.name,
                    "enabled": alert.enabled,
                    "severity": alert.severity,
                    "for": alert.wait,
                    "limits": dict(alert.limits),
                    "expr": alert.template,
                    "annotations": {"summary": alert.summary, "description": alert.description},
                    "dashboard": alert.link,
                }
                for alert in alerts
            ],
        }
        for name, alerts in GROUPS.items()
    ]
    head = "# Written by `make docs` from tools/alerts.py. `@name@` is a limit.\n"
    return head + yaml.dump({"groups": groups}, Dumper=_Dumper, sort_keys=False, width=10_000, allow_unicode=True)


_PAGE = """\
# Alerts

<!-- Written by `make docs` from tools/alerts.py; a test compares them. -->

[alerts/](../alerts) has them as plain Prometheus rules; the chart makes a PrometheusRule of them
(`prometheusRule.enabled`), where each can be switched off, alone or with its group, and its severity, `for` and limits
changed:

```yaml
prometheusRule:
  enabled: true
  labels: {release: kube-prometheus-stack}
  groups: {itself: false}     # those about the exporter; the others are `workloads`
  alerts:
    PodStartupStuck: {limits: {initSeconds: 14400}}
    PodNodeRestartHotspot: {enabled: false}
```

Where a workload is down, what follows from it need not be told as well. For Alertmanager:

```yaml
inhibit_rules:
  - source_matchers: [alertname="PodWorkloadDown"]
    target_matchers: [alertname=~"PodWorkloadDegraded|PodContainerCrashLooping|PodStartupStuck"]
    equal: [cluster, namespace, workload_kind, workload]
  - source_matchers: [alertname="PodContainerOOMKilledRepeatedly"]
    target_matchers: [alertname="PodContainerOOMKilled"]
    equal: [cluster, namespace, workload_kind, workload, container]
```

| Alert | Severity, for | Says | Limits | Why it does not flap |
|---|---|---|---|---|
"""


def page() -> str:
    """docs/alerts.md."""
    rows = (
        f"| [{alert.name}](runbooks/{alert.name}.md) | {alert.severity}, {alert.wait} | {alert.summary} | "
        f"{'<br>'.join(f'`{name}: {value}`' for name, value in alert.limits.items()).replace('|', chr(92) + '|')} | "
        f"{alert.why} |\n"
        for alert in ALERTS
    )
    return _PAGE + "".join(rows)
