"""The exporter itself: is it up to date, what bounds the truth of its counts, what does it cost."""

from tools.dashboards.grafana import (
    BAD,
    EVENT_STEP,
    NEUTRAL,
    ORANGE,
    RED,
    Dashboard,
    Query,
    Row,
    bars,
    lines,
    stat,
    steps,
    table,
)

OWN = "pod_exporter"

DASHBOARD = Dashboard(
    "pod-exporter-exporter",
    "Pods / Exporter",
    "The exporter itself: is it up to date, what bounds the truth of its counts, and what does it cost.",
    ("job", "cluster", "instance"),
    (
        Row(
            "Up to date",
            (
                stat(
                    "Watches out of sync",
                    "count(min by (cluster, instance, resource) (pod_exporter_synced{$S}) == 0) or vector(0)",
                    "Resources of which the exporter has not seen a complete list. More than 0: see its log; often a missing right.",
                    thresholds=BAD,
                ),
                stat(
                    "Longest silence",
                    "max(time() - max by (cluster, instance, resource) (pod_exporter_watch_last_contact_timestamp_seconds{$S}))",
                    "Since the API server was last heard of. Up to ten minutes are normal in a quiet cluster.",
                    unit="s",
                    thresholds=steps((600, ORANGE), (900, RED)),
                ),
                stat(
                    "Pods", 'sum(pod_exporter_objects{$S, resource="pods"})', "Pods that it knows.", thresholds=NEUTRAL
                ),
                stat(
                    "Workloads",
                    "sum(pod_exporter_workloads{$S})",
                    "Workloads that it keeps accounts of.",
                    thresholds=NEUTRAL,
                ),
                stat(
                    "Faults",
                    "round(sum(increase(pod_exporter_faults_total{$S}[$__range]))) or vector(0)",
                    "Objects that could not be handled in the chosen time; their old state was kept. Please report what the log says.",
                    thresholds=BAD,
                ),
                stat(
                    "Version",
                    "max by (version) (pod_exporter_build_info{$S})",
                    "What runs; several while a new one is rolled out.",
                    legend="{{version}}",
                    thresholds=NEUTRAL,
                    mode="instant",
                ),
                lines(
                    "Silence by watch",
                    "time() - max by (cluster, instance, resource) (pod_exporter_watch_last_contact_timestamp_seconds{$S})",
                    "A line that only climbs is a watch that hangs.",
                    "{{resource}}",
                    unit="s",
                ),
                lines(
                    "Delay, 99 %",
                    "histogram_quantile(0.99, sum by (resource, le) (rate(pod_exporter_event_delay_seconds_bucket{$S}[$__rate_interval])))",
                    "From what happened to its arrival here. API times are whole seconds, so 2 s are none.",
                    "{{resource}}",
                    unit="s",
                    interval=EVENT_STEP,
                ),
                lines(
                    "Lines of the watches",
                    "sum by (resource) (rate(pod_exporter_watch_events_total{$S}[$__rate_interval]))",
                    "What the API server sends.",
                    "{{resource}}",
                    unit="cps",
                ),
                bars(
                    "Observations",
                    "topk(8, sum by (kind) (increase(pod_exporter_observations_total{$S}[$__rate_interval])) > 0)",
                    "What the exporter made of them, the most frequent kinds.",
                    "{{kind}}",
                ),
                bars(
                    "Watches begun anew",
                    "sum by (resource, reason) (increase(pod_exporter_watch_restarts_total{$S}[$__rate_interval]))",
                    "end is normal, every five to ten minutes. connection, server, silence: the way to the API server is bad; tls: its certificate or CA.",
                    "{{resource}} {{reason}}",
                ),
                bars(
                    "Lists anew",
                    "sum by (resource, reason) (increase(pod_exporter_relists_total{$S}[$__rate_interval]))",
                    "What happened before such a list is known by its outcome only.",
                    "{{resource}} {{reason}}",
                ),
            ),
        ),
        Row(
            "What bounds the truth",
            (
                table(
                    "In the chosen time",
                    (
                        Query(
                            "round(sum(increase(pod_exporter_unobserved_restarts_total{$S}[$__range])))",
                            name="Restarts without a trace",
                        ),
                        Query(
                            "round(sum(increase(pod_exporter_unobserved_deletions_total{$S}[$__range])))",
                            name="Deletions seen late",
                        ),
                        Query(
                            "round(sum(increase(pod_exporter_restart_count_resets_total{$S}[$__range])))",
                            name="Restart counts set back",
                        ),
                        Query(
                            "round(sum(increase(pod_exporter_decode_errors_total{$S}[$__range])))",
                            name="Objects unreadable",
                        ),
                        Query(
                            "round(sum(increase(pod_exporter_unmatched_events_total{$S}[$__range])))",
                            name="Events without a pod",
                        ),
                        Query(
                            "round(sum(increase(pod_exporter_clock_steps_total{$S}[$__range])))",
                            name="Steps of the clock",
                        ),
                    ),
                    "Each is a loss that was counted. Zeros: the counts are exact. docs/exactness.md says what each means.",
                    width=24,
                    height=4,
                ),
                bars(
                    "Causes inferred",
                    "sum by (cause) (increase(pod_exporter_inferred_causes_total{$S}[$__rate_interval]))",
                    "Restarts whose cause was read from the path of the status, because no Event told it.",
                    "{{cause}}",
                ),
                table(
                    "Durations cut to 0",
                    "topk(10, round(sum by (family) (increase(pod_exporter_clamped_durations_total{$S}[$__range])))) > 0",
                    "Times that ran backwards: clocks of nodes differ.",
                    column="Durations",
                    width=6,
                ),
                table(
                    "Label values folded into other",
                    "topk(10, round(sum by (family, label) (increase(pod_exporter_label_overflow_total{$S}[$__range])))) > 0",
                    "Limits that keep series few were reached.",
                    column="Values",
                    width=6,
                ),
            ),
        ),
        Row(
            "Kubelets, with --kubelet.probes",
            (
                lines(
                    "Kubelets read",
                    "sum by (result) (rate(pod_exporter_kubelet_reads_total{$S}[$__rate_interval]))",
                    "Empty without --kubelet.probes. Anything but ok: these nodes' probe failures are lower bounds.",
                    "{{result}}",
                    unit="cps",
                ),
                lines(
                    "Kubelets that answer, probes filled up",
                    (
                        Query("sum(pod_exporter_kubelets_answering{$S})", "kubelets answering"),
                        Query(
                            "sum(increase(pod_exporter_probe_fills_total{$S}[$__rate_interval]))",
                            "failures filled up by kills",
                        ),
                    ),
                    "Empty without --kubelet.probes.",
                ),
            ),
            collapsed=True,
        ),
        Row(
            "Memory over restarts",
            (
                table(
                    "The last start",
                    "max by (cluster, instance, result) (pod_exporter_checkpoint_load_info{$S})",
                    "loaded: it went on from a checkpoint, and counted what happened meanwhile. disabled: no --state.checkpoint-file. Anything else: it began anew, its log says why.",
                    width=8,
                ),
                lines(
                    "Taken over",
                    "sum by (kind) (pod_exporter_checkpoint_restored{$S})",
                    "By the last start. owing: series that had counted what no scrape had shown yet; lost: those that could not show it.",
                    "{{kind}}",
                    width=8,
                ),
                lines(
                    "Age of the checkpoint",
                    "time() - max by (cluster, instance) (pod_exporter_checkpoint_last_success_timestamp_seconds{$S} > 0)",
                    "What happens in so long a time is known by its outcome only after a crash.",
                    "{{instance}}",
                    unit="s",
                    width=8,
                ),
                bars(
                    "Checkpoints written",
                    "sum by (result) (increase(pod_exporter_checkpoint_writes_total{$S}[$__rate_interval]))",
                    "failed: the disk is full, or may not be written. The old file stays.",
                    "{{result}}",
                    width=8,
                ),
                lines(
                    "Size of the checkpoint",
                    "max by (instance) (pod_exporter_checkpoint_size_bytes{$S})",
                    "Compressed: some 200 bytes a pod of the cluster.",
                    "{{instance}}",
                    unit="bytes",
                    width=8,
                ),
                lines(
                    "Time to write it",
                    "max by (instance) (pod_exporter_checkpoint_duration_seconds{$S})",
                    "Beside all else: others get their turn meanwhile, so it delays nothing.",
                    "{{instance}}",
                    unit="s",
                    width=8,
                ),
            ),
        ),
        Row(
            "What it costs",
            (
                lines(
                    "Series by tier",
                    "sum by (tier) (pod_exporter_series{$S})",
                    "rows: per pod; ledger: per workload. --pods and --metrics.drop make them fewer.",
                    "{{tier}}",
                    stacked=True,
                ),
                lines(
                    "Scrape and loop",
                    (
                        Query("max by (instance) (pod_exporter_scrape_duration_seconds{$S})", "scrape {{instance}}"),
                        Query("max by (instance) (pod_exporter_loop_lag_seconds{$S})", "loop lag {{instance}}"),
                    ),
                    "Time of the last scrape, and how late the loop turns. Lag of seconds: too little CPU.",
                    unit="s",
                ),
                lines(
                    "Bytes of a scrape",
                    "max by (instance) (pod_exporter_scrape_bytes{$S})",
                    "Before compression; a body_size_limit of Prometheus must be above this.",
                    "{{instance}}",
                    unit="bytes",
                ),
                lines(
                    "Memory per pod",
                    'max by (instance) (process_resident_memory_bytes{$S}) / on (instance) sum by (instance) (pod_exporter_objects{$S, resource="pods"})',
                    "Falls towards 8 KiB in large clusters; steady growth is a leak.",
                    "{{instance}}",
                    unit="bytes",
                ),
                lines(
                    "CPU",
                    "sum by (instance) (rate(process_cpu_seconds_total{$S}[$__rate_interval]))",
                    "Cores in use; one is the most.",
                    "{{instance}}",
                ),
                lines(
                    "Tasks",
                    "max by (instance) (pod_exporter_tasks{$S})",
                    "A few for each watch, one for each client. Steady growth is a leak.",
                    "{{instance}}",
                ),
                bars(
                    "Requests turned away",
                    "sum by (reason) (increase(pod_exporter_http_rejected_total{$S}[$__rate_interval]))",
                    "Scrapes too many at once, or clients too slow.",
                    "{{reason}}",
                    width=24,
                ),
            ),
        ),
    ),
)
