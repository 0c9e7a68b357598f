"""The demo: the real exporter against a simulated cluster, and what it counted beside what really happened."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from exporter import logs
from exporter.app import Exporter
from exporter.errors import SettingsError
from exporter.settings import Settings, load
from exporter.settings.forms import seconds
from exporter.simulator import Simulation, demo

BIRTH_HOLD = 10.0
FIRST_TABLE, NEXT_TABLE = 20.0, 30.0
"""Seconds until the first table, and between two."""
_FAMILY = "pod_container_restarts_total"

Restarts: TypeAlias = dict[tuple[str, ...], int]
"""Restarts by namespace, workload kind, workload, container, container type and cause."""

_GREETING = """\
pod-exporter with a simulated cluster; nothing leaves this machine. Ctrl-C ends it.

  page     http://{address}/
  metrics  http://{address}/metrics
  one      curl -gs 'http://{address}/metrics?name[]={family}'

For a Prometheus that scrapes {address}:
  sum by (namespace, workload, container, reason) (increase({family}[5m])) > 0
  sum by (namespace, workload, phase) (pod_workload_pods)

A new series stays at 0 for its first {hold:.0f} s (--ledger.birth-hold), so that increase() sees it grow.
What happened comes below, first after 20 s, then every 30 s.
"""


def run(words: Sequence[str]) -> int:
    """Run until interrupted, or for the time that --for says; `words` are flags."""
    lasting, flags = _lasting(words)
    settings = load(flags)
    quiet = "level" not in settings.log.model_fields_set
    logs.configure("warning" if quiet else settings.log.level, settings.log.format)
    os.environ["no_proxy"] = "127.0.0.1"  # the simulated API server is nothing for a proxy
    with tempfile.TemporaryDirectory(prefix="pod-exporter-demo-") as folder:
        asyncio.run(_show(settings, Path(folder) / "kubeconfig", lasting))
    return 0


def _lasting(words: Sequence[str]) -> tuple[float | None, list[str]]:
    """Take `--for` out of the flags: its seconds, None without it."""
    flags = list(words)
    for position, word in enumerate(words):
        flag, equals, value = word.partition("=")
        if flag == "--for":
            width = 1 if equals else 2
            value = value if equals else "".join(words[position + 1 : position + 2])
            del flags[position : position + width]
            try:
                return seconds(value), flags
            except ValueError as error:
                raise SettingsError(f"--for: {error}") from None
    return None, flags


async def _show(settings: Settings, kubeconfig: Path, lasting: float | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if lasting is not None:
        loop.call_later(lasting, stop.set)
    async with Simulation(speed=1.0, scenario=demo) as simulation:
        await asyncio.to_thread(kubeconfig.write_text, _kubeconfig(simulation.url))
        settings = _adapted(settings, kubeconfig)
        async with Exporter(settings).running() as exporter:
            host = settings.web.listen_address.rpartition(":")[0] or "127.0.0.1"
            address = f"{host}:{exporter.server.port}"
            sys.stdout.write(_GREETING.format(address=address, family=_FAMILY, hold=settings.ledger.birth_hold))
            sys.stdout.flush()
            await _report(f"http://{address}", simulation, stop)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.remove_signal_handler(number)


def _adapted(settings: Settings, kubeconfig: Path) -> Settings:
    """Point the exporter at the simulation, shorten the birth-hold and keep a checkpoint, unless these were given."""
    kube = settings.kube.model_copy(update={"kubeconfig": kubeconfig, "context": None})
    ledger = settings.ledger
    if "birth_hold" not in ledger.model_fields_set:
        ledger = ledger.model_copy(update={"birth_hold": BIRTH_HOLD})
    state = settings.state
    if state.checkpoint_file is None:
        state = state.model_copy(update={"checkpoint_file": kubeconfig.with_name("checkpoint")})
    return settings.model_copy(update={"kube": kube, "ledger": ledger, "state": state})


def _kubeconfig(url: str) -> str:
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "demo",
            "clusters": [{"name": "demo", "cluster": {"server": url}}],
            "users": [{"name": "demo", "user": {}}],
            "contexts": [{"name": "demo", "context": {"cluster": "demo", "user": "demo"}}],
        }
    )


async def _report(url: str, simulation: Simulation, stop: asyncio.Event) -> None:
    pause = FIRST_TABLE
    while not stop.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause)
        pause = NEXT_TABLE
        truth = {key: count for key, count in simulation.truth.restarts.items() if count}
        sys.stdout.write(table(await _counted(url), truth))
        sys.stdout.flush()


async def _counted(url: str) -> Restarts:
    """Scrape what the exporter says, as Prometheus would."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics?name[]={_FAMILY}") as response:
        return dict(_restarts(await response.text()))


def _restarts(exposition: str) -> Iterator[tuple[tuple[str, ...], int]]:
    names = ("namespace", "workload_kind", "workload", "container", "container_type", "reason")
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            if sample.value and sample.name == _FAMILY:
                yield tuple(sample.labels[name] for name in names), int(sample.value)


def table(counted: Mapping[tuple[str, ...], int], truth: Mapping[tuple[str, ...], int]) -> str:
    """Lay out restarts as counted beside the truth, most first."""
    keys = sorted(counted.keys() | truth.keys(), key=lambda key: (-truth.get(key, 0), key))
    head = ("namespace", "workload", "container", "cause of restart", "counted", "true")
    rows = [
        (key[0], f"{key[1]}/{key[2]}", key[3], key[5], str(counted.get(key, 0)), str(truth.get(key, 0))) for key in keys
    ]
    total = ("", "", "", "all", str(sum(counted.values())), str(sum(truth.values())))
    return "\n" + "".join(_lines([head, *rows, total])) + "\n"


def _lines(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        texts = [cell.ljust(width) for cell, width in zip(row[:4], widths, strict=False)]
        numbers = [cell.rjust(width) for cell, width in zip(row[4:], widths[4:], strict=True)]
        yield "  ".join([*texts, *numbers]).rstrip() + "\n"
