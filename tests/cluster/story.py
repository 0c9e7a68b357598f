"""Six minutes of a node's life under two exporters, one there from the beginning, one started late."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeAlias

from prometheus_client.parser import text_string_to_metric_families

from tests.cluster import configs, scenarios
from tests.cluster.api import Object, RefusedError, path_of, wait_until
from tests.cluster.exporter_process import Exporter
from tests.cluster.image import ROOT
from tests.cluster.node import Node
from tests.cluster.prometheus import Prometheus
from tests.cluster.release import Release
from tests.cluster.scrape import TEXT, Scrape
from tests.cluster.series import captured
from tests.cluster.truth import Instance, Recorder, Starts, Truth, restart_counts

SCRAPE, BIRTH_HOLD = 5, 12
"""Seconds: how often the installed exporter is scraped, and how long its new series stay at 0."""
QUIET = 13
"""Seconds without any start after which nothing more is to come, unless a container is still being held back."""
LONGEST_WAIT = {"5s": 90, "5m": 420}[configs.BACK_OFF]
"""Seconds until everything that was held back has run again."""
PODS = f"/api/v1/namespaces/{scenarios.NAMESPACE}/pods"
NOTHING = Scrape("", ())
Probes: TypeAlias = Counter[tuple[str, str, str]]
"""Failed attempts by pod uid, container and probe."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a late exporter found: restart counts just before its start and just after its first sync."""

    gone: frozenset[str] = frozenset()
    before: dict[Instance, int] = field(default_factory=dict)
    after: dict[Instance, int] = field(default_factory=dict)


@dataclass(slots=True)
class Outcome:
    """What is left of the story for the tests to look at."""

    truth: Truth = field(default_factory=lambda: Truth(Starts(Counter(), {}), {}, frozenset()))
    baseline: Baseline = field(default_factory=Baseline)
    outages: list[tuple[float, float]] = field(default_factory=list)
    losses: int = 0
    """How often the flapper made itself not ready."""
    pods: list[Object] = field(default_factory=list)
    """The API's pods when all is calm, before they are deleted."""
    calm: Scrape = NOTHING
    late_calm: Scrape = NOTHING
    text: Scrape = NOTHING
    gone: Scrape = NOTHING
    """When all pods are gone."""
    gone_truth: Truth = field(default_factory=lambda: Truth(Starts(Counter(), {}), {}, frozenset()))
    deployed: Scrape = NOTHING
    """Of the exporter that the chart has installed."""
    exact: Scrape = NOTHING
    """Of the exporter that reads the kubelet too."""
    probes: list[Probes] = field(default_factory=list)
    """What the kubelet counted of failed probes in each of its lifetimes."""
    pages: dict[str, str] = field(default_factory=dict)


def failed_probes(text: str) -> Probes:
    """The kubelet's own counters of failed attempts."""
    counts: Probes = Counter()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "prober_probe_total" and sample.labels["result"] == "failed":
                at = sample.labels["pod_uid"], sample.labels["container"], sample.labels["probe_type"].lower()
                counts[at] += int(sample.value)
    return counts


def held_back(pod: Object) -> bool:
    """Whether one of the pod's containers is still to be started again."""
    if pod["status"]["phase"] in ("Succeeded", "Failed") or "deletionTimestamp" in pod["metadata"]:
        return False
    inits, mains = (pod["status"].get(name, ()) for name in ("initContainerStatuses", "containerStatuses"))
    waits = {status["state"].get("waiting", {}).get("reason") for status in (*inits, *mains)}
    ended = any("terminated" in status["state"] for status in mains) and pod["spec"]["restartPolicy"] == "Always"
    return ended or "CrashLoopBackOff" in waits


class Story:
    """Tells the story once; `outcome` is complete when `tell` returns."""

    def __init__(self, node: Node, folder: Path) -> None:
        self.node, self.api = node, node.api
        self.recorder = Recorder(node.api, scenarios.NAMESPACE, folder)
        flags = ("--log.observations=all",)
        self.exporter = Exporter(folder, node.kubeconfig(), *flags)
        self.late = Exporter(folder, node.kubeconfig(), *flags, name="late-exporter")
        exact = ("--kubelet.probes", "--kubelet.insecure-skip-verify", "--kubelet.interval=2s")
        self.exact = Exporter(folder, node.kubeconfig(), *flags, *exact, name="exact-exporter")
        self.deployed = Release(node, folder, "pod-exporter-story")
        self._folder = folder
        self.prometheus: Prometheus | None = None
        self.outcome = Outcome()
        self.began = self.told_from = 0.0

    def tell(self) -> Outcome:
        self.node.create_namespace(scenarios.NAMESPACE)
        self.recorder.start()
        self.deployed.create_namespace()
        self.deployed.install(f"--set=settings.ledger.birth_hold={BIRTH_HOLD}s")
        self.deployed.settled()
        rules = sorted((ROOT / "alerts").glob("*.yaml"))
        self.prometheus = Prometheus(self._folder, self.deployed.address, interval=f"{SCRAPE}s", rules=rules)
        self.prometheus.daemon.start()
        self.exporter.start().wait_ready()
        self.exact.start().wait_ready()
        self._create_all()
        for second, chapter in (
            (70, self._change_everything),
            (110, self._crash_api_server),
            (160, self._kill_sandbox),
            (170, self._start_late_exporter),
            (210, self._restart_kubelet),
            (310, self._calm_down),
        ):
            self._wait_for(second)
            chapter()
        self._look()
        assert self.prometheus is not None
        series = captured(self.prometheus, self.told_from, SCRAPE)
        (self._folder / "series.json").write_text(json.dumps(series, indent=1) + "\n")
        self._delete_all()
        shutil.copy(self.node.truth / "starts", self._folder / "container-starts.txt")
        return self.outcome

    def close(self) -> None:
        self.recorder.stop()
        if self.prometheus:
            self.prometheus.daemon.stop()
        self.late.stop()
        self.exact.stop()
        self.exporter.stop()

    def _wait_for(self, second: float) -> None:
        time.sleep(max(0.0, self.began + second - time.monotonic()))

    def _create_all(self) -> None:
        self.began, self.told_from = time.monotonic(), time.time()
        self.node.has(scenarios.GIZMO, 1)
        for obj in (*scenarios.PRIORITIES, *scenarios.all_objects(self.node.truth)):
            self.api.create(obj)

    def _change_everything(self) -> None:
        restarted = {"template": {"metadata": {"annotations": {"example.com/rolled": "1"}}}}
        for name in ("web", "rolled"):
            self.api.patch(self._deployment(name), {"spec": restarted})
        self.api.patch(self._deployment("scaled"), {"spec": {"replicas": 1}})
        self.api.patch(self._deployment("idle"), {"spec": {"replicas": 0}})
        self.api.delete(self._deployment("gone"))
        self.api.delete(f"{PODS}/db-0")
        self.api.delete(f"{PODS}/stubborn")
        self.api.delete(f"{PODS}/slow-stop")
        self._resize("resized", memory="24Mi")
        [dear] = scenarios.placed([scenarios.dear()], self.node.truth)
        self.api.create(dear)
        self.api.delete(f"{PODS}/forced", force=True)
        self.api.patch(f"{PODS}/gated", {"spec": {"schedulingGates": None}})
        self.api.evict(scenarios.NAMESPACE, self._pod_of("evicted")["metadata"]["name"])

    def _resize(self, name: str, memory: str) -> None:
        pod = self.api.get(f"{PODS}/{name}")
        pod["spec"]["containers"][0]["resources"]["requests"]["memory"] = memory
        self.api.request("PUT", f"{PODS}/{name}/resize", pod)

    def _crash_api_server(self) -> None:
        with self._outage():
            self.node.restart_api_server(away=8)

    def _restart_kubelet(self) -> None:
        with self._outage():
            probes = self.node.probes()
            self.node.stop_kubelet()
            stopped = int(time.time())
            self.outcome.probes.append(failed_probes(probes))
            self.node.kill_container(self._pod_of("orphan")["metadata"]["uid"], "main")
            time.sleep(8)
            self.recorder.note_failed(self.node.never_started(), stopped)
            self.node.start_kubelet()

    def _kill_sandbox(self) -> None:
        self.node.kill_sandbox(self._pod_of("sandboxed")["metadata"]["uid"])

    def _start_late_exporter(self) -> None:
        known = set(self.recorder.pods)
        before = self.api.pods(scenarios.NAMESPACE)
        self.late.start().wait_ready()
        after = self.api.pods(scenarios.NAMESPACE)
        gone = frozenset(known - {pod["metadata"]["uid"] for pod in before})
        self.outcome.baseline = Baseline(gone, restart_counts(before), restart_counts(after))

    def _calm_down(self) -> None:
        """Let every container run on from its next start, and wait until nothing happens any more."""
        (self.node.truth / "calm").touch()
        self.api.patch(self._deployment(scenarios.NEVER_RUNS), {"spec": {"replicas": 0}})
        cron_job = f"/apis/batch/v1/namespaces/{scenarios.NAMESPACE}/cronjobs/tick"
        self.api.patch(cron_job, {"spec": {"suspend": True}})
        wait_until(self._is_quiet, f"no container has started for {QUIET} s", LONGEST_WAIT)

    def _is_quiet(self) -> bool:
        lines = self._lines("starts")
        time.sleep(QUIET)
        return lines == self._lines("starts") and not any(map(held_back, self.api.pods(scenarios.NAMESPACE)))

    def _look(self) -> None:
        outcome = self.outcome
        outcome.truth = self.recorder.truth(self.node.truth)
        outcome.losses = self._lines("losses")
        outcome.pods = self.api.pods(scenarios.NAMESPACE)
        outcome.calm, outcome.text = self.exporter.scrape(), self.exporter.scrape(TEXT)
        outcome.late_calm, outcome.deployed = self.late.scrape(), self.deployed.scrape()
        time.sleep(5)  # two reads of the kubelet
        outcome.exact = self.exact.scrape()
        outcome.probes.append(failed_probes(self.node.probes()))
        outcome.pages = dict(self._pages())

    def _delete_all(self) -> None:
        for obj in (*scenarios.all_objects(self.node.truth), scenarios.dear()):
            with _absent_is_fine():
                self.api.delete(path_of(obj))
        wait_until(lambda: not self.api.pods(scenarios.NAMESPACE), "all pods are gone", 60)
        self._wait_until_exporter_knows()
        wait_until(lambda: self.recorder.deleted >= self.recorder.pods.keys(), "the recorder knows it too", 60)
        self.outcome.gone = self.exporter.scrape()
        self.outcome.gone_truth = self.recorder.truth(self.node.truth)

    def _wait_until_exporter_knows(self) -> None:
        """A second is plenty; what it then still shows is for the tests to judge."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if not self.exporter.scrape().select("pod_info", namespace=scenarios.NAMESPACE):
                break
            time.sleep(0.5)

    def _pages(self) -> Iterator[tuple[str, str]]:
        """The start page and every page of our own that it links to."""
        start = self.exporter.get("/", "text/html").body
        yield "/", start
        links = {part.split('"')[0] for part in start.split('href="')[1:]}
        for link in sorted(link for link in links if link.startswith("/")):
            yield link, self.exporter.get(link).body

    def _pod_of(self, workload: str) -> Object:
        chosen = self.api.get(PODS, labelSelector=f"truth-workload={workload}")["items"]
        assert len(chosen) == 1, f"{workload} has {len(chosen)} pods"
        pod: Object = chosen[0]
        return pod

    def _deployment(self, name: str) -> str:
        return f"/apis/apps/v1/namespaces/{scenarios.NAMESPACE}/deployments/{name}"

    def _lines(self, name: str) -> int:
        log = self.node.truth / name
        return len(log.read_text().splitlines()) if log.exists() else 0

    @contextmanager
    def _outage(self) -> Iterator[None]:
        """Remember a span in which causes may be unknown or wrong: Events get lost or come late, watches are cut."""
        begin = time.time()
        yield
        over = time.time()
        for exporter in (self.exporter, self.exact):
            wait_until(partial(exporter.follows_since, over), f"{exporter.name} follows the cluster again", 90)
        self.outcome.outages.append((begin - 15, max(over + 25, time.time() + 20)))


@contextmanager
def _absent_is_fine() -> Iterator[None]:
    try:
        yield
    except RefusedError as refused:
        if refused.status != 404:
            raise
