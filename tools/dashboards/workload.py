"""What happened to one workload, pods that are gone included."""

from tools.dashboards.grafana import (
    CAUSES,
    NEUTRAL,
    PROBES,
    STAGES,
    TO_POD,
    WORRYING,
    Dashboard,
    Query,
    Row,
    bars,
    heatmap,
    lines,
    stat,
    table,
)
from tools.dashboards.queries import in_gib

DASHBOARD = Dashboard(
    "pod-exporter-workload",
    "Pods / Workload",
    "What happened to a workload, also in pods that are gone. For model servers and training jobs see the last rows.",
    ("job", "cluster", "namespace", "workload_kind", "workload"),
    (
        Row(
            "Now",
            (
                stat("Ready pods", "sum(pod_workload_ready_pods{$W})", "Pods that run and are ready.", thresholds=NEUTRAL),
                stat(
                    "Wanted pods",
                    'sum(pod_workload_pods{$W, phase=~"Pending|ContainerCreating|Running"})',
                    "Pods that are there and have not ended. More than ready pods for long: something does not get ready.",
                    thresholds=NEUTRAL,
                ),
                stat(
                    "Unready for",
                    "time() - min(pod_workload_unready_since_timestamp_seconds{$W})",
                    "How long the pod that lost its readiness first has been without it. none: all are ready.",
                    unit="s",
                    thresholds=WORRYING,
                    mode="instant",
                ),
                stat(
                    "Restarts",
                    "round(sum(increase(pod_container_restarts_total{$W}[$__range]))) or vector(0)",
                    "Restarts in the chosen time.",
                    thresholds=WORRYING,
                ),
                stat(
                    "Startup, median",
                    "histogram_quantile(0.5, sum by (le) (increase(pod_startup_duration_seconds_bucket{$W}[$__range])))",
                    "From creation to the first Ready, for half of the pods of the chosen time.",
                    unit="s",
                    thresholds=NEUTRAL,
                ),
                stat(
                    "Startup, 95 %",
                    "histogram_quantile(0.95, sum by (le) (increase(pod_startup_duration_seconds_bucket{$W}[$__range])))",
                    "From creation to the first Ready, for all but the slowest twentieth.",
                    unit="s",
                    thresholds=NEUTRAL,
                ),
            ),
        ),
        Row(
            "Restarts and ends",
            (
                bars(
                    "Restarts by container and cause",
                    "sum by (container, reason) (increase(pod_container_restarts_total{$W}[$__rate_interval]))",
                    "Which container is started again, and why. A sidecar in a loop does not stop the main container, but "
                    "keeps the pod unready.",
                    "{{container}} {{reason}}",
                    colours=CAUSES,
                ),
                bars(
                    "Crash loops begun",
                    "sum by (container) (increase(pod_container_crash_loops_total{$W}[$__rate_interval]))",
                    "Episodes from the first back-off until ten minutes of one run. One episode has many restarts.",
                    "{{container}}",
                    width=4,
                ),
                stat(
                    "Crash loops, 90 %",
                    "histogram_quantile(0.9, sum by (le) "
                    "(increase(pod_container_crash_loop_duration_seconds_bucket{$W}[$__range])))",
                    "How long all but the longest tenth of the episodes took to heal, of those that ended.",
                    unit="s",
                    thresholds=WORRYING,
                    height=8,
                ),
                stat(
                    "Restarts in place",
                    "round(sum(increase(pod_in_place_restarts_total{$W}[$__range]))) or vector(0)",
                    "How often all containers of a pod were restarted together, because a rule of a container says so.",
                    thresholds=WORRYING,
                    height=8,
                ),
                table(
                    "Ends by exit code",
                    "round(sum by (container, reason, exit_code) "
                    "(increase(pod_container_terminations_total{$W}[$__range]))) > 0",
                    "Every end in the chosen time. 137: killed (with OOMKilled: for memory); 143: asked to stop; "
                    "PodStopped: the pod was ended, no fault of the container.",
                    column="Ends",
                ),
                bars(
                    "Probe failures",
                    "sum by (container, probe, outcome) (increase(pod_container_probe_failures_total{$W}[$__rate_interval]))",
                    "Attempts that failed, also those that killed nothing. Rare single failures are noise; a steady share "
                    "needs a longer time-out or a healthier container.",
                    "{{container}} {{probe}} {{outcome}}",
                    colours=PROBES,
                ),
            ),
        ),
        Row(
            "Phases and starts",
            (
                bars(
                    "Changes of phase",
                    "sum by (from, to) (increase(pod_phase_transitions_total{$W}[$__rate_interval]))",
                    "None → Pending is a new pod, Terminating → Deleted a pod that is gone. To Failed is bad, unless it is a job "
                    "that retries.",
                    "{{from}} → {{to}}",
                ),
                bars(
                    "Mean start by stage",
                    "sum by (stage) (increase(pod_startup_stage_seconds_total{$W}[$__rate_interval])) / ignoring (stage) "
                    "group_left () (sum(increase(pod_startup_duration_seconds_count{$W}[$__rate_interval])) > 0)",
                    "Where the time of a start goes; stages add up. scheduling: no node; sandbox: network and volumes; init: "
                    "init containers; start: image pulls and starts; readiness: until the first Ready.",
                    "{{stage}}",
                    unit="s",
                    colours=STAGES,
                ),
                table(
                    "Mean time in each phase",
                    "sum by (phase) (increase(pod_phase_seconds_total{$W}[$__range])) / on (phase) label_replace("
                    'sum by (from) (increase(pod_phase_transitions_total{$W}[$__range])) > 0, "phase", "$1", "from", "(.+)")',
                    "Of pods that left it in the chosen time.",
                    column="Mean",
                    units={"Mean": "s"},
                    width=6,
                ),
                bars(
                    "Rollouts",
                    "sum by (workload) (increase(pod_workload_rollouts_total{$W}[$__rate_interval]))",
                    "New versions of the pod's template. Troubles that begin here are the new version's.",
                    "{{workload}}",
                    width=6,
                ),
                heatmap(
                    "Unready episodes",
                    "sum by (le) (increase(pod_unready_duration_seconds_bucket{$W}[$__rate_interval]))",
                    "How long readiness was lost, each time. Many short ones: the probe is too strict; long ones: the "
                    "container is overloaded or broken.",
                ),
                bars(
                    "Changes of conditions",
                    "sum by (condition, status, reason) (increase(pod_condition_transitions_total{$W}[$__rate_interval]))",
                    "Ready lost and regained, resizes, disruptions, readiness gates.",
                    "{{condition}}={{status}} {{reason}}",
                    width=24,
                ),
            ),
        ),
        Row(
            "Model loading (init and start stages)",
            (
                lines(
                    "Loading now, longest",
                    'time() - min by (W, stage) (pod_workload_starting_since_timestamp_seconds{$W, stage=~"init|start|readiness"})',
                    "How long the slowest pod has been in init (download of a model), start (image, or loading behind a "
                    "startup probe) or readiness. Twenty minutes are normal for large models; the alert waits for hours in init.",
                    "{{workload}} {{stage}}",
                    unit="s",
                ),
                table(
                    "Starts that failed, by stage",
                    "round(sum by (W, stage) (increase(pod_startup_failures_total{$W}[$__range]))) > 0",
                    "Pods that ended before their first Ready. init: the download broke off; readiness: killed while loading.",
                    column="Pods",
                ),
            ),
            collapsed=True,
        ),
        Row(
            "Serving with sidecars",
            (
                bars(
                    "Restarts by type of container",
                    "sum by (container_type, container) (increase(pod_container_restarts_total{$W}[$__rate_interval]))",
                    "A log shipper or a proxy that restarts takes the model server out of traffic although it is well.",
                    "{{container_type}} {{container}}",
                ),
                bars(
                    "Readiness lost by container",
                    "sum by (container, cause) (increase(pod_container_readiness_losses_total{$W}[$__rate_interval]))",
                    "Whose probe took the pod out of traffic. Cause node: the whole node was away.",
                    "{{container}} {{cause}}",
                ),
            ),
            collapsed=True,
        ),
        Row(
            "Training workers",
            (
                bars(
                    "Restarts of workers",
                    'sum by (workload, container, reason) (increase(pod_container_restarts_total{$W, container_type="container"}'
                    "[$__rate_interval]))",
                    "A worker that restarts usually costs the run everything since its last checkpoint.",
                    "{{workload}} {{container}} {{reason}}",
                    colours=CAUSES,
                ),
                table(
                    "Taken away",
                    "round(sum by (W, reason, resource) (increase(pod_disruptions_total{$W}[$__range]))) > 0",
                    "Workers that were preempted, evicted or lost with their node.",
                    column="Pods",
                ),
            ),
            collapsed=True,
        ),
        Row(
            "Requests, limits and pods",
            (
                table(
                    "Requests and limits of all pods",
                    (
                        Query(in_gib("sum by (resource, unit)", "pod_workload_resource_requests{$W, %s}"), name="Requests"),
                        Query(in_gib("sum by (resource, unit)", "pod_workload_resource_limits{$W, %s}"), name="Limits"),
                    ),
                    "What the workload's pods on nodes ask for, as the scheduler counts it; GPUs too.",
                ),
                table(
                    "Pods",
                    "max by (cluster, namespace, pod, node) (pod_info{$W})",
                    "The pods that are there now.",
                    links=(TO_POD,),
                ),
            ),
        ),
    ),
)  # fmt: skip
