"""etcd and the watch cache in one: the newest version of every object, one revision for all, a bounded past."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from exporter.simulator.resources import META_VERSION, PARTIAL_KIND, RESOURCES, Json, Resource, encode


@dataclass(slots=True, eq=False)
class Version:
    """One object as it was at one revision; `body` is its JSON, made once and shared by all who are sent it."""

    namespace: str
    name: str
    revision: int
    body: bytes
    _partial: bytes | None = field(default=None, repr=False)

    @property
    def key(self) -> str:
        """Its place in a list: lists are ordered by it, and continue after it."""
        return f"{self.namespace}/{self.name}"

    @property
    def partial(self) -> bytes:
        """The same object as PartialObjectMetadata: no spec, no status."""
        if self._partial is None:
            metadata = msgspec.json.decode(self.body)["metadata"]
            self._partial = encode({"kind": PARTIAL_KIND, "apiVersion": META_VERSION, "metadata": metadata})
        return self._partial


class Event(NamedTuple):
    """What a watch says of one version: ADDED, MODIFIED or DELETED."""

    kind: str
    version: Version


class ExpiredError(Exception):
    """The store has forgotten what happened since `revision`; `oldest` is the first that it still could continue."""

    def __init__(self, revision: int, oldest: int) -> None:
        super().__init__(f"too old resource version: {revision} ({oldest})")


Listener = Callable[[Event], None]


class Store:
    """All objects and the last `history` changes of each resource."""

    def __init__(self, history: int = 5000) -> None:
        self.revision = 1
        self._objects: dict[str, dict[str, Version]] = {r.plural: {} for r in RESOURCES}
        self._events: dict[str, deque[Event]] = {r.plural: deque() for r in RESOURCES}
        self._floor = {r.plural: 0 for r in RESOURCES}
        self._listeners: dict[str, list[Listener]] = {r.plural: [] for r in RESOURCES}
        self._history = history
        self.compactions = 0
        self.published: Counter[str] = Counter()
        """Changes so far, by resource."""

    def put(self, resource: Resource, obj: Json) -> Version:
        """Store an object, new or changed. Its metadata gets the new resourceVersion."""
        version = self._encode(obj)
        objects = self._objects[resource.plural]
        kind = "MODIFIED" if version.key in objects else "ADDED"
        objects[version.key] = version
        self._publish(resource, Event(kind, version))
        return version

    def remove(self, resource: Resource, obj: Json) -> None:
        """Take an object away; watches are told its last state under a resourceVersion of its own."""
        version = self._encode(obj)
        del self._objects[resource.plural][version.key]
        self._publish(resource, Event("DELETED", version))

    def versions(self, resource: Resource, namespace: str = "") -> list[Version]:
        """All objects as they are now, of one namespace or ("") of all, in the order of lists."""
        objects = self._objects[resource.plural].values()
        return sorted((v for v in objects if namespace in ("", v.namespace)), key=lambda v: v.key)

    def since(self, resource: Resource, revision: int) -> list[Event]:
        """What happened after `revision`, or ExpiredError."""
        floor = self._floor[resource.plural]
        if revision < floor:
            raise ExpiredError(revision, floor)
        return [event for event in self._events[resource.plural] if event.version.revision > revision]

    def compact(self) -> None:
        """Forget the past: every older resourceVersion and every continue token is expired from now on."""
        for plural, events in self._events.items():
            events.clear()
            self._floor[plural] = self.revision
        self.compactions += 1

    @contextmanager
    def following(self, resource: Resource, listener: Listener) -> Iterator[None]:
        """Have `listener` called with each change while the context lasts."""
        self._listeners[resource.plural].append(listener)
        try:
            yield
        finally:
            self._listeners[resource.plural].remove(listener)

    def _encode(self, obj: Json) -> Version:
        self.revision += 1
        metadata = obj["metadata"]
        metadata["resourceVersion"] = str(self.revision)
        return Version(metadata["namespace"], metadata["name"], self.revision, encode(obj))

    def _publish(self, resource: Resource, event: Event) -> None:
        self.published[resource.plural] += 1
        events = self._events[resource.plural]
        events.append(event)
        if len(events) > self._history:
            self._floor[resource.plural] = events.popleft().version.revision
        for listener in self._listeners[resource.plural]:
            listener(event)
