"""The real command, as a user starts it."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from tests.cluster.api import wait_until
from tests.cluster.daemon import Daemon, free_port
from tests.cluster.scrape import OPENMETRICS, Scrape

SCRIPT = Path(sys.executable).with_name("pod-exporter")
COMMAND = [str(SCRIPT)] if SCRIPT.exists() else [sys.executable, "-m", "exporter"]


class Answer(NamedTuple):
    status: int
    content_type: str
    body: str


class Exporter:
    """One exporter process with its log in a file."""

    running: list[Exporter] = []  # noqa: RUF012 # what a failing test shows the logs of

    def __init__(
        self,
        folder: Path,
        kubeconfig: Path,
        *flags: str,
        name: str = "exporter",
        command: Sequence[str] = COMMAND,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name, self.port = name, free_port()
        self.log = folder / f"{name}.log"
        command = [*command, "run", f"--kube.kubeconfig={kubeconfig}"]
        command += [f"--web.listen-address=127.0.0.1:{self.port}", "--log.format=json"]
        if not any(flag.startswith("--ledger.birth-hold") for flag in flags):
            command.append("--ledger.birth-hold=0s")
        # The exporter takes every variable of its prefix for a setting, those of these tests too.
        env = {key: value for key, value in os.environ.items() if not key.startswith("POD_EXPORTER_")}
        self.daemon = Daemon([*command, *flags], self.log, {**env, **(environment or {})})

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Self:
        self.daemon.start()
        Exporter.running.append(self)
        return self

    def wait_ready(self, seconds: float = 60) -> Self:
        wait_until(lambda: self.readiness() == 200, f"{self.name} is ready", seconds, every=0.05)
        return self

    def follows_since(self, time: float) -> bool:
        """Whether pods and Events have been heard of after that Unix time."""
        contacts = self.scrape().by("resource", "pod_exporter_watch_last_contact_timestamp_seconds")
        return min(contacts.get("pods", 0), contacts.get("events", 0)) > time

    def readiness(self) -> int:
        """The status of /readyz, 0 while nobody listens."""
        code = self.daemon.exit_code()
        assert code is None, f"{self.name} ended with exit code {code}:\n{self.daemon.tail()}"
        try:
            return self.get("/readyz").status
        except URLError:
            return 0

    def get(self, path: str, accept: str = "*/*") -> Answer:
        request = Request(self.address + path, headers={"Accept": accept})
        try:
            with urlopen(request, timeout=30) as response:
                return Answer(response.status, response.headers["Content-Type"], response.read().decode())
        except HTTPError as error:
            with error:
                return Answer(error.code, error.headers["Content-Type"] or "", error.read().decode())

    def scrape(self, accept: str = OPENMETRICS) -> Scrape:
        answer = self.get("/metrics", accept)
        assert answer.status == 200, answer
        return Scrape.parse(answer.body, answer.content_type)

    def close(self) -> None:
        self.stop()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """End it, as Kubernetes does if not said otherwise; its exit code and the seconds it took."""
        started = time.monotonic()
        code = self.daemon.stop(how, seconds=30)
        if self in Exporter.running:
            Exporter.running.remove(self)
        return code, time.monotonic() - started
