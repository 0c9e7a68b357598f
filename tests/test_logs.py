from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator

import msgspec
import pytest
import structlog

from exporter import logs


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Pod(msgspec.Struct):
    namespace: str
    name: str


class ContainerRestarted(msgspec.Struct, tag=True):
    at: float
    pod: Pod
    reason: str
    inferred: bool = False


RESTART = ContainerRestarted(1.5, Pod("shop", "web-1"), "OOMKilled")


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    levels = {name: logging.getLogger(name).level for name in (*logs.LIBRARIES, "observation")}
    yield
    root.setLevel(level)
    root.handlers[:] = handlers
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_time_level_logger_and_message_first() -> None:
    stream = io.StringIO()
    logs.configure(stream=stream)
    structlog.stdlib.get_logger("room").info("relisted", resource="pods", pods=3)
    [line] = lines(stream)
    assert list(line) == ["time", "level", "logger", "message", "resource", "pods"]
    assert (line["level"], line["logger"], line["message"], line["pods"]) == ("info", "room", "relisted", 3)
    assert str(line["time"]).endswith("Z")


def test_a_terminal_gets_text() -> None:
    stream = Terminal()
    logs.configure(stream=stream)
    structlog.stdlib.get_logger("room").info("relisted", pods=3)
    assert "relisted" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


def test_the_form_can_be_chosen_whatever_the_stream_is() -> None:
    terminal = Terminal()
    logs.configure(form="json", stream=terminal)
    structlog.stdlib.get_logger().info("x")
    assert lines(terminal)
    stream = io.StringIO()
    logs.configure(form="console", stream=stream)
    structlog.stdlib.get_logger().info("x")
    assert not stream.getvalue().startswith("{")


def test_lines_below_the_level_are_left_out() -> None:
    stream = io.StringIO()
    logs.configure("warning", stream=stream)
    log = structlog.stdlib.get_logger()
    log.info("no")
    log.warning("yes")
    assert [line["message"] for line in lines(stream)] == ["yes"]


@pytest.mark.parametrize("library", logs.LIBRARIES)
def test_libraries_log_in_the_same_form_from_warning_on(library: str) -> None:
    stream = io.StringIO()
    logs.configure("debug", stream=stream)
    logging.getLogger(f"{library}.part").debug("response body: s3cret")
    logging.getLogger(f"{library}.part").info("no")
    logging.getLogger(f"{library}.part").warning("slow %s", "answer")
    [line] = lines(stream)
    assert (line["logger"], line["level"], line["message"]) == (f"{library}.part", "warning", "slow answer")


def test_libraries_are_as_quiet_as_we_are() -> None:
    stream = io.StringIO()
    logs.configure("error", stream=stream)
    logging.getLogger("aiohttp.server").warning("no")
    assert lines(stream) == []


def test_warnings_of_python_are_log_lines() -> None:
    stream = io.StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logs.configure(stream=stream)
        warnings.warn("old", stacklevel=1)
    assert "old" in str(lines(stream)[0]["message"])


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_is_logged_without_the_values_of_variables(form: str) -> None:
    stream = io.StringIO()
    logs.configure(form=form, stream=stream)  # type: ignore[arg-type]
    token = "s3" + "cret"
    try:
        [][len(token)]
    except IndexError:
        structlog.stdlib.get_logger().exception("failed")
    assert "IndexError" in stream.getvalue()
    assert token not in stream.getvalue()


def test_what_json_cannot_hold_is_logged_as_text() -> None:
    stream = io.StringIO()
    logs.configure(stream=stream)
    structlog.stdlib.get_logger().info("x", odd=1 + 2j)
    assert lines(stream)[0]["odd"] == "(1+2j)"


def test_an_observation_is_a_line_with_a_key_for_each_field() -> None:
    stream = io.StringIO()
    logs.configure(stream=stream)
    logs.ObservationLog[ContainerRestarted]("all", lambda _: False)(RESTART)
    [line] = lines(stream)
    assert (line.pop("time"), line.pop("level")) != ("", "")
    assert line == {
        "logger": "observation",
        "message": "ContainerRestarted",
        "at": 1.5,
        "pod.namespace": "shop",
        "pod.name": "web-1",
        "reason": "OOMKilled",
        "inferred": False,
    }


@pytest.mark.parametrize(
    ("mode", "problem", "written"),
    [("none", True, 0), ("problems", True, 1), ("problems", False, 0), ("all", False, 1)],
)
def test_the_mode_says_which_observations_are_written(mode: str, problem: bool, written: int) -> None:
    stream = io.StringIO()
    logs.configure(stream=stream)
    logs.ObservationLog[ContainerRestarted](mode, lambda _: problem)(RESTART)  # type: ignore[arg-type]
    assert len(lines(stream)) == written


def test_observations_that_were_asked_for_are_written_at_any_level() -> None:
    stream = io.StringIO()
    logs.configure("error", stream=stream)
    logs.ObservationLog[ContainerRestarted]("all", lambda _: True)(RESTART)
    assert len(lines(stream)) == 1


def test_once_a_minute_holds_back_equal_lines_and_then_says_how_many() -> None:
    stream = io.StringIO()
    logs.configure(stream=stream)
    now = 0.0
    log = logs.OnceAMinute(structlog.stdlib.get_logger(), clock=lambda: now)
    for now in (0.0, 1.0, 59.9, 60.0, 61.0):
        log.warning("bad object", at=now)
    log.warning("another thing")
    assert [(line["message"], line.get("held_back")) for line in lines(stream)] == [
        ("bad object", None),
        ("bad object", 2),
        ("another thing", None),
    ]


def test_a_fault_is_described_by_its_type_and_place_but_not_by_its_text() -> None:
    try:
        int("s3cret")
    except ValueError as error:
        told = logs.described(error)
    assert told["error"] == "ValueError"
    assert "test_logs:" in str(told["where"])
    assert "s3cret" not in str(told)
