"""The nodes: brings bound pods up, and down again when they are deleted. What containers do is in `runtime.py`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from exporter.simulator.endings import Verdict, low
from exporter.simulator.pods import Pod, PodContainer
from exporter.simulator.runtime import Runtime

if TYPE_CHECKING:
    pass

_LOST = {
    "exitCode": 137,
    "reason": "ContainerStatusUnknown",
    "message": "The container could not be located when the pod was terminated",
    "startedAt": None,
    "finishedAt": None,
}


class Kubelet(Runtime):
    """One for all nodes: nodes differ in nothing but their names here."""

    def accept(self, pod: Pod) -> None:
        """A pod was bound to the node: acknowledge it and make its sandbox."""
        if pod.template.rejected_for:
            self.endings.reject(pod, pod.template.rejected_for)
            return
        pod.started_at = self._clock.now
        pod.observed = pod.generation
        pod.condition("PodScheduled", "True")
        pod.condition("PodReadyToStartContainers", "False")
        self.publish(pod)
        pod.after(self._timings.sandbox, partial(self._sandboxed, pod))
        self.endings.expire_later(pod, self._shut)

    def describe(self, pod: Pod) -> None:
        """Say of a new picture of a static pod how its containers are."""
        pod.observed = pod.generation
        pod.condition("PodScheduled", "True")
        pod.condition("PodReadyToStartContainers", "True")
        self.publish(pod)

    def adopt(self, pod: Pod) -> None:
        """A pod that has been running for long when anybody first looks."""
        pod.forget_timers()
        pod.started_at = self._clock.now
        pod.observed = pod.generation
        pod.condition("PodReadyToStartContainers", "True")
        for container in pod.containers:
            self.images.launch(pod, container)
            container.forget_timers()
            container.ready = True
        self.publish(pod)

    def turn(self, pod: Pod) -> None:
        """The readiness probe of a pod's first container changes its mind."""
        container = pod.containers[0]
        container.ready = not container.ready
        if not container.ready:
            self._truth.unreadied(container.key)
        self.publish(pod)

    def stop(self, pod: Pod) -> None:
        """The pod is being deleted: SIGTERM to all that runs, SIGKILL when the grace period ends."""
        if pod.cut_off:
            return
        pod.forget_timers()
        pod.observed = pod.generation
        pod.started_at = pod.started_at or self._clock.now
        self._shut(pod, pod.deletion[1] if pod.deletion else 0)
        self.publish(pod)

    def evict(self, pod: Pod, resource: str) -> None:
        """The node is short of a resource: the pod has to go, and has failed."""
        self.end(pod, low(resource))

    def end(self, pod: Pod, verdict: Verdict) -> None:
        """End a pod by a verdict of the kubelet's own."""
        self.endings.doom(pod, verdict, self._shut)

    def abandon(self, pod: Pod) -> None:
        """The pod was deleted by force: nobody will ever hear how its containers ended."""
        pod.forget_timers()
        for container in pod.containers:
            if container.running:
                self._truth.ended(container.key, "Unobserved", "")

    def lose_sight(self, pod: Pod, seconds: float) -> None:
        """The agent of a virtual node cannot tell what its pod does, and writes the phase Unknown for so long."""
        pod.phase, pod.cut_off = "Unknown", True
        self._cluster.publish(pod)
        pod.after(seconds, partial(self.resume, pod))

    def resume(self, pod: Pod) -> None:
        """The pod is in reach again: what is true of it is written, and what was asked for meanwhile is done."""
        pod.cut_off = False
        if pod.deletion is None:
            self.publish(pod)
        else:
            self.stop(pod)

    def _shut(self, pod: Pod, grace: float) -> None:
        """SIGTERM to all that runs, SIGKILL when so many seconds are over."""
        for container in pod.containers:
            if container.running:
                self._news.killing(pod, container, "")
                late = container.run.stop_seconds > grace
                code = 137 if late else container.run.stop_code
                delay = grace if late else container.run.stop_seconds
                pod.overran |= late and pod.deletion is not None
                container.timers.append(self._clock.after(delay, partial(self._stopped, pod, container, code)))
        if not any(c.running for c in pod.containers):
            pod.after(self._timings.sync / 2, partial(self._all_stopped, pod))

    def _sandboxed(self, pod: Pod) -> None:
        pod.condition("PodReadyToStartContainers", "True")
        self.publish(pod)
        pod.after(self._timings.sync / 4, partial(self.proceed, pod))

    def _stopped(self, pod: Pod, container: PodContainer, code: int) -> None:
        """An end that the pod's own end brought (R6): 0, 137 and 128 + signal are PodStopped."""
        own = code in (0, 137) or code > 128  # noqa: PLR2004 - exit codes of signals
        self.ended(pod, container, code, "PodStopped" if own else "Error")
        if any(c.running for c in pod.containers):
            self.publish(pod)
        else:
            self._all_stopped(pod)

    def _all_stopped(self, pod: Pod) -> None:
        for container in pod.containers:
            self._settle_for_good(pod, container)
        if pod.doomed:
            self.endings.fail(pod)
        if pod.deletion is not None:
            self._let_go(pod)

    def _let_go(self, pod: Pod) -> None:
        """A deleted pod whose containers have ended passes a terminal phase, and goes."""
        failed = pod.doomed or any(c.state.get("terminated", _LOST)["exitCode"] != 0 for c in pod.apps)
        pod.phase = "Failed" if failed else "Succeeded"
        pod.condition("PodReadyToStartContainers", "False")
        if pod.overran:
            self._truth.overran(pod.workload)
        self.publish(pod)
        # Not a timer of the pod: nothing but its finalizer may keep it from going now.
        delay = self._timings.sync / 4 + pod.template.held_seconds
        self._clock.after(delay, partial(self._cluster.remove_pod, pod))

    def _settle_for_good(self, pod: Pod, container: PodContainer) -> None:
        """Back-off is over: the last end shows as the state; who never ran is lost, once the pod is initialised."""
        if "waiting" not in container.state:
            return
        if container.ends:
            container.state = {"terminated": container.ends[-1]}
            container.last_state = {"terminated": container.ends[-2]} if len(container.ends) > 1 else {}
        elif pod.is_true("Initialized"):
            container.state = {"terminated": _LOST}
