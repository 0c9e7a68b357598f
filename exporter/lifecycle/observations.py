"""The product's inner language: one typed fact each, consumed alike by ledger, log and tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, Union

import msgspec

ContainerType: TypeAlias = Literal["container", "init", "sidecar", "ephemeral"]

UNOBSERVED = "Unobserved"
"""Reason of a restart or termination that left no trace in the API."""
CREATED, DELETED = "None", "Deleted"
"""What a pod's first phase comes from and what its last one goes to."""


class Value(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Base of everything remembered: read-only, free of cycles and so of the garbage collector."""


class Workload(Value, frozen=True):
    """What a pod belongs to: the account on which its history is kept."""

    namespace: str
    kind: str
    name: str


class PodRef(Value, frozen=True):
    """Which pod. `workload` is None only while its owner is being waited for."""

    namespace: str
    name: str
    uid: str
    workload: Workload | None


class Observation(Value, frozen=True, tag=True):
    """A fact about a pod. `at`: when we learned of it, Unix seconds."""

    at: float
    pod: PodRef


class PhaseChanged(Observation, frozen=True, tag=True):
    """R12. `seconds`: time spent in `before`, None at creation. `unobserved`: only a list revealed a deletion."""

    before: str
    after: str
    seconds: float | None = None
    clamped: bool = False
    """The length came out below -2 s and was set to 0."""
    unobserved: bool = False


class ContainerObservation(Observation, frozen=True):
    """A fact about one container of a pod."""

    container: str
    container_type: ContainerType | Literal[""]
    """"" with an Event that does not tell which container it is about."""


class ContainerAppeared(ContainerObservation, frozen=True, tag=True):
    """A container was seen for the first time, in a new pod or in the baseline."""

    liveness: bool
    startup: bool
    readiness: bool


class ContainerRestarted(ContainerObservation, frozen=True, tag=True):
    """R1-R6. `inferred`: the cause was read from the path that the status took (R5.3).

    `times`: how many restarts this is; several only where they left no trace, however many restartCount says.
    """

    reason: str
    inferred: bool = False
    node: str = ""
    times: int = 1


class ContainerTerminated(ContainerObservation, frozen=True, tag=True):
    """R3, R4, R6: one distinct end, or `times` of them that left no trace. `exit_code` is "" where nobody knows it."""

    reason: str
    exit_code: str
    ran: float | None = None
    """Seconds from start to end, None where one of them is unknown."""
    times: int = 1


class ContainerWaiting(ContainerObservation, frozen=True, tag=True):
    """R9: a container entered a waiting reason."""

    reason: str


class RestartCountReset(ContainerObservation, frozen=True, tag=True):
    """R1: restartCount fell."""


class CrashLoopBegan(ContainerObservation, frozen=True, tag=True):
    """R8: the first CrashLoopBackOff of an episode."""


class CrashLoopEnded(ContainerObservation, frozen=True, tag=True):
    """R8: the episode is over after `seconds`."""

    seconds: float


class ReadinessLost(ContainerObservation, frozen=True, tag=True):
    """R7: a running instance went from ready to not ready; cause container or node."""

    cause: str


class ImagePulled(ContainerObservation, frozen=True, tag=True):
    """An image was pulled, was present, or could not be had (R9). `count`: times; `seconds`: of the newest pull."""

    result: Literal["pulled", "present", "failed"]
    cause: str = ""
    count: int = 1
    registry: str = ""
    seconds: float | None = None


class ProbeFailed(ContainerObservation, frozen=True, tag=True):
    """Attempts of a probe that did not succeed; outcome failed, or errored: it could not be made.

    `counted`: how many that is; `explained`: how many of which the cause is known, None if none.
    """

    probe: str
    outcome: str
    cause: str
    counted: int
    explained: int | None


class EventOccurred(Observation, frozen=True, tag=True):
    """An Event about the pod occurred `count` times more."""

    event_type: str
    reason: str
    count: int


class ConditionChanged(Observation, frozen=True, tag=True):
    """R17: a condition changed its status."""

    condition: str
    status: str
    reason: str


class StartupFinished(Observation, frozen=True, tag=True):
    """R13: first Ready, `seconds` after creation; `stages`: name and seconds of those with an end of their own."""

    seconds: float
    stages: tuple[tuple[str, float], ...]
    clamped: int = 0
    """Stages that came out below -2 s and were set to 0."""


class StartupFailed(Observation, frozen=True, tag=True):
    """R13: the pod ended before its first Ready, in this stage."""

    stage: str


class ReadinessRegained(Observation, frozen=True, tag=True):
    """R14: Ready again after `seconds`; `cause`: why it was lost."""

    cause: str
    seconds: float


class PodTerminated(Observation, frozen=True, tag=True):
    """R15: from the deletion request to the object being gone."""

    seconds: float


class GracePeriodExceeded(Observation, frozen=True, tag=True):
    """R15: at least one container was killed after the grace period."""


class PodDisrupted(Observation, frozen=True, tag=True):
    """R16: something took the pod away; `resource`: what was short, if anything."""

    reason: str
    resource: str


class SchedulingFailed(Observation, frozen=True, tag=True):
    """R18: the scheduler wrote a new reason why it cannot place the pod."""

    cause: str


class RolledOut(Observation, frozen=True, tag=True):
    """A created pod is of a template that the workload's last ten were not."""


class RestartedInPlace(Observation, frozen=True, tag=True):
    """All containers of the pod restart in place (RestartAllContainers)."""


def kinds(base: type[Observation] = Observation) -> list[type[Observation]]:
    """The observations that can be made, not what they have in common."""
    more = base.__subclasses__()
    return [kind for one in more for kind in kinds(one)] if more else [base]


if TYPE_CHECKING:
    Told: TypeAlias = Observation
else:
    Told = Union[tuple(kinds())]  # noqa: UP007 - whoever reads one back must know each of them
