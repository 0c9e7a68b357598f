"""One pod."""

from tools.dashboards.grafana import (
    GREEN,
    NEUTRAL,
    ORANGE,
    RED,
    STATUSES,
    WORRYING,
    YELLOW,
    YES_OR_NO,
    Dashboard,
    Query,
    Row,
    lines,
    stat,
    steps,
    table,
    timeline,
)
from tools.dashboards.queries import in_gib

DASHBOARD = Dashboard(
    "pod-exporter-pod",
    "Pods / Pod",
    "One pod: what it is, and what it was while it was there.",
    ("job", "cluster", "namespace", "workload_kind", "workload", "pod"),
    (
        Row(
            "Now",
            (
                stat(
                    "Ready",
                    "max by (pod) (pod_ready{$P})",
                    "Whether it gets traffic.",
                    thresholds=steps((1, GREEN), base=RED),
                    defaults={"mappings": YES_OR_NO},
                ),
                stat(
                    "Age",
                    "time() - max by (pod) (pod_created_timestamp_seconds{$P})",
                    "Since its creation.",
                    unit="s",
                    thresholds=NEUTRAL,
                ),
                stat(
                    "Unmanaged",
                    "max by (pod) (pod_unmanaged{$P})",
                    "yes: a bare pod; nothing will make it again.",
                    thresholds=WORRYING,
                    defaults={"noValue": "no", "mappings": YES_OR_NO},
                    mode="instant",
                ),
                stat(
                    "Deleting for",
                    "time() - max by (pod) (pod_deletion_requested_timestamp_seconds{$P})",
                    "Since its deletion was asked for. none: it was not.",
                    unit="s",
                    thresholds=WORRYING,
                    mode="instant",
                ),
                stat(
                    "Restarts",
                    "sum(max by (container) (pod_container_status_restarts{$P}))",
                    "As the kubelet counts them for this pod.",
                    thresholds=WORRYING,
                ),
                stat(
                    "In a crash loop for",
                    "time() - min by (pod) (pod_container_crash_loop_since_timestamp_seconds{$P})",
                    "Of the container that is longest in one. none: in no loop.",
                    unit="s",
                    thresholds=WORRYING,
                    mode="instant",
                ),
                table(
                    "Identity",
                    "max by (cluster, namespace, pod, uid, node, workload_kind, workload, qos_class, priority_class, service_account) (pod_info{$P})",
                    "Whose pod it is and where it runs.",
                    width=24,
                    height=4,
                ),
            ),
        ),
        Row(
            "What it was",
            (
                timeline(
                    "Status",
                    "max by (pod, status) (pod_status{$P})",
                    "The STATUS that kubectl prints, over time: one line for each that it ever had.",
                    "{{status}}",
                    colours=STATUSES,
                ),
                timeline(
                    "Containers",
                    'sum by (container) (pod_container_status{$P, state="running"}) or sum by (container) (2 * pod_container_status{$P, state="terminated"}) or sum by (container) (3 * pod_container_status{$P, state="waiting"})',
                    "The state of each container. Alternating colours are a crash loop.",
                    "{{container}}",
                    {1: ("running", GREEN), 2: ("terminated", ORANGE), 3: ("waiting", YELLOW)},
                ),
            ),
        ),
        Row(
            "Containers",
            (
                table(
                    "Images, and whether ready",
                    "max by (container, container_type, image, image_id) (pod_container_info{$P}) * on (container) group_left () max by (container) (pod_container_ready{$P})",
                    "What runs. image_id names the exact content.",
                    column="Ready",
                    flags=("Ready",),
                    width=24,
                    height=6,
                ),
                lines(
                    "Restarts",
                    "max by (container) (pod_container_status_restarts{$P})",
                    "The kubelet's own count. Stairs are a loop.",
                    "{{container}}",
                ),
                lines(
                    "Running for",
                    "time() - max by (container) (pod_container_started_timestamp_seconds{$P})",
                    "Since the last start. Teeth of a saw are restarts.",
                    "{{container}}",
                    unit="s",
                ),
                table(
                    "Last termination",
                    "max by (container, reason, exit_code) (pod_container_last_termination_info{$P}) * on (container) group_left () max by (container) (pod_container_last_termination_timestamp_seconds{$P}) * 1000",
                    "Why each container ended last. 137: killed; 143: asked to stop.",
                    column="At",
                    units={"At": "dateTimeAsIso"},
                ),
                lines(
                    "Back-off",
                    "max by (container) (pod_container_backoff_seconds{$P})",
                    "How long the kubelet waits before it starts the container again; it doubles up to five minutes.",
                    "{{container}}",
                    unit="s",
                ),
            ),
        ),
        Row(
            "Requests and limits",
            (
                table(
                    "Of each container",
                    (
                        Query(
                            in_gib(
                                "max by (container, resource, unit)",
                                'pod_container_resource_requests{job=~"$job", %s} * on (cluster, namespace, workload_kind, workload) group_left () max by (cluster, namespace, workload_kind, workload) (pod_info{$P})',
                            ),
                            name="Request",
                        ),
                        Query(
                            in_gib(
                                "max by (container, resource, unit)",
                                'pod_container_resource_limits{job=~"$job", %s} * on (cluster, namespace, workload_kind, workload) group_left () max by (cluster, namespace, workload_kind, workload) (pod_info{$P})',
                            ),
                            name="Limit",
                        ),
                    ),
                    "Of the newest pod of the workload. Memory without a limit can take the node down with it.",
                    width=24,
                    height=6,
                ),
            ),
            collapsed=True,
        ),
    ),
)
