"""Log lines: JSON for machines, text on a terminal, with those of the libraries among them.

Library loggers never speak below WARNING, whatever the level: the Kubernetes client's debug lines quote credentials
and whole answers of the API server.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from traceback import walk_tb
from typing import Any, Generic, Literal, TextIO, TypeVar

import msgspec
import structlog

LIBRARIES = ("aiohttp", "asyncio", "kubernetes", "urllib3")
_OBSERVATIONS = "observation"

_OURS_AND_THEIRS: list[structlog.typing.Processor] = [
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    structlog.processors.StackInfoRenderer(),
]


def configure(
    level: str = "info", form: Literal["auto", "json", "console"] = "auto", stream: TextIO | None = None
) -> None:
    """Send all log lines from `level` on to `stream` (stderr); form "auto" is text on a terminal, else JSON."""
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_OURS_AND_THEIRS, processors=_rendering(form, terminal=stream.isatty())
        )
    )
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    for library in LIBRARIES:
        logging.getLogger(library).setLevel(max(logging.WARNING, logging.getLogger().level))
    logging.getLogger(_OBSERVATIONS).setLevel(logging.INFO)  # whoever asks for them gets them at any level
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_OURS_AND_THEIRS,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _rendering(form: str, *, terminal: bool) -> list[structlog.typing.Processor]:
    forget = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if form == "console" or (form == "auto" and terminal):
        # Plain tracebacks: the pretty ones print local variables, which may hold what must not be shown.
        console = structlog.dev.ConsoleRenderer(
            colors=terminal,
            sort_keys=False,
            timestamp_key="time",
            exception_formatter=structlog.dev.plain_traceback,
        )
        return [forget, console]
    return [
        forget,
        structlog.processors.format_exc_info,
        structlog.processors.EventRenamer("message"),
        structlog.processors.JSONRenderer(serializer=_to_json),
    ]


def _to_json(line: Any, **_: Any) -> str:  # noqa: ANN401 - structlog's signature
    first = {key: line.pop(key) for key in ("time", "level", "logger", "message") if key in line}
    return msgspec.json.encode(first | line, enc_hook=repr).decode()


S = TypeVar("S", bound=msgspec.Struct)


class ObservationLog(Generic[S]):
    """Writes observations (structs with the Unix time `at`) as log lines, one key for each field."""

    def __init__(self, mode: Literal["none", "problems", "all"], is_problem: Callable[[S], bool]) -> None:
        self._mode = mode
        self._is_problem = is_problem
        self._log = structlog.stdlib.get_logger(_OBSERVATIONS)

    def __call__(self, observation: S) -> None:
        """Write `observation` if the mode wants it."""
        if self._mode == "all" or (self._mode == "problems" and self._is_problem(observation)):
            self._log.info(type(observation).__name__, **dict(_flat(observation)))


def _flat(struct: msgspec.Struct, prefix: str = "") -> Iterator[tuple[str, object]]:
    for name in struct.__struct_fields__:
        value = getattr(struct, name)
        if isinstance(value, msgspec.Struct):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def described(error: BaseException) -> dict[str, object]:
    """What may be said of a fault: its type, and where it was raised, outermost call first; its text may quote data."""
    where = [f"{frame.f_globals.get('__name__', 'row')}:{line}" for frame, line in walk_tb(error.__traceback__)]
    return {"error": type(error).__name__, "where": where}


class OnceAMinute:
    """Lets one line of a kind through in `every` seconds; the next one says how many were held back."""

    def __init__(
        self, log: structlog.stdlib.BoundLogger, every: float = 60.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._log = log
        self._every = every
        self._clock = clock
        self._seen: dict[str, tuple[float, int]] = {}

    def warning(self, event: str, **fields: object) -> None:
        """Write `event` as a warning with `fields`, unless one with the same text was just written."""
        now = self._clock()
        since, held_back = self._seen.get(event, (float("-inf"), 0))
        if now - since < self._every:
            self._seen[event] = since, held_back + 1
            return
        self._seen[event] = now, 0
        self._log.warning(event, **fields, **({"held_back": held_back} if held_back else {}))
