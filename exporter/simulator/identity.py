"""What a pod is called, and whose it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from exporter.simulator.resources import Json
from exporter.simulator.truth import Workload


@dataclass(frozen=True, slots=True)
class Identity:
    """What a new pod is called and whose it is. `owner` is its controller reference, `labels` beside the template's."""

    name: str
    workload: Workload
    owner: Json | None = None
    generate_name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    finalizers: tuple[str, ...] = ()
    node: str = ""
    """Set for pods that no scheduler places."""
    wanted: str = ""
    """Where the scheduler shall place it: one of a DaemonSet."""


def owner_reference(api_version: str, kind: str, name: str, uid: str) -> Json:
    """The reference by which a pod or ReplicaSet names its controller."""
    head = {"apiVersion": api_version, "kind": kind, "name": name, "uid": uid}
    return {**head, "controller": True, "blockOwnerDeletion": True}
