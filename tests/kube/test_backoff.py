from __future__ import annotations

import random

import pytest

from exporter.kube.backoff import Backoff


def longest(_low: float, high: float) -> float:
    return high


def test_the_longest_pause_doubles_from_0_8_to_30_seconds() -> None:
    policy, pauses = Backoff(uniform=longest), []
    for _ in range(8):
        pauses.append(policy.pause())
        policy = policy.failed()
    assert pauses == [0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]


def test_a_pause_is_drawn_from_the_whole_range() -> None:
    dice = random.Random(1)
    pauses = [Backoff(failures=10, uniform=dice.uniform).pause() for _ in range(1000)]
    assert min(pauses) < 1
    assert max(pauses) > 29


@pytest.mark.parametrize(("lived", "pause"), [(59.9, 3.2), (60.0, 0.8)])
def test_a_healthy_minute_ends_the_row_of_failures(lived: float, pause: float) -> None:
    assert Backoff(failures=2, uniform=longest).after(lived).pause() == pause


def test_a_failure_does_not_change_the_policy_that_it_came_from() -> None:
    policy = Backoff(uniform=longest)
    policy.failed()
    assert policy.pause() == 0.8


def test_a_million_failures_do_not_overflow() -> None:
    assert Backoff(failures=10**6, uniform=longest).pause() == 30.0
