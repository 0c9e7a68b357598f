"""The tier against a real node; only `make test-cluster` collects it."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from _pytest.terminal import TerminalReporter

from tests.cluster.configs import BACK_OFF
from tests.cluster.exporter_process import Exporter
from tests.cluster.followed import Followed
from tests.cluster.node import CannotRunError, Node, StartNode
from tests.cluster.scene import Scene

if os.environ.get("POD_EXPORTER_CLUSTER") != "1":
    collect_ignore_glob = ["test_*.py"]

REPORT = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Turn SIGTERM into an orderly end, and prepare what the summary will show."""
    config.stash[REPORT] = []
    if os.environ.get("POD_EXPORTER_CLUSTER") == "1":
        signal.signal(signal.SIGTERM, stop_orderly)


def stop_orderly(number: int, _: object) -> None:
    """Let the fixtures clean up, undisturbed by a second signal."""
    signal.signal(number, signal.SIG_IGN)
    pytest.exit("asked to stop", returncode=128 + number)


@pytest.fixture(scope="session")
def report(pytestconfig: pytest.Config) -> list[str]:
    """Lines for the end of the run: tables and measurements."""
    return pytestconfig.stash[REPORT]


@pytest.fixture(scope="session")
def start_node() -> StartNode:
    """Starts a node for the time of a `with` block; a machine that cannot run one fails in one line."""

    @contextmanager
    def started(**options: Any) -> Iterator[Node]:
        reason = ""
        try:
            node = Node(**options).start()
        except CannotRunError as error:
            reason = f"cannot run a Kubernetes node here: {error}"
        if reason:
            pytest.fail(reason, pytrace=False)
        with closing(node):
            yield node

    return started


@pytest.fixture(scope="session")
def node(start_node: StartNode) -> Iterator[Node]:
    """The one node with a kubelet; API servers alone are started by the tests that need them."""
    with start_node(max_restart_period=BACK_OFF) as running:
        yield running


@pytest.fixture(scope="module")
def scene(start_node: StartNode) -> Iterator[Scene]:
    """An API server alone, behind a proxy that misbehaves as it is told."""
    with start_node(control=False) as running, closing(Scene(running)) as scene:
        yield scene.start()


@pytest.fixture
def followed(scene: Scene, folder: Path) -> Iterator[Followed]:
    """The scene's own exporter, from here on; afterwards the network is well again."""
    if scene.exporter is None:
        scene.exporter = scene.start_exporter(folder, name="hasty")
    yield scene.follow(scene.exporter)
    scene.heal()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """Where a module's logs and recordings go; pytest keeps those of the last runs."""
    return tmp_path_factory.mktemp(request.module.__name__.rpartition(".")[2])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what every running exporter said last beside a failure."""
    outcome = yield
    if outcome.failed:
        for exporter in Exporter.running:
            outcome.sections.append((f"log of {exporter.name}: {exporter.log}", exporter.daemon.tail()))
    return outcome


def pytest_terminal_summary(terminalreporter: TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash[REPORT]:
        terminalreporter.write_line(line)
