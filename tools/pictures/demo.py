"""The demo, and a Prometheus that scrapes it, for as long as a picture wants."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tools.pictures.source import PictureError, Prometheus

_CONFIG = """\
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: pod-exporter
    honor_labels: true
    static_configs: [{{targets: ["{target}"], labels: {{namespace: monitoring, pod: pod-exporter-0}}}}]
"""
_MISSING = (
    "pictures need Prometheus, which is not installed here (Debian: apt-get install prometheus); "
    "or name one that scrapes the demo already: ARGS=--prometheus=localhost:9090"
)
_PATIENCE = 60.0
"""Seconds in which the first scrape must have come."""


@contextmanager
def scraped(folder: Path) -> Iterator[Prometheus]:
    """A Prometheus that has scraped the demo once; both end with the block. PictureError if they do not start."""
    program = shutil.which("prometheus")
    if program is None:
        raise PictureError(_MISSING)
    target, address = _free_address(), _free_address()
    config = folder / "prometheus.yml"
    config.write_text(_CONFIG.format(target=target))
    demo = [sys.executable, "-m", "exporter", "demo", f"--web.listen-address={target}", "--ledger.birth-hold=3s"]
    flags = [f"--config.file={config}", f"--storage.tsdb.path={folder}/tsdb", f"--web.listen-address={address}"]
    with (
        _running(demo, folder / "demo.log") as demo_runs,
        _running([program, *flags], folder / "prometheus.log") as prometheus_runs,
    ):
        prometheus = Prometheus(address)
        _wait(prometheus, demo_runs, prometheus_runs)
        yield prometheus


def _wait(prometheus: Prometheus, *checks: Callable[[], None]) -> None:
    late = time.monotonic() + _PATIENCE
    while not _up(prometheus):
        for check in checks:
            check()
        if time.monotonic() > late:
            raise PictureError(f"the demo was not scraped within {_PATIENCE:.0f} s")
        time.sleep(0.5)


def _up(prometheus: Prometheus) -> bool:
    try:
        return any(1.0 in one.points.values() for one in prometheus.instant("up", time.time()))
    except PictureError:
        return False


@contextmanager
def _running(command: Sequence[str], log: Path) -> Iterator[Callable[[], None]]:
    """Gives a check that it still runs, which is made at the end as well: what it says is in the PictureError."""
    with (
        log.open("wb") as output,
        subprocess.Popen(command, stdout=output, stderr=output) as process,  # noqa: S603 - both are our own
    ):

        def check() -> None:
            if process.poll() is not None:
                said = log.read_text(errors="replace")[-500:]
                raise PictureError(f"{' '.join(command[:4])} ended by itself with {process.returncode}: {said}")

        try:
            yield check
            check()
        finally:
            process.terminate()


def _free_address() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{listener.getsockname()[1]}"
