"""`python -m tests.bench`: measure pod-exporter, and what one would have written instead, in one run.

By default against a stand-in API server of its own; with --kubeconfig against a real one that holds the pods already:
then nothing is changed there, and updates are those that the cluster makes by itself.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

from tests.bench import soak
from tests.bench.fleet import Fleet
from tests.bench.measure import Figures, Plan, at_rest, measure
from tests.bench.report import table
from tests.bench.subjects import Kind, StandIn, Subject

BASELINE_PACE = 150.0
"""Updates a second for the baseline's latencies: at the product's 1,000 it would only fall behind."""


def main() -> int:
    """Run; the table goes to stdout, progress to stderr."""
    arguments = _arguments()
    plan = _plan(arguments)
    if arguments.soak or arguments.jobs:
        sys.stdout.write(f"{_machine()}\n\n{_long(arguments, plan)}\n")
        return 0
    product = _measured("product", arguments, arguments.pods, plan)
    baseline = None
    if arguments.baseline_pods:
        baseline = _measured("baseline", arguments, arguments.baseline_pods, _gentler(plan))
    sys.stdout.write(f"{_machine()}\n\n{table(plan, product, baseline)}\n")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--pods", type=int, default=10_000, help="pods of the stand-in API server")
    parser.add_argument("--baseline-pods", type=int, help="pods for the baseline; 0 leaves it out; default: as many")
    parser.add_argument("--soak", type=int, default=0, help="minutes of 1,000 updates/s with scrapes instead")
    parser.add_argument("--jobs", type=int, default=0, help="one-shot jobs that come and go, 2,000 a minute, instead")
    parser.add_argument("--kubeconfig", type=Path, help="a real API server that holds pods, instead of the stand-in")
    parser.add_argument("--passive", type=float, default=30.0, help="seconds to watch a real cluster's own updates")
    parser.add_argument(
        "--quick", action="store_true", help="a fraction of the updates: is the benchmark itself alive?"
    )
    arguments = parser.parse_args()
    if arguments.baseline_pods is None:
        arguments.baseline_pods = arguments.pods
    return arguments


def _long(arguments: argparse.Namespace, plan: Plan) -> str:
    """Measure what must not grow; the tables."""
    say = _sayer("product")
    with tempfile.TemporaryDirectory() as folder, StandIn(arguments.pods, Path(folder)) as source:
        if arguments.jobs:
            with Subject("product", source.kubeconfig(), soak.JOBS_FLAGS) as subject:
                return soak.jobs_table(list(soak.one_shots(subject, source, arguments.jobs, say)))
        with Subject("product", source.kubeconfig()) as subject:
            figures = Figures()
            at_rest(subject, source, plan, figures, say)
            windows = list(soak.soak(subject, source, plan, arguments.soak, say))
            return f"{table(plan, figures, None)}\n\n{soak.soak_table(windows)}"


def _plan(arguments: argparse.Namespace) -> Plan:
    plan = Plan(passive=arguments.passive)
    if arguments.quick:
        return replace(plan, paced=30, full=300, fresh_rate=200.0, fresh_seconds=1.0, repeats=1, settle=0.1)
    return plan


def _gentler(plan: Plan) -> Plan:
    """Fewer updates for the baseline, of which each takes so much longer; all figures are per update."""
    return replace(
        plan,
        full=min(plan.full, 3000),
        fresh_rate=min(plan.fresh_rate, BASELINE_PACE),
        fresh_seconds=min(plan.fresh_seconds, 15.0),
    )


def _measured(kind: Kind, arguments: argparse.Namespace, pods: int, plan: Plan) -> Figures:
    say = _sayer(kind)
    if arguments.kubeconfig:
        with Subject(kind, arguments.kubeconfig) as subject:
            return measure(subject, None, plan, say)
    with (
        tempfile.TemporaryDirectory() as folder,
        StandIn(pods, Path(folder)) as source,
        Subject(kind, source.kubeconfig()) as subject,
    ):
        return measure(subject, source, plan, say)


def _sayer(kind: Kind) -> Callable[[str], None]:
    began = time.monotonic()

    def say(what: str) -> None:
        sys.stderr.write(f"[{time.monotonic() - began:5.1f} s] {kind}: {what}\n")
        sys.stderr.flush()

    return say


def _machine() -> str:
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = models[0].partition(":")[2].strip() if models else platform.machine()
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores of {model}, Python {platform.python_version()}, load average {load:.1f} at the end; "
        f"json.loads of one such pod takes {_yardstick() * 1e6:.0f} µs of CPU here and now (130-153 where the budgets "
        "were set)"
    )


def _yardstick() -> float:
    """Seconds of CPU for something that everyone knows: it tells how fast and how disturbed this machine is."""
    pod = next(Fleet(1).all()).body(1)
    times = []
    for _ in range(200):
        began = time.process_time()
        json.loads(pod)
        times.append(time.process_time() - began)
    return median(times)


if __name__ == "__main__":
    sys.exit(main())
