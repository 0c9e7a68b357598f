"""The only state of the lifecycle: a record for each pod, and what is known of owners.

Changes go in, steps come out: (record before, record after, observations). A step is delivered before it is
remembered, so where delivering raises, the old record stays and nothing is half done.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping
from math import inf
from typing import TypeAlias

from msgspec.structs import replace

from exporter.lifecycle import events, pods, probes, waits
from exporter.lifecycle.deadlines import Deadlines
from exporter.lifecycle.early import Early
from exporter.lifecycle.events import Notice
from exporter.lifecycle.observations import CREATED, Observation, PhaseChanged, RolledOut, Workload
from exporter.lifecycle.owners import identify, workload_of
from exporter.lifecycle.phases import SLACK
from exporter.lifecycle.records import Record
from exporter.lifecycle.saved import Known, narrowed, watched
from exporter.objects import Anything, Event, Job, Listed, Owner, Pod, ReplicaSet

FLIPPED = 60.0
"""Seconds for which it is remembered that a node's containers lost readiness together; nodes come and go."""
MOST_NODES = 5000
"""Kubelets that have been read, beyond which those without pods are forgotten."""
MOST_WORKLOADS = 20_000
"""Workloads whose templates are remembered; a rollout of one that was forgotten is taken for its first."""

Deliver: TypeAlias = Callable[[Record | None, Record, list[Observation]], None]
"""Takes the record before (None: no row yet), the one after (`gone_at` finite: the pod is gone), what happened."""


class Tracker:
    """Remembers pods. `now` is Unix seconds everywhere."""

    def __init__(
        self,
        deliver: Deliver,
        workload_label: str = "",
        pod_labels: tuple[str, ...] = (),
        *,
        attribution_wait: float = 0.0,
        normal_events: bool = False,
    ) -> None:
        self._deliver = deliver
        self._wait_for_cause = attribution_wait
        self._normal_events = normal_events
        self._label = workload_label
        self._pod_labels = pod_labels
        self._records: dict[str, Record] = {}
        self._names: dict[str, str] = {}
        """Keys of the pods that are there, by namespace/name."""
        self._deadlines = Deadlines()
        self._baseline: dict[str, float] = {}
        """Time of the first complete list, by watched namespace ("" for all)."""
        self._replicasets: dict[str, Workload] = {}
        self._jobs: dict[str, Workload] = {}
        self._templates: dict[Workload | None, tuple[str, ...]] = {}
        """The last ten templates of each workload, the workload with the newest pod last."""
        self._flipped: dict[str, float] = {}
        """When containers without a readiness probe last lost readiness, by node: the kubelet's doing (R7)."""
        self._waiting: dict[str, set[str]] = {}
        """Keys of pods, by uid of the owner that they wait for."""
        self.early = Early()
        self._events_listed: set[str] = set()
        """Namespaces ("" for all) of which a complete list of Events has been seen."""
        self._deaf_until = -inf
        """Before this, Events were not read, or not as they are now, although pods were known."""
        self._away = 0.0
        """Seconds from the checkpoint to the start that goes on from it."""
        self._unseen: set[str] = set()
        """Keys of pods of a checkpoint that nothing has been heard of since."""
        self._static: dict[str, str] = {}
        """Keys of mirror pods by what their kubelet calls them: the hash of their config, @, the node."""
        self._kubelets: set[str] = set()
        """Nodes whose kubelets have been read."""

    @property
    def objects(self) -> dict[str, int]:
        """Objects held, by resource; pods that are gone do not count."""
        return {"pods": len(self._names), "replicasets": len(self._replicasets), "jobs": len(self._jobs)}

    @property
    def undecided(self) -> set[str]:
        """Keys of the pods that wait for their owner."""
        return set().union(*self._waiting.values())

    def waits(self, key: str) -> bool:
        """Whether this pod waits for its owner."""
        record = self._records.get(key)
        return record is not None and record.undecided is not None

    def records(self) -> Iterable[Record]:
        """All records, those of pods that are gone included."""
        return self._records.values()

    def saved(self) -> tuple[Known, list[Record]]:
        """What a restart needs, all of this moment; not every record is worth saving."""
        known = Known(
            dict(self._baseline),
            tuple(self._events_listed),
            tuple((workload, known) for workload, known in self._templates.items() if workload is not None),
            dict(self._flipped),
            tuple(self._kubelets),
            self._pod_labels,
            self._normal_events,
        )
        return known, [*self._records.values()]

    def restore(self, known: Known, made: float, now: float, namespaces: tuple[str, ...]) -> None:
        """Go on from what a checkpoint of Unix time `made` knew, as from a clock that was stepped: nobody waited then.

        `namespaces`: those that are watched now, "" for all.
        """
        self._away = now - made
        self._baseline = narrowed(known.baseline, namespaces)
        self._templates = {w: hashes for w, hashes in known.templates if watched(w.namespace, namespaces)}
        self._flipped = {node: at + self._away for node, at in known.flipped.items()}
        self._kubelets = set(known.kubelets)
        if known.normal_events == self._normal_events:
            self._events_listed = set(narrowed(dict.fromkeys(known.events_listed, 0), namespaces))
        if not self._events_listed:
            self._deaf_until = now

    def resume(self, record: Record) -> None:
        """Remember a pod of a checkpoint. What time alone has changed of one that was there waits for the next list."""
        record = waits.stepped(record, self._away)
        if record.gone_at == inf:
            self._deliver(None, record, [])
            self._names[f"{record.pod.namespace}/{record.pod.name}"] = record.key
            self._unseen.add(record.key)
        self._records[record.key] = record
        self._deadlines.set(record.key, self._due(record))
        if record.mirror:
            self._static.setdefault(_static_name(record.key), record.key)
        self._wait(None, record)

    def pod(self, pod: Pod, now: float, *, gap: bool) -> None:
        """A pod as it is now. `gap`: it came by a list, so states before it may have been missed."""
        key = pods.key_of(pod)
        past = self._records.get(key)
        if past is not None and past.gone_at < inf and not past.mirror:
            return  # a straggler of a pod that is gone; its name may have passed to another one
        known = self._records.get(self._names.get(_name(pod), ""))
        if known is not None and known.pod.uid != pod.metadata.uid:  # the deletion of the first of this name was missed
            self._remember(known, *pods.deleted(known, now, unobserved=True))
            known = None
        if known is None:
            self._first_seen(pod, key, now)
        else:
            self._remember(known, *self._labelled(pod, *self._applied(known, pod, now, gap=gap)))

    def deleted(self, pod: Pod, now: float) -> None:
        """R11: the object of a deletion is a last update; without deletionTimestamp the pod only left our view."""
        record = self._records.get(self._names.get(_name(pod), ""))
        if record is None or record.pod.uid != pod.metadata.uid:
            return
        if pod.metadata.deletion_timestamp is None:
            if record.undecided is not None:  # what happened before it left is told all the same
                self._decide(record, record.undecided.workload.fallback)
                record = self._records[record.key]
            self._remember(record, *pods.left(record, now))
            self._drop(record.key)
            return
        last, seen = self._applied(record, pod, now, gap=False)
        gone, more = pods.deleted(last, now, unobserved=False)
        self._remember(record, gone, seen + more)

    def missing(self, listed: Listed) -> list[str]:
        """Keys of the pods that a complete list no longer has; the first list is the baseline (R10)."""
        self._baseline.setdefault(listed.namespace, listed.at)
        keys = [key for key in self._names.values() if key not in listed.uids]  # at once; a mirror pod's is no uid
        records = [record for key in keys if (record := self._records.get(key)) is not None]
        return [r.key for r in records if _within(listed, r.pod.namespace) and r.pod.uid not in listed.uids]

    def vanished(self, key: str, now: float) -> None:
        """A pod's deletion was not observed: a list revealed it, and nothing else has told it since."""
        record = self._records.get(key)
        if record is not None and record.gone_at == inf:
            self._remember(record, *pods.deleted(record, now, unobserved=True))

    def lost(self, of: type[Anything], uid: str, now: float) -> None:
        """An object went, and only its uid could be read; what it was last like stays unknown."""
        if of is Pod:
            key = next((r.key for r in self._records.values() if r.pod.uid == uid), "")
            self.vanished(key, now)
        elif of in (ReplicaSet, Job):
            self._owners(of).pop(uid, None)

    def stepped(self, by: float) -> None:
        """The clock was stepped by so many seconds: whatever waits, waits neither longer nor shorter."""
        self._flipped = {node: at + by for node, at in self._flipped.items()}
        self.early.stepped(by)
        for key, record in self._records.items():
            self._records[key] = moved = waits.stepped(record, by)
            self._deadlines.set(key, self._due(moved))

    def owner(self, owner: Owner) -> None:
        """A ReplicaSet or Job as it is now; pods that waited for it are told."""
        uid = owner.metadata.uid
        workload = self._owners(type(owner))[uid] = workload_of(owner)
        for key in tuple(self._waiting.get(uid, ())):
            self._decide(self._records[key], workload)

    def disowned(self, owner: Owner) -> None:
        """A ReplicaSet or Job is gone; its pods have been decided long ago."""
        self._owners(type(owner)).pop(owner.metadata.uid, None)

    def owners_listed(self, listed: Listed) -> None:
        """Forget the owners that a complete list no longer has."""
        owners = self._owners(listed.of)
        for uid in [u for u, w in owners.items() if _within(listed, w.namespace) and u not in listed.uids]:
            del owners[uid]

    def event(self, event: Event, now: float, *, listed: bool) -> float | None:
        """An Event as it is now; `listed`: it came by a list. Gives when it occurred, None if that is no news."""
        notice = events.notice_of(event, now, normal=self._normal_events)
        if notice is None:
            return None
        baseline = listed and not self._events_listed & {"", notice.namespace}
        record = self._subject(notice)
        if record is not None:
            return notice.at if self._hear(record, notice, now, baseline=baseline) else None
        if not baseline:
            self.early.hold(notice, now)
        return None

    def events_listed(self, listed: Listed) -> None:
        """A list of Events is complete: what comes from now on is news."""
        self._events_listed.add(listed.namespace)

    def kubelet_read(self, node: str, *, first: bool) -> bool:
        """Note that a node's kubelet has been read; whether it really is the `first` time: a restart is none."""
        known = node in self._kubelets
        if not known and len(self._kubelets) >= MOST_NODES:
            self._kubelets &= {record.node for record in self._records.values()}
        self._kubelets.add(node)
        return first and not known

    def probe_failures(
        self, node: str, uid: str, container: str, probe: str, total: int, now: float, *, first: bool
    ) -> None:
        """A kubelet's counter of failed attempts; `first`: it is of the first read of this node.

        What it says of pods of other nodes is not heard. A pod's binding may reach us later: the next read tells all.
        """
        record = self._records.get(uid) or self._records.get(self._static.get(f"{uid}@{node}", ""))
        if record is not None and record.gone_at == inf and record.node == node:
            base = first and record.created < self._began(record.pod.namespace) - SLACK
            after, seen = probes.read(record, container, probe, total, now, base=base)
            if after is not record:
                self._remember(record, after, seen)

    def next_deadline(self) -> float:
        """When to ask `due` again at the latest, Unix seconds."""
        return self._deadlines.next()

    def due(self, now: float) -> Iterable[str]:
        """Take out the keys of records of which time alone has changed something; each goes to `elapsed`."""
        self.early.expire(now)
        return self._deadlines.due(now)

    def elapsed(self, key: str, now: float) -> None:
        """A record's deadline has come."""
        record = self._records.get(key)
        if record is None:
            return
        if record.undecided is not None and record.undecided.due <= now:
            self._deadlines.set(key, now + pods.OWNER_WAIT)  # should telling it fail, it is tried again
            unresolved = record.undecided.workload
            self._decide(record, self._known_owners().get(unresolved.owner, unresolved.fallback))
        elif record.gone_at <= now:
            self._drop(key)
        elif record.gone_at == inf:
            self._remember(record, *pods.elapsed(record, now, self._flipped.get(record.node, -inf)))

    def _first_seen(self, pod: Pod, key: str, now: float) -> None:
        past = self._records.get(key)
        if past is None:
            workload = identify(pod, self._known_owners(), self._label)
            step = pods.first_seen(pod, workload, now, new=self._is_new(pod))
        else:  # only mirror pods come back
            step = pods.returned(past, pod, now)
        self._remember(None, *self._labelled(pod, *step))
        for notice in self.early.take(pod.metadata.namespace, pod.metadata.name):
            if (record := self._subject(notice)) is not None:
                self._hear(record, notice, now, baseline=False)

    def _applied(self, record: Record, pod: Pod, now: float, *, gap: bool) -> pods.Step:
        return pods.applied(record, pod, now, gap=gap, wait=self._wait_for_cause)

    def _subject(self, notice: Notice) -> Record | None:
        """The pod that an Event is about: by uid, a mirror pod by its config's hash too, else by name.

        Whoever may write Events into one namespace can name any uid: the pod's namespace and name must be its own too.
        """
        record = self._records.get(notice.uid)
        if record is not None:
            return record if (record.pod.namespace, record.pod.name) == (notice.namespace, notice.pod) else None
        named = self._records.get(self._names.get(f"{notice.namespace}/{notice.pod}", ""))
        if named is None or (named.mirror and notice.uid in (named.key.partition("@")[0], named.pod.uid)):
            return named
        return None if notice.uid else named

    def _hear(self, record: Record, notice: Notice, now: float, *, baseline: bool) -> bool:
        since = max(self._began(record.pod.namespace), self._deaf_until)
        after, seen = events.heard(record, notice, now, since=since, baseline=baseline)
        if after is not record:
            self._remember(record, after, seen)
        return bool(seen)

    def _began(self, namespace: str) -> float:
        """When our watch of a namespace began, by the server's own clock; infinity before the first list."""
        return self._baseline.get(namespace, self._baseline.get("", inf))

    def _labelled(self, pod: Pod, record: Record, seen: list[Observation]) -> pods.Step:
        if not self._pod_labels:
            return record, seen
        labels = pod.metadata.labels or {}
        return replace(record, labels=tuple([labels.get(key) for key in self._pod_labels])), seen

    def _is_new(self, pod: Pod) -> bool:
        """R10: created after the baseline list was made, by the server's own clock."""
        created = pod.metadata.creation_timestamp
        return created is not None and created.timestamp() >= self._began(pod.metadata.namespace) - SLACK

    def _decide(self, record: Record, workload: Workload) -> None:
        self._remember(record, *pods.decided(record, workload))

    def _remember(self, before: Record | None, after: Record, seen: list[Observation]) -> None:
        """Deliver, then assign: what raises leaves all as it was."""
        after, seen = pods.held_back(after, seen)
        self._unseen.discard(after.key)
        if after == before and not seen:  # many updates change nothing that we look at
            self._deadlines.set(after.key, pods.due(after))
            return
        decided = after.pod.workload is not None and (before is None or before.pod.workload is None)
        if decided and self._rolled_out(after):
            seen = [
                *seen,
                *(RolledOut(o.at, o.pod) for o in seen if isinstance(o, PhaseChanged) and o.before == CREATED),
            ]
        self._deliver(before, after, seen)
        self._records[after.key] = after
        self._deadlines.set(after.key, pods.due(after))
        if after.mirror:
            self._static.setdefault(_static_name(after.key), after.key)
        name = f"{after.pod.namespace}/{after.pod.name}"
        if after.gone_at == inf:
            self._names[name] = after.key
        elif self._names.get(name) == after.key:
            del self._names[name]
        self._wait(before, after)
        if decided:
            self._note_template(after)
        for c in after.containers:
            if c.lost_at < inf and all(probe.probe != "readiness" for probe in c.shape.probes):
                recent = {node: at for node, at in self._flipped.items() if at > c.lost_at - FLIPPED}
                self._flipped = {**recent, after.node: c.lost_at}

    def _due(self, record: Record) -> float:
        return inf if record.key in self._unseen else pods.due(record)

    def _rolled_out(self, record: Record) -> bool:
        """Whether the template is not among the workload's last ten; the workload's first one is none."""
        known = self._templates.get(record.pod.workload, ())
        return bool(known and record.template) and record.template not in known

    def _note_template(self, record: Record) -> None:
        workload = record.pod.workload
        if workload is None or not record.template:
            return
        known = self._templates.pop(workload, ())
        self._templates[workload] = known if record.template in known else (*known[-9:], record.template)
        if len(self._templates) > MOST_WORKLOADS:
            del self._templates[next(iter(self._templates))]

    def _drop(self, key: str) -> None:
        if self._records.pop(key).mirror and self._static.get(_static_name(key)) == key:
            del self._static[_static_name(key)]
        self._deadlines.set(key, inf)

    def _wait(self, before: Record | None, after: Record) -> None:
        if after.undecided is not None:
            self._waiting.setdefault(after.undecided.workload.owner, set()).add(after.key)
        elif before is not None and before.undecided is not None:
            waiting = self._waiting[before.undecided.workload.owner]
            waiting.discard(after.key)
            if not waiting:
                del self._waiting[before.undecided.workload.owner]

    def _known_owners(self) -> Mapping[str, Workload]:
        return ChainMap(self._replicasets, self._jobs)

    def _owners(self, of: type[Anything]) -> dict[str, Workload]:
        return self._jobs if of is Job else self._replicasets


def _static_name(key: str) -> str:
    """What of a mirror pod's key its kubelet knows."""
    return key.partition("/")[0]


def _name(pod: Pod) -> str:
    return f"{pod.metadata.namespace}/{pod.metadata.name}"


def _within(listed: Listed, namespace: str) -> bool:
    return listed.namespace in ("", namespace)
