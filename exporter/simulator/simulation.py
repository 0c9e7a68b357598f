"""The simulation as its users see it: a cluster, its truth, and an API server on 127.0.0.1."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from exporter.simulator.clock import Clock
from exporter.simulator.cluster import Cluster
from exporter.simulator.faults import Faults
from exporter.simulator.load import Load
from exporter.simulator.samples import TIMINGS
from exporter.simulator.server import ApiServer
from exporter.simulator.store import Store
from exporter.simulator.timings import Timings
from exporter.simulator.truth import Truth

_TICK = 0.02
"""Seconds of real time between two looks at the clock while the cluster runs by itself."""


class Simulation:
    """A simulated cluster.

    `speed`: virtual seconds per real second once started; 0 leaves time to `advance`. At speeds other than 1 the
    times in objects part from real time, and the server's Date header goes with the objects.
    `start`: Unix time at which virtual time begins, None for now. Equal `seed` and `start` give equal histories.
    `scenario` fills the cluster at the start (`demo`); without one it is empty.
    `bookmark_interval`: real seconds. `history`: changes of each resource that a watch can go back.
    """

    def __init__(
        self,
        *,
        seed: int = 1,
        speed: float = 0.0,
        start: float | None = None,
        scenario: Callable[[Cluster], None] | None = None,
        timings: Timings = TIMINGS,
        bookmark_interval: float = 60.0,
        history: int = 5000,
    ) -> None:
        self._clock = Clock(time.time() if start is None else start)
        self.store = Store(history)
        self.cluster = Cluster(self.store, self._clock, seed, timings)
        self.server = ApiServer(self.store, lambda: self._clock.now, bookmark_interval)
        self._load = Load(self.cluster)
        self._speed = speed
        self._driver: asyncio.Task[None] | None = None
        if scenario is not None:
            scenario(self.cluster)

    @property
    def truth(self) -> Truth:
        """What really happened."""
        return self.cluster.truth

    @property
    def canaries(self) -> list[str]:
        """Values hidden in env, args, command, annotations, volumes, probes and messages: none may leak."""
        return self.cluster.canaries.all

    @property
    def faults(self) -> Faults:
        """Switches of the API server's misbehaviour."""
        return self.server.faults

    @property
    def url(self) -> str:
        """Where the API server listens, once started."""
        return self.server.url

    @property
    def now(self) -> float:
        """Virtual Unix time."""
        return self._clock.now

    async def start(self, port: int = 0) -> None:
        """Serve on 127.0.0.1 (port 0: a free one) and, unless the speed is 0, let the cluster run."""
        await self.server.start(port)
        if self._speed:
            self._driver = asyncio.create_task(self._drive())

    async def stop(self) -> None:
        """Stop the cluster, end all watches cleanly and close the port."""
        if self._driver is not None:
            self._driver.cancel()
            await asyncio.gather(self._driver, return_exceptions=True)
        await self.server.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def advance(self, seconds: float) -> None:
        """Let so many virtual seconds happen at once."""
        self._clock.run_until(self._clock.now + seconds)

    def forget(self) -> None:
        """Begin the book anew: it then tells what is new to one who looks for the first time now."""
        self.cluster.forget()

    def populate(self, pods: int, workloads: int = 1, namespace: str = "load") -> None:
        """Add quiet, ready pods (11 KB of JSON each) of so many Deployments."""
        self._load.populate(pods, workloads, namespace)

    def churn(self, per_second: float) -> None:
        """Let so many of these pods lose or regain readiness in each virtual second from now on; 0 stops it."""
        self._load.churn(per_second)

    async def _drive(self) -> None:
        began, first = time.monotonic(), self._clock.now
        while True:
            self._clock.run_until(first + (time.monotonic() - began) * self._speed)
            await asyncio.sleep(_TICK)
