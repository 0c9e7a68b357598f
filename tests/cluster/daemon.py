"""Processes that a test starts and must end, with their output kept in a file."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

TICKS = os.sysconf("SC_CLK_TCK")
_PORTS = iter(range(20_000, 30_000))
"""Below the ports of Services and those that the kernel gives to connections."""


class Daemon:
    """One process; whoever starts it closes it."""

    def __init__(self, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        self.command, self.log, self.env = list(command), log, env
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self.env,
                start_new_session=True,  # Ctrl-C is for the tests, which then stop everything in order
            )
        return self

    def stop(self, how: signal.Signals = signal.SIGTERM, seconds: float = 10) -> int:
        """Signal it, wait, kill it if that was not enough; the exit code as `subprocess` tells it."""
        process, self.process = self.process, None
        if process is None:
            return 0
        process.send_signal(how)
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return -signal.SIGKILL

    def exit_code(self) -> int | None:
        """None while it runs."""
        return self.process.poll() if self.process else None

    def tail(self, lines: int = 30) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    @property
    def pid(self) -> int:
        assert self.process, f"not running: {self.command}"
        return self.process.pid

    def resident_bytes(self) -> int:
        pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def close(self) -> None:
        self.stop()


def free_port() -> int:
    """A port that nobody has and that no connection is given as its own: daemons are stopped and started on theirs."""
    for port in _PORTS:
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("", port))
            return port
    raise RuntimeError("no port is free")
