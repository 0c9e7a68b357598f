"""Where an update's microseconds go: `python -m tests.bench.stages`.

The product's own rooms, one more a step, each step in a fresh process against the stand-in API server: what a step
costs is its difference to the one before. Unlike a profiler this weighs the kernel's and libraries' C code rightly, and
it tells apart an update that comes alone (caches cold, one wake-up each) from one of many.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from exporter import logs
from exporter.core import Core
from exporter.kube.access import Access
from exporter.kube.connection import Connection
from exporter.kube.decoding import Decoder
from exporter.kube.limits import Limits
from exporter.kube.lines import LineSplitter
from exporter.kube.reflector import Reflector
from exporter.kube.resources import PODS, REPLICASETS
from exporter.kube.watch import Watch
from exporter.lifecycle.tracker import Tracker
from exporter.objects import Applied, Change, Job, Listed, Pod, ReplicaSet
from exporter.vitals import WatchVitals
from tests.bench.process import Process
from tests.bench.subjects import StandIn

Count = Callable[[int], None]
Stage = Callable[[Connection, Count], object]
_QUERY = {"watch": "true", "sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}


async def socket(connection: Connection, count: Count) -> None:
    """The bytes come in and are thrown away."""
    address = urlsplit((await connection.access()).url)
    path = f"{PODS.path()}?{'&'.join(f'{key}={value}' for key, value in _QUERY.items())}"
    ended = asyncio.get_running_loop().create_future()

    class Reader(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            if isinstance(transport, asyncio.WriteTransport):
                transport.write(f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())

        def data_received(self, data: bytes) -> None:
            count(data.count(b"}\n\r\n"))

        def connection_lost(self, _: Exception | None) -> None:
            ended.set_result(None)

    await asyncio.get_running_loop().create_connection(Reader, address.hostname or "", address.port or 0)
    await ended


async def aiohttp(connection: Connection, count: Count) -> None:
    """aiohttp reads them, they are cut into lines."""
    splitter = LineSplitter()
    response = await connection.get(PODS.path(), _QUERY, {"Accept-Encoding": "identity"})
    while chunk := await response.content.readany():
        count(len(splitter.feed(chunk)))


async def watch(connection: Connection, count: Count) -> None:
    """Time-outs, contact and turns are kept, lines are decoded."""
    decoder = Decoder(PODS, WatchVitals("pods"))
    async for _ in Watch(connection, PODS, "", "", decoder, Limits(), lambda: None).events():
        count(1)


async def reflector(connection: Connection, count: Count) -> None:
    """Lines become changes."""
    await _reflect(connection, count, lambda _: None)


async def tracker(connection: Connection, count: Count) -> None:
    """Changes become records and observations."""
    known = Tracker(lambda *_: None)

    def take(change: Change) -> None:
        if isinstance(change, Applied) and isinstance(change.object, Pod):
            known.pod(change.object, time.time(), gap=change.listed)
        elif isinstance(change, Applied) and isinstance(change.object, ReplicaSet | Job):
            known.owner(change.object)
        elif isinstance(change, Listed) and change.of is Pod:
            known.missing(change)

    await _reflect(connection, count, take)


async def core(connection: Connection, count: Count) -> None:
    """Records become rows, observations are counted; vitals and the blast door."""
    whole = Core(birth_hold=0.0)
    await _reflect(connection, count, lambda change: whole.apply(change, time.time()))


STAGES: tuple[Stage, ...] = (socket, aiohttp, watch, reflector, tracker, core)


async def _reflect(connection: Connection, count: Count, sink: Callable[[Change], None]) -> None:
    owners = WatchVitals("replicasets")
    following = asyncio.create_task(Reflector(connection, REPLICASETS, "", sink, owners).run())

    def counted(change: Change) -> None:
        sink(change)
        count(1)

    while not owners.synced:  # noqa: ASYNC110 - a plain number is waited for
        await asyncio.sleep(0.01)
    await Reflector(connection, PODS, "", counted, WatchVitals("pods")).run()
    await following


async def _child(stage: Stage, kubeconfig: str, goals: list[int]) -> None:
    """Run a stage; say so when as many lines have been handled as each goal says."""
    reached = asyncio.Event()
    seen = 0

    def count(lines: int) -> None:
        nonlocal seen
        seen += lines
        while goals and seen >= goals[0]:
            goals.pop(0)
            gc.collect()
            gc.freeze()  # as the product does once it is ready
            sys.stdout.write("reached\n")
            sys.stdout.flush()
            if not goals:
                reached.set()

    work = asyncio.ensure_future(stage(Connection(lambda: Access(kubeconfig)), count))  # type: ignore[call-overload]
    await reached.wait()
    await asyncio.sleep(1.0)  # to be read once more
    work.cancel()
    with suppress(asyncio.CancelledError):
        await work


def _measured(stage: str, pods: int, paced: int, pace: float, full: int) -> tuple[float, float]:
    """CPU in seconds of one update at `pace` and of one at full speed."""
    with tempfile.TemporaryDirectory() as folder, StandIn(pods, Path(folder)) as source:
        first = pods + 1
        if stage in ("aiohttp", "watch", "reflector", "tracker", "core"):
            first += 1  # the bookmark, or the complete list
        goals = [1 if stage == "socket" else first]
        goals += [goals[0] + paced, goals[0] + paced + full]
        arguments = ("--stage", stage, "--kubeconfig", str(source.kubeconfig()), "--goals", *map(str, goals))
        with Process("-m", "tests.bench.stages", *arguments, pipes=True) as child:
            _await(child)
            time.sleep(1.0)
            at = child.cpu
            source.update(paced, pace, paced)
            middle = _await(child)
            source.update(full, 0.0, full)
            return (middle - at) / paced, (_await(child) - middle) / full


def _await(child: Process) -> float:
    """Wait until it has reached its next goal; give its CPU seconds."""
    output = child.child.stdout
    if output is None or not output.readline():
        time.sleep(0.2)
        child.check()
        raise RuntimeError("a stage ended early")
    return child.cpu


def main() -> None:
    """Measure all stages, or be one."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.stages", description=__doc__)
    parser.add_argument("--pods", type=int, default=10_000)
    parser.add_argument("--paced", type=int, default=900, help="updates at --pace a second")
    parser.add_argument("--pace", type=float, default=150.0)
    parser.add_argument("--full", type=int, default=10_000, help="updates as fast as they are taken")
    parser.add_argument("--rounds", type=int, default=2, help="the least disturbed one counts")
    parser.add_argument("--stage", help=argparse.SUPPRESS)
    parser.add_argument("--kubeconfig", help=argparse.SUPPRESS)
    parser.add_argument("--goals", type=int, nargs="*", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.stage:
        stage = next(stage for stage in STAGES if getattr(stage, "__name__", "") == arguments.stage)
        logs.configure("warning", "json")  # to stderr, and stdout stays ours
        asyncio.run(_child(stage, arguments.kubeconfig, arguments.goals))
        return
    _table(arguments)


def _table(arguments: argparse.Namespace) -> None:
    """Rounds go through all stages, so that a busy minute of the machine does not fall on one stage alone."""
    plan = (arguments.pods, arguments.paced, arguments.pace, arguments.full)
    names = [getattr(stage, "__name__", "") for stage in STAGES]
    rounds = [[_measured(name, *plan) for name in names] for _ in range(arguments.rounds)]
    sys.stdout.write(f"| CPU µs an update | at {arguments.pace:.0f}/s | this step | at full speed | this step |\n")
    sys.stdout.write("| --- | ---: | ---: | ---: | ---: |\n")
    before = (0.0, 0.0)
    for place, stage in enumerate(STAGES):
        paced, full = (1e6 * min(found[place][at] for found in rounds) for at in (0, 1))
        cells = (f"{each:.0f}" for each in (paced, paced - before[0], full, full - before[1]))
        sys.stdout.write(f"| {names[place]}: {(stage.__doc__ or '').strip()} | {' | '.join(cells)} |\n")
        before = (paced, full)


if __name__ == "__main__":
    main()
