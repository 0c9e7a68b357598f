from __future__ import annotations

import pytest

from exporter.kube.answers import LONGEST_PAUSE, pause_asked, status_error, unix_time
from exporter.objects import Status, StatusDetails
from tests.kube.scripted import DATE, DATE_UNIX


def test_an_http_date_is_unix_seconds() -> None:
    assert unix_time(DATE) == DATE_UNIX


@pytest.mark.parametrize("date", [None, "", "yesterday", "Sat, 99 Dec 2026 10:00:00 GMT"])
def test_what_is_no_date_is_none(date: str | None) -> None:
    assert unix_time(date) is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        (" 7 ", 7.0),
        (None, 0.0),
        ("soon", 0.0),
        ("-5", 0.0),
        ("86400", LONGEST_PAUSE),
        ("Sat, 05 Dec 2026 10:00:09 GMT", 9.0),
        ("Sat, 05 Dec 2026 09:00:00 GMT", 0.0),
        ("Sun, 06 Dec 2026 09:00:00 GMT", LONGEST_PAUSE),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_bounded(header: str | None, seconds: float) -> None:
    assert pause_asked(header, DATE_UNIX) == seconds


def test_a_status_asks_for_a_pause_by_its_details() -> None:
    status = Status(code=429, message="slow down", details=StatusDetails(retry_after_seconds=3))
    error = status_error("watch /x", status)
    assert (error.status, error.retry_after) == (429, 3.0)
    assert str(error) == "watch /x: 429 slow down"


def test_the_longer_of_header_and_details_is_the_pause() -> None:
    status = Status(details=StatusDetails(retry_after_seconds=3))
    assert status_error("", status, 429, 5.0).retry_after == 5.0
    assert status_error("", status, 429, 1.0).retry_after == 3.0


def test_the_http_status_wins_over_the_code_in_the_body() -> None:
    assert status_error("", Status(code=500), 403).status == 403


def test_a_servers_text_is_cut_at_200_characters_of_one_line() -> None:
    assert len(str(status_error("", Status(code=500, message="x" * 5000)))) < 220
    assert "second" not in str(status_error("", Status(code=500, message="first\nsecond")))
