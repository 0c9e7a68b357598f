"""The cluster: pods come, are scheduled, and go; controllers are asked twice a second what they want."""

from __future__ import annotations

import uuid
from dataclasses import replace
from functools import partial
from random import Random
from typing import Protocol

from exporter.simulator.clock import Clock, rfc3339
from exporter.simulator.identity import Identity
from exporter.simulator.kubelet import Kubelet
from exporter.simulator.managed import creator_entry
from exporter.simulator.news import News
from exporter.simulator.nodes import Nodes
from exporter.simulator.pods import Pod, PodContainer
from exporter.simulator.resources import PODS, Json, encode
from exporter.simulator.scheduler import Scheduler
from exporter.simulator.shown import pod_object
from exporter.simulator.specs import Canaries, pod_annotations, pod_spec
from exporter.simulator.store import Store
from exporter.simulator.templates import Container, Template
from exporter.simulator.timings import Timings
from exporter.simulator.truth import FOLLOWED, PASSING, TERMINAL, Truth
from exporter.simulator.truth import Container as ContainerKey

SAFE = "bcdfghjklmnpqrstvwxz2456789"
"""The alphabet of generated names."""
HOLDING = "example.com/backup"
"""The finalizer of pods that are held back when they are deleted."""
_TEMPLATES = ("pod-template-hash", "controller-revision-hash")
_RECONCILE_SECONDS = 0.5


class Controller(Protocol):
    """Something that wants pods."""

    def reconcile(self) -> None:
        """Bring what is nearer to what is wanted."""


class Cluster:
    """The state of everything, on a virtual clock. Equal seeds and starts give equal bytes."""

    def __init__(self, store: Store, clock: Clock, seed: int, timings: Timings) -> None:
        self.store = store
        self.clock = clock
        self.truth = Truth()
        self.rng = Random(seed)  # noqa: S311 - a simulation, no secret
        self.canaries = Canaries(self.rng)
        self.canary = self.canaries.hatch()
        self.timings = timings
        self.pods: dict[tuple[str, str], Pod] = {}
        self.news = News(store, clock, self.truth)
        self.fleet = Nodes(self)
        self.kubelet = Kubelet(self, timings)
        self._scheduler = Scheduler(self)
        self._specs: dict[tuple[int, str], tuple[object, Json, Json]] = {}
        self._last_creator: tuple[object, Json] = (None, {})
        self._controllers: list[Controller] = []
        clock.every(_RECONCILE_SECONDS, self._reconcile)

    @property
    def nodes(self) -> tuple[str, ...]:
        """The ordinary ones."""
        return self.fleet.of("")

    def add(self, controller: Controller) -> None:
        """Let a controller work from the next half second on."""
        self._controllers.append(controller)

    def drop(self, controller: Controller) -> None:
        """Let a controller work no more."""
        self._controllers.remove(controller)

    def pod_spec(self, template: Template) -> Json:
        """The spec of a template's pods."""
        return self._spec(template)[0]

    def uid(self) -> str:
        """A new one."""
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def suffix(self, length: int = 5) -> str:
        """The random end of a generated name."""
        return "".join(self.rng.choice(SAFE) for _ in range(length))

    def forget(self) -> None:
        """Begin the book anew, for one who looks for the first time now."""
        self.truth.forget()
        for pod in self.pods.values():
            for container in pod.containers:
                container.forget_cause()

    def create_pod(self, template: Template, identity: Identity) -> Pod:
        """A new pod, as the API server first shows it: Pending, without conditions."""
        pod = self._new_pod(template, identity)
        if identity.node:
            self._place(pod, identity.node)
        else:
            self._scheduler.take(pod, identity.wanted)
        self.publish(pod)
        return pod

    def create_running_pod(self, template: Template, identity: Identity) -> Pod:
        """A new pod that runs and is ready when it is first seen."""
        pod = self._new_pod(template, identity)
        with self.news.muted():
            self.bind(pod, self.rng.choice(self.nodes))
            self.kubelet.adopt(pod)
        return pod

    def publish(self, pod: Pod) -> None:
        """Write a pod to the API server, and to the book what is now true of it. Equal to the last write: no write."""
        self._book(pod)
        body = pod_object(pod)
        said = hash(encode([body["status"], pod.node, pod.deletion, pod.generation, pod.finalizers]))
        if said != pod.written:
            pod.written = said
            self.store.put(PODS, body)

    def delete_pod(self, pod: Pod, grace: int | None = None) -> None:
        """Ask for a pod's deletion; `grace` in seconds, by default the pod's own, 0 is by force."""
        if pod.deletion is not None:
            return
        seconds = pod.template.grace_seconds if grace is None else grace
        pod.generation += 1
        if seconds == 0 or pod.terminal or not pod.node:
            self.kubelet.abandon(pod)
            pod.measured = not pod.terminal and not pod.mirror
            self.remove_pod(pod)
        else:
            pod.measured = not pod.mirror
            pod.deletion = (self.clock.now + seconds, seconds)
            self.publish(pod)
            self.kubelet.stop(pod)

    def evict_pod(self, pod: Pod) -> None:
        """Delete a pod through the eviction API."""
        self.take(pod, "EvictionByEvictionAPI", "Eviction API: evicting")

    def preempt_pod(self, pod: Pod) -> None:
        """Delete a pod because one of higher priority wants its place."""
        self.take(pod, "PreemptionByScheduler", "default-scheduler: preempting to accommodate a higher priority pod")

    def take(self, pod: Pod, reason: str, message: str) -> None:
        """Delete a pod for somebody else, who says so in a condition."""
        pod.condition("DisruptionTarget", "True", reason, message)
        self.truth.disrupted(pod.workload, reason)
        self.publish(pod)
        self.delete_pod(pod)

    def remove_pod(self, pod: Pod, *, stop: bool = True) -> None:
        """The last act: the deletion with grace 0, then the object is gone. `stop`: and with it what ran."""
        if stop:
            pod.forget_timers()
        pod.deletion = (self.clock.now, 0)
        pod.finalizers = []
        self.publish(pod)
        self.store.remove(PODS, pod_object(pod))
        if pod.measured:
            self.truth.stopped(pod.workload)
        self.truth.deleted(pod.uid)
        del self.pods[pod.namespace, pod.name]

    def _new_pod(self, template: Template, identity: Identity) -> Pod:
        spec, notes = self._spec(template)
        metadata = self._metadata(template, identity, notes)
        pod = Pod(metadata, spec, template, identity.workload, self.clock, self._creator(metadata, spec))
        pod.finalizers = [*identity.finalizers, *((HOLDING,) if template.held_seconds else ())]
        first = "PodInitializing" if any(c.type != "container" for c in template.containers) else "ContainerCreating"
        for container in template.containers:
            self.contain(pod, container, first)
        self.pods[pod.namespace, pod.name] = pod
        hashes = {**template.labels, **identity.labels}
        hashed = next((hashes[label] for label in _TEMPLATES if label in hashes), "")
        self.truth.templates.create(pod.uid, pod.workload, hashed)
        if not pod.mirror:
            self.truth.starting.begin(pod.uid, pod.workload, self.clock.now)
        return pod

    def contain(self, pod: Pod, container: Container, waits_for: str) -> PodContainer:
        """Give a pod one more container."""
        key = ContainerKey(*pod.workload, container.name, container.type)
        pod.containers.append(PodContainer(container, key, {"waiting": {"reason": waits_for}}))
        return pod.containers[-1]

    def bind(self, pod: Pod, node: str) -> None:
        """Place a pod on a node; its kubelet takes it from there."""
        self._place(pod, node)
        pod.condition("PodScheduled", "True")
        self.news.scheduled(pod)

    def _place(self, pod: Pod, node: str) -> None:
        pod.spec = {**pod.spec, "nodeName": node}
        pod.after(self.timings.sync / 10, partial(self.kubelet.accept, pod))

    def _book(self, pod: Pod) -> None:
        """What is true of a pod from now on."""
        truth, uid = self.truth, pod.uid
        truth.entered(uid, pod.workload, pod.stage)
        known = (*FOLLOWED, *pod.template.readiness_gates)
        said = {kind: (c["status"], c.get("reason", "")) for kind, c in pod.conditions.items() if kind in known}
        truth.written(uid, pod.workload, said)
        going = pod.deletion is not None or pod.terminal or said.get("Ready", ("", ""))[1] in PASSING
        truth.readiness.turn(uid, pod.workload, ready=pod.ready, cause=pod.unready_because, going=going)
        if pod.ready:
            truth.starting.ready(uid)
        elif pod.stage == "Succeeded":
            truth.starting.succeed(uid)
        elif pod.stage in ("Failed", "Terminating"):
            truth.starting.give_up(uid, pod.start_stage, self.clock.now)
        if pod.stage in TERMINAL:
            truth.loops.gone(uid)

    def _creator(self, metadata: Json, spec: Json) -> Json:
        """The creator's managedFields, shared by pods that follow each other and differ in their names only."""
        created = (id(spec), metadata["creationTimestamp"], str(metadata.get("ownerReferences")))
        if self._last_creator[0] != created:
            self._last_creator = (created, creator_entry(metadata, spec))
        return self._last_creator[1]

    def _reconcile(self) -> None:
        for controller in tuple(self._controllers):
            controller.reconcile()

    def _spec(self, template: Template) -> tuple[Json, Json]:
        """Spec and annotations of a template's pods: made once, and shared by all templates that differ in labels."""
        # The containers are kept beside them: their id must not be given to others.
        key = id(template.containers), str(replace(template, containers=(), labels={}))
        if key not in self._specs:
            made = (template.containers, pod_spec(template, self.canaries), pod_annotations(self.canaries))
            self._specs[key] = made
        _, spec, notes = self._specs[key]
        return spec, notes

    def _metadata(self, template: Template, identity: Identity, notes: Json) -> Json:
        metadata: Json = {"name": identity.name}
        if identity.generate_name:
            metadata["generateName"] = identity.generate_name
        metadata |= {"namespace": identity.workload.namespace, "uid": self.uid()}
        metadata["creationTimestamp"] = rfc3339(self.clock.now)
        labels = {**template.labels, **identity.labels}
        if labels:
            metadata["labels"] = labels
        metadata["annotations"] = {**notes, **identity.annotations}
        if identity.owner is not None:
            metadata["ownerReferences"] = [identity.owner]
        return metadata
