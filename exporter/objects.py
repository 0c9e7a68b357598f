"""The API's objects, cut down to the fields that some rule reads, and the lines of a watch.

What is not declared here is never decoded, so it can neither cost memory nor leak: no env, no args, no command,
no volumes, no annotations but the few by name. In JSON from the API server null equals absent for every list and
struct, hence the many `| None`. Structs are untracked by the garbage collector (`gc=False`): they are trees without
back-references, and lists are tuples, so 100,000 pods cost a full collection milliseconds instead of seconds.
Times are datetimes as the API writes them, whole seconds in UTC. Source: k8s.io/api core/v1 types.go, 1.36.
"""

from __future__ import annotations

from datetime import datetime
from typing import Generic, TypeAlias, TypeVar

import msgspec


class Object(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Base of the structs below: read-only, unknown fields are skipped without being decoded."""


class OwnerReference(Object, frozen=True):
    """Who made an object; the one with `controller` true manages it."""

    kind: str
    name: str
    uid: str
    controller: bool | None = None


class Annotations(Object, frozen=True, rename={"config_mirror": "kubernetes.io/config.mirror"}):
    """The only annotations that rules need."""

    config_mirror: str | None = None
    """Set on mirror pods: the API's picture of a static pod."""


class Metadata(Object, frozen=True):
    """What all objects have in common."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    generate_name: str = ""
    generation: int = 0
    """Counts changes of the spec; pods have it since 1.33."""
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    """When the grace period ends (not when deletion was asked for)."""
    deletion_grace_period_seconds: int | None = None
    labels: dict[str, str] | None = None
    annotations: Annotations | None = None
    owner_references: tuple[OwnerReference, ...] | None = None


class Handler(Object, frozen=True):
    """How a probe asks; nothing inside is read, a header or command could hold a secret."""


class Probe(Object, frozen=True):
    """A configured probe: which of the four handlers it has, and its own defaults where the API gives none."""

    period_seconds: int = 10
    failure_threshold: int = 3
    termination_grace_period_seconds: int | None = None
    """Seconds that a container gets to end when this probe has it killed; unset: the pod's."""
    http_get: Handler | None = None
    exec: Handler | None = None
    tcp_socket: Handler | None = None
    grpc: Handler | None = None


class Resources(Object, frozen=True):
    """Requests and limits by resource name, as quantities."""

    requests: dict[str, str] | None = None
    limits: dict[str, str] | None = None


class ExitCodes(Object, frozen=True):
    """Exit codes to which a container's restart rule applies; operator `In` or `NotIn`."""

    operator: str = ""
    values: tuple[int, ...] | None = None


class RestartRule(Object, frozen=True):
    """A container's own rule: action `Restart` or `RestartAllContainers` at certain exit codes (KEP-5307, KEP-5532)."""

    action: str = ""
    exit_codes: ExitCodes | None = None


class ContainerSpec(Object, frozen=True):
    """What was asked for one container of any kind."""

    name: str
    image: str = ""
    resources: Resources | None = None
    restart_policy: str | None = None
    """`Always` on an init container makes it a sidecar (KEP-753)."""
    restart_policy_rules: tuple[RestartRule, ...] | None = None
    liveness_probe: Probe | None = None
    readiness_probe: Probe | None = None
    startup_probe: Probe | None = None


class ReadinessGate(Object, frozen=True):
    """A condition that must be True besides the containers' for the pod to be Ready."""

    condition_type: str = ""


class PodSpec(Object, frozen=True):
    """What was asked for a pod."""

    containers: tuple[ContainerSpec, ...] | None = None
    init_containers: tuple[ContainerSpec, ...] | None = None
    ephemeral_containers: tuple[ContainerSpec, ...] | None = None
    node_name: str = ""
    priority_class_name: str = ""
    service_account_name: str = ""
    restart_policy: str = "Always"
    termination_grace_period_seconds: int | None = None
    """Seconds that containers get to end; 30 where the API gives none."""
    readiness_gates: tuple[ReadinessGate, ...] | None = None
    overhead: dict[str, str] | None = None
    """What the sandbox itself takes, by resource (RuntimeClass)."""
    resources: Resources | None = None
    """Of the pod as a whole (KEP-2837)."""


class Condition(Object, frozen=True):
    """One condition of a pod; `status` is True, False or Unknown."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    """Classified and dropped, like every message."""
    last_transition_time: datetime | None = None


class Running(Object, frozen=True):
    """A container that runs."""

    started_at: datetime | None = None


class Waiting(Object, frozen=True):
    """A container that is yet to run."""

    reason: str = ""
    message: str = ""


class Terminated(Object, frozen=True):
    """How an instance of a container ended. `container_id` tells which instance."""

    exit_code: int = 0
    signal: int = 0
    reason: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    container_id: str = msgspec.field(name="containerID", default="")


class ContainerState(Object, frozen=True):
    """At most one of the three; none of them means waiting."""

    running: Running | None = None
    waiting: Waiting | None = None
    terminated: Terminated | None = None


class ContainerStatus(Object, frozen=True):
    """What the kubelet says of one container."""

    name: str
    ready: bool = False
    restart_count: int = 0
    started: bool | None = None
    image: str = ""
    image_id: str = msgspec.field(name="imageID", default="")
    state: ContainerState | None = None
    last_state: ContainerState | None = None
    container_id: str = msgspec.field(name="containerID", default="")


class PodStatus(Object, frozen=True):
    """What the kubelet and the control plane say of a pod."""

    phase: str = ""
    reason: str = ""
    message: str = ""
    start_time: datetime | None = None
    """When the kubelet took note of the pod."""
    qos_class: str = ""
    observed_generation: int = 0
    """Of the spec that the kubelet has taken note of; 0 before it has, and from kubelets before 1.35."""
    conditions: tuple[Condition, ...] | None = None
    init_container_statuses: tuple[ContainerStatus, ...] | None = None
    container_statuses: tuple[ContainerStatus, ...] | None = None
    ephemeral_container_statuses: tuple[ContainerStatus, ...] | None = None


class Pod(Object, frozen=True):
    """core/v1 Pod."""

    metadata: Metadata
    spec: PodSpec | None = None
    status: PodStatus | None = None


class ReplicaSet(Object, frozen=True):
    """apps/v1 ReplicaSet, metadata only."""

    metadata: Metadata


class Job(Object, frozen=True):
    """batch/v1 Job, metadata only."""

    metadata: Metadata


class InvolvedObject(Object, frozen=True):
    """What an Event is about; `field_path` names the container, as `spec.containers{main}`."""

    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    field_path: str = ""


class EventSeries(Object, frozen=True):
    """How often an Event of the newer API has occurred."""

    count: int = 0


class Event(Object, frozen=True):
    """core/v1 Event. Older recorders give `count` and two timestamps, newer ones `series` and `event_time`."""

    metadata: Metadata
    involved_object: InvolvedObject = InvolvedObject()
    type: str = ""
    """Normal or Warning."""
    reason: str = ""
    message: str = ""
    """Classified and dropped, like every message."""
    count: int | None = None
    series: EventSeries | None = None
    first_timestamp: datetime | None = None
    last_timestamp: datetime | None = None
    event_time: datetime | None = None


class NodeAddress(Object, frozen=True):
    """One address of a node; type InternalIP, Hostname, ExternalIP, …."""

    type: str = ""
    address: str = ""


class DaemonEndpoint(Object, frozen=True):
    """Where a daemon of the node listens."""

    port: int = msgspec.field(name="Port", default=0)


class DaemonEndpoints(Object, frozen=True):
    """The daemons of a node."""

    kubelet_endpoint: DaemonEndpoint | None = None


class NodeStatus(Object, frozen=True):
    """Where a node is."""

    addresses: tuple[NodeAddress, ...] | None = None
    daemon_endpoints: DaemonEndpoints | None = None


class Node(Object, frozen=True):
    """core/v1 Node: only where its kubelet is."""

    metadata: Metadata
    status: NodeStatus | None = None


Owner: TypeAlias = ReplicaSet | Job
Anything: TypeAlias = Pod | ReplicaSet | Job | Event | Node

Object_co = TypeVar("Object_co", covariant=True)


class Added(Object, Generic[Object_co], frozen=True, tag="ADDED"):
    """Watch line: an object appeared."""

    object: Object_co


class Modified(Object, Generic[Object_co], frozen=True, tag="MODIFIED"):
    """Watch line: an object changed."""

    object: Object_co


class Removed(Object, Generic[Object_co], frozen=True, tag="DELETED"):
    """Watch line: an object went; it carries the last state."""

    object: Object_co


class BookmarkMetadata(Object, frozen=True):
    """All that may be read of a bookmark's object: a pod's has `containers: null`."""

    resource_version: str
    annotations: dict[str, str] | None = None


class BookmarkObject(Object, frozen=True):
    """Not an object of the resource, although it says so."""

    metadata: BookmarkMetadata


class Bookmark(Object, frozen=True, tag="BOOKMARK"):
    """Watch line: all changes up to this resource version have been sent."""

    object: BookmarkObject


class StatusDetails(Object, frozen=True):
    """More about an error."""

    retry_after_seconds: int | None = None


class Status(Object, frozen=True):
    """meta/v1 Status: how the API server says no, as a body or inside an ERROR line."""

    code: int = 0
    reason: str = ""
    message: str = ""
    details: StatusDetails | None = None


class Error(Object, frozen=True, tag="ERROR"):
    """Watch line: the server gives up on this watch."""

    object: Status


class Applied(msgspec.Struct, Generic[Object_co], frozen=True, gc=False):
    """An object as it is now. `listed`: it came from a list, so what led to it may have been missed."""

    object: Object_co
    listed: bool = False


class Deleted(msgspec.Struct, Generic[Object_co], frozen=True, gc=False):
    """An object that went, in its last state."""

    object: Object_co


class Listed(msgspec.Struct, frozen=True, gc=False):
    """A complete list ended: whoever of this kind and namespace is not in it is gone, unobserved.

    `of` is the struct of the resource, `namespace` "" for all, `at` the server's own time (Date header of the
    list's first answer; the receiver's clock if it sent none), Unix seconds.
    """

    of: type[Anything]
    namespace: str
    uids: frozenset[str]
    at: float


class Unreadable(msgspec.Struct, frozen=True, gc=False):
    """An object that went in a state that could not be decoded: only its uid is known."""

    of: type[Anything]
    uid: str


Change: TypeAlias = Applied[Anything] | Deleted[Anything] | Listed | Unreadable
"""What leaves the reflector. Nothing behind it knows of connections, pages or bookmarks."""
