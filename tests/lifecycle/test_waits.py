"""The clock is stepped: our own waits move along, whatever they wait for."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from exporter.lifecycle.kills import Kill
from exporter.lifecycle.records import Record
from exporter.lifecycle.waits import stepped
from tests.lifecycle.builders import T0, Witness, pod, runs

STEPS = pytest.mark.parametrize("step", [-3600.0, 3600.0])


@pytest.fixture
def record() -> Record:
    """A pod whose container runs."""
    witness = Witness()
    witness.apply(pod(runs(0, "a")))
    return witness.record()


@STEPS
def test_the_wait_for_neighbours_that_lose_readiness_too_moves_along(record: Record, step: float) -> None:
    lost = replace(record, containers=tuple([replace(c, lost_at=T0 + 60) for c in record.containers]))
    assert [c.lost_at for c in stepped(lost, step).containers] == [T0 + 60 + step]


@STEPS
def test_the_memory_of_a_kill_moves_along_and_the_time_that_the_api_gave_it_does_not(
    record: Record, step: float
) -> None:
    heard = replace(record, kills=(Kill("main", "LivenessProbe", T0 + 59, T0 + 60),))
    assert stepped(heard, step).kills == (Kill("main", "LivenessProbe", T0 + 59, T0 + 60 + step),)


@STEPS
def test_the_time_for_which_a_pod_counts_as_troubled_moves_along(record: Record, step: float) -> None:
    troubled = replace(record, quiet_at=T0 + 660)
    assert stepped(troubled, step).quiet_at == T0 + 660 + step
