"""Is anything wrong now, and where."""

from tools.dashboards.grafana import (
    CAUSES,
    ORANGE,
    PHASES,
    RED,
    TO_POD,
    TO_WORKLOAD,
    WORRYING,
    Dashboard,
    Query,
    Row,
    bars,
    lines,
    stat,
    steps,
    table,
)

DASHBOARD = Dashboard(
    "pod-exporter-overview",
    "Pods / Overview",
    "Is anything wrong now, and where. Start here, then follow the links to a workload or a pod.",
    ("job", "cluster", "namespace", "workload_kind", "workload"),
    (
        Row(
            "Now",
            (
                stat(
                    "Workloads down",
                    'count((sum by (W) (pod_workload_pods{$W, phase="Running", '
                    'workload_kind!~"Job|CronJob|Pod|StaticPod"}) > 0) unless '
                    "(sum by (W) (pod_workload_ready_pods{$W}) > 0)) or vector(0)",
                    "Workloads whose pods run although none is ready: nobody is served. Look at the probes and the "
                    "restarts of the workload.",
                ),
                stat(
                    "In a crash loop",
                    "sum(pod_workload_crash_looping_containers{$W}) or vector(0)",
                    "Containers in a crash loop: from the first back-off until they have run for ten minutes. "
                    "Any is bad; the table below names the workload.",
                ),
                stat(
                    "Unschedulable pods",
                    "sum(pod_workload_unschedulable_pods{$W}) or vector(0)",
                    "Pods that no node takes. A few are normal while an autoscaler adds nodes; the dashboard about "
                    "startup says why.",
                    thresholds=WORRYING,
                ),
                stat(
                    "OOM kills",
                    'round(sum(increase(pod_container_terminations_total{$W, reason="OOMKilled"}[$__range]))) or vector(0)',
                    "Containers killed for memory in the chosen time, also in pods that are gone. Raise the limit or "
                    "find the leak.",
                ),
                stat(
                    "Restarts",
                    "round(sum(increase(pod_container_restarts_total{$W}[$__range]))) or vector(0)",
                    "Restarts of containers in the chosen time. Their causes are below.",
                    thresholds=WORRYING,
                ),
                stat(
                    "Ready share",
                    'sum(pod_workload_ready_pods{$W, workload_kind!~"Job|CronJob"}) / '
                    'sum(pod_workload_pods{$W, workload_kind!~"Job|CronJob", phase=~"Pending|ContainerCreating|Running"})',
                    "Ready pods of those that should be, without jobs. Below 1 for long: look for unready pods.",
                    unit="percentunit",
                    thresholds=steps((0.75, ORANGE), (0.95, "green"), base=RED),
                ),
            ),
        ),
        Row(
            "What happened",
            (
                bars(
                    "Restarts by cause",
                    "sum by (reason) (increase(pod_container_restarts_total{$W}[$__rate_interval]))",
                    "Why containers were started again. OOMKilled: memory; LivenessProbe and StartupProbe: killed by the "
                    "kubelet; Error and Completed: they ended by themselves.",
                    "{{reason}}",
                    colours=CAUSES,
                ),
                lines(
                    "Pods by phase",
                    "sum by (phase) (pod_workload_pods{$W})",
                    "Pending: not yet on a node; ContainerCreating: on a node, not yet running (image pulls and init "
                    "containers included). A growing band of either needs a look.",
                    "{{phase}}",
                    stacked=True,
                    colours=PHASES,
                ),
                lines(
                    "Waiting containers by reason",
                    "sum by (reason) (pod_workload_waiting_containers{$W})",
                    "What containers wait for now. CrashLoopBackOff and ImagePullBackOff do not go by themselves.",
                    "{{reason}}",
                    stacked=True,
                ),
                bars(
                    "Disruptions by reason",
                    "sum by (reason) (increase(pod_disruptions_total{$W}[$__rate_interval]))",
                    "Pods taken away by others: evictions, preemption, lost nodes. NodePressureEviction means that a node "
                    "ran out of something.",
                    "{{reason}}",
                ),
            ),
        ),
        Row(
            "Where to look",
            (
                table(
                    "Worst workloads",
                    (
                        Query("topk(20, round(sum by (W) (increase(pod_container_restarts_total{$W}[$__range]))) > 0)", name="Restarts"),
                        Query(
                            "round(sum by (W) (increase(pod_container_terminations_total"
                            '{$W, reason="OOMKilled"}[$__range]))) > 0',
                            name="OOM kills",
                        ),
                    ),
                    "The twenty workloads with most restarts in the chosen time, and their OOM kills.",
                    links=(TO_WORKLOAD,),
                    units={"Restarts": "none", "OOM kills": "none"},
                ),
                table(
                    "Pods in trouble",
                    'max by (cluster, namespace, pod, status) (pod_status{job=~"$job", cluster=~"$cluster", '
                    'namespace=~"$namespace", status!~"Running|Completed|Succeeded"}) '
                    "* on (cluster, namespace, pod) group_left (workload) "
                    "max by (cluster, namespace, pod, workload) (pod_info{$W})",
                    "Pods that kubectl would not show as Running or Completed, with its STATUS.",
                    links=(TO_POD,),
                ),
                table(
                    "Warning Events",
                    'topk(15, round(sum by (namespace, reason) (increase(pod_events_total{$W, event_type="Warning"}[$__range]))) > 0)',
                    "What Kubernetes warned of in the chosen time. A lower bound: it drops Events in bursts.",
                    column="Occurrences",
                    units={"Occurrences": "none"},
                ),
                table(
                    "Bare pods",
                    "sum by (cluster, namespace) (pod_unmanaged{$W})",
                    "Pods that nothing will make again when they or their node go. Give them a Deployment or a Job.",
                    column="Pods",
                ),
            ),
        ),
    ),
)  # fmt: skip
