"""What the simulated API server serves, and the bytes in which it says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

Json: TypeAlias = dict[str, Any]

encode = msgspec.json.encode
PARTIAL_KIND, META_VERSION = "PartialObjectMetadata", "meta.k8s.io/v1"


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of objects. `rest` is what a bookmark's otherwise empty object shows beside its metadata."""

    plural: str
    kind: str
    api_version: str
    rest: bytes

    @property
    def prefix(self) -> str:
        """The path of its API group version."""
        return f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"

    @property
    def group(self) -> str:
        """The API group as error messages name it; "" is the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def head(self) -> bytes:
        """How every object of it begins; objects inside a list go without."""
        return b'{"kind":"%s","apiVersion":"%s",' % (self.kind.encode(), self.api_version.encode())

    def bookmark(self, revision: int, *, initial_events_end: bool, partial: bool) -> bytes:
        """A bookmark's object: a resource version in the clothes of the kind, `containers: null` included."""
        metadata: Json = {"resourceVersion": str(revision)}
        if initial_events_end:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        if partial:
            return encode({"kind": PARTIAL_KIND, "apiVersion": META_VERSION, "metadata": metadata})
        return self.head + b'"metadata":' + encode(metadata) + b"," + self.rest + b"}"


_TEMPLATE = b'"template":{"metadata":{},"spec":{"containers":null}}'
PODS = Resource("pods", "Pod", "v1", b'"spec":{"containers":null},"status":{}')
REPLICA_SETS = Resource(
    "replicasets",
    "ReplicaSet",
    "apps/v1",
    b'"spec":{"selector":null,' + _TEMPLATE + b'},"status":{"replicas":0}',
)
JOBS = Resource("jobs", "Job", "batch/v1", b'"spec":{' + _TEMPLATE + b'},"status":{}')
EVENTS = Resource(
    "events",
    "Event",
    "v1",
    b'"involvedObject":{},"source":{},"firstTimestamp":null,"lastTimestamp":null,"eventTime":null,'
    b'"reportingComponent":"","reportingInstance":""',
)
RESOURCES = (PODS, REPLICA_SETS, JOBS, EVENTS)
UNCACHED = (EVENTS,)
"""Served from etcd itself: no bookmark follows the one that ends a watch-list (k/k#120348)."""
SELECTORS = {EVENTS: "involvedObject.kind=Pod"}
"""Field selectors that select all there is: all Events here are about pods."""


def failure(code: int, reason: str, message: str, *, details: Json | None = None, token: str = "") -> Json:
    """A meta/v1 Status: how an API server says no. `token` is the continue token that a 410 may offer."""
    status: Json = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {"continue": token} if token else {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }
    if details:
        status["details"] = details
    return status


def line(kind: str, body: bytes) -> bytes:
    """One line of a watch."""
    return b'{"type":"%s","object":%s}\n' % (kind.encode(), body)
