"""Containers as a kubelet runs them: pulls, starts, ends, probe kills, back-off, and what the status says of each.

Every status write is one `publish`; what changes between two of them reaches watches in one update, as from a real
kubelet. The sequences are those of recorded clusters (tests/simulator/test_stories.py).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from exporter.simulator.clock import Clock, rfc3339
from exporter.simulator.endings import Endings
from exporter.simulator.images import Images
from exporter.simulator.news import News
from exporter.simulator.pods import Pod, PodContainer
from exporter.simulator.renewal import Renewal
from exporter.simulator.resources import Json
from exporter.simulator.timings import Timings, go_duration
from exporter.simulator.truth import Truth
from exporter.simulator.verdicts import conclude, exhausted, restarts

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


class Runtime:
    """What `Kubelet` needs to run containers."""

    def __init__(self, cluster: Cluster, timings: Timings) -> None:
        self._cluster = cluster
        self._timings = timings
        self._clock: Clock = cluster.clock
        self._truth: Truth = cluster.truth
        self._rng: Random = cluster.rng
        self._news: News = cluster.news
        self.renewal = Renewal(cluster, self)
        self.endings = Endings(cluster, self)
        self.images = Images(cluster, self)

    def publish(self, pod: Pod) -> None:
        """Write the status, with what follows from the containers: phase and conditions."""
        if not pod.cut_off:
            conclude(pod)
            self._cluster.publish(pod)

    def proceed(self, pod: Pod) -> None:
        """Start what is due: the next init container, or all the others together."""
        for container in pod.inits:
            if container.tried_at < 0:
                self.images.launch(pod, container)
                break
            if not (container.finished or (container.spec.type == "sidecar" and container.started)):
                return
        else:
            for container in pod.apps:
                if container.tried_at < 0:
                    self.images.launch(pod, container)
        self.publish(pod)

    def start(self, pod: Pod, container: PodContainer) -> None:
        """Create an instance; after an end this is a restart, caused by that end's cause."""
        if container.run_next.hook_fails:
            self.later(pod, container, container.run_next.seconds, self._fail_hook)
            return
        self._create(pod, container)
        if container.run.start_error:
            self._fail_to_start(pod, container)
            return
        self._run(pod, container)
        if container.spec.startup is None:
            self._up(pod, container)
        elif container.run.killed_by != "StartupProbe":
            self.later(pod, container, container.run.startup_seconds, self._up)
        self._plan_end(pod, container)

    def _create(self, pod: Pod, container: PodContainer) -> None:
        if container.created:
            self._follow(pod, container)
        self._truth.loops.run(pod.uid, container.spec.name)
        container.container_id = f"containerd://{self._rng.getrandbits(256):064x}"
        container.started_at = self._clock.now
        container.started = container.ready = False
        self.images.fetched(pod, container)

    def _run(self, pod: Pod, container: PodContainer) -> None:
        container.ran = True
        container.state = {"running": {"startedAt": rfc3339(self._clock.now)}}
        self._truth.started(container.key)
        self._news.started(pod, container)

    def _follow(self, pod: Pod, container: PodContainer) -> None:
        """The next instance takes the place of one that has ended."""
        self._truth.starting.fail(pod.uid)
        if container.removed:
            container.removed = False
        else:
            container.restart_count += 1
            container.last_state = {"terminated": container.ends[-1]}
        self._truth.restarted(container.key, container.cause)

    def _plan_end(self, pod: Pod, container: PodContainer) -> None:
        run = container.run
        if run.killed_by:
            self.later(pod, container, run.seconds, self._kill)
            self._fail_probes(pod, container)
        elif run.seconds != float("inf"):
            self.later(pod, container, run.seconds, self._exit)
        calm = partial(self._truth.loops.end, pod.uid, container.spec.name)
        container.timers.append(self._clock.after(_RESET_SECONDS, calm))

    def _up(self, pod: Pod, container: PodContainer) -> None:
        """Started: the startup probe, if any, has succeeded."""
        if container.spec.type == "ephemeral":
            return
        container.started = True
        if container.spec.type == "init":
            return
        if container.spec.type == "sidecar":
            pod.after(self._timings.sync / 4, partial(self.proceed, pod))
        if container.spec.readiness is None:
            container.ready = True
        else:
            self.later(pod, container, container.run.ready_seconds, self._pass_readiness)

    def _pass_readiness(self, pod: Pod, container: PodContainer) -> None:
        container.ready = True
        if container.run.flap_seconds:
            self.later(pod, container, container.run.flap_seconds, self._fail_readiness)

    def _fail_readiness(self, pod: Pod, container: PodContainer) -> None:
        container.ready = False
        self._truth.unreadied(container.key)
        self._news.unhealthy(pod, container, "readiness")
        self.later(pod, container, container.run.flap_seconds, self._pass_readiness)

    def _fail_to_start(self, pod: Pod, container: PodContainer) -> None:
        """StartError: an instance that never ran, its own end already in lastState."""
        container.started_at = 0.0
        end = self._terminated(container, 128, "StartError", _NO_BINARY)
        container.ends.append(end)
        container.cause = "StartError"
        container.last_state = {"terminated": end}
        self._truth.ended(container.key, "StartError", "128")
        self._truth.starting.fail(pod.uid)
        self.wait(container, "RunContainerError", _NO_BINARY)
        self._news.start_failed(pod, container, _NO_BINARY)
        self._schedule_restart(pod, container, free=1)

    def _exit(self, pod: Pod, container: PodContainer) -> None:
        """An instance ends by itself: the status shows state.terminated before anything else."""
        run = container.run
        reason = "OOMKilled" if run.oom else "Error" if run.exit_code else "Completed"
        action = container.spec.action_at(run.exit_code)
        self.ended(pod, container, 137 if run.oom else run.exit_code, reason, api_reason=reason)
        if action == "RestartAllContainers":
            self.renewal.restart_all(pod)
        elif restarts(pod, container):
            container.cause = "RestartRule" if action else reason
            self._schedule_restart(pod, container, free=1)
        else:
            self._stay_down(pod, container)

    def _stay_down(self, pod: Pod, container: PodContainer) -> None:
        """It is not restarted: it has done its work, or its pod is over with it."""
        if not container.ends[-1]["exitCode"]:
            self._truth.loops.end(pod.uid, container.spec.name)
        if exhausted(pod):
            pod.after(1.5 * self._timings.sync, partial(self.endings.finish, pod))
        elif container.finished:
            container.ready = True
            pod.after(self._timings.sync / 2, partial(self.proceed, pod))

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
            self.ended(pod, container, code, container.run.killed_by)
            self._replace(pod, container)

        self.later(pod, container, min(self._timings.kill, container.run.stop_seconds), killed)

    def _fail_hook(self, pod: Pod, container: PodContainer) -> None:
        """The kubelet waits for a postStart hook, kills what it has started, and only then says what has happened."""
        self._create(pod, container)
        container.started_at -= container.run.seconds
        self._run(pod, container)
        self._news.hook_failed(pod, container)
        self.ended(pod, container, 137, "PostStartHook")
        container.last_state = {"terminated": container.ends[-1]}
        self.wait(
            container, "PostStartHookError", f"Exec lifecycle hook ([/bin/warm-up {self._cluster.canary}]) failed"
        )
        self._schedule_restart(pod, container, free=1)

    def _replace(self, pod: Pod, container: PodContainer) -> None:
        """The kubelet kills and restarts in one sync, so state.terminated never shows."""
        end = container.ends[-1]
        pause = self._next_pause(container, free=2)
        if pause:
            container.last_state = {"terminated": end}
            self._back_off(pod, container, pause, pause)
        else:
            self.start(pod, container)

    def ended(self, pod: Pod, container: PodContainer, code: int, cause: str, api_reason: str = "") -> None:
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
        if code and pod.deletion is None:
            self._truth.starting.fail(pod.uid)

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
            self.later(pod, container, look, action)
        else:
            self.later(pod, container, look, self.start)

    def _back_off(self, pod: Pod, container: PodContainer, pause: float, left: float) -> None:
        name = f"{pod.name}_{pod.namespace}({pod.uid})"
        message = f"back-off {go_duration(pause)} restarting failed container={container.spec.name} pod={name}"
        container.last_state = {"terminated": container.ends[-1]}
        self.wait(container, "CrashLoopBackOff", message)
        self._truth.loops.back_off(pod.uid, container.key)
        self._news.backs_off(pod, container)
        self.later(pod, container, left, self.start)

    def _next_pause(self, container: PodContainer, free: int) -> float:
        """Seconds of back-off before the next instance; the first `free` restarts have none."""
        if container.started_at and self._clock.now - container.started_at > _RESET_SECONDS:
            container.back_offs = 0
        container.back_offs += 1
        return self._timings.pause(container.back_offs - free) if container.back_offs > free else 0.0

    def wait(self, container: PodContainer, reason: str, message: str = "") -> None:
        """Enter a waiting reason; staying in it is no second entry."""
        entered = container.state.get("waiting", {}).get("reason") != reason
        container.state = {"waiting": {"reason": reason, "message": message}}
        if entered or reason in ("RunContainerError", "PostStartHookError"):
            # A second instance that cannot be started either is a second entry.
            self._truth.waited(container.key, reason)

    def later(
        self, pod: Pod, container: PodContainer, seconds: float, action: Callable[[Pod, PodContainer], None]
    ) -> None:
        """Do something to the instance of now and write the status, unless the instance ends before."""

        def act() -> None:
            action(pod, container)
            self.publish(pod)

        container.timers = [t for t in container.timers if t.at >= self._clock.now]
        container.timers.append(self._clock.after(seconds, act))
