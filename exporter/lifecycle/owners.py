"""Which workload a pod belongs to: decided once, at first sight, from labels, controllers and, in need, names."""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec.structs import replace

from exporter.lifecycle.bounded import LONGEST_NAME
from exporter.lifecycle.observations import Value, Workload
from exporter.objects import Job, Metadata, Owner, OwnerReference, Pod

GROUP_LABELS = (
    ("leaderworkerset.sigs.k8s.io/name", "LeaderWorkerSet"),
    ("jobset.sigs.k8s.io/jobset-name", "JobSet"),
)
"""Labels of controllers that put others between themselves and their pods."""
TEMPLATE_HASHES = (("pod-template-hash", "Deployment"), ("rollouts-pod-template-hash", "Rollout"))
ONE_SHOT = frozenset(("Job", "Pod", "Workflow", "TaskRun", "PipelineRun", "SparkApplication", "EphemeralRunner"))
"""Kinds whose every run has a name of its own; without folding each would open an account."""
_SCHEDULED = re.compile(r"(.+)-\d{8,}")
_UNLIKE = (
    r"(?:\d{8,}|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|\d{4}-\d\d-\d\d(?:-\d+)*"
    r"|(?!\d+(?:$|-))[bcdfghjklmnpqrstvwxz2456789]{5})"
)
"""What no two runs share: a long number, a UUID, a date, five random characters (not all of them digits)."""
_UNIQUE = re.compile(rf"(.+?)-{_UNLIKE}")
_OF_A_RUN = re.compile(rf"(.+?)-{_UNLIKE}-(.+)")
"""A TaskRun's name: that of its PipelineRun, then that of the task."""


class Unresolved(Value, frozen=True):
    """The owner that would tell has not been seen; `fallback` is what names alone suggest.

    `name` is what a pod label says, "" if it may not; `owner` is a uid.
    """

    owner: str
    fallback: Workload
    name: str = ""

    def resolved(self, workload: Workload) -> Workload:
        """The workload, now that the owner has been seen and stands for `workload`."""
        return Workload(workload.namespace, workload.kind, self.name) if self.name else workload


def folded(kind: str, name: str, generate_name: str = "") -> str:
    """The common name of one-shot runs: generateName, else without a unique ending; never without a short number."""
    if kind not in ONE_SHOT:
        return name
    name = generate_name.rstrip("-.") or name
    if match := _UNIQUE.fullmatch(name):
        return match[1]
    match = _OF_A_RUN.fullmatch(name) if kind == "TaskRun" else None
    return f"{match[1]}-{match[2]}" if match else name


def workload_of(owner: Owner) -> Workload:
    """What a ReplicaSet's or Job's pods are counted under: its own controller, else itself."""
    metadata = owner.metadata
    above = controller(metadata)
    if above is not None:
        return Workload(metadata.namespace, above.kind, folded(above.kind, above.name))
    kind = "Job" if isinstance(owner, Job) else "ReplicaSet"
    return Workload(metadata.namespace, kind, folded(kind, metadata.name, metadata.generate_name))


def controller(metadata: Metadata) -> OwnerReference | None:
    """The owner that manages the object, None if nobody does.

    The API takes any text as its kind and name; no object has a longer one than `LONGEST_NAME`.
    """
    found = next((ref for ref in metadata.owner_references or () if ref.controller), None)
    if found is None or len(found.name) + len(found.kind) <= LONGEST_NAME:
        return found
    return replace(found, kind=found.kind[:LONGEST_NAME], name=found.name[:LONGEST_NAME])


def is_mirror(pod: Pod) -> bool:
    """Whether a pod is the API's picture of a static pod, which a kubelet runs from a file."""
    return bool(pod.metadata.annotations and pod.metadata.annotations.config_mirror)


def identify(pod: Pod, owners: Mapping[str, Workload], label: str = "") -> Workload | Unresolved:
    """Tell a pod's workload. `owners`: ReplicaSets and Jobs by uid; `label`: a pod label that gives the name."""
    metadata = pod.metadata
    found = _by_group(metadata) or _by_controller(pod, owners)
    name = (metadata.labels or {}).get(label, "") if label else ""
    if isinstance(found, Unresolved):
        fallback = Workload(metadata.namespace, found.fallback.kind, name or found.fallback.name)
        return Unresolved(found.owner, fallback, name)
    return Workload(metadata.namespace, found.kind, name) if name else found


def _by_group(metadata: Metadata) -> Workload | None:
    labels = metadata.labels or {}
    for label, kind in GROUP_LABELS:
        if name := labels.get(label):
            return Workload(metadata.namespace, kind, name)
    return None


def _by_controller(pod: Pod, owners: Mapping[str, Workload]) -> Workload | Unresolved:
    metadata = pod.metadata
    if is_mirror(pod):  # before its owner, which is the Node
        node = pod.spec.node_name if pod.spec else ""
        return Workload(metadata.namespace, "StaticPod", metadata.name.removesuffix(f"-{node}"))
    owner = controller(metadata)
    if owner is None:
        return Workload(metadata.namespace, "Pod", folded("Pod", metadata.name, metadata.generate_name))
    if owner.kind not in ("ReplicaSet", "Job"):
        return Workload(metadata.namespace, owner.kind, folded(owner.kind, owner.name))
    if workload := owners.get(owner.uid):
        return workload
    return Unresolved(owner.uid, _by_name(metadata, owner))


def _by_name(metadata: Metadata, owner: OwnerReference) -> Workload:
    """What is left where owners may not be read: the names that Deployments, Rollouts and CronJobs give."""
    if owner.kind == "Job":
        scheduled = _SCHEDULED.fullmatch(owner.name)
        if scheduled:
            return Workload(metadata.namespace, "CronJob", scheduled[1])
        return Workload(metadata.namespace, "Job", folded("Job", owner.name))
    for label, kind in TEMPLATE_HASHES:
        value = (metadata.labels or {}).get(label)
        if value and owner.name.endswith(f"-{value}"):
            return Workload(metadata.namespace, kind, owner.name.removesuffix(f"-{value}"))
    return Workload(metadata.namespace, "ReplicaSet", owner.name)
