from __future__ import annotations

from datetime import UTC, datetime

import pytest

from exporter.lifecycle.times import newest, unix
from exporter.objects import Metadata, Pod
from tests.lifecycle.builders import T0, at, condition, ended, pod, running, runs, status


@pytest.mark.parametrize(
    "time", [None, datetime(1, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC)], ids=["absent", "zero", "1970"]
)
def test_such_a_time_is_none(time: datetime | None) -> None:
    assert unix(time) is None


def test_any_other_time_is_unix_seconds() -> None:
    assert unix(at(5)) == T0 + 5


def test_the_newest_time_of_a_pod_may_be_its_creation() -> None:
    assert newest(pod(created=3)) == T0 + 3


def test_the_newest_time_of_a_pod_may_be_a_transition() -> None:
    assert newest(pod(runs(0, "a"), conditions=(condition("Ready", 9),))) == T0 + 9


def test_the_newest_time_of_a_pod_may_be_a_start_or_a_finish_of_any_container() -> None:
    assert newest(pod(status(0, "a", running(7)))) == T0 + 7
    assert newest(pod(status(0, "a", ended(finished=8)))) == T0 + 8
    assert newest(pod(status(0, "a", None, ended(finished=9)))) == T0 + 9
    assert newest(pod(init_statuses=(status(0, "a", ended(finished=6), name="setup"),))) == T0 + 6
    assert newest(pod(ephemeral_statuses=(status(0, "a", running(11), name="debug"),))) == T0 + 11


def test_a_pod_without_times_has_no_newest() -> None:
    assert newest(Pod(Metadata())) == 0
