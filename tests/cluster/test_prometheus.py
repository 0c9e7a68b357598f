"""A real Prometheus scrapes the exporter of a real node."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.cluster.api import wait_until
from tests.cluster.exporter_process import Exporter
from tests.cluster.node import Node
from tests.cluster.prometheus import PROGRAMS, Prometheus
from tests.cluster.scenarios import container, deployment, spec

pytestmark = pytest.mark.cluster
NAMESPACE = "scraped"


@pytest.fixture(scope="module")
def exporter(node: Node, folder: Path) -> Iterator[Exporter]:
    node.create_namespace(NAMESPACE)
    with closing(Exporter(folder, node.kubeconfig())) as exporter:
        exporter.start().wait_ready()
        yield exporter


@pytest.fixture(scope="module")
def pods(node: Node, exporter: Exporter) -> None:
    main = {**container("main", ""), "command": ["sh", "-c", "sleep 2; exit 3"], "volumeMounts": []}
    crasher = deployment("crasher", {**spec(main), "volumes": []}, replicas=2)
    crasher["metadata"]["namespace"] = NAMESPACE
    node.api.create(crasher)


@pytest.fixture(scope="module", params=PROGRAMS)
def prometheus(exporter: Exporter, pods: None, folder: Path, request: pytest.FixtureRequest) -> Iterator[Prometheus]:
    prometheus = Prometheus(folder, exporter.address.removeprefix("http://"), major=request.param)
    with closing(prometheus.daemon.start()):
        wait_until(lambda: prometheus.value("up"), "Prometheus has scraped", 60)
        wait_until(lambda: (prometheus.value(restarts()) or 0) >= 2, "two restarts are in Prometheus", 60)
        yield prometheus


def restarts() -> str:
    return f'sum(pod_container_restarts_total{{namespace="{NAMESPACE}",workload="crasher",reason="Error"}})'


def test_every_sample_is_ingested(prometheus: Prometheus, exporter: Exporter) -> None:
    """The pods may change in between, hence the second try."""

    def all_lines_arrived() -> bool:
        lines = len(exporter.scrape().lines())
        return prometheus.value("scrape_samples_scraped") == lines

    wait_until(all_lines_arrived, "Prometheus has as many samples as the exporter has lines", 30)
    assert prometheus.value("up") == 1
    assert prometheus.value("scrape_samples_scraped - scrape_samples_post_metric_relabeling") == 0


@pytest.mark.parametrize("trouble", ["duplicate_timestamp", "out_of_order", "out_of_bounds"])
def test_no_sample_is_rejected(prometheus: Prometheus, trouble: str) -> None:
    assert prometheus.own_metric(f"prometheus_target_scrapes_sample_{trouble}_total") == 0


def test_labels_of_the_pods_win_over_those_of_the_target(prometheus: Prometheus) -> None:
    assert prometheus.query('pod_info{namespace="monitoring"}') == []
    assert prometheus.value(f'count(pod_info{{namespace="{NAMESPACE}"}})') == 2
    assert prometheus.query(f'{{namespace="{NAMESPACE}",exported_pod!=""}}') == []


def test_counts_arrive_as_they_are(prometheus: Prometheus, exporter: Exporter) -> None:
    def equal() -> bool:
        counted = exporter.scrape().total("pod_container_restarts_total", namespace=NAMESPACE, reason="Error")
        return prometheus.value(restarts()) == counted

    wait_until(equal, "Prometheus and exporter agree on the restarts", 30)


def test_nothing_is_written_to_the_log_of_prometheus(prometheus: Prometheus) -> None:
    """RefusedError lines and inconsistent families are warnings there."""
    assert [line for line in prometheus.daemon.tail(1000).splitlines() if "scrape" in line] == []
