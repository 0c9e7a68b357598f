"""An exporter that is restarted again and again over one checkpoint, and what the servers that scrape it have seen."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from tests.cluster.api import wait_until
from tests.cluster.daemon import free_port
from tests.cluster.exporter_process import Exporter
from tests.cluster.prometheus import Prometheus

WHOLE = "30m"
"""More than the whole test, as a range."""
PATIENCE = 120.0
"""Seconds for what takes one birth-hold and a few scrapes."""


class End(NamedTuple):
    """How a process of the exporter ended; Unix seconds."""

    saved: float
    """When its newest checkpoint was complete."""
    at: float
    """When it was told to end."""


class Server:
    """One Prometheus that scrapes the exporter every `interval` seconds."""

    def __init__(self, folder: Path, target: str, interval: int) -> None:
        folder.mkdir()
        self.interval = interval
        self.prometheus = Prometheus(folder, target, interval=f"{interval}s")

    def raw(self, selector: str) -> list[list[tuple[float, float]]]:
        """The samples as they were scraped, time and value, series by series."""
        result = self.prometheus.query(f"{selector}[{WHOLE}]")
        return [[(float(at), float(value)) for at, value in series["values"]] for series in result]

    def grown(self, selector: str) -> float:
        """The sum of positive deltas of the raw samples, resets corrected; every series must begin at 0."""
        total = 0.0
        for series in self.raw(selector):
            assert series[0][1] == 0, f"a series of {selector} begins at {series[0][1]}"
            total += sum(now - last if now >= last else now for (_, last), (_, now) in pairwise(series))
        return total

    def scrapes(self) -> list[float]:
        """When it has scraped and got an answer, Unix seconds."""
        return sorted(at for series in self.raw("up") for at, value in series if value == 1)

    def increase(self, selector: str) -> float:
        return self.prometheus.value(f"sum(increase({selector}[{WHOLE}]))") or 0.0


class Subject:
    """An exporter with its servers. Series are held at 0 for two scrapes of the slowest of them."""

    def __init__(self, folder: Path, kubeconfig: Path, name: str, intervals: tuple[int, ...], *, every: str) -> None:
        self.name = name
        self.file = folder / f"{name}.checkpoint"
        self.hold = 2 * max(intervals) + 2
        flags = (f"--state.checkpoint-file={self.file}", f"--state.checkpoint-interval={every}")
        self.exporter = Exporter(folder, kubeconfig, *flags, f"--ledger.birth-hold={self.hold}s", name=name)
        target = self._target
        self.servers = [Server(folder / f"{name}-{seconds}s", target, seconds) for seconds in intervals]
        self.ends: list[End] = []
        self.started = 0.0

    @property
    def _target(self) -> str:
        return self.exporter.address.removeprefix("http://")

    def start(self) -> None:
        self.started = time.time()
        self.exporter.start().wait_ready()
        for server in self.servers:
            if server.prometheus.daemon.process is None:
                server.prometheus.daemon.start()

    def wait_scraped(self) -> None:
        wait_until(lambda: all(server.scrapes() for server in self.servers), f"{self.name} is scraped")

    def close(self) -> None:
        for server in self.servers:
            server.prometheus.daemon.close()
        self.exporter.close()

    def wait_shown(self, since: float = 0.0) -> None:
        """Wait until every server has seen what was counted until `since`, and nothing is held back any more."""

        def shown() -> bool:
            due = max(since, self.started + self.hold)
            return all(server.scrapes()[-1] > due + server.interval for server in self.servers)

        wait_until(shown, f"the servers of {self.name} have seen all", PATIENCE)

    def end(self) -> None:
        """In order, as at an upgrade."""
        at = time.time()
        code, _ = self.exporter.stop()
        assert code == 0, self.exporter.daemon.tail()
        self.ends.append(End(self._saved(), at))

    def kill_unscraped(self) -> None:
        """SIGKILL after a checkpoint and before the next scrape."""
        self._kill_when(lambda saved, last, now: saved > last + 0.2 and now < self._next() - 0.5)

    def kill_unsaved(self, seconds: float) -> None:
        """SIGKILL after a scrape, `seconds` or more after the newest checkpoint."""
        self._kill_when(lambda saved, last, _: last > saved + seconds)

    def move(self) -> None:
        """Serve at another port, and so as another `instance`."""
        old, new = f":{self.exporter.port}", free_port()
        command = [re.sub(rf"{old}$", f":{new}", word) for word in self.exporter.daemon.command]
        self.exporter.daemon.command, self.exporter.port = command, new
        for server in self.servers:
            server.prometheus.turn_to(self._target)

    def _kill_when(self, right: Callable[[float, float, float], bool]) -> None:
        def now_is_right() -> bool:
            return right(self._saved(), max(self._last()), time.time())

        wait_until(now_is_right, f"it is the moment to kill {self.name}", PATIENCE, every=0.05)
        at = time.time()
        self.exporter.stop(signal.SIGKILL)
        self.ends.append(End(self._saved(), at))

    def _saved(self) -> float:
        with suppress(FileNotFoundError):
            return self.file.stat().st_mtime
        return 0.0

    def _last(self) -> Iterator[float]:
        for server in self.servers:
            yield server.prometheus.value("max(timestamp(up) and up == 1)") or 0.0

    def _next(self) -> float:
        """When the next scrape will be."""
        return min(last + server.interval for last, server in zip(self._last(), self.servers, strict=True))


class Bound(NamedTuple):
    """Spans of Unix time: what was counted in them may be missing, or counted twice."""

    missing: list[tuple[float, float]]
    twice: list[tuple[float, float]]


def bound_of(subject: Subject, server: Server) -> Bound:
    """What docs/exactness.md says of the restarts that there were, for one of the servers."""
    missing: list[tuple[float, float]] = []
    twice: list[tuple[float, float]] = []
    all_scrapes = sorted(at for one in subject.servers for at in one.scrapes())
    for saved, ended in subject.ends:
        shown = max(at for at in all_scrapes if at <= saved)
        own = max(at for at in server.scrapes() if at <= ended)
        (missing if own < shown else twice).append((min(own, shown), max(own, shown)))
    return Bound(missing, [span for span in twice if span[0] < span[1]])
