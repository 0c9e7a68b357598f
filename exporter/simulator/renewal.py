"""Containers that are made anew while their pod stays: all of them by a rule, with a new sandbox, or for a resize."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from exporter.simulator.pods import Pod, PodContainer
from exporter.simulator.resources import Json
from exporter.simulator.specs import container_spec
from exporter.simulator.templates import Container

if TYPE_CHECKING:
    from exporter.simulator.cluster import Cluster
    from exporter.simulator.runtime import Runtime

_REMOVED = "The container is removed because RestartAllContainers in place"
_ALL = "RestartingAllContainers"
_SYNTHETIC = {"exitCode": 137, "reason": _ALL, "message": _REMOVED, "startedAt": None, "finishedAt": None}
_KILL_SECONDS = 2.0
"""From the word that a container is killed to its end."""


class Renewal:
    """Restarts in place, in the sequences that a real node of 1.36 showed."""

    def __init__(self, cluster: Cluster, runtime: Runtime) -> None:
        self._cluster = cluster
        self._runtime = runtime
        self._sync = cluster.timings.sync

    def restart_all(self, pod: Pod) -> None:
        """A container's rule has all of them restart (KEP-5532): first a condition says so."""
        pod.restarting = True
        self._cluster.truth.restarted_in_place(pod.workload)
        pod.after(self._sync / 2, partial(self._remove_all, pod))

    def change_sandbox(self, pod: Pod) -> None:
        """The sandbox has died: what runs is stopped, and all containers run again, init containers first."""
        pod.forget_timers()
        pod.condition("PodReadyToStartContainers", "False")
        self._runtime.publish(pod)
        self._cluster.news.sandbox_changed(pod)
        for container in pod.containers:
            if container.running:
                self._cluster.news.killing(pod, container, "")
        pod.after(_KILL_SECONDS, partial(self._have_sandbox, pod))

    def resize(self, pod: Pod, name: str, amounts: Json, refusal: str = "") -> None:
        """Ask for other requests and limits of a container; `refusal`: why the node can never grant them."""
        pod.generation += 1
        container = next(c for c in pod.containers if c.spec.name == name)
        changed = {**container_spec(pod.spec, name), "resources": amounts}
        others = [changed if one["name"] == name else one for one in pod.spec["containers"]]
        pod.spec = {**pod.spec, "containers": others}
        self._cluster.publish(pod)
        if refusal:
            pod.after(self._sync, partial(self._refuse, pod, refusal))
        else:
            pod.after(self._sync, partial(self._grant, pod, container, amounts))

    def debug(self, pod: Pod, spec: Container, written: Json) -> None:
        """Add an ephemeral container, as `kubectl debug` does."""
        pod.generation += 1
        pod.spec = {**pod.spec, "ephemeralContainers": [*pod.spec.get("ephemeralContainers", ()), written]}
        self._cluster.publish(pod)
        pod.after(self._sync / 2, partial(self._attach, pod, spec))

    def _attach(self, pod: Pod, spec: Container) -> None:
        container = self._cluster.contain(pod, spec, "ContainerCreating")
        pod.observed = pod.generation
        container.tried_at = self._cluster.clock.now
        self._runtime.later(pod, container, self._sync / 2, self._runtime.images.launch)
        self._runtime.publish(pod)

    def _remove_all(self, pod: Pod) -> None:
        """All containers are removed from the node, completed ones too, and the condition is taken back."""
        for container in pod.containers:
            if container.running or container.finished:
                container.cause = "RestartAllContainers"
            if container.running:
                self._cluster.truth.ended(container.key, container.cause, "")
                self._cluster.news.killing_for(pod, container, "killing")
                container.container_id = ""
                container.started = container.ready = False
            self._remove(container)
        pod.restarting = False
        self._runtime.publish(pod)
        pod.after(self._sync / 4, partial(self._begin_again, pod))

    def _remove(self, container: PodContainer) -> None:
        container.forget_timers()
        container.removed = True
        container.restart_count += 1
        container.last_state = {"terminated": _SYNTHETIC}
        self._runtime.wait(container, _ALL, _REMOVED)

    def _begin_again(self, pod: Pod) -> None:
        """As when the pod was new, but Initialized stays True."""
        reason = "PodInitializing" if pod.inits else "ContainerCreating"
        for container in pod.containers:
            container.tried_at = -1.0
            container.container_id = ""
            container.state = {"waiting": {"reason": reason}}
        self._runtime.proceed(pod)

    def _have_sandbox(self, pod: Pod) -> None:
        """There is a new one; the status tells that before it tells of the containers."""
        pod.condition("PodReadyToStartContainers", "True")
        self._runtime.publish(pod)
        for container in pod.containers:
            if container.running:
                self._runtime.ended(pod, container, 137, "PodSandboxChanged")
            elif container.finished:
                container.cause = "PodSandboxChanged"
            container.tried_at = -1.0
        pod.after(self._sync / 4, partial(self._runtime.proceed, pod))

    def _refuse(self, pod: Pod, why: str) -> None:
        pod.observed = pod.generation
        pod.condition("PodResizePending", "True", "Infeasible", why)
        self._cluster.news.resized(pod, "ResizeInfeasible", "Pod resize Infeasible", why)
        self._runtime.publish(pod)

    def _grant(self, pod: Pod, container: PodContainer, amounts: Json) -> None:
        pod.observed = pod.generation
        pod.withdraw("PodResizePending")
        pod.condition("PodResizeInProgress", "True")
        self._cluster.news.resized(pod, "ResizeStarted", "Pod resize started")
        if container.spec.resized_by:
            text = f"Container {container.spec.name} resize requires restart"
            self._cluster.news.killing_for(pod, container, text)
        self._runtime.publish(pod)
        pod.after(_KILL_SECONDS, partial(self._complete, pod, container, amounts))

    def _complete(self, pod: Pod, container: PodContainer, amounts: Json) -> None:
        """Killed and started anew in one sync, where that is asked for: state.terminated never shows."""
        container.resources = amounts
        if container.spec.resized_by:
            self._runtime.ended(pod, container, 137, "Resize")
            self._runtime.start(pod, container)
        pod.withdraw("PodResizeInProgress")
        self._cluster.news.resized(pod, "ResizeCompleted", "Pod resize completed")
        self._runtime.publish(pod)
