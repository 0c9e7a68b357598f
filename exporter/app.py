"""The daemon: wires the rooms together, keeps the time, minds the signals.

Start order: HTTP first (alive, not ready), then ReplicaSets and Jobs, so that pods find their owners, then pods.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress

import structlog

from exporter import logs
from exporter.core import Core
from exporter.kube.access import Access
from exporter.kube.connection import Connection
from exporter.kube.reflector import Reflector
from exporter.kube.resources import JOBS, PODS, REPLICASETS, Resource
from exporter.lifecycle.problems import is_problem
from exporter.metrics.ledger import levels_of
from exporter.metrics.own import Vitals
from exporter.settings import Settings
from exporter.vitals import LoopVitals, WatchVitals
from exporter.web.server import Server

OWNERS_WAIT = 10.0
"""Seconds that pods wait at the start for a complete list of their owners."""
TICK = 0.25
"""Seconds between two looks at deadlines and at the loop's punctuality."""
LAG_WINDOW = 10.0

log = structlog.get_logger(__name__)


def run(settings: Settings) -> int:
    """Run until a signal; give the exit code. Raises ExporterError for what stops the start."""
    logs.configure(settings.log.level, settings.log.format)
    return asyncio.run(_until_signal(settings))


async def _until_signal(settings: Settings) -> int:
    stop = asyncio.Event()
    with _signals(stop):
        async with Exporter(settings).running() as exporter:
            return await exporter.watched(stop)


class Exporter:
    """One exporter from start to end; `running` brackets its life."""

    def __init__(self, settings: Settings) -> None:
        self.vitals = Vitals()
        self.core = Core(
            self.vitals,
            birth_hold=settings.ledger.birth_hold,
            retention=settings.ledger.retention,
            workload_label=settings.kube.workload_label,
            pods=settings.pods,
            drop=settings.metrics.drop,
            pod_labels=settings.metrics.pod_labels,
            histogram_levels=levels_of(settings.metrics.histogram_level),
            listener=logs.ObservationLog(settings.log.observations, is_problem),
        )
        kube = settings.kube
        kubeconfig = str(kube.kubeconfig) if kube.kubeconfig else ""
        self._connection = Connection(lambda: Access(kubeconfig, kube.context or ""))
        self._owners = [self._watch(resource, kube.namespaces) for resource in (REPLICASETS, JOBS)]
        self._pods = self._watch(PODS, kube.namespaces)
        self.server = Server(settings.web, self, self.vitals.web, self.vitals.loop, self.vitals.watches)
        self._tasks: set[asyncio.Task[None]] = set()
        self._unready = "the first complete list of pods has not come yet"

    def render(self, openmetrics: bool, names: frozenset[str], now: float) -> Iterator[bytes]:  # noqa: FBT001
        """Give the answer to a scrape, in blocks."""
        return self.core.exposition(now, openmetrics=openmetrics, names=names)

    def ready(self) -> str:
        """Why not ready; "" from the first sync on, for good: the API server being away later does not change it."""
        return self._unready

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Exporter]:
        """Start all, and at the end stop all: scrapes are finished, watches cut."""
        try:
            await self._connection.open()
            await self.server.start()
        except BaseException:
            await self._connection.close()
            raise
        log.info("serving", port=self.server.port)
        try:
            self._spawn(self._keep_time())
            self._spawn(self._sync())
            yield self
        finally:
            await self.server.stop()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._connection.close()
            log.info("stopped")

    async def watched(self, stop: asyncio.Event) -> int:
        """Wait for `stop`; a task that ends before has failed, and the process with it: 1 instead of 0."""
        stopping = asyncio.ensure_future(stop.wait())
        while not stopping.done():
            done, _ = await asyncio.wait({stopping, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopping}:
                self._tasks.discard(task)
                if error := task.exception():
                    log.error("a task failed, which is a bug", exc_info=error)
                    stopping.cancel()
                    return 1
        return 0

    def _watch(self, resource: Resource, namespaces: tuple[str, ...]) -> tuple[WatchVitals, list[Reflector]]:
        vitals = WatchVitals(resource.name)
        self.vitals.watches.append(vitals)
        reflectors = [
            Reflector(
                self._connection, resource, namespace, lambda change: self.core.apply(change, time.time()), vitals
            )
            for namespace in namespaces or ("",)
        ]
        return vitals, reflectors

    def _spawn(self, work: object) -> None:
        self._tasks.add(asyncio.ensure_future(work))  # type: ignore[call-overload]

    async def _sync(self) -> None:
        """Follow owners, then pods; be ready when every pod is known and has its workload."""
        for _, reflectors in self._owners:
            for reflector in reflectors:
                self._spawn(reflector.run())
        owners = [vitals for vitals, _ in self._owners]
        with suppress(TimeoutError):
            async with asyncio.timeout(OWNERS_WAIT):
                await _until(lambda: all(vitals.synced or not vitals.enabled for vitals in owners))
        vitals, reflectors = self._pods
        for reflector in reflectors:
            self._spawn(reflector.run())
        await _until(lambda: vitals.synced and self.core.ready)
        gc.freeze()  # what has come so far mostly stays: no collection looks at it again
        self._unready = ""
        log.info("ready", **self.vitals.objects())

    async def _keep_time(self) -> None:
        """Let deadlines come, and measure how late the loop is."""
        lags: deque[tuple[float, float]] = deque()
        while True:
            began = time.monotonic()
            await asyncio.sleep(TICK)
            note_turn(self.vitals.loop, lags, time.monotonic(), time.monotonic() - began - TICK)
            while self.core.elapse(time.time()):  # noqa: ASYNC110 - not a wait: others get their turn between slices
                await asyncio.sleep(0)


def note_turn(loop: LoopVitals, lags: deque[tuple[float, float]], now: float, lag: float) -> None:
    """Remember that the loop turned at `now` (monotonic seconds), `lag` seconds late."""
    loop.turned_at = now
    lags.append((now, max(0.0, lag)))
    while lags[0][0] < now - LAG_WINDOW:
        lags.popleft()
    loop.lag_seconds = max(late for _, late in lags)


async def _until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110 - several rooms' plain numbers are waited for; none of them knows events
        await asyncio.sleep(0.02)


class _signals:  # noqa: N801 - reads as a statement
    """SIGTERM and SIGINT end the process in order, the second one at once."""

    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._received, number)

    def __exit__(self, *_: object) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().remove_signal_handler(number)

    def _received(self, number: int) -> None:
        if self._stop.is_set():
            os._exit(128 + number)
        log.info("stopping", signal=signal.Signals(number).name)
        self._stop.set()
