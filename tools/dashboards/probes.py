"""Probes: what fails, why, and what it costs."""

from tools.dashboards.grafana import PROBES, TO_POD, TO_WORKLOAD, Dashboard, Row, bars, lines, table

DASHBOARD = Dashboard(
    "pod-exporter-probes",
    "Pods / Probes and readiness",
    "Failing probes, those that kill, and pods out of traffic. By Events all counts are lower bounds; see the last row.",
    ("job", "cluster", "namespace", "workload_kind", "workload"),
    (
        Row(
            "Failures",
            (
                bars(
                    "Failures by probe",
                    "sum by (probe, outcome) (increase(pod_container_probe_failures_total{$W}[$__rate_interval]))",
                    "Failed attempts; errored: the probe could not be made. Startup probes fail by design until the start is over.",
                    "{{probe}} {{outcome}}",
                    colours=PROBES,
                ),
                bars(
                    "Failures by cause",
                    "sum by (probe, cause) (increase(pod_container_probe_failure_causes_total{$W}[$__rate_interval]))",
                    "timeout: too slow, or the time-out too short (the default is one second); connection_refused: not listening yet, or no more; http_status: it answers that it is ill.",
                    "{{probe}} {{cause}}",
                ),
                table(
                    "Share of attempts that failed",
                    'topk(20, sum by (W, container, probe) (rate(pod_container_probe_failures_total{$W, outcome="failed"}[$__range])) * on (W, container, probe) max by (W, container, probe) (pod_container_probe_period_seconds{$W}) / on (W) group_left () sum by (W) (pod_workload_pods{$W, phase="Running"}) > 0)',
                    "Above a fifth for liveness or readiness is a probe that will kill or cut off sooner or later.",
                    column="Share",
                    links=(TO_WORKLOAD,),
                    units={"Share": "percentunit"},
                ),
                table(
                    "Time of failure until killed",
                    'max by (W, container, probe) (pod_container_probe_period_seconds{$W, probe=~"liveness|startup"}) * on (W, container, probe) max by (W, container, probe) (pod_container_probe_failure_threshold{$W})',
                    "Period times threshold: how long a container may be ill, shortest first. A liveness probe below ten seconds kills for a garbage collection.",
                    column="Until killed",
                    links=(TO_WORKLOAD,),
                    units={"Until killed": "s"},
                    ascending=True,
                ),
                bars(
                    "Kills by probes",
                    'sum by (W, container, reason) (increase(pod_container_restarts_total{$W, reason=~"LivenessProbe|StartupProbe"}[$__rate_interval]))',
                    "Containers that the kubelet killed because of a probe. If the container was well, the probe is too strict.",
                    "{{namespace}}/{{workload}} {{container}} {{reason}}",
                    width=24,
                ),
            ),
        ),
        Row(
            "Readiness",
            (
                bars(
                    "Readiness lost",
                    "topk(10, sum by (namespace, workload, cause) (increase(pod_container_readiness_losses_total{$W}[$__rate_interval])) > 0)",
                    "Containers that went out of traffic. Cause node: the kubelet restarted or its node was away.",
                    "{{namespace}}/{{workload}} {{cause}}",
                ),
                table(
                    "Out of traffic for, 90 %",
                    "histogram_quantile(0.9, sum by (cluster, namespace, workload_kind, workload, le) (increase(pod_unready_duration_seconds_bucket{$W}[$__range])))",
                    "How long all but the longest tenth of the episodes lasted.",
                    column="Out for",
                    links=(TO_WORKLOAD,),
                    units={"Out for": "s"},
                ),
                table(
                    "Unready now",
                    "sort_desc(time() - max by (cluster, namespace, pod, workload, was_ready) (pod_unready_since_timestamp_seconds{$W}))",
                    "was_ready=false: it has never been ready since its creation.",
                    column="For",
                    links=(TO_POD,),
                    units={"For": "s"},
                ),
                table(
                    "No readiness probe",
                    '(sum by (W) (pod_workload_pods{$W, phase="Running", workload_kind=~"Deployment|StatefulSet|DaemonSet"}) > 0) unless on (W) pod_container_probe_info{$W, probe="readiness"}',
                    "Services send them traffic from their first moment on.",
                    column="Pods",
                    links=(TO_WORKLOAD,),
                ),
            ),
        ),
        Row(
            "Configured probes and source of the counts",
            (
                lines(
                    "Probes by handler",
                    "count by (probe, handler) (max by (W, container, probe, handler) (pod_container_probe_info{$W}))",
                    "How many containers have which probe.",
                    "{{probe}} {{handler}}",
                ),
                table(
                    "Source",
                    "max by (cluster, source) (pod_exporter_probe_source{$C})",
                    "kubelet: failures are exact. Only events: they are a lower bound; --kubelet.probes makes them exact.",
                    column="In use",
                    flags=("In use",),
                ),
            ),
        ),
    ),
)
