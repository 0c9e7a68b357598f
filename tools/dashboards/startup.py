"""How pods start: scheduling, images, stages."""

from tools.dashboards.grafana import (
    BLUE,
    EVENT_STEP,
    GREEN,
    PHASES,
    PULLS,
    RED,
    STAGES,
    TO_WORKLOAD,
    Dashboard,
    Query,
    Row,
    bars,
    heatmap,
    lines,
    table,
)

DASHBOARD = Dashboard(
    "pod-exporter-startup",
    "Pods / Startup, scheduling, images",
    "How long pods take to start, where the time goes, and which do not start at all.",
    ("job", "cluster", "namespace", "workload_kind", "workload"),
    (
        Row(
            "Starts",
            (
                lines(
                    "Created, ready, failed",
                    (
                        Query(
                            'sum(increase(pod_phase_transitions_total{$W, from="None"}[$__rate_interval]))', "created"
                        ),
                        Query("sum(increase(pod_startup_duration_seconds_count{$W}[$__rate_interval]))", "ready"),
                        Query("sum(increase(pod_startup_failures_total{$W}[$__rate_interval]))", "failed before ready"),
                    ),
                    "Pods created, those that got ready for the first time, and those that ended before. Created without ready for long: something is stuck.",
                    interval=EVENT_STEP,
                    colours={"created": BLUE, "ready": GREEN, "failed before ready": RED},
                ),
                heatmap(
                    "Startup",
                    "sum by (le) (increase(pod_startup_duration_seconds_bucket{$W}[$__rate_interval]))",
                    "From creation to the first Ready. A second, slower band: cold images, new nodes or larger models.",
                ),
                lines(
                    "95 % by stage",
                    "histogram_quantile(0.95, sum by (stage, le) (increase(pod_startup_stage_duration_seconds_bucket{$K}[$__range])))",
                    "How long each stage takes for all but the slowest twentieth, of the whole namespace. The tallest stage is the one to shorten.",
                    "{{stage}}",
                    unit="s",
                    colours=STAGES,
                ),
                lines(
                    "90 % by phase",
                    "histogram_quantile(0.9, sum by (phase, le) (increase(pod_phase_duration_seconds_bucket{$K}[$__range])))",
                    "How long pods stay in each phase, of the whole namespace.",
                    "{{phase}}",
                    unit="s",
                    colours=PHASES,
                ),
                table(
                    "Slowest workloads",
                    "topk(20, sum by (W) (increase(pod_startup_duration_seconds_sum{$W}[$__range])) / (sum by (W) (increase(pod_startup_duration_seconds_count{$W}[$__range])) > 0))",
                    "Mean time from creation to the first Ready in the chosen time.",
                    column="Mean start",
                    links=(TO_WORKLOAD,),
                    units={"Mean start": "s"},
                ),
                table(
                    "Starting now, longest",
                    "sort_desc(time() - min by (W, stage) (pod_workload_starting_since_timestamp_seconds{$W}))",
                    "The pod that has been longest in a stage. init: a download; sandbox: a volume or the network; start: image or crash; readiness: its probe.",
                    column="For",
                    links=(TO_WORKLOAD,),
                    units={"For": "s"},
                ),
            ),
        ),
        Row(
            "Scheduling",
            (
                lines(
                    "Unschedulable now by cause",
                    "sum by (cause) (pod_workload_unschedulable_pods{$W})",
                    "Why no node takes them. insufficient_…: add nodes or lower requests; taint, affinity: no node fits the rules; gated: somebody holds them back.",
                    "{{cause}}",
                    stacked=True,
                ),
                bars(
                    "Failed attempts by cause",
                    "sum by (cause) (increase(pod_scheduling_failures_total{$W}[$__rate_interval]))",
                    "Each new reason that the scheduler gave.",
                    "{{cause}}",
                ),
            ),
        ),
        Row(
            "Images",
            (
                bars(
                    "Pulls",
                    "sum by (result, cause) (increase(pod_container_image_pulls_total{$W}[$__rate_interval]))",
                    "present: the node had it. failed: by cause; auth: pull secret; not_found: name or tag; rate_limit, network: the registry.",
                    "{{result}} {{cause}}",
                    colours=PULLS,
                ),
                lines(
                    "Pull time by registry, 95 %",
                    "histogram_quantile(0.95, sum by (registry, le) (increase(pod_image_pull_duration_seconds_bucket{$C}[$__range])))",
                    "How long pulls take for all but the slowest twentieth. Large images on new nodes, or a slow registry.",
                    "{{registry}}",
                    unit="s",
                ),
            ),
        ),
    ),
)
