"""Every query of every dashboard, and every selector of every alert, returns data of the demo in a real Prometheus."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from tests.cluster.api import wait_until
from tests.cluster.daemon import Daemon, free_port
from tests.cluster.prometheus import PROGRAMS, Prometheus
from tests.promql import selector_texts, selectors, substituted
from tests.test_dashboards import panels
from tools.alerts import ALERTS, Alert
from tools.dashboards import DASHBOARDS
from tools.dashboards.grafana import Dashboard

pytestmark = pytest.mark.cluster
TOLD = 150
"""Seconds that the demo runs before it is asked: by then everything has happened in it."""
OF_THE_KUBELET = {
    "pod_exporter_kubelet_reads_total",
    "pod_exporter_kubelets_answering",
    "pod_exporter_probe_fills_total",
}
"""Shown with --kubelet.probes only; the simulated cluster has no kubelets that one could read."""
PANELS = [
    (dashboard, panel["title"], target["expr"])
    for dashboard in DASHBOARDS
    for panel in panels(dashboard)
    for target in panel["targets"]
]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Prometheus]]:
    folder, port = tmp_path_factory.mktemp("demo"), free_port()
    command = [sys.executable, "-m", "exporter", "demo", f"--web.listen-address=127.0.0.1:{port}"]
    demo = Daemon([*command, "--ledger.birth-hold=3s"], folder / "demo.log", {"PATH": "/usr/bin:/bin"})
    both = {major: Prometheus(folder, f"127.0.0.1:{port}", major=major) for major in PROGRAMS}
    with closing(demo.start()), ExitStack() as started:
        for prometheus in both.values():
            started.enter_context(closing(prometheus.daemon.start()))
        for prometheus in both.values():
            wait_until(lambda it=prometheus: it.value("up") == 1, "the demo is scraped", 60)  # type: ignore[misc]
        time.sleep(TOLD)
        yield both


@pytest.fixture(params=PROGRAMS)
def prometheus(both: dict[str, Prometheus], request: pytest.FixtureRequest) -> Prometheus:
    return both[request.param]


def test_there_is_a_prometheus_of_each_major_version(both: dict[str, Prometheus]) -> None:
    assert {prometheus.version().partition(".")[0] for prometheus in both.values()} == both.keys() == {"2", "3"}


@pytest.mark.parametrize(
    ("dashboard", "title", "query"), PANELS, ids=[f"{one.uid}-{title}" for one, title, _ in PANELS]
)
def test_the_panel_shows_something(prometheus: Prometheus, dashboard: Dashboard, title: str, query: str) -> None:
    """What is only shown above 0 need not have happened; its series must be there."""
    kubelet = {selector.metric for selector in selectors(query)} <= OF_THE_KUBELET
    assert bool(ever(prometheus, substituted(query.removesuffix(" > 0"), "2m"))) is not kubelet


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_the_alert_reads_series_that_there_are(prometheus: Prometheus, alert: Alert) -> None:
    assert [text for text in selector_texts(alert.query()) if not ever(prometheus, text)] == []


def ever(prometheus: Prometheus, query: str) -> list[Any]:
    """The values that it had at any time of the demo."""
    now = time.time()
    series = prometheus.range(query, now - TOLD, now, step=5)
    return [value for one in series for _, value in one["values"] if value != "NaN"]
