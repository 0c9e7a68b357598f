"""The two that are compared, and the stand-in API server: how each is started and asked."""

from __future__ import annotations

import http.client
import json
import re
import time
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self, TypeAlias

from tests.bench.fleet import MARKER
from tests.bench.process import Process, free_port

Kind: TypeAlias = Literal["product", "baseline"]
_ANSWER = 120.0
"""Seconds for an answer; the baseline's scrapes are slow."""
_RUN = "import sys; from exporter import app, settings; sys.exit(app.run(settings.load(sys.argv[1:])))"
_MARKED = re.compile(rb'^pod_container_waiting_total\{[^}]*workload="%s"[^}]*\} (\S+)$' % MARKER.encode(), re.MULTILINE)


class Answer(NamedTuple):
    """An HTTP answer as it came: bytes on the wire, not decompressed."""

    status: int
    body: bytes
    seconds: float


class Client:
    """One kept connection to 127.0.0.1."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER)

    def get(self, path: str, **headers: str) -> Answer:
        """Ask; a connection that the server has closed meanwhile is made anew."""
        began = time.monotonic()
        try:
            self._connection.request("GET", path, headers={"Accept": "text/plain", **headers})
            response = self._connection.getresponse()
            body = response.read()
        except (http.client.HTTPException, OSError):
            self._connection.close()
            raise
        return Answer(response.status, body, time.monotonic() - began)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@dataclass
class Subject:
    """A running exporter of either kind."""

    kind: Kind
    kubeconfig: Path
    flags: tuple[str, ...] = ("--ledger.birth-hold=0",)
    """Settings of the product."""
    port: int = field(default_factory=free_port)
    process: Process = field(init=False)

    def __enter__(self) -> Self:
        self.process = Process(*(self._product() if self.kind == "product" else self._baseline()))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.stop()

    def _product(self) -> list[str]:
        command = ["-m", "exporter", "run"] if find_spec("exporter.cli") else ["-c", _RUN]
        flags = [f"--kube.kubeconfig={self.kubeconfig}", f"--web.listen-address=127.0.0.1:{self.port}"]
        return [*command, *flags, *self.flags, "--log.level=warning"]

    def _baseline(self) -> list[str]:
        return ["-m", "tests.bench.baseline", str(self.kubeconfig), str(self.port)]

    def wait(self, seconds: float) -> None:
        """Wait until it says that it knows all pods: by /readyz, the baseline by listening at all."""
        client = Client(self.port)
        deadline = self.process.began + seconds
        while time.monotonic() < deadline:
            self.process.check()
            try:
                if client.get("/readyz?name[]=none").status == 200:
                    return
            except OSError:
                pass
            finally:
                client.close()
            time.sleep(0.05)
        raise RuntimeError(f"the {self.kind} was not ready within {seconds:.0f} s")

    def scrape(self, *, gzip: bool = False) -> Answer:
        """Scrape all of it."""
        return self._get("/metrics", "gzip" if gzip else "identity")

    def own(self, family: str) -> bytes:
        """Scrape one family that the product keeps about itself; nothing of the baseline."""
        return self._get(f"/metrics?name[]={family}", "identity").body if self.kind == "product" else b""

    def _get(self, path: str, encoding: str) -> Answer:
        client = Client(self.port)
        try:
            answer = client.get(path, **{"Accept-Encoding": encoding})
        finally:
            client.close()
        if answer.status != 200:
            raise RuntimeError(f"the {self.kind} answered a scrape with {answer.status}")
        return answer


def marked(body: bytes) -> int:
    """Find in a scrape the number of the marker's newest update; 0 before the first."""
    found = _MARKED.search(body)
    return int(float(found[1])) if found else 0


class Poller:
    """Asks for one family only, again and again, to see how far the marker has come."""

    def __init__(self, subject: Subject) -> None:
        self._client = Client(subject.port)

    def mark(self) -> int:
        """The number of the newest update of the marker that a scrape shows now."""
        return marked(self._client.get("/metrics?name[]=pod_container_waiting_total").body)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


class Updates(NamedTuple):
    """What the stand-in has sent: each mark's number and moment, and how long sending took."""

    marks: list[tuple[int, float]]
    seconds: float


class StandIn:
    """The stand-in API server as a process."""

    def __init__(self, pods: int, folder: Path) -> None:
        self.pods = pods + 1  # and the marker
        self._process = Process("-m", "tests.bench.apiserver", f"--pods={pods}", pipes=True)
        self._folder = folder
        self._port = 0

    def __enter__(self) -> Self:
        output = self._process.child.stdout
        port = output.readline() if output else b""
        if not port:
            time.sleep(0.2)
            self._process.check()
        self._port = int(port)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.stop()

    def kubeconfig(self) -> Path:
        """Write a kubeconfig that leads here."""
        named: dict[str, Any] = {"name": "bench"}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "bench",
            "clusters": [named | {"cluster": {"server": f"http://127.0.0.1:{self._port}"}}],
            "users": [named | {"user": {}}],
            "contexts": [named | {"context": {"cluster": "bench", "user": "bench"}}],
        }
        path = self._folder / f"kubeconfig-{self._port}"
        path.write_text(json.dumps(content))  # JSON is YAML
        return path

    def update(self, count: int, rate: float, mark: int) -> Updates:
        """Have `count` updates sent, `rate` a second (0: as fast as they are taken), every `mark`th the marker's."""
        client = Client(self._port)
        try:
            body = client.get(f"/bench/updates?count={count}&rate={rate}&mark={mark}").body
        finally:
            client.close()
        answer = json.loads(body)
        return Updates([(int(number), float(at)) for number, at in answer["marks"]], float(answer["seconds"]))

    def jobs(self, first: int, count: int, rate: float) -> None:
        """Have `count` one-shot jobs, numbered from `first` on, come and go, `rate` of them a second."""
        client = Client(self._port)
        try:
            client.get(f"/bench/jobs?first={first}&count={count}&rate={rate}")
        finally:
            client.close()
