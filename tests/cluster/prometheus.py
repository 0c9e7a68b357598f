"""A real Prometheus with one target, scraped as the docs say."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from tests.cluster.daemon import Daemon, free_port
from tests.cluster.debian import prometheus3

PROGRAMS = {"2": Path("/usr/bin/prometheus"), "3": prometheus3()}
"""By major version; what Debian's stable release has, and what follows it."""
CONFIG = """\
global: {{scrape_interval: {interval}, evaluation_interval: {interval}}}
rule_files: {rules}
scrape_configs:
  - job_name: pod-exporter
    honor_labels: true
    static_configs: [{{targets: ["{target}"], labels: {{namespace: monitoring, pod: pod-exporter-0}}}}]
    metric_relabel_configs: []
"""
TARGETS = ("job", "instance", "pod")
"""Labels of the scraped target."""
Result = dict[str, Any]


class Prometheus:
    """Started and ended by its `daemon`."""

    def __init__(
        self, folder: Path, target: str, *, interval: str = "1s", rules: Sequence[Path] = (), major: str = "2"
    ) -> None:
        self._config = folder / f"prometheus-{major}.yml"
        self._values = {"interval": interval, "rules": json.dumps([str(path) for path in rules])}
        self._write(target)
        self.port = free_port()
        flags = [f"--config.file={self._config}", f"--storage.tsdb.path={folder}/tsdb-{major}", "--log.level=warn"]
        flags.append(f"--web.listen-address=127.0.0.1:{self.port}")
        self.daemon = Daemon([str(PROGRAMS[major]), *flags], folder / f"prometheus-{major}.log")

    def turn_to(self, target: str) -> None:
        """Scrape another address from now on: its series have another `instance`."""
        self._write(target)
        os.kill(self.daemon.pid, signal.SIGHUP)

    def _write(self, target: str) -> None:
        self._config.write_text(CONFIG.format(target=target, **self._values))

    def query(self, expression: str) -> list[Result]:
        return self._ask("query", query=expression)

    def range(self, expression: str, start: float, end: float, step: int = 1) -> list[Result]:
        """Every series with its values at each step; times in Unix seconds."""
        return self._ask("query_range", query=expression, start=str(start), end=str(end), step=str(step))

    def history(self, selector: str, start: float, end: float, step: int) -> dict[str, str]:
        """Every series with its values in the notation of promtool's tests; `_` where there is none."""
        times = [start + step * n for n in range(int(end - start) // step + 1)]
        found = {}
        for one in self.range(selector, times[0], times[-1], step):
            labels = {key: word for key, word in one["metric"].items() if key not in TARGETS}
            name = labels.pop("__name__") + "{" + ",".join(f'{k}="{v}"' for k, v in sorted(labels.items())) + "}"
            values = {round(at - start): number for at, number in one["values"]}
            found[name] = " ".join(values.get(round(at - start), "_") for at in times)
        return found

    def value(self, expression: str) -> float | None:
        """The value of the only result, None if there is none yet."""
        result = self.query(expression)
        return float(result[0]["value"][1]) if result else None

    def version(self) -> str:
        with urlopen(f"http://127.0.0.1:{self.port}/api/v1/status/buildinfo", timeout=30) as response:
            version: str = json.load(response)["data"]["version"]
        return version

    def own_metric(self, name: str) -> float:
        with urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as response:
            lines = response.read().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))

    def _ask(self, what: str, **parameters: str) -> list[Result]:
        url = f"http://127.0.0.1:{self.port}/api/v1/{what}?{urlencode(parameters)}"
        with urlopen(url, timeout=30) as response:
            result: list[Result] = json.load(response)["data"]["result"]
        return result
