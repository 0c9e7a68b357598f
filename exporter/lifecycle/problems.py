"""Which observations tell of trouble: `--log.observations=problems` writes only these."""

from __future__ import annotations

from exporter.lifecycle.observations import (
    ContainerRestarted,
    ContainerTerminated,
    ContainerWaiting,
    Observation,
    PhaseChanged,
    ProbeFailed,
    RestartCountReset,
)

QUIET_ENDS = frozenset(("Completed", "PodStopped"))
BAD_PHASES = frozenset(("Failed", "Unknown"))


def is_problem(observation: Observation) -> bool:
    """Whether someone who looks for the cause of trouble wants to see this."""
    if isinstance(observation, PhaseChanged):
        return observation.after in BAD_PHASES or observation.unobserved
    if isinstance(observation, ContainerTerminated):
        return observation.reason not in QUIET_ENDS
    return isinstance(observation, ContainerRestarted | ContainerWaiting | ProbeFailed | RestartCountReset)
