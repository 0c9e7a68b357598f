from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from exporter.kube.gathering import Gathering

LINE = b"x" * 10_999 + b"\n"


class Stream:
    """Reads that lie so many seconds apart, and what was waited after them."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waits: list[float] = []
        self.paused = False
        transport = SimpleNamespace(pause_reading=self._pause, resume_reading=self._resume)
        self._response: Any = SimpleNamespace(connection=SimpleNamespace(transport=transport))
        self._gathering = Gathering(0.03, lambda: self.now, self._sleep)

    async def read(self, chunk: bytes, after: float = 0.0) -> float:
        """Read a chunk; give the seconds that were waited for more."""
        self.now += after
        self.waits = []
        await self._gathering.after(chunk, self._response)
        assert not self.paused
        return sum(self.waits)

    async def _sleep(self, seconds: float) -> None:
        assert self.paused
        self.now += seconds
        self.waits.append(seconds)

    def _pause(self) -> None:
        self.paused = True

    def _resume(self) -> None:
        self.paused = False


async def test_what_comes_now_and_then_is_waited_for_the_longest() -> None:
    stream = Stream()
    assert await stream.read(LINE) == 0.03
    assert await stream.read(LINE, after=1.0) == 0.03


@pytest.mark.parametrize(("a_second", "wait"), [(50, 0.03), (150, 0.0199), (300, 0.0099)])
async def test_the_wait_is_such_that_half_a_window_comes(a_second: int, wait: float) -> None:
    stream = Stream()
    await stream.read(LINE)
    assert await stream.read(LINE, after=1 / a_second - 0.03) == pytest.approx(wait, rel=0.01)


async def test_a_fast_stream_is_not_held_up() -> None:
    stream, waits = Stream(), [0.03]
    for _ in range(20):  # 1,000 lines a second, of which a window's 5 can wait with the kernel
        waits.append(await stream.read(LINE * min(5, 1 + int(1000 * waits[-1])), after=0.001))
    assert waits[1] > 0.0
    assert waits[10:] == [0.0] * 11


async def test_who_could_read_a_whole_window_reads_on() -> None:
    assert await Stream().read(6 * LINE) == 0.0


async def test_the_rest_of_a_line_is_not_waited_for() -> None:
    stream = Stream()
    assert await stream.read(LINE[:500]) == 0.0
    assert await stream.read(LINE[500:]) == 0.03


async def test_a_connection_that_is_closed_is_not_waited_for() -> None:
    response: Any = SimpleNamespace(connection=None)
    gathering = Gathering(100.0)
    await gathering.after(LINE, response)
