from __future__ import annotations

from math import inf

from exporter.lifecycle.deadlines import Deadlines


def test_without_deadlines_nothing_is_ever_due() -> None:
    deadlines = Deadlines()
    assert deadlines.next() == inf
    assert list(deadlines.due(1e12)) == []


def test_a_deadline_is_due_when_its_time_has_come_and_once() -> None:
    deadlines = Deadlines()
    deadlines.set("a", 10)
    assert list(deadlines.due(9.9)) == []
    assert list(deadlines.due(10)) == ["a"]
    assert list(deadlines.due(11)) == []


def test_deadlines_come_in_the_order_of_their_times() -> None:
    deadlines = Deadlines()
    for key, at in (("b", 2.0), ("c", 3.0), ("a", 1.0)):
        deadlines.set(key, at)
    assert list(deadlines.due(2.5)) == ["a", "b"]


def test_a_later_deadline_overtakes_an_earlier_one() -> None:
    deadlines = Deadlines()
    deadlines.set("a", 10)
    deadlines.set("a", 20)
    assert list(deadlines.due(15)) == []
    assert list(deadlines.due(20)) == ["a"]


def test_an_earlier_deadline_overtakes_a_later_one() -> None:
    deadlines = Deadlines()
    deadlines.set("a", 20)
    deadlines.set("a", 10)
    assert deadlines.next() == 10
    assert list(deadlines.due(30)) == ["a"]


def test_infinity_takes_a_deadline_away() -> None:
    deadlines = Deadlines()
    deadlines.set("a", 10)
    deadlines.set("a", inf)
    assert list(deadlines.due(30)) == []


def test_a_deadline_may_return_to_a_time_that_it_had() -> None:
    deadlines = Deadlines()
    for at in (10, 20, 10):
        deadlines.set("a", at)
    assert list(deadlines.due(10)) == ["a"]
    assert list(deadlines.due(30)) == []


def test_a_deadline_may_be_set_again_after_it_was_due() -> None:
    deadlines = Deadlines()
    deadlines.set("a", 10)
    assert list(deadlines.due(10)) == ["a"]
    deadlines.set("a", 10)
    assert list(deadlines.due(10)) == ["a"]


def test_a_deadline_that_is_put_off_again_and_again_costs_one_hint() -> None:
    deadlines = Deadlines()
    for at in range(10, 110):
        deadlines.set("a", at)
    assert len(deadlines._heap) == 1
    assert list(deadlines.due(108.9)) == []
    assert list(deadlines.due(109)) == ["a"]


def test_setting_the_same_deadline_again_and_again_costs_nothing() -> None:
    deadlines = Deadlines()
    for _ in range(100):
        deadlines.set("a", 10)
    assert len(deadlines._heap) == 1
