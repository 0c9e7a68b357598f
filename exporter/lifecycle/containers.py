"""Rules R1-R6 and R9: restarts, ends and their causes, and waiting, of one container.

Instance n of a container is the one that its status shows at restartCount n.
"""

from __future__ import annotations

from math import inf

from msgspec.structs import replace

from exporter.lifecycle import images, kills, loops
from exporter.lifecycle.bounded import bounded, shared
from exporter.lifecycle.endings import (
    NOTHING,
    ON_THE_WAY,
    SAID_BY_THE_API,
    SAID_BY_THE_WAIT,
    ends_of,
    known,
    label_of,
    ruled,
    synthetic,
)
from exporter.lifecycle.kills import Kill, Unsettled
from exporter.lifecycle.loops import Place
from exporter.lifecycle.observations import (
    UNOBSERVED,
    ContainerAppeared,
    ContainerRestarted,
    ContainerTerminated,
    ContainerType,
    ContainerWaiting,
    ImagePulled,
    Observation,
    PodRef,
    ReadinessLost,
    RestartCountReset,
    Value,
)
from exporter.lifecycle.records import Container, Ending
from exporter.lifecycle.times import unix
from exporter.objects import ContainerSpec, ContainerState, ContainerStatus

CRASH_SIGNALS = frozenset((4, 5, 6, 7, 8, 11, 31))
"""ILL, TRAP, ABRT, BUS, FPE, SEGV, SYS: a process that dies of one while it is being stopped has crashed (R6)."""


SERVING = frozenset(("container", "sidecar"))
"""Types of containers that run as long as their pod; readiness and restarts after success are theirs alone."""


class Look(Value, frozen=True):
    """What one update of a pod tells all its containers."""

    at: float
    pod: PodRef
    stop: float = inf
    """Ends from this time on are the pod's own end; 0 where the pod stops and nobody says since when (R6)."""
    stopping: bool = False
    """The stop was asked for before the update that this one follows: what ran then has ended since (R6)."""
    gap: bool = False
    """The update came by a list: what led to it may have been missed, so its path proves nothing (R5.3)."""
    node: str = ""
    restart_policy: str = "Always"
    """The pod's own; containers may have another."""
    baseline: bool = False
    """The first sight of a pod whose past is not counted."""
    kills: tuple[Kill, ...] = ()
    """What the kubelet said of kills whose end was yet to come (R5.2)."""
    grace: float = 30.0
    """Seconds that containers get to end."""
    wait: float = 0.0
    """Seconds that an end of which only the path tells the cause waits for its Event (R5.3)."""
    over: bool = False
    """The pod has ended, whatever its containers still show (R8)."""


def fresh(name: str, kind: ContainerType, spec: ContainerSpec, counted: int = 0) -> Container:
    """A container without a past. A sidecar is an init container with restartPolicy Always (KEP-753)."""
    sidecar = kind == "init" and spec.restart_policy == "Always"
    return Container(name=name, type="sidecar" if sidecar else kind, counted=counted)


def appeared(container: Container, spec: ContainerSpec, look: Look) -> ContainerAppeared:
    """The fact that lets a few series exist before they are needed."""
    return ContainerAppeared(
        look.at,
        look.pod,
        container.name,
        container.type,
        spec.liveness_probe is not None,
        spec.startup_probe is not None,
        spec.readiness_probe is not None,
    )


def applied(
    before: Container, status: ContainerStatus, spec: ContainerSpec, look: Look, seen: list[Observation]
) -> Container:
    """Compare a container with its new status; what happened is appended to `seen`, oldest first."""
    if _runs_on(before, status):
        return before
    step = _Step(status, spec, look, seen)
    container = step.base(before)
    shown = ends_of(status, container)
    container = step.hold(container, shown)
    for end in shown:
        if end.instance < status.restart_count:
            container = step.end(step.restarts(container, end.instance), end)
    container = step.newest(step.restarts(container, status.restart_count))
    for end in shown:
        if end.instance >= status.restart_count:
            container = step.end(container, end)
    restarted = container.id != before.id or container.counted > before.counted
    return step.loop(step.state(container, restarted=restarted))


def baseline(name: str, kind: ContainerType, spec: ContainerSpec, status: ContainerStatus | None) -> Container:
    """A container of the baseline: restarts so far are not ours, but one that is still to come will be (R2)."""
    container = fresh(name, kind, spec, status.restart_count if status else 0)
    if status is None or status.state is None or status.state.waiting is None:
        return container
    if any(synthetic(end) for end in ends_of(status, container)):
        return replace(container, counted=status.restart_count - 1)
    return container


def settled(container: Container, seen: list[Observation]) -> Container:
    """No Event has told why the newest end came: the path's word for it stands (R5.3)."""
    if container.unsettled is None:
        return container
    seen += container.unsettled.told
    return replace(container, unsettled=None)


def lost(container: Container, look: Look) -> list[Observation]:
    """The pod is gone and this container was last seen running: it ended, nobody saw how (R11)."""
    return [_terminated(container, look, UNOBSERVED, "")] if container.alive else []


def remains(c: Container) -> Container:
    """What late Events need of a container whose pod is gone."""
    return Container(c.name, c.type, c.counted, shape=c.shape, failures=c.failures)


def _runs_on(c: Container, status: ContainerStatus) -> bool:
    """Whether the same instance runs as before: by far the most frequent update, and it has no news."""
    return (
        c.alive
        and c.state == "running"
        and status.container_id == c.id
        and status.restart_count == c.restarts == c.counted
        and status.ready == c.ready
        and (c.started or not status.started)
        and status.state is not None
        and status.state.running is not None
    )


def place_of(c: Container, at: float, pod: PodRef) -> Place:
    """Where an episode of this container is booked."""
    return Place(at, pod, c.name, c.type)


def readiness_lost(c: Container, at: float, pod: PodRef, cause: str) -> ReadinessLost:
    """R7, with the cause that was found."""
    return ReadinessLost(at, pod, c.name, c.type, cause)


class _Step:
    """One update of one container."""

    def __init__(self, status: ContainerStatus, spec: ContainerSpec, look: Look, seen: list[Observation]) -> None:
        self._status = status
        self._spec = spec
        self._look = look
        self._seen = seen
        self._id = status.container_id
        self._held_at = 0
        """The instance whose restart is explained by the synthetic end that is held, if any."""

    def base(self, c: Container) -> Container:
        """R1: restartCount fell, or another instance has the old number (its logs were lost): go on from there."""
        count, replaced = self._status.restart_count, self._id not in ("", c.id) and c.id != "" and not c.ahead
        if count < c.counted:
            self._seen.append(RestartCountReset(self._look.at, self._look.pod, c.name, c.type))
        elif count > c.counted or not replaced:
            return c
        counted = count - int(replaced)
        ending = c.ending and replace(c.ending, instance=c.ending.instance + counted - c.counted)
        return replace(c, counted=counted, ending=ending)

    def hold(self, c: Container, shown: list[Ending]) -> Container:
        """R2: restartCount rose for a synthetic end; the restart counts when a new containerID appears."""
        self._held_at = c.counted
        for end in shown:
            if synthetic(end) and end.instance >= c.counted:
                self._held_at = self._status.restart_count - 1
                return replace(c, held=label_of(end))
        return c

    def end(self, c: Container, end: Ending) -> Container:
        """Take note of an end, once."""
        if end.instance < c.counted:  # its restart was counted, so it was told, or is older than the baseline
            newer = c.ending is None or c.ending.instance < end.instance
            return replace(c, ending=replace(end, cause=label_of(end))) if newer and not synthetic(end) else c
        if synthetic(end):
            return self._vanished(c, label_of(end))
        if known(end, c.ending):
            return self._known(c)
        cause, inferred = self._cause(c, end)
        c = settled(c, self._seen)
        told = _terminated(c, self._look, cause, end.exit_code, end.ran)
        if inferred and self._look.wait:
            c = replace(c, unsettled=Unsettled(self._look.at + self._look.wait, (told,)))
        else:
            self._seen.append(told)
        return replace(c, ending=replace(end, cause=cause, inferred=inferred), alive=False)

    def _known(self, c: Container) -> Container:
        """An end that was told already; what follows may tell its cause in time for its restart."""
        said = self._said_by_wait()
        if said and c.ending is not None and c.ending.cause in ("Error", "Completed"):
            c = replace(c, ending=replace(c.ending, cause=said))
        return replace(c, alive=False) if c.alive else c

    def _said_by_wait(self) -> str:
        state = self._status.state or NOTHING
        return SAID_BY_THE_WAIT.get(state.waiting.reason, "") if state.waiting else ""

    def _vanished(self, c: Container, reason: str) -> Container:
        """R2: only an instance that was seen running has ended; exit code 137 is the kubelet's invention."""
        if not c.alive:
            return c
        self._seen.append(_terminated(c, self._look, reason, ""))
        return replace(c, ending=Ending(c.counted, c.id, reason, "", None, cause=reason), alive=False)

    def _cause(self, c: Container, end: Ending) -> tuple[str, bool]:
        """R5: the first that fits, and whether it was inferred from the path."""
        if end.reason in SAID_BY_THE_API:
            return SAID_BY_THE_API[end.reason], False
        if said := self._said_by_wait():
            return said, False
        if killed := self._killed_for(c, end):
            return killed, False
        if probe := self._killed_by(c, end):
            return probe, True
        if _stopped(c, end, self._look):
            return "PodStopped", False
        return end.reason, False

    def _killed_for(self, c: Container, end: Ending) -> str:
        """R5.2, a fact: what the kubelet said when it killed."""
        if not self._look.kills:
            return ""
        look, own = self._look, (self._spec.liveness_probe, self._spec.startup_probe)
        grace = max([look.grace, *(probe.termination_grace_period_seconds or 0 for probe in own if probe)])
        stopping = look.stop < inf
        return kills.cause_of(look.kills, c.name, end.finished, look.at, grace, stopping=stopping, began=end.began)

    def _killed_by(self, c: Container, end: Ending) -> str:
        """R5.3, the path: the kubelet kills for a probe and restarts in one sync, so state.terminated never shows."""
        shown = self._status.state is not None and self._status.state.terminated is not None
        passed = shown and end.instance == self._status.restart_count
        if self._look.gap or self._look.stop < inf or passed or not c.alive or end.id != c.id:
            return ""
        if end.reason not in ("Error", "Completed"):
            return ""
        if self._spec.startup_probe is not None and not c.started:
            return "StartupProbe"
        return "LivenessProbe" if self._spec.liveness_probe is not None else ""

    def restarts(self, c: Container, to: int) -> Container:
        """R1-R3: all instances before `to` were followed by another one; count it, each with the cause of its end."""
        count, held_back = self._status.restart_count, bool(c.held) and self._id in ("", c.id)
        counted = max(c.counted, min(to, count - int(held_back)))
        if counted == c.counted:
            return c
        at = c.counted
        traced = {self._held_at if c.held else -1, c.ending.instance if c.ending else -1}
        for instance in sorted(n for n in traced if at <= n < counted):
            self._untraced(c, instance - at)
            ending = c.ending if c.ending and c.ending.instance == instance else None
            c, at = self._restart(c, ending, c.held if instance == self._held_at else ""), instance + 1
        self._untraced(c, counted - at)
        held = "" if counted > self._held_at else c.held
        return replace(c, counted=counted, ahead=c.id != "", alive=False, started=False, held=held)

    def newest(self, c: Container) -> Container:
        """The containerID of the instance that the status shows; restartCount may rise before it changes."""
        if self._id in ("", c.id):
            return c
        return replace(c, id=self._id, ahead=False, alive=False, started=False, held="")

    def _untraced(self, c: Container, times: int) -> None:
        """Restarts of which nobody saw an end: told at once, however many they are."""
        if times:
            look, part = self._look, (c.name, c.type, UNOBSERVED)
            self._seen.append(ContainerTerminated(look.at, look.pod, *part, "", times=times))
            self._seen.append(ContainerRestarted(look.at, look.pod, *part, node=look.node, times=times))

    def _restart(self, c: Container, ending: Ending | None, held: str) -> Container:
        """An instance was followed by another one; `ending` is how it went, `held` what the kubelet made of it."""
        reason = self._restart_reason(c, ending, held)
        inferred = ending is not None and ending.inferred
        look = self._look
        told = ContainerRestarted(look.at, look.pod, c.name, c.type, reason, inferred, look.node)
        if inferred and c.unsettled is not None:
            return replace(c, unsettled=replace(c.unsettled, told=(*c.unsettled.told, told)))
        self._seen.append(told)
        return c

    def _restart_reason(self, c: Container, ending: Ending | None, held: str) -> str:
        """R5.5 and R2: the cause of the end, but for restarts that need another explanation."""
        if ending is None or (held and ending.exit_code == "0"):
            return held or UNOBSERVED
        if c.type == "init" and ending.cause == "Completed":
            return "PodSandboxChanged"  # nothing else runs an init container again that has succeeded
        rules = self._spec.restart_policy_rules or ()
        if ending.cause in ("Error", "Completed") and ruled(rules, int(ending.exit_code)):
            return "RestartRule"
        return ending.cause

    def state(self, c: Container, *, restarted: bool) -> Container:
        """What the container shows now, and R9: entries into a waiting reason."""
        state = self._status.state or NOTHING
        name, reason = _shown(state)
        entered = (c.state, c.reason) != (name, reason) or restarted
        if name == "waiting" and entered and reason not in ON_THE_WAY:
            c = self._waits(c, reason, state.waiting.message if state.waiting else "")
        running = state.running is not None
        if running and not restarted:
            c = self._readiness(c)
        shown = self._id != "" or c.held != ""
        over = shown and self._id in ("", c.id) and (c.ahead or (c.ending is not None and c.ending.id == c.id))
        return replace(
            c,
            restarts=self._status.restart_count,
            alive=c.alive or (running and not over),
            started=c.started or (running and self._status.started is True),
            state=name,
            reason=reason,
            ready=self._status.ready,
            image=shared(self._status.image),
            image_id=shared(self._status.image_id),
            running_since=unix(state.running.started_at) if state.running is not None else None,
            pull_failed=c.pull_failed and name == "waiting",
        )

    def _waits(self, c: Container, reason: str, message: str) -> Container:
        """R9: an entry into a waiting reason, which may tell of an image that could not be pulled."""
        look = self._look
        self._seen.append(ContainerWaiting(look.at, look.pod, c.name, c.type, reason))
        cause = images.failure(reason, message, failed_before=c.pull_failed)
        if not cause:
            return c
        self._seen.append(ImagePulled(look.at, look.pod, c.name, c.type, "failed", cause))
        return replace(c, pull_failed=True)

    def _readiness(self, c: Container) -> Container:
        """R7: a running, started instance was taken out of traffic; why is told when its neighbours are known."""
        lost = c.state == "running" and c.started and c.ready and self._status.started and not self._status.ready
        if not lost or c.type not in SERVING or self._look.stop < inf:
            return c
        if c.lost_at < inf:
            self._seen.append(readiness_lost(c, self._look.at, self._look.pod, "container"))
        return replace(c, lost_at=self._look.at)

    def loop(self, c: Container) -> Container:
        """R8: the crash-loop episode that the container is in."""
        if c.loop is None and (c.reason != loops.BACK_OFF or self._look.over):
            return c
        policy = self._spec.restart_policy or self._look.restart_policy
        loop = loops.applied(
            c.loop,
            self._status,
            self._spec,
            place_of(c, self._look.at, self._look.pod),
            self._seen,
            finished=c.ending.finished if c.ending else None,
            restarts_after_success=c.type in SERVING and policy == "Always",
            counted=not self._look.baseline,
        )
        return c if loop is c.loop else replace(c, loop=loop)


def _shown(state: ContainerState) -> tuple[str, str]:
    if state.running is not None:
        return "running", ""
    if state.terminated is not None:
        return "terminated", bounded(state.terminated.reason)
    return "waiting", bounded(state.waiting.reason) if state.waiting else ""


def _stopped(c: Container, end: Ending, look: Look) -> bool:
    """R6: an end at or after the stop request with code 0 or by a signal that is no crash.

    A container that was still running in an update that showed the request has ended after it, whatever the node's
    clock says; else 1 s between the clocks is allowed.
    """
    finished = look.at if end.finished is None else end.finished
    after = finished >= look.stop - 1 or (look.stopping and c.alive)
    code = int(end.exit_code)
    by_signal = 128 < code <= 192 and code - 128 not in CRASH_SIGNALS  # noqa: PLR2004 - 128 + 1 ... 64
    return after and (code == 0 or by_signal)


def _terminated(c: Container, look: Look, reason: str, exit_code: str, ran: float | None = None) -> ContainerTerminated:
    return ContainerTerminated(look.at, look.pod, c.name, c.type, reason, exit_code, ran)
