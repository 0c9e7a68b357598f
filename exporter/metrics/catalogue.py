"""All families of the product, each with its labels and meaning. Search a metric's name: it stands here once.

Labels: every ledger family has namespace, workload_kind, workload; every row namespace, pod; container families
also container, container_type (container, init, sidecar, ephemeral). Rules are numbered as in docs/rules.md.
"""

from __future__ import annotations

from exporter.lifecycle.observations import (
    ContainerAppeared,
    ContainerRestarted,
    ContainerTerminated,
    ContainerWaiting,
    PhaseChanged,
)
from exporter.metrics.families import CounterFamily, GaugeFamily, RowFamily

REASONS_PER_FAMILY = 20
EXIT_CODES_PER_CONTAINER = 20

_REASONS = ("reason", REASONS_PER_FAMILY, "")

COUNTERS = (
    CounterFamily(
        "pod_phase_transitions_total",
        PhaseChanged,
        "Changes of phase. From None: created; to Deleted: gone. Pending is not yet bound to a node, "
        "ContainerCreating is bound and not yet Running: the API's Pending is the sum of both (R12).",
        "from=before to=after",
    ),
    CounterFamily(
        "pod_phase_seconds_total",
        PhaseChanged,
        "Seconds spent in a phase, added when it is left. Divided by transitions from it: the mean (R12).",
        "phase=before",
        amount="seconds",
    ),
    CounterFamily(
        "pod_container_restarts_total",
        ContainerRestarted,
        "Restarts of containers by the cause of the end before. Unobserved: it left no trace in the API (R1-R5).",
        "container container_type reason",
        bounds=(_REASONS,),
    ),
    CounterFamily(
        "pod_container_terminations_total",
        ContainerTerminated,
        "Ends of containers, final ones too. PodStopped: brought by the pod's own end. "
        "Never add these to restarts, most restarts follow a termination (R3-R6).",
        "container container_type reason exit_code",
        bounds=(_REASONS, ("exit_code", EXIT_CODES_PER_CONTAINER, "container")),
    ),
    CounterFamily(
        "pod_container_waiting_total",
        ContainerWaiting,
        "Entries of containers into a waiting reason; ContainerCreating and PodInitializing are left out (R9).",
        "container container_type reason",
        bounds=(_REASONS,),
    ),
)

GAUGES = (
    GaugeFamily("pod_workload_pods", "Pods of the workload by phase; a phase once seen stays, at 0 (R12)."),
    GaugeFamily("pod_workload_ready_pods", "Pods of the workload in phase Running whose condition Ready is True."),
)

ROWS = (
    RowFamily(
        "pod_info",
        "pod",
        "A pod: where it runs, what it belongs to. Always 1.",
        "uid=pod.uid node workload_kind=pod.workload.kind workload=pod.workload.name qos_class priority_class "
        "service_account",
    ),
    RowFamily("pod_status", "pod", "The pod's phase now (R12). Always 1.", "phase"),
    RowFamily("pod_ready", "pod", "Whether the pod's condition Ready is True.", value="ready"),
    RowFamily(
        "pod_container_status",
        "container",
        "What the container does now: running, waiting or terminated, and why. Always 1.",
        "state reason",
    ),
    RowFamily(
        "pod_container_status_restarts",
        "container",
        "restartCount as the kubelet gives it. It starts anew with each pod and may fall: "
        "pod_container_restarts_total is the one to count with.",
        value="restarts",
    ),
    RowFamily(
        "pod_container_last_termination_info",
        "ending",
        "The newest known end of the container and its cause (R5). Always 1.",
        "workload_kind=pod.workload.kind workload=pod.workload.name reason=cause exit_code",
    ),
)


def born_early(seen: ContainerAppeared) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Series that exist from a container's first sight, so that not even their first event is delayed.

    Gives family and values of its own labels. Nothing else is made in advance; ephemeral containers never restart.
    """
    at = (seen.container, seen.container_type)
    reasons = ["OOMKilled", "Error"] if seen.container_type != "ephemeral" else []
    reasons += ["LivenessProbe"] if seen.liveness else []
    reasons += ["StartupProbe"] if seen.startup else []
    restarts = [("pod_container_restarts_total", (*at, reason)) for reason in reasons]
    return (*restarts, ("pod_container_terminations_total", (*at, "OOMKilled", "137")))
