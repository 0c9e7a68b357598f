"""What is watched, and how it is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.objects import Anything, Event, Job, Node, Pod, ReplicaSet

_JSON = "application/json"
_METADATA = "application/json;as=PartialObjectMetadata{};g=meta.k8s.io;v=v1"


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of the API."""

    name: str
    """Plural, as in URLs and RBAC."""
    group: str
    """Path of its group and version."""
    of: type[Anything]
    """The struct that its objects are decoded into."""
    metadata_only: bool = False
    """Ask the server to leave out spec and status."""
    optional: bool = False
    """We can do without it: a 403 turns the feature off instead of keeping us from getting ready."""
    bookmarks: bool = True
    """Whether it is served from the watch cache, which sends a bookmark a minute; Events are not (k/k#120348).

    Without, every list is a range read of etcd, so it comes in pages, and a quiet watch falls behind etcd's compaction
    unless its resource version is renewed.
    """
    field_selector: str = ""
    """Which objects the server is to send."""

    def path(self, namespace: str = "") -> str:
        """Give the path of its collection; "" means all namespaces."""
        return f"{self.group}/namespaces/{namespace}/{self.name}" if namespace else f"{self.group}/{self.name}"

    @property
    def selection(self) -> dict[str, str]:
        """Give the part of a query that says which objects are wanted."""
        return {"fieldSelector": self.field_selector} if self.field_selector else {}

    def accept(self, *, listing: bool) -> str:
        """Give the Accept header; a server that knows no metadata-only form answers with whole objects."""
        if not self.metadata_only:
            return _JSON
        return f"{_METADATA.format('List' if listing else '')}, {_JSON}"


PODS = Resource("pods", "/api/v1", Pod)
REPLICASETS = Resource("replicasets", "/apis/apps/v1", ReplicaSet, metadata_only=True, optional=True)
JOBS = Resource("jobs", "/apis/batch/v1", Job, metadata_only=True, optional=True)
EVENTS = Resource("events", "/api/v1", Event, optional=True, bookmarks=False, field_selector="involvedObject.kind=Pod")
NODES = Resource("nodes", "/api/v1", Node, optional=True)
