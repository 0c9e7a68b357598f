from __future__ import annotations

import pytest

from exporter.clock import Clock


class Times:
    """A wall clock and a steady one that a test moves, and a clock that watches them."""

    def __init__(self) -> None:
        self.wall, self.steady, self.steps = 1e9, 50.0, list[float]()
        self.clock = Clock(self.steps.append, lambda: self.wall, lambda: self.steady)

    def after(self, wall: float, steady: float) -> float:
        """Move both, and read the clock."""
        self.wall, self.steady = self.wall + wall, self.steady + steady
        return self.clock() - 1e9


def test_time_that_passes_is_no_step() -> None:
    times = Times()
    assert [times.after(0.25, 0.25), times.after(4.0, 4.0)] == [0.25, 4.25]
    assert times.steps == []


@pytest.mark.parametrize("step", [-3600.0, -1.5, 1.5, 3600.0])
def test_a_step_is_told_once_and_before_the_time_is_given(step: float) -> None:
    times = Times()
    assert times.after(0.25 + step, 0.25) == pytest.approx(0.25 + step)
    assert times.steps == [pytest.approx(step)]
    times.after(0.25, 0.25)
    assert len(times.steps) == 1


def test_a_clock_that_is_slewed_is_not_stepped_however_far_it_gets() -> None:
    times = Times()
    for _ in range(1000):
        times.after(0.2499, 0.25)
    assert times.steps == []


def test_a_process_that_stood_still_has_not_waited() -> None:
    """SIGSTOP: both clocks went on; nothing could come meanwhile, and nobody could ask."""
    times = Times()
    times.after(65.0, 65.0)
    assert times.steps == [60.0]


def test_a_machine_that_slept_has_not_waited() -> None:
    """Suspend: only the wall clock went on."""
    times = Times()
    times.after(600.0, 0.0)
    assert times.steps == [600.0]
