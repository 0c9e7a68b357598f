"""The exporter's own process and machine: stopped, its clock stepped, its file descriptors used up by clients."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.cluster import hasty
from tests.cluster.api import wait_until
from tests.cluster.exporter_process import Exporter
from tests.cluster.followed import Followed
from tests.cluster.scene import NAMES, Scene

pytestmark = pytest.mark.cluster
FAKETIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
HOLD = 3
"""Seconds of birth-hold: long enough for a test to look into it."""
STEP = 45 * 60
"""Seconds; a certificate that was made an hour before its time is still good."""
DESCRIPTORS = 90
CLIENTS = 70


def test_a_process_that_was_stopped_has_missed_nothing(followed: Followed) -> None:
    with followed.fleet.living(NAMES):
        time.sleep(1)
        os.kill(followed.exporter.daemon.pid, signal.SIGSTOP)
        time.sleep(9)
        os.kill(followed.exporter.daemon.pid, signal.SIGCONT)
        time.sleep(1)
    assert followed.told("clock_steps_total", direction="forward") == 1
    followed.without_loss()


class FakeClock:
    """The clock of a process that is started with its environment."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.step(0)
        self.environment = {
            "LD_PRELOAD": str(FAKETIME[0]),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def step(self, seconds: int) -> None:
        """From now on the clock is so many seconds ahead of the true one."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{seconds:+d}")
        fresh.rename(self._file)


@pytest.mark.parametrize("step", [-STEP, STEP])
def test_a_step_of_the_clock_is_no_event(scene: Scene, folder: Path, step: int) -> None:
    """What was shown never falls back to 0, what is held is shown in time, and every count stays the truth."""
    fake, hold = FakeClock(folder / f"time{step:+d}"), f"--ledger.birth-hold={HOLD}s"
    name = f"stepped{step:+d}"
    with closing(scene.start_exporter(folder, hold, name=name, environment=fake.environment)) as exporter:
        followed = scene.follow(exporter)
        with followed.fleet.living(NAMES):
            time.sleep(2)
        followed.has_all()
        shown = exporter.scrape().total("pod_container_restarts_total")
        fake.step(step)
        with followed.fleet.living(NAMES, seed=2):
            for _ in range(6):
                time.sleep(0.25)
                assert exporter.scrape().total("pod_container_restarts_total") >= shown
        followed.fleet.restart("web-0", "Fresh", 7)
        followed.has_all(HOLD + 10)
        assert followed.told("clock_steps_total", direction="forward" if step > 0 else "back") == 1
        assert followed.told("clock_steps_total") == 1
        followed.without_loss()


def test_clients_that_use_up_all_file_descriptors_cost_no_count(scene: Scene, folder: Path) -> None:
    """They push each other out when only those are left that the watches need; a watch that breaks is begun anew."""
    command = ["prlimit", f"--nofile={DESCRIPTORS}:{DESCRIPTORS}", *hasty.COMMAND]
    with closing(scene.start_exporter(folder, name="few-descriptors", command=command)) as exporter:
        followed = scene.follow(exporter)
        with followed.fleet.living(NAMES), clients(exporter):
            time.sleep(1)
            scene.proxy.cut("FIN")
            before = scene.proxy.accepted
            wait_until(lambda: scene.proxy.accepted >= before + 4, "all watches have been begun anew", 30)
            wait_until(lambda: scene.proxy.open >= 4, "all watches stand", 30)
            time.sleep(2)
            wait_until(lambda: exporter.readiness() == 200, "a probe is answered while they are all there", 5)
        assert followed.told("http_rejected_total", reason="idle") > 0
        followed.without_loss()
    assert "Too many open files" not in exporter.log.read_text()


@contextmanager
def clients(exporter: Exporter) -> Iterator[None]:
    """More connections than there are descriptors, each with half a request."""
    held = []
    try:
        for _ in range(CLIENTS):
            one = socket.create_connection(("127.0.0.1", exporter.port), 10)
            held.append(one)
            one.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n")
        yield
    finally:
        for one in held:
            one.close()
