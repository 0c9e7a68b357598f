"""The benchmark still runs, and its subjects still do what is measured of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.bench import soak
from tests.bench.fleet import BYTES, Fleet
from tests.bench.measure import Plan, measure
from tests.bench.subjects import StandIn, Subject

ROOT = Path(__file__).parents[2]


def test_pods_have_the_size_that_the_budgets_speak_of() -> None:
    fleet = Fleet(24)
    sizes = [len(pod.body(fleet.version)) for pod in fleet.all()]
    assert all(0.97 * BYTES <= size <= 1.03 * BYTES for size in sizes), sizes


def test_an_update_is_a_line_of_json_with_a_newer_version() -> None:
    fleet = Fleet(1)
    versions = [
        int(json.loads(line)["object"]["metadata"]["resourceVersion"]) for line in (fleet.update(), fleet.mark())
    ]
    assert versions == [1001, 1002]


def test_the_whole_run_gives_a_figure_for_every_line_of_the_table() -> None:
    command = [sys.executable, "-m", "tests.bench", "--pods", "200", "--quick"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("|")]
    assert rows[0][1].startswith("pod-exporter (201 pods)")
    assert "-" not in [row[1] for row in rows[2:]], done.stdout


def test_a_real_cluster_is_only_watched(tmp_path: Path) -> None:
    with StandIn(20, tmp_path) as source, Subject("product", source.kubeconfig()) as subject:
        figures = measure(subject, None, Plan(repeats=1, settle=0.0, passive=0.1), lambda _: None)
    assert figures.pods == source.pods
    assert figures.fresh_rate == 0


def test_a_soak_measures_each_of_its_windows(tmp_path: Path) -> None:
    plan = Plan(fresh_rate=200.0)
    with StandIn(20, tmp_path) as source, Subject("product", source.kubeconfig()) as subject:
        subject.wait(60.0)
        windows = list(soak.soak(subject, source, plan, 2, lambda _: None, seconds=0.5))
    assert [window.figures.samples for window in windows] == [10, 10]
    assert len(soak.soak_table(windows).splitlines()) == 4


def test_one_shot_jobs_are_counted_and_leave_no_more_the_second_time(tmp_path: Path) -> None:
    with StandIn(20, tmp_path) as source, Subject("product", source.kubeconfig(), soak.JOBS_FLAGS) as subject:
        stands = list(soak.one_shots(subject, source, 80, lambda _: None, step=40, rate=200.0))
    assert [(stand.jobs, stand.workloads) for stand in stands] == [
        (40, 6),
        (80, 6),
    ]  # a service, the marker, four kinds
    assert stands[0].series == stands[1].series
