"""What ends, restarts and is taken away."""

from tools.dashboards.grafana import ORANGE, RED, TO_WORKLOAD, Dashboard, Row, bars, heatmap, lines, stat, steps, table

DASHBOARD = Dashboard(
    "pod-exporter-stability",
    "Pods / Stability",
    "Crashes, OOM kills, evictions and slow ends, worst first.",
    ("job", "cluster", "namespace", "workload_kind", "workload"),
    (
        Row(
            "Restarts",
            (
                table(
                    "Most restarts",
                    "topk(20, round(sum by (W, container, reason) (increase(pod_container_restarts_total{$W}[$__range]))) > 0)",
                    "Containers with most restarts in the chosen time, by cause.",
                    column="Restarts",
                    links=(TO_WORKLOAD,),
                    units={"Restarts": "none"},
                    width=20,
                ),
                stat(
                    "Causes unobserved",
                    '(sum(increase(pod_container_restarts_total{$W, reason="Unobserved"}[$__range])) or vector(0)) / '
                    "sum(increase(pod_container_restarts_total{$W}[$__range]))",
                    "Share of restarts that left no trace of their cause, because the exporter or the API server was away.",
                    unit="percentunit",
                    thresholds=steps((0.05, ORANGE), (0.25, RED)),
                    height=8,
                ),
                lines(
                    "Crash-looping now",
                    "sum by (namespace, workload, container) (pod_workload_crash_looping_containers{$W}) > 0",
                    "Containers in a crash loop, their running moments included.",
                    "{{namespace}}/{{workload}} {{container}}",
                    stacked=True,
                    width=24,
                ),
                bars(
                    "OOM kills",
                    "topk(10, sum by (namespace, workload, container) "
                    '(increase(pod_container_terminations_total{$W, reason="OOMKilled"}[$__rate_interval])) > 0)',
                    "Kills for memory. Regular ones: the limit is too low for the load; growing intervals: a leak.",
                    "{{namespace}}/{{workload}} {{container}}",
                ),
                bars(
                    "Entries into waiting",
                    "sum by (reason) (increase(pod_container_waiting_total{$W}[$__rate_interval]))",
                    "How often containers began to wait, by reason.",
                    "{{reason}}",
                ),
                heatmap(
                    "Run time before the end",
                    'sum by (le) (increase(pod_container_run_duration_seconds_bucket{$K, container_type!="init"}'
                    "[$__rate_interval]))",
                    "How long containers had run when they ended, of the whole namespace. A dark band of seconds: they crash at the start.",
                ),
                table(
                    "Nodes with most restarts",
                    "topk(15, round(sum by (cluster, node, reason) (increase(pod_node_container_restarts_total{$C}[$__range]))) > 0)",
                    "One node far ahead of the others is itself ill: drain it.",
                    column="Restarts",
                    units={"Restarts": "none"},
                ),
            ),
        ),
        Row(
            "Disruptions and ends",
            (
                table(
                    "Disruptions",
                    "round(sum by (W, reason, resource) (increase(pod_disruptions_total{$W}[$__range]))) > 0",
                    "Pods that others took away. NodePressureEviction: the resource that the node lacked is named.",
                    column="Pods",
                    links=(TO_WORKLOAD,),
                    units={"Pods": "none"},
                    width=15,
                ),
                heatmap(
                    "Time to end",
                    "sum by (le) (increase(pod_termination_duration_seconds_bucket{$K}[$__rate_interval]))",
                    "From the request to delete a pod until it is gone, of the whole namespace. Bands at 30 s: containers ignore SIGTERM.",
                    width=9,
                ),
                table(
                    "Killed after the grace period",
                    "round(sum by (W) (increase(pod_grace_period_exceeded_total{$W}[$__range]))) > 0",
                    "Pods that did not end when asked. Handle SIGTERM, shorten the preStop hook, or grant more time.",
                    column="Pods",
                    links=(TO_WORKLOAD,),
                ),
                table(
                    "Stuck while ending",
                    "time() - min by (W) (pod_workload_termination_deadline_timestamp_seconds{$W}) > 0",
                    "How long the latest pod is past its deadline. A finalizer, a volume or a dead node holds it.",
                    column="Past the deadline",
                    links=(TO_WORKLOAD,),
                    units={"Past the deadline": "s"},
                ),
            ),
        ),
    ),
)  # fmt: skip
