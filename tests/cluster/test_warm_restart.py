"""Restarts with a checkpoint, as real Prometheus servers see them, beside what the containers say of themselves.

Three exporters follow the same pods: one with one server, one with two of different intervals, and one that is killed
when its checkpoint is behind its last scrape.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from tests.cluster.api import Object, wait_until
from tests.cluster.exporter_process import Exporter
from tests.cluster.node import Node
from tests.cluster.restarts import WHOLE, Subject, bound_of
from tests.cluster.scenarios import container, deployment, placed, spec
from tests.cluster.story import QUIET
from tests.cluster.truth import Starts

pytestmark = pytest.mark.cluster
NAMESPACE = "restarted"
CALM_FILE = "calm-after-restarts"
CALM = f"[ ! -e /truth/{CALM_FILE} ] || exec sleep 100000; "
ONCE = "[ ! -e /truth/oom-$POD_UID ] || exec sleep 100000; touch /truth/oom-$POD_UID; sleep 1; exec tail /dev/zero"
"""The second is for containerd, which looks for the kernel's word on memory only once a container has started."""
MEMORY = {"limits": {"memory": "16Mi"}, "requests": {"memory": "8Mi"}}
LATE = 5.0
"""Seconds from the start of a container, a whole one, to its restart being counted: the kubelet's, the API's, ours."""


def crasher() -> Object:
    return deployment("crasher", spec(container("main", "sleep 2; exit 3", calm=CALM)), replicas=2)


def oom(name: str) -> Object:
    """It is killed for its memory exactly once."""
    return deployment(name, spec(container("main", ONCE, calm="", resources=MEMORY)))


def selector(family: str, workload: str, **labels: str) -> str:
    pairs = {"namespace": NAMESPACE, "workload": workload, **labels}
    return family + "{" + ",".join(f'{name}="{value}"' for name, value in pairs.items()) + "}"


RESTARTS = selector("pod_container_restarts_total", "crasher")
CREATED = selector("pod_phase_transitions_total", "crasher", **{"from": "None"})


KILLS = "pod_container_terminations_total"


def kills(workload: str) -> str:
    return selector(KILLS, workload, reason="OOMKilled")


class Play:
    """What happens, once for all tests of this module."""

    def __init__(self, node: Node, folder: Path) -> None:
        self.node = node
        kubeconfig = node.kubeconfig()
        self.alone = Subject(folder, kubeconfig, "alone", (5,), every="1s")
        self.pair = Subject(folder, kubeconfig, "pair", (5, 10), every="1s")
        self.behind = Subject(folder, kubeconfig, "behind", (5,), every="25s")
        self.all = (self.alone, self.pair, self.behind)

    def perform(self) -> None:
        self.node.create_namespace(NAMESPACE)
        for subject in self.all:
            subject.start()
        for subject in self.all:
            subject.wait_scraped()
        self.create(crasher(), oom("first"))
        self._happens()
        self._restart_in_order()
        self._kill_before_a_scrape()
        self.behind.kill_unsaved(8.0)
        self.behind.start()
        self._move()
        self._calm_down()

    def _restart_in_order(self) -> None:
        """A new workload comes, and is killed for its memory, while nobody looks."""
        for subject in (self.alone, self.pair):
            subject.end()
        self.create(oom("away"))
        wait_until(lambda: self._was_killed("away"), "the new workload was killed for its memory")
        for subject in (self.alone, self.pair):
            subject.start()
        self._happens()

    def _kill_before_a_scrape(self) -> None:
        for subject in (self.alone, self.pair):
            subject.kill_unscraped()
        self._happens(self.behind)
        for subject in (self.alone, self.pair):
            subject.start()
        self._happens()

    def _move(self) -> None:
        for subject in (self.alone, self.pair):
            subject.end()
            subject.move()
            subject.start()
        self._happens()

    def _calm_down(self) -> None:
        (self.node.truth / CALM_FILE).touch()
        wait_until(self._is_quiet, f"no container has started for {QUIET} s", 120)
        for subject in self.all:
            subject.wait_shown(time.time())

    def _happens(self, *subjects: Subject) -> None:
        """Wait for another restart, and until the servers of all that run have seen what there was before."""
        before = len(self.restarts())
        wait_until(lambda: len(self.restarts()) > before, "a container restarts")
        for subject in subjects or self.all:
            subject.wait_shown()

    def _is_quiet(self) -> bool:
        before = self.restarts()
        time.sleep(QUIET)
        return before == self.restarts()

    def create(self, *objects: Object) -> None:
        for obj in objects:
            obj["metadata"]["namespace"] = NAMESPACE
        for obj in placed([*objects], self.node.truth):
            self.node.api.create(obj)

    def _was_killed(self, workload: str) -> bool:
        pods = self.node.api.get(f"/api/v1/namespaces/{NAMESPACE}/pods", labelSelector=f"truth-workload={workload}")
        statuses = [status for pod in pods["items"] for status in pod["status"].get("containerStatuses", ())]
        return any(status["restartCount"] for status in statuses)

    def restarts(self) -> list[int]:
        """When containers of the crasher were started again, by their own log, in whole seconds of Unix time."""
        selected = {"labelSelector": "truth-workload=crasher"}
        pods = self.node.api.get(f"/api/v1/namespaces/{NAMESPACE}/pods", **selected)["items"]
        uids = {pod["metadata"]["uid"] for pod in pods}
        logged = Starts.read(self.node.truth).times
        return sorted(at for one, times in logged.items() if one.pod_uid in uids for at in sorted(times)[1:])


@pytest.fixture(scope="module")
def play(node: Node, folder: Path) -> Iterator[Play]:
    play = Play(node, folder)
    with ExitStack() as stack:
        for subject in play.all:
            stack.enter_context(closing(subject))
        play.perform()
        yield play


def within(restarts: Iterable[int], spans: Iterable[tuple[float, float]]) -> int:
    """How many restarts may have been counted in any of these spans."""
    return sum(any(begin - LATE < at <= end for begin, end in spans) for at in restarts)


def test_every_process_ended_as_it_was_meant_to(play: Play) -> None:
    for subject in (play.alone, play.pair):
        in_order, killed, moved = subject.ends
        scrapes = sorted(at for server in subject.servers for at in server.scrapes())
        for end in (in_order, moved):
            assert end.saved > end.at
        assert killed.saved < killed.at
        assert [at for at in scrapes if killed.saved < at <= killed.at] == []
    [behind] = play.behind.ends
    assert max(at for at in play.behind.servers[0].scrapes() if at <= behind.at) > behind.saved + 8


def test_the_only_server_has_seen_exactly_what_happened(play: Play) -> None:
    [server] = play.alone.servers
    assert server.grown(RESTARTS) == len(play.restarts())
    assert server.grown(CREATED) == 2
    assert [server.grown(kills(name)) for name in ("first", "away")] == [1, 1]
    assert len(play.restarts()) > 10


def test_it_has_seen_two_instances(play: Play) -> None:
    [server] = play.alone.servers
    instances = {series["metric"]["instance"] for series in server.prometheus.query(f"{RESTARTS}[{WHOLE}]")}
    assert len(instances) == 2


def test_two_servers_differ_by_what_happened_between_their_scrapes(play: Play, report: list[str]) -> None:
    assert_bounded(play, play.pair, report)


def test_a_kill_after_a_scrape_counts_twice_what_happened_since_the_checkpoint(play: Play, report: list[str]) -> None:
    assert_bounded(play, play.behind, report)


def assert_bounded(play: Play, subject: Subject, report: list[str]) -> None:
    """docs/exactness.md, "Over a restart"."""
    true = play.restarts()
    for server in subject.servers:
        bound = bound_of(subject, server)
        missing, twice = within(true, bound.missing), within(true, bound.twice)
        seen = server.grown(RESTARTS)
        report.append(
            f"over {len(subject.ends)} restarts of {subject.name}, scraped every {server.interval} s: {seen:.0f} seen, "
            f"{len(true)} true, at most {missing} missing and {twice} twice"
        )
        assert len(true) - missing <= seen <= len(true) + twice


def test_increase_sees_the_very_first_oom_kill_of_a_new_workload(play: Play) -> None:
    for server in (*play.alone.servers, *play.pair.servers):
        for workload in ("first", "away"):
            assert server.increase(kills(workload)) > 0, (server.interval, workload)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, soon full; it goes with the test."""
    mount("-t", "tmpfs", "-o", "size=128k", "tmpfs", tmp_path)
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


def mount(*arguments: object) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True)


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(1024)):
            pass


def written(exporter: Exporter, result: str) -> int:
    return int(exporter.scrape().total("pod_exporter_checkpoint_writes_total", result=result))


def wait_written(exporter: Exporter, result: str) -> None:
    before = written(exporter, result)
    wait_until(lambda: written(exporter, result) > before + 1, f"{result} writes of the checkpoint")


def test_a_disk_that_is_full_or_read_only_costs_no_count(play: Play, folder: Path, small_disk: Path) -> None:
    flags = (f"--state.checkpoint-file={small_disk / 'state'}", "--state.checkpoint-interval=1s")
    with closing(Exporter(folder, play.node.kubeconfig(), *flags, name="on-a-small-disk").start()) as exporter:
        exporter.wait_ready()
        wait_written(exporter, "ok")
        fill(small_disk / "filler")
        wait_written(exporter, "failed")
        assert {path.name for path in small_disk.iterdir()} == {"state", "filler"}
        play.create(oom("disk"))
        wait_until(lambda: exporter.scrape().total(KILLS, workload="disk", reason="OOMKilled") == 1, "it counts on")
        assert exporter.readiness() == 200
        (small_disk / "filler").unlink()
        wait_written(exporter, "ok")
        mount("-o", "remount,ro", small_disk)
        wait_written(exporter, "failed")
        mount("-o", "remount,rw", small_disk)
        wait_written(exporter, "ok")
        exporter.stop()
        exporter.start().wait_ready()
        assert exporter.scrape().by("result", "pod_exporter_checkpoint_load_info") == {"loaded": 1}
