from __future__ import annotations

import pytest

from exporter.lifecycle.observations import (
    ContainerAppeared,
    ContainerRestarted,
    ContainerTerminated,
    ContainerWaiting,
    Observation,
    PhaseChanged,
    RestartCountReset,
)
from exporter.lifecycle.problems import is_problem
from tests.lifecycle.builders import REF, T0


@pytest.mark.parametrize(
    "observation",
    [
        PhaseChanged(T0, REF, "Running", "Failed"),
        PhaseChanged(T0, REF, "Running", "Unknown"),
        PhaseChanged(T0, REF, "Running", "Deleted", unobserved=True),
        ContainerTerminated(T0, REF, "main", "container", "OOMKilled", "137"),
        ContainerTerminated(T0, REF, "main", "container", "Unobserved", ""),
        ContainerRestarted(T0, REF, "main", "container", "Completed"),
        ContainerWaiting(T0, REF, "main", "container", "ImagePullBackOff"),
        RestartCountReset(T0, REF, "main", "container"),
    ],
)
def test_trouble_is_a_problem(observation: Observation) -> None:
    assert is_problem(observation)


@pytest.mark.parametrize(
    "observation",
    [
        PhaseChanged(T0, REF, "None", "Pending"),
        PhaseChanged(T0, REF, "Running", "Succeeded"),
        PhaseChanged(T0, REF, "Running", "Deleted"),
        ContainerTerminated(T0, REF, "main", "container", "Completed", "0"),
        ContainerTerminated(T0, REF, "main", "container", "PodStopped", "137"),
        ContainerAppeared(T0, REF, "main", "container", liveness=True, startup=False, readiness=False),
    ],
)
def test_the_ordinary_course_of_things_is_none(observation: Observation) -> None:
    assert not is_problem(observation)
