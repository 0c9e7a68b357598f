"""The daemon: wires the rooms together, keeps the time, minds the signals.

Start order: HTTP first (alive, not ready), then ReplicaSets and Jobs, so that pods find their owners, then pods, then
Events, which are about pods.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from hashlib import blake2b
from math import inf
from typing import TypeAlias

import structlog

from exporter import logs
from exporter.checkpoint.keeper import Keeper
from exporter.clock import Clock
from exporter.core import Core
from exporter.kube.access import Access
from exporter.kube.connection import Connection
from exporter.kube.kubelet import Kubelets, Total, Trust
from exporter.kube.reflector import Reflector, Sink
from exporter.kube.resources import EVENTS, JOBS, NODES, PODS, REPLICASETS, Resource
from exporter.lifecycle.problems import is_problem
from exporter.metrics.ledger import levels_of
from exporter.metrics.own import Vitals
from exporter.settings import Settings
from exporter.settings.model import Kubelet as KubeletSettings
from exporter.settings.model import State as StateSettings
from exporter.vitals import LoopVitals, WatchVitals
from exporter.web.scrape import Answer
from exporter.web.server import RESERVED, Server

PATIENCE = 10.0
"""Seconds that the start waits for a complete list of owners, and of Events: it can do without."""
TICK = 0.25
"""Seconds between two looks at deadlines and at the loop's punctuality."""
LAG_WINDOW = 10.0

Watched: TypeAlias = tuple[WatchVitals, list[Reflector]]

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
        self._settings = settings
        self.vitals = Vitals()
        self.core = _core(settings, self.vitals)
        self._clock = Clock(lambda by: self.core.stepped(by))  # noqa: PLW0108 - a core that takes over nothing is new
        self._keeper = self._keep(settings.state)
        self._known_at = 0.0
        """Until when the checkpoint that we go on from knew the cluster, Unix seconds."""
        kube = settings.kube
        kubeconfig = str(kube.kubeconfig) if kube.kubeconfig else ""
        self._connection = Connection(lambda: Access(kubeconfig, kube.context or ""))
        self._owners = [self._watch(resource, kube.namespaces) for resource in (REPLICASETS, JOBS)]
        self._pods = self._watch(PODS, kube.namespaces)
        self._events = [self._watch(EVENTS, kube.namespaces)] if settings.events.enabled else []
        self._kubelets = self._read_kubelets(settings.kubelet) if settings.kubelet.probes else None
        reserved = RESERVED + len(self.vitals.watches) * max(1, len(kube.namespaces)) + settings.kubelet.concurrency
        web, loop = self.vitals.web, self.vitals.loop
        self.server = Server(settings.web, self, web, loop, self.vitals.watches, reserved=reserved)
        self._tasks: set[asyncio.Task[None]] = set()
        self._unready = "the first complete list of pods has not come yet"

    def render(self, openmetrics: bool, names: frozenset[str]) -> Answer:  # noqa: FBT001
        """Give the answer to a scrape, in blocks."""
        return self.core.exposition(self._clock(), openmetrics=openmetrics, names=names)

    def scraped(self, mark: int) -> None:
        """Note that a scrape of everything was taken to its end."""
        self.core.scraped(mark)

    def ready(self) -> str:
        """Why not ready; "" from the first sync on, for good: the API server being away later does not change it."""
        return self._unready

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Exporter]:
        """Start all, and at the end stop all: scrapes are finished, watches cut, what is known is saved."""
        try:
            await self._connection.open()
            await self._restore()
            await self.server.start()
        except BaseException:
            await self._connection.close()
            raise
        log.info("serving", port=self.server.port)
        try:
            self._spawn(self._keep_time())
            self._spawn(self._sync())
            if self._keeper is not None:
                self._spawn(self._keeper.run(self._known_until))
            yield self
        finally:
            await self.server.stop()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            if self._keeper is not None:
                await self._keeper.write(self._known_until())
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

    def _watch(self, resource: Resource, namespaces: tuple[str, ...], sink: Sink | None = None) -> Watched:
        vitals = WatchVitals(resource.name)
        self.vitals.watches.append(vitals)
        take = sink or (lambda change: self.core.apply(change, self._clock()))
        return vitals, [Reflector(self._connection, resource, at, take, vitals) for at in namespaces or ("",)]

    def _read_kubelets(self, settings: KubeletSettings) -> tuple[Kubelets, Watched]:
        def take(node: str, totals: list[Total], first: bool) -> None:  # noqa: FBT001 - as the sink is called
            self.core.probes(node, totals, self._clock(), first=first)

        self.vitals.kubelet.enabled = True
        kubelets = Kubelets(
            self._connection,
            take,
            self.vitals.kubelet,
            trust=Trust(settings.ca_file, settings.insecure_skip_verify),
            interval=settings.interval,
            concurrency=settings.concurrency,
        )
        return kubelets, self._watch(NODES, (), kubelets.apply)

    def _keep(self, settings: StateSettings) -> Keeper | None:
        """What keeps the checkpoint, None if there is to be none."""
        if settings.checkpoint_file is None:
            return None
        return Keeper(
            settings.checkpoint_file,
            lambda: self.core.saved(self._clock()),
            self.vitals.checkpoint,
            interval=settings.checkpoint_interval,
        )

    async def _restore(self) -> None:
        """Go on from the checkpoint, if there is one that serves; whatever is wrong with it, the start goes on."""
        if self._keeper is None:
            return
        url = (await self._connection.access()).url
        longest, now = self._settings.state.checkpoint_max_age, time.time()
        found = self._keeper.load(blake2b(url.encode(), digest_size=8).hexdigest(), now - longest if longest else -inf)
        if found is None:
            return
        head, parts = found
        try:
            self.core.restore(parts, head.made, now, self._settings.kube.namespaces)
        except Exception as error:  # noqa: BLE001 - whatever it is
            self._keeper.reject(error)
            self.core = _core(self._settings, self.vitals)
            return
        self._known_at = head.made
        log.info("going on from the checkpoint", age=round(now - head.made, 1), **self.vitals.checkpoint.restored)

    def _known_until(self) -> float:
        """Until when the cluster is known: until the first complete lists no longer than the checkpoint knew it."""
        return self._known_at if self._unready and self._known_at else time.time()

    def _spawn(self, work: object) -> None:
        self._tasks.add(asyncio.ensure_future(work))  # type: ignore[call-overload]

    async def _sync(self) -> None:
        """Follow owners, then pods, then Events; be ready when every pod is known and has its workload."""
        await self._follow(self._owners)
        vitals, reflectors = self._pods
        for reflector in reflectors:
            self._spawn(reflector.run())
        await _until(lambda: vitals.synced)
        undecided = self.core.undecided  # later ones do not count: there may always be some
        await _until(lambda: not self.core.waits(undecided))
        await self._follow(self._events)
        if self._kubelets is not None:
            kubelets, nodes = self._kubelets
            await self._follow([nodes])
            self._spawn(kubelets.run())
        gc.freeze()  # what has come so far mostly stays: no collection looks at it again
        self._unready = ""
        log.info("ready", **self.vitals.objects())

    async def _follow(self, watches: list[Watched]) -> None:
        """Begin to watch what the start can do without, and wait a while for it."""
        for _, reflectors in watches:
            for reflector in reflectors:
                self._spawn(reflector.run())
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await _until(lambda: all(vitals.synced or not vitals.enabled for vitals, _ in watches))

    async def _keep_time(self) -> None:
        """Let deadlines come, and measure how late the loop is."""
        lags: deque[tuple[float, float]] = deque()
        self.vitals.loop.tasks = lambda: len(asyncio.all_tasks())
        while True:
            began = time.monotonic()
            await asyncio.sleep(TICK)
            note_turn(self.vitals.loop, lags, time.monotonic(), time.monotonic() - began - TICK)
            while self.core.elapse(self._clock()):  # noqa: ASYNC110 - not a wait: others get their turn between slices
                await asyncio.sleep(0)


def _core(settings: Settings, vitals: Vitals) -> Core:
    return Core(
        vitals,
        birth_hold=settings.ledger.birth_hold,
        retention=settings.ledger.retention,
        attribution_wait=settings.lifecycle.attribution_wait if settings.events.enabled else 0.0,
        normal_events=settings.events.normal,
        workload_label=settings.kube.workload_label,
        pods=settings.pods,
        drop=settings.metrics.drop,
        pod_labels=settings.metrics.pod_labels,
        histogram_levels=levels_of(settings.metrics.histogram_level),
        restarts=settings.state.checkpoint_file is not None,
        listener=logs.ObservationLog(settings.log.observations, is_problem),
    )


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
