"""The benchmark still runs, and its subjects still do what is measured of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

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
