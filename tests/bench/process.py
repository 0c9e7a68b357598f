"""A process that is measured: started alone, read from outside, ended by its id."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

MIB = 2**20
_GRACE = 10.0
"""Seconds between SIGTERM and SIGKILL."""


class Process:
    """One child of ours. Its stderr goes to a file, of which the end is told when it fails."""

    def __init__(self, *arguments: str, pipes: bool = False) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop
        pipe = subprocess.PIPE if pipes else subprocess.DEVNULL
        self.began = time.monotonic()
        self.child = subprocess.Popen(
            [sys.executable, *arguments], stdin=pipe, stdout=pipe, stderr=self._errors, start_new_session=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End it, if it has not ended by itself."""
        self.child.terminate()
        try:
            self.child.communicate(timeout=_GRACE)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.communicate()
        self._errors.close()

    @property
    def cpu(self) -> float:
        """Seconds of CPU, user and system, of all its threads, in nanosecond steps: see clock_getcpuclockid(3)."""
        return time.clock_gettime((~self.child.pid << 3) | 2)

    @property
    def waited(self) -> float:
        """Seconds for which its main thread could have run, but another process had the core."""
        return int(Path(f"/proc/{self.child.pid}/schedstat").read_text().split()[1]) / 1e9

    def memory(self, key: str = "VmRSS") -> float:
        """MiB that are resident now, or (`VmHWM`) were at most."""
        for line in Path(f"/proc/{self.child.pid}/status").read_text().splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1]) * 1024 / MIB
        raise RuntimeError(f"the system does not tell {key}")

    def collect(self, settle: float) -> None:
        """Have it collect garbage, if it knows how to (SIGUSR1), and give it so many seconds."""
        os.kill(self.child.pid, signal.SIGUSR1)
        time.sleep(settle)

    def check(self) -> None:
        """Raise if it has ended, with what it said."""
        if (code := self.child.poll()) is not None:
            self._errors.seek(0)
            said = self._errors.read()[-2000:].decode(errors="replace")
            raise RuntimeError(f"{self.child.args!r} ended with {code}:\n{said}")


def free_port() -> int:
    """Give a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
