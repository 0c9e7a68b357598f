"""Containers as a kubelet runs them: pulls, starts, ends, probe kills, back-off, and what the status says of each.

Every status write is one `_publish`; what changes between two of them reaches watches in one update, as from a real
kubelet. The sequences are those of recorded clusters (tests/simulator/test_stories.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from exporter.simulator.clock import Clock, rfc3339
from exporter.simulator.news import News
from exporter.simulator.pods import Pod, PodContainer
from exporter.simulator.resources import Json
from exporter.simulator.truth import Truth

if TYPE_CHECKING:
    from exporter.simulator.cluster import Cluster

_RESET_SECONDS = 600.0
"""A run of this length sets the back-off to nothing (kubelet: fixed, whatever the maximum)."""
_PROBES = {"LivenessProbe": "liveness", "StartupProbe": "startup"}
_NO_BINARY = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
    'unable to start container process: exec: "/no/such/binary": stat /no/such/binary: no such file or directory: '
    "unknown"
)


@dataclass(frozen=True, slots=True)
class Timings:
    """How slow the cluster is; all in virtual seconds."""

    bind: float = 0.3
    """From creation to the scheduler's decision."""
    sandbox: float = 0.8
    sync: float = 1.0
    """Between two looks of the kubelet at a pod; stages take fractions of it."""
    back_off: float = 10.0
    """The first pause before a restart; each next one is twice as long."""
    back_off_max: float = 300.0
    kill: float = 1.0
    """From a probe's verdict to the end of the container."""


class Runtime:
    """What `Kubelet` needs to run containers."""

    def __init__(self, cluster: Cluster, timings: Timings) -> None:
        self._cluster = cluster
        self._timings = timings
        self._clock: Clock = cluster.clock
        self._truth: Truth = cluster.truth
        self._rng: Random = cluster.rng
        self._news: News = cluster.news

    def _publish(self, pod: Pod) -> None:
        """Write the status, with what follows from the containers: phase and conditions."""
        if not pod.terminal and pod.apps and all(c.created for c in pod.apps):
            pod.phase = "Running"
        done = all(c.finished or (c.spec.type == "sidecar" and c.started) for c in pod.inits)
        initialized = done or pod.is_true("Initialized")
        pod.condition("Initialized", *_verdict(initialized, "ContainersNotInitialized"))
        ready = done and all(c.ready for c in pod.containers)
        reason = self._unready_reason(pod)
        for kind in ("Ready", "ContainersReady"):
            pod.condition(kind, *_verdict(ready, reason))
        self._cluster.publish(pod)

    def _unready_reason(self, pod: Pod) -> str:
        """PodCompleted and PodFailed are said before the phase says so."""
        if pod.terminal or self._exhausted(pod):
            return "PodFailed" if self._has_failed(pod) else "PodCompleted"
        return "ContainersNotReady"

    def _exhausted(self, pod: Pod) -> bool:
        """Whether all containers have ended for good."""
        if pod.template.restart_policy == "Always" or pod.deletion is not None:
            return False
        ended = all("terminated" in c.state for c in pod.apps)
        return ended and not any(self._restarts(pod, c) for c in pod.apps)

    def _has_failed(self, pod: Pod) -> bool:
        return pod.phase == "Failed" or any(c.ends and c.ends[-1]["exitCode"] for c in pod.apps)

    def _restarts(self, pod: Pod, container: PodContainer) -> bool:
        """Whether the restart policy has another instance follow the one that ended."""
        failed = container.ends[-1]["exitCode"] != 0
        if container.spec.type == "sidecar":
            return True
        if container.spec.type == "init":
            return failed and pod.template.restart_policy != "Never"
        return pod.template.restart_policy == "Always" or (failed and pod.template.restart_policy == "OnFailure")

    def _proceed(self, pod: Pod) -> None:
        """Start what is due: the next init container, or all the others together."""
        for container in pod.inits:
            if container.tried_at < 0:
                self._launch(pod, container)
                break
            if not (container.finished or (container.spec.type == "sidecar" and container.started)):
                return
        else:
            for container in pod.apps:
                if container.tried_at < 0:
                    self._launch(pod, container)
        self._publish(pod)

    def _launch(self, pod: Pod, container: PodContainer) -> None:
        """Pull the image and create the container, or wait for what is missing."""
        spec = container.spec
        if container.tried_at < 0:
            container.tried_at = self._clock.now
            pod.address = pod.address or f"10.88.{self._rng.randrange(256)}.{self._rng.randrange(2, 255)}"
        waited = self._clock.now - container.tried_at
        if container.pulls < spec.pull_failures:
            self._fail_to_pull(pod, container)
        elif waited < spec.pull_seconds:
            self._later(pod, container, spec.pull_seconds - waited, self._launch)
        elif waited < spec.config_error_seconds:
            self._wait(container, "CreateContainerConfigError", 'secret "absent" not found')
            self._later(pod, container, min(10 * self._timings.sync, spec.config_error_seconds - waited), self._launch)
        else:
            self._start(pod, container)

    def _fail_to_pull(self, pod: Pod, container: PodContainer) -> None:
        image = container.spec.image
        registry = image.partition("/")[0]
        why = f'failed to pull and unpack image "{image}": dial tcp: lookup {registry}: no such host'
        container.pulls += 1
        self._wait(container, "ErrImagePull", why)
        self._news.pull_failed(pod, container, why)
        pause = self._pause(min(container.pulls, 10))

        def back_off(pod: Pod, container: PodContainer) -> None:
            self._wait(container, "ImagePullBackOff", f'Back-off pulling image "{image}": ErrImagePull: {why}')
            self._later(pod, container, pause, self._launch)

        self._later(pod, container, 2 * self._timings.sync, back_off)

    def _start(self, pod: Pod, container: PodContainer) -> None:
        """Create an instance; after an end this is a restart, caused by that end's cause."""
        if container.created:
            container.restart_count += 1
            container.last_state = {"terminated": container.ends[-1]}
            self._truth.restarted(container.key, container.cause)
        container.container_id = f"containerd://{self._rng.getrandbits(256):064x}"
        container.started_at = self._clock.now
        container.started = container.ready = False
        self._fetched(pod, container)
        if container.run.start_error:
            self._fail_to_start(pod, container)
            return
        container.state = {"running": {"startedAt": rfc3339(self._clock.now)}}
        self._truth.started(container.key)
        self._news.started(pod, container)
        if container.spec.startup is None:
            self._up(pod, container)
        elif container.run.killed_by != "StartupProbe":
            self._later(pod, container, container.run.startup_seconds, self._up)
        if container.run.killed_by:
            self._later(pod, container, container.run.seconds, self._kill)
            self._fail_probes(pod, container)
        elif container.run.seconds != float("inf"):
            self._later(pod, container, container.run.seconds, self._exit)

    def _fetched(self, pod: Pod, container: PodContainer) -> None:
        """What the kubelet says of the image before each start."""
        spec = container.spec
        if spec.pull_seconds and not container.restart_count:
            self._news.pulled(pod, container, spec.pull_seconds)
        else:
            self._news.present(pod, container)

    def _up(self, pod: Pod, container: PodContainer) -> None:
        """Started: the startup probe, if any, has succeeded."""
        container.started = True
        if container.spec.type == "init":
            return
        if container.spec.type == "sidecar":
            pod.after(self._timings.sync / 4, partial(self._proceed, pod))
        if container.spec.readiness is None:
            container.ready = True
        else:
            self._later(pod, container, container.run.ready_seconds, self._pass_readiness)

    def _pass_readiness(self, pod: Pod, container: PodContainer) -> None:
        container.ready = True
        if container.run.flap_seconds:
            self._later(pod, container, container.run.flap_seconds, self._fail_readiness)

    def _fail_readiness(self, pod: Pod, container: PodContainer) -> None:
        container.ready = False
        self._truth.unreadied(container.key)
        self._news.unhealthy(pod, container, "readiness")
        self._later(pod, container, container.run.flap_seconds, self._pass_readiness)

    def _fail_to_start(self, pod: Pod, container: PodContainer) -> None:
        """StartError: an instance that never ran, its own end already in lastState."""
        container.started_at = 0.0
        end = self._terminated(container, 128, "StartError", _NO_BINARY)
        container.ends.append(end)
        container.cause = "StartError"
        container.last_state = {"terminated": end}
        self._truth.ended(container.key, "StartError", "128")
        self._wait(container, "RunContainerError", _NO_BINARY)
        self._news.start_failed(pod, container, _NO_BINARY)
        self._schedule_restart(pod, container, free=1)

    def _exit(self, pod: Pod, container: PodContainer) -> None:
        """An instance ends by itself: the status shows state.terminated before anything else."""
        run = container.run
        reason = "OOMKilled" if run.oom else "Error" if run.exit_code else "Completed"
        self._ended(pod, container, 137 if run.oom else run.exit_code, reason, api_reason=reason)
        if self._restarts(pod, container):
            self._schedule_restart(pod, container, free=1)
        elif self._exhausted(pod):
            pod.after(1.5 * self._timings.sync, partial(self._finish, pod))
        elif container.finished:
            container.ready = True
            pod.after(self._timings.sync / 2, partial(self._proceed, pod))

    def _fail_probes(self, pod: Pod, container: PodContainer) -> None:
        """The attempts before the last one, a second apart: what a probe's period is makes no difference to anyone."""
        probe = _PROBES[container.run.killed_by]

        def fail() -> None:
            if container.running:
                self._news.unhealthy(pod, container, probe)

        for earlier in (2.0, 1.0):
            container.timers.append(self._clock.after(max(0.0, container.run.seconds - earlier), fail))

    def _kill(self, pod: Pod, container: PodContainer) -> None:
        """A probe has failed often enough: SIGTERM, and still `running` until the end."""
        probe = _PROBES[container.run.killed_by]
        self._news.unhealthy(pod, container, probe)
        self._news.killing(pod, container, probe)
        late = container.run.stop_seconds > self._timings.kill
        code = 137 if late else container.run.stop_code

        def killed(pod: Pod, container: PodContainer) -> None:
            self._ended(pod, container, code, container.run.killed_by)
            self._replace(pod, container)

        self._later(pod, container, min(self._timings.kill, container.run.stop_seconds), killed)

    def _replace(self, pod: Pod, container: PodContainer) -> None:
        """The kubelet kills and restarts in one sync, so state.terminated never shows."""
        end = container.ends[-1]
        pause = self._next_pause(container, free=2)
        if pause:
            container.last_state = {"terminated": end}
            self._back_off(pod, container, pause, pause)
        else:
            self._start(pod, container)

    def _ended(self, pod: Pod, container: PodContainer, code: int, cause: str, api_reason: str = "") -> None:
        """An instance ended with this exit code; `cause` is what the books say, `api_reason` what the API says."""
        container.forget_timers()
        reason = api_reason or ("Error" if code else "Completed")
        message = f"panic: token {self._cluster.canary} refused by {pod.name}" if code not in (0, 137, 143) else ""
        end = self._terminated(container, code, reason, message)
        container.ends.append(end)
        container.cause = cause
        container.state = {"terminated": end}
        container.started = container.ready = False
        self._truth.ended(container.key, cause, str(code))

    def _terminated(self, container: PodContainer, code: int, reason: str, message: str) -> Json:
        end: Json = {"exitCode": code, "reason": reason}
        if message:
            end["message"] = message
        times = {"startedAt": rfc3339(container.started_at), "finishedAt": rfc3339(self._clock.now)}
        return end | times | {"containerID": container.container_id}

    def _schedule_restart(self, pod: Pod, container: PodContainer, free: int) -> None:
        """Restart at the next sync, or show CrashLoopBackOff then and restart when the pause is over."""
        pause = self._next_pause(container, free)
        look = self._timings.sync * self._rng.uniform(0.5, 1.0)
        if pause:
            action = partial(self._back_off, pause=pause, left=max(0.1, pause - look))
            self._later(pod, container, look, action)
        else:
            self._later(pod, container, look, self._start)

    def _back_off(self, pod: Pod, container: PodContainer, pause: float, left: float) -> None:
        name = f"{pod.name}_{pod.namespace}({pod.uid})"
        message = f"back-off {go_duration(pause)} restarting failed container={container.spec.name} pod={name}"
        container.last_state = {"terminated": container.ends[-1]}
        self._wait(container, "CrashLoopBackOff", message)
        self._news.backs_off(pod, container)
        self._later(pod, container, left, self._start)

    def _next_pause(self, container: PodContainer, free: int) -> float:
        """Seconds of back-off before the next instance; the first `free` restarts have none."""
        if container.started_at and self._clock.now - container.started_at > _RESET_SECONDS:
            container.back_offs = 0
        container.back_offs += 1
        return self._pause(container.back_offs - free) if container.back_offs > free else 0.0

    def _pause(self, number: int) -> float:
        return float(min(self._timings.back_off * 2 ** (number - 1), self._timings.back_off_max))

    def _wait(self, container: PodContainer, reason: str, message: str = "") -> None:
        """Enter a waiting reason; staying in it is no second entry."""
        entered = container.state.get("waiting", {}).get("reason") != reason
        container.state = {"waiting": {"reason": reason, "message": message}}
        if entered or reason == "RunContainerError":
            # A second instance that cannot be started either is a second entry.
            self._truth.waited(container.key, reason)

    def _finish(self, pod: Pod) -> None:
        """All ended for good: the phase says so, then the Job controller lets the pod go."""
        pod.phase = "Failed" if self._has_failed(pod) else "Succeeded"
        pod.condition("PodReadyToStartContainers", "False")
        self._publish(pod)
        if pod.finalizers:
            pod.after(self._timings.sync / 4, partial(self._untrack, pod))

    def _untrack(self, pod: Pod) -> None:
        pod.finalizers = []
        self._cluster.publish(pod)

    def _later(
        self, pod: Pod, container: PodContainer, seconds: float, action: Callable[[Pod, PodContainer], None]
    ) -> None:
        """Do something to the instance of now and write the status, unless the instance ends before."""

        def act() -> None:
            action(pod, container)
            self._publish(pod)

        container.timers = [t for t in container.timers if t.at >= self._clock.now]
        container.timers.append(self._clock.after(seconds, act))


def _verdict(fulfilled: bool, reason: str) -> tuple[str, str, str]:  # noqa: FBT001 - the condition's own value
    if fulfilled:
        return "True", "", ""
    return "False", reason, "containers with unready status" if "NotReady" in reason else ""


def go_duration(seconds: float) -> str:
    """As Go prints a duration of whole seconds: 10s, 1m20s, 5m0s."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
