"""What must not grow: memory and stops under many updates, series and accounts under one-shot jobs.

Both take minutes and are run by hand: `make bench ARGS="--pods 100000 --soak 20"` and `make bench ARGS="--jobs 20000"`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

from tests.bench.measure import Figures, Plan, fresh
from tests.bench.subjects import StandIn, Subject

WINDOW = 60.0
"""Seconds of a line of the soak."""
HOUR = 2000
"""Jobs that come and go in an hour of a busy cluster."""
RATE = 60 * HOUR / 3600
"""Jobs a second: an hour in a minute."""
JOBS_FLAGS = ("--ledger.birth-hold=2s", "--ledger.retention=15s")
"""The retention is compressed alike; what is remembered of pods that are gone (300 s) is not."""
_NUMBER = rb"^pod_exporter_%s(?:\{[^}]*\})? (\S+)$"


class Window(NamedTuple):
    """One line: the end of its time in minutes, CPU as a share of a core, and what was measured in it."""

    minute: float
    cpu: float
    memory: float
    figures: Figures


def soak(
    subject: Subject, source: StandIn, plan: Plan, windows: int, say: Callable[[str], None], seconds: float = WINDOW
) -> Iterator[Window]:
    """Updates and scrapes for so many windows of so many seconds, each measured by itself."""
    plan = replace(plan, fresh_seconds=seconds, poll=0.05)
    began = time.monotonic()
    for number in range(1, windows + 1):
        figures, cpu, at = Figures(), subject.process.cpu, time.monotonic()
        fresh(subject, source, plan, figures)
        now, memory = time.monotonic(), subject.process.memory()
        window = Window((now - began) / 60, (subject.process.cpu - cpu) / (now - at), memory, figures)
        say(f"{number} of {windows}: {' | '.join(_cells(window))}")
        yield window


class Stand(NamedTuple):
    """How much there is after some jobs."""

    jobs: int
    workloads: float
    series: float
    memory: float


def one_shots(
    subject: Subject, source: StandIn, count: int, say: Callable[[str], None], step: int = HOUR, rate: float = RATE
) -> Iterator[Stand]:
    """Jobs come and go, `rate` a second; give how much there is after each `step` of them."""
    subject.wait(60.0)
    for done in range(step, count + 1, step):
        source.jobs(done - step, step, rate)
        yield _stand(subject, done)
        say(f"{done} of {count} jobs")


def _stand(subject: Subject, jobs: int) -> Stand:
    subject.scrape()  # else what has changed is not rendered
    body = subject.own("pod_exporter_workloads") + subject.own("pod_exporter_series")
    found = {name: re.findall(_NUMBER % name.encode(), body, re.MULTILINE) for name in ("workloads", "series")}
    workloads, series = (sum(map(float, found[name])) for name in ("workloads", "series"))
    return Stand(jobs, workloads, series, subject.process.memory())


def soak_table(windows: list[Window]) -> str:
    """Give it as Markdown."""
    heads = "minute, updates/s, p50 ms, p99 ms, worst ms, longest stop ms, plain scrape s, gzip scrape s, cut, CPU %"
    return _table([*heads.split(", "), "waited for a core %", "resident MiB"], map(_cells, windows))


def _cells(window: Window) -> list[str]:
    f = window.figures
    times = [f"{1e3 * each:.0f}" for each in (f.fresh_p50, f.fresh_p99, f.fresh_worst, f.lag)]
    scrapes = [f"{each:.2f}" for each in (f.busy_plain, f.busy_gzip)]
    shares = [f"{100 * each:.0f}" for each in (window.cpu, f.fresh_waited)]
    return [f"{window.minute:.1f}", f"{f.sent_rate:.0f}", *times, *scrapes, f"{f.cut}", *shares, f"{window.memory:.0f}"]


def jobs_table(stands: list[Stand]) -> str:
    """Give it as Markdown."""
    heads = ["jobs", "workloads", "series", "resident MiB"]
    rows = ([f"{s.jobs:,}", f"{s.workloads:.0f}", f"{s.series:.0f}", f"{s.memory:.1f}"] for s in stands)
    return _table(heads, rows)


def _table(heads: list[str], rows: Iterator[list[str]]) -> str:
    lines = [heads, ["---:"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
