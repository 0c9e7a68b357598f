"""All families of the product, each with its labels and meaning. Search a metric's name: it stands here once.

Labels: ledger families have those of their account (namespace, workload_kind, workload unless they say otherwise),
rows have namespace, pod; those about containers also container, container_type (container, init, sidecar,
ephemeral). Rules are numbered as in docs/rules.md.
"""

from __future__ import annotations

from functools import lru_cache

from exporter.lifecycle.observations import (
    ConditionChanged,
    ContainerAppeared,
    ContainerRestarted,
    ContainerTerminated,
    ContainerWaiting,
    CrashLoopBegan,
    CrashLoopEnded,
    EventOccurred,
    GracePeriodExceeded,
    ImagePulled,
    PhaseChanged,
    PodDisrupted,
    PodTerminated,
    ProbeFailed,
    ReadinessLost,
    ReadinessRegained,
    RestartedInPlace,
    RolledOut,
    SchedulingFailed,
    StartupFailed,
    StartupFinished,
)
from exporter.metrics.families import CounterFamily, GaugeFamily, HistogramFamily, RowFamily

_PART = "container container_type"
_OWNER = "workload_kind=pod.workload.kind workload=pod.workload.name"
_CONTAINERS = ("container", 100, "container_type")
_NAMES = ("container", 100, "")
_REASONS = ("reason", 20, "")
_CAUSES = ("cause", 20, "")
_EXIT_CODES = ("exit_code", 20, "container")
_CONDITIONS = ("condition", 25, "")
_RESOURCES = ("resource", 50, "")
_EVENTS = "lower bound: exactly what the API's Events say, of which senders drop some in bursts"
_LOWER = "lower bound: what Kubernetes writes twice alike is seen once"

COUNTERS = (
    CounterFamily(
        "pod_phase_transitions_total",
        PhaseChanged,
        "Changes of phase. From None: created; to Deleted: gone. Pending is not yet bound to a node, "
        "ContainerCreating is bound and not yet Running: the API's Pending is the sum of both (R12).",
        "from=before to=after",
        exact="exact while the watch is unbroken; phases that pass during a gap are skipped",
        example='sum by (namespace, workload) (increase(pod_phase_transitions_total{to="Failed"}[1h])) > 0',
    ),
    CounterFamily(
        "pod_phase_seconds_total",
        PhaseChanged,
        "Seconds spent in a phase, added when it is left. Divided by transitions from it: the mean (R12).",
        "phase=before",
        amount="seconds",
        exact="a second at each end: API times are whole seconds from three clocks",
        example='sum by (phase) (rate(pod_phase_seconds_total{workload="web"}[1d]))',
    ),
    CounterFamily(
        "pod_startup_stage_seconds_total",
        StartupFinished,
        "Seconds of pod starts by stage (gated, scheduling, sandbox, init, start, readiness), added at the first "
        "Ready; image pulls are part of init and start. Stages add up to pod_startup_duration_seconds (R13).",
        "stage=stages",
        each="stages",
        exact="a second a stage: API times are whole seconds from three clocks",
        example="sum by (stage) (rate(pod_startup_stage_seconds_total[1d]))",
    ),
    CounterFamily(
        "pod_startup_failures_total",
        StartupFailed,
        "Pods that ended before their first Ready, by the stage they were in; those that succeeded, and those taken "
        "back within a minute without any failure, are left out (R13).",
        "stage",
        example="sum by (namespace, workload, stage) (increase(pod_startup_failures_total[1h])) > 0",
    ),
    CounterFamily(
        "pod_condition_transitions_total",
        ConditionChanged,
        "Changes of status of conditions: Ready, DisruptionTarget, PodResizePending, PodResizeInProgress, "
        "AllContainersRestarting and readiness gates. Appearing as False is no change (R17).",
        "condition status reason",
        bounds=(_CONDITIONS, _REASONS),
        example='sum by (workload) (increase(pod_condition_transitions_total{condition="Ready",status="False"}[1h]))',
    ),
    CounterFamily(
        "pod_container_readiness_losses_total",
        ReadinessLost,
        "Running containers that went from ready to not ready. Cause container: its readiness probe took it out of "
        "traffic; node: others of the node without such a probe lost it too. Told 5 s late (R7).",
        f"{_PART} cause",
        bounds=(_CONTAINERS,),
        example="sum by (namespace, workload, container) (increase(pod_container_readiness_losses_total[1h])) > 3",
    ),
    CounterFamily(
        "pod_container_restarts_total",
        ContainerRestarted,
        "Restarts of containers by the cause of the end before. Unobserved: it left no trace in the API (R1-R5).",
        f"{_PART} reason",
        amount="times",
        bounds=(_CONTAINERS, _REASONS),
        exact="the number exact; causes of a gap are Unobserved or the API's own, and counted as such",
        example="sum by (namespace, workload, container, reason) (increase(pod_container_restarts_total[1h])) > 0",
    ),
    CounterFamily(
        "pod_container_terminations_total",
        ContainerTerminated,
        "Ends of containers, final ones too. PodStopped: brought by the pod's own end. "
        "Never add these to restarts, most restarts follow a termination (R3-R6).",
        f"{_PART} reason exit_code",
        amount="times",
        bounds=(_CONTAINERS, _REASONS, _EXIT_CODES),
        exact="exact while the watch is unbroken; ends that nobody saw are Unobserved",
        example='sum by (namespace, workload) (increase(pod_container_terminations_total{reason="OOMKilled"}[1d])) > 0',
    ),
    CounterFamily(
        "pod_container_waiting_total",
        ContainerWaiting,
        "Entries of containers into a waiting reason; ContainerCreating and PodInitializing are left out (R9).",
        f"{_PART} reason",
        bounds=(_CONTAINERS, _REASONS),
        exact=_LOWER,
        example='sum by (workload) (increase(pod_container_waiting_total{reason="CrashLoopBackOff"}[1h]))',
    ),
    CounterFamily(
        "pod_container_crash_loops_total",
        CrashLoopBegan,
        "Crash-loop episodes begun: from the first CrashLoopBackOff until ten minutes of one run (R8).",
        _PART,
        bounds=(_CONTAINERS,),
        example="sum by (namespace, workload, container) (increase(pod_container_crash_loops_total[1d])) > 0",
    ),
    CounterFamily(
        "pod_container_probe_failures_total",
        ProbeFailed,
        "Attempts of probes that did not succeed. failed: the probe said no; errored: it could not be made. A lower "
        "bound without --kubelet.probes: kubelets send 25 Events of a pod at once, then one in five minutes.",
        f"{_PART} probe outcome",
        amount="counted",
        bounds=(_CONTAINERS,),
        exact=_EVENTS + "; with --kubelet.probes exact but for what follows a pod's last read",
        example="sum by (namespace, workload, container, probe) (increase(pod_container_probe_failures_total[1h])) > 0",
    ),
    CounterFamily(
        "pod_container_probe_failure_causes_total",
        ProbeFailed,
        "Attempts of probes that did not succeed, by what their Events say: timeout, connection_refused, "
        "connection_reset, http_status, exec_exit, grpc, dns, tls, other. A lower bound, always from Events.",
        "container probe cause",
        amount="explained",
        bounds=(_NAMES,),
        exact=_EVENTS,
        example="topk(5, sum by (workload, probe, cause) (increase(pod_container_probe_failure_causes_total[1h])))",
    ),
    CounterFamily(
        "pod_container_image_pulls_total",
        ImagePulled,
        "Images by result: pulled, present (was on the node), failed; failures by cause: auth, not_found, rate_limit, "
        "network, other. A lower bound: what succeeded is told by Events, of which some are dropped (R9).",
        "container result cause",
        amount="count",
        bounds=(_NAMES,),
        exact=f"failed: {_LOWER}; pulled, present: {_EVENTS}",
        example='sum by (cause) (increase(pod_container_image_pulls_total{result="failed"}[1h]))',
    ),
    CounterFamily(
        "pod_events_total",
        EventOccurred,
        "Occurrences of Events about pods, by their own counts; only Warnings unless --events.normal. A lower bound: "
        "their senders drop some.",
        "event_type reason",
        amount="count",
        bounds=(("event_type", 20, ""), _REASONS),
        exact=_EVENTS,
        example="topk(10, sum by (namespace, workload, reason) (increase(pod_events_total[1h])))",
    ),
    CounterFamily(
        "pod_disruptions_total",
        PodDisrupted,
        "Pods that something else than themselves or their owner took away, once each; resource: what was short (R16).",
        "reason resource",
        bounds=(_REASONS, ("resource", 20, "")),
        example="sum by (reason) (increase(pod_disruptions_total[1d]))",
    ),
    CounterFamily(
        "pod_scheduling_failures_total",
        SchedulingFailed,
        "New messages of the scheduler that it cannot place a pod, by the cause that blocks most nodes (R18).",
        "cause",
        bounds=(_CAUSES,),
        exact=_LOWER,
        example="sum by (cause) (increase(pod_scheduling_failures_total[1h]))",
    ),
    CounterFamily(
        "pod_grace_period_exceeded_total",
        GracePeriodExceeded,
        "Pods of which at least one container was killed after the grace period of their deletion (R15).",
        "",
        example="sum by (namespace, workload) (increase(pod_grace_period_exceeded_total[1d])) > 0",
    ),
    CounterFamily(
        "pod_workload_rollouts_total",
        RolledOut,
        "Pods created from a template that is not among the workload's last ten; its first is none.",
        "",
        example="sum by (namespace, workload) (increase(pod_workload_rollouts_total[1d]))",
    ),
    CounterFamily(
        "pod_in_place_restarts_total",
        RestartedInPlace,
        "Pods of which all containers were restarted in place by a rule (RestartAllContainers, R2).",
        "",
        example="sum by (namespace, workload) (increase(pod_in_place_restarts_total[1d])) > 0",
    ),
    CounterFamily(
        "pod_node_container_restarts_total",
        ContainerRestarted,
        "Restarts of containers by the node they ran on: the same as pod_container_restarts_total, seen from the node.",
        "reason",
        amount="times",
        bounds=(_REASONS,),
        scope="node",
        example="topk(5, sum by (node) (increase(pod_node_container_restarts_total[1h])))",
    ),
)

HISTOGRAMS = (
    HistogramFamily(
        "pod_startup_duration_seconds",
        StartupFinished,
        "From a pod's creation to its first Ready (R13).",
        "",
        (2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 2400, 3600),
        "workload",
        amount="seconds",
        example="histogram_quantile(0.95, sum by (le) (rate(pod_startup_duration_seconds_bucket[1d])))",
    ),
    HistogramFamily(
        "pod_unready_duration_seconds",
        ReadinessRegained,
        "How long pods were not Ready before they were again, by why: probe, container_ended, readiness_gate, "
        "node_not_ready, other (R14).",
        "cause",
        (5, 15, 30, 60, 120, 300, 900, 3600),
        "workload",
        amount="seconds",
        example="histogram_quantile(0.9, sum by (le, cause) (rate(pod_unready_duration_seconds_bucket[1d])))",
    ),
    HistogramFamily(
        "pod_container_crash_loop_duration_seconds",
        CrashLoopEnded,
        "Length of crash-loop episodes that have ended (R8).",
        "",
        (60, 300, 600, 1800, 3600, 21600, 86400),
        "workload",
        amount="seconds",
        example="histogram_quantile(0.9, sum by (le) (rate(pod_container_crash_loop_duration_seconds_bucket[1d])))",
    ),
    HistogramFamily(
        "pod_startup_stage_duration_seconds",
        StartupFinished,
        "Stages of pod starts, see pod_startup_stage_seconds_total (R13).",
        "stage=stages",
        (1, 5, 15, 60, 300, 900, 1800, 3600),
        "namespace",
        each="stages",
        example="histogram_quantile(0.95, sum by (stage, le) (rate(pod_startup_stage_duration_seconds_bucket[1d])))",
    ),
    HistogramFamily(
        "pod_phase_duration_seconds",
        PhaseChanged,
        "How long pods were in a phase that they have left (R12).",
        "phase=before",
        (5, 30, 60, 300, 900, 3600, 21600, 86400, 604800),
        "namespace",
        amount="seconds",
        example="histogram_quantile(0.9, sum by (phase, le) (rate(pod_phase_duration_seconds_bucket[1d])))",
    ),
    HistogramFamily(
        "pod_container_run_duration_seconds",
        ContainerTerminated,
        "How long containers had run when they ended.",
        "container_type",
        (1, 5, 15, 60, 300, 900, 3600, 21600, 86400),
        "namespace",
        amount="ran",
        example="histogram_quantile(0.5, sum by (le) (rate(pod_container_run_duration_seconds_bucket[1d])))",
    ),
    HistogramFamily(
        "pod_termination_duration_seconds",
        PodTerminated,
        "From the request to delete a pod to its object being gone; pods that had ended before are left out (R15).",
        "",
        (1, 5, 10, 25, 35, 60, 120, 300, 900, 3600),
        "namespace",
        amount="seconds",
        example="histogram_quantile(0.95, sum by (le) (rate(pod_termination_duration_seconds_bucket[1d])))",
    ),
    HistogramFamily(
        "pod_image_pull_duration_seconds",
        ImagePulled,
        "How long pulls of images took, from Events, by registry; images that name none come from docker.io.",
        "",
        (0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1200, 2400),
        "registry",
        amount="seconds",
        exact=_EVENTS,
        example="histogram_quantile(0.9, sum by (le, registry) (rate(pod_image_pull_duration_seconds_bucket[1d])))",
    ),
)

_RESOURCE = ("resource", "unit")
_C = ("container", "container_type")

PODS = GaugeFamily(
    "pod_workload_pods",
    "Pods of the workload by phase; a phase once seen stays, at 0 (R12).",
    ("phase",),
    example="sum by (phase) (pod_workload_pods)",
)
READY = GaugeFamily(
    "pod_workload_ready_pods",
    "Pods of the workload in phase Running whose condition Ready is True.",
    example="sum(pod_workload_ready_pods) / sum(pod_workload_pods{phase='Running'})",
)
WAITING = GaugeFamily(
    "pod_workload_waiting_containers",
    "Containers that wait, by reason; ContainerCreating and PodInitializing are left out (R9).",
    ("container", "reason"),
    bounds=(_NAMES, _REASONS),
    example="sum by (namespace, workload, reason) (pod_workload_waiting_containers) > 0",
)
LOOPING = GaugeFamily(
    "pod_workload_crash_looping_containers",
    "Containers in a crash-loop episode, those that run at this moment included (R8).",
    _C,
    bounds=(_CONTAINERS,),
    example="sum by (namespace, workload) (pod_workload_crash_looping_containers) > 0",
)
UNSCHEDULABLE = GaugeFamily(
    "pod_workload_unschedulable_pods",
    "Pods that the scheduler cannot place, by cause; gated: it must not try yet (R18).",
    ("cause",),
    bounds=(_CAUSES,),
    example="sum by (cause) (pod_workload_unschedulable_pods)",
)
REQUESTS = GaugeFamily(
    "pod_workload_resource_requests",
    "What the scheduler reserves for the bound, unfinished pods: init containers, sidecars and overhead included.",
    _RESOURCE,
    bounds=(_RESOURCES,),
    example='sum by (namespace) (pod_workload_resource_requests{resource="cpu"})',
)
LIMITS = GaugeFamily(
    "pod_workload_resource_limits",
    "Limits of the bound, unfinished pods, summed by the scheduler's rules.",
    _RESOURCE,
    bounds=(_RESOURCES,),
    example='sum by (namespace) (pod_workload_resource_limits{resource="memory"})',
)
STARTING = GaugeFamily(
    "pod_workload_starting_since_timestamp_seconds",
    "When the pod that is longest in this stage of its start entered it; only while there is one (R13).",
    ("stage",),
    example="time() - min by (namespace, workload, stage) (pod_workload_starting_since_timestamp_seconds) > 600",
)
UNREADY = GaugeFamily(
    "pod_workload_unready_since_timestamp_seconds",
    "Since when the pod that lost Ready longest ago has been without it; only while there is one (R14).",
    example="time() - min by (namespace, workload) (pod_workload_unready_since_timestamp_seconds) > 300",
)
DEADLINE = GaugeFamily(
    "pod_workload_termination_deadline_timestamp_seconds",
    "When the grace period of the pod that should be gone first ends; only while one is being deleted (R15).",
    example="time() - min by (namespace, workload) (pod_workload_termination_deadline_timestamp_seconds) > 600",
)
CONTAINER_REQUESTS = GaugeFamily(
    "pod_container_resource_requests",
    "Requests of a container of the newest pod, in cores, bytes or pieces.",
    (*_C, *_RESOURCE),
    example='max by (namespace, workload, container) (pod_container_resource_requests{resource="memory"})',
)
CONTAINER_LIMITS = GaugeFamily(
    "pod_container_resource_limits",
    "Limits of a container of the newest pod, in cores, bytes or pieces.",
    (*_C, *_RESOURCE),
    example='max by (namespace, workload, container) (pod_container_resource_limits{resource="memory"})',
)
PROBES = GaugeFamily(
    "pod_container_probe_info",
    "A probe of a container of the newest pod: liveness, readiness or startup. Always 1.",
    (*_C, "probe", "handler"),
    example="count by (probe, handler) (pod_container_probe_info)",
)
PERIOD = GaugeFamily(
    "pod_container_probe_period_seconds",
    "How often the probe is tried.",
    (*_C, "probe"),
    example="max by (namespace, workload, container, probe) (pod_container_probe_period_seconds)",
)
THRESHOLD = GaugeFamily(
    "pod_container_probe_failure_threshold",
    "How many failures in a row it takes.",
    (*_C, "probe"),
    example="max by (namespace, workload, container, probe) (pod_container_probe_failure_threshold)",
)
COUNTED = (PODS, READY, WAITING, LOOPING, UNSCHEDULABLE, REQUESTS, LIMITS)
"""Sums over pods: they appear when first non-zero and then stay."""
TIMES = (STARTING, UNREADY, DEADLINE)
"""The earliest of all pods: they are there only while true."""
SHAPES = (CONTAINER_REQUESTS, CONTAINER_LIMITS, PROBES, PERIOD, THRESHOLD)
"""How the newest pod is made."""
GAUGES = (*COUNTED, *TIMES, *SHAPES)

INFO = RowFamily(
    "pod_info",
    "pod",
    "A pod: where it runs, what it belongs to. Always 1.",
    f"uid=pod.uid node {_OWNER} qos_class priority_class service_account",
    example="count by (node) (pod_info)",
)
LABELS = RowFamily(
    "pod_labels",
    "pod",
    "Labels of the pod that --metrics.pod-labels allows. Always 1.",
    "*",
    example="count by (namespace, pod) (pod_labels)",
)
ROWS = (
    INFO,
    RowFamily(
        "pod_status",
        "pod",
        "The pod's phase (R12) and its STATUS as kubectl prints it, with Init for Init:1/3. Always 1.",
        "phase status",
        example='count by (status) (pod_status{status!~"Running|Completed"})',
    ),
    RowFamily(
        "pod_ready", "pod", "Whether the pod's condition Ready is True.", value="ready", example="sum(pod_ready)"
    ),
    RowFamily(
        "pod_created_timestamp_seconds",
        "pod",
        "When the pod was created.",
        value="created",
        example="time() - max by (namespace, pod) (pod_created_timestamp_seconds)",
    ),
    RowFamily(
        "pod_unready_since_timestamp_seconds",
        "pod",
        "Since when the pod is not Ready, only while it is not; was_ready=false: since its creation (R14).",
        f"{_OWNER} was_ready=was_ready",
        value="unready_since",
        example='time() - max by (namespace, pod) (pod_unready_since_timestamp_seconds{was_ready="true"}) > 300',
    ),
    RowFamily(
        "pod_deletion_requested_timestamp_seconds",
        "pod",
        "When the deletion of the pod was asked for, only while it is going (R15).",
        _OWNER,
        value="deletion",
        example="time() - max by (namespace, pod) (pod_deletion_requested_timestamp_seconds) > 600",
    ),
    RowFamily(
        "pod_unmanaged",
        "pod",
        "1 for a bare pod, which nothing will make again.",
        _OWNER,
        value="bare",
        example="sum by (namespace) (pod_unmanaged)",
    ),
    RowFamily(
        "pod_container_info",
        "container",
        "A container's image as asked for and as run. Always 1.",
        "image image_id",
        example="count by (image) (pod_container_info)",
    ),
    RowFamily(
        "pod_container_status",
        "container",
        "What the container does now: running, waiting or terminated, and why. Always 1.",
        "state reason",
        example='count by (reason) (pod_container_status{state="waiting"})',
    ),
    RowFamily(
        "pod_container_ready",
        "container",
        "Whether the container is ready.",
        value="ready",
        example="sum(pod_container_ready)",
    ),
    RowFamily(
        "pod_container_status_restarts",
        "container",
        "restartCount as the kubelet gives it. It starts anew with each pod and may fall: "
        "pod_container_restarts_total is the one to count with.",
        value="restarts",
        example="max by (namespace, pod, container) (pod_container_status_restarts)",
    ),
    RowFamily(
        "pod_container_started_timestamp_seconds",
        "container",
        "When the instance that runs now was started.",
        value="running_since",
        example="time() - max by (namespace, pod, container) (pod_container_started_timestamp_seconds)",
    ),
    RowFamily(
        "pod_container_last_termination_info",
        "ending",
        "The newest known end of the container and its cause (R5). Always 1.",
        f"{_OWNER} reason=cause exit_code",
        example="count by (reason) (pod_container_last_termination_info)",
    ),
    RowFamily(
        "pod_container_last_termination_timestamp_seconds",
        "ending",
        "When the newest known end of the container was.",
        f"{_OWNER} reason=cause exit_code",
        value="finished",
        example="time() - max by (namespace, pod, container) (pod_container_last_termination_timestamp_seconds) < 300",
    ),
    RowFamily(
        "pod_container_crash_loop_since_timestamp_seconds",
        "loop",
        "Since when the container is in a crash-loop episode, only while it is (R8).",
        _OWNER,
        value="since",
        example="time() - max by (namespace, pod, container) (pod_container_crash_loop_since_timestamp_seconds)",
    ),
    RowFamily(
        "pod_container_backoff_seconds",
        "loop",
        "The kubelet's newest delay before a restart, only in a crash-loop episode (R8).",
        _OWNER,
        value="backoff",
        example="max by (namespace, pod, container) (pod_container_backoff_seconds) >= 300",
    ),
)
FAMILY_NAMES = frozenset(f.name for f in (*COUNTERS, *HISTOGRAMS, *GAUGES, *ROWS, LABELS))


def born_early(seen: ContainerAppeared) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Series that exist from a container's first sight, so that not even their first event is delayed.

    Gives family and values of its own labels. Nothing else is made in advance; an ephemeral container is never
    restarted, and its name is one more for each debugging session.
    """
    if seen.container_type == "ephemeral":
        return ()
    return _early(seen.container, seen.container_type, seen.liveness, seen.startup, seen.readiness)


@lru_cache(maxsize=4096)
def _early(
    container: str,
    kind: str,
    liveness: bool,  # noqa: FBT001 - a key of the cache
    startup: bool,  # noqa: FBT001
    readiness: bool,  # noqa: FBT001
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """One object for all containers that are alike: there is one for each template, not for each pod."""
    at = (container, kind)
    reasons = ["OOMKilled", "Error"]
    reasons += ["LivenessProbe"] if liveness else []
    reasons += ["StartupProbe"] if startup else []
    early: list[tuple[str, tuple[str, ...]]]
    early = [("pod_container_restarts_total", (*at, reason)) for reason in reasons]
    early += [("pod_container_terminations_total", (*at, "OOMKilled", "137")), ("pod_container_crash_loops_total", at)]
    early += [("pod_container_readiness_losses_total", (*at, "container"))] if readiness else []
    probes = {"liveness": liveness, "readiness": readiness, "startup": startup}
    early += [
        ("pod_container_probe_failures_total", (*at, probe, "failed")) for probe, there in probes.items() if there
    ]
    return tuple(early)
