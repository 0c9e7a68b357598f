"""The table: what was measured, beside the budget and beside what kube-state-metrics took on another day."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf, isnan, nan
from typing import NamedTuple

from tests.bench.measure import Figures, Plan

BUDGET_PODS = 10_000
"""Pods for which the budgets of CPU and the recorded figures hold."""


def _memory_budget(pods: int) -> float:
    return 70 + 8 * pods / 1024


class Row(NamedTuple):
    """One line: how to read it, what it may be, and what kube-state-metrics 2.20 took (recorded, not run)."""

    name: str
    read: Callable[[Figures], float]
    budget: Callable[[int], float] = lambda _: inf
    recorded: str = ""
    scales: bool = True
    """Whether it grows with the pods, so that a budget for other numbers of pods says nothing."""
    paced: bool = False
    """Whether it depends on the updates per second, so that a ratio needs the same of both."""


_ROWS = (
    Row("Series", lambda f: f.series, recorded="610,000"),
    Row("Resident memory after sync, MiB", lambda f: f.memory, _memory_budget, "660-745", scales=False),
    Row("… after a garbage collection", lambda f: f.memory_collected),
    Row("… at the end of the run", lambda f: f.memory_at_last),
    Row("… peak", lambda f: f.memory_peak),
    Row("Start → first complete scrape, CPU s", lambda f: f.sync_cpu, lambda _: 2.2, "6.1-6.9"),
    Row("… wall s", lambda f: f.sync_seconds),
    Row("CPU a pod update at {pace:.0f}/s, µs", lambda f: f.paced_cpu * 1e6, lambda _: 250, "556-566", scales=False),
    Row("CPU a pod update at full speed, µs", lambda f: f.full_cpu * 1e6),
    Row("Updates/s at full speed", lambda f: f.full_rate),
    Row("Scrape plain, CPU s", lambda f: f.plain.cpu, lambda _: 0.04, "0.64-0.92"),
    Row("… wall s", lambda f: f.plain.seconds),
    Row("… CPU s after {part:,} updates", lambda f: f.stirred_cpu),
    Row("… MB", lambda f: f.plain.size / 1e6, recorded="126"),
    Row("Scrape gzip, CPU s", lambda f: f.gzip.cpu, lambda _: 0.12, "3.4"),
    Row("… wall s", lambda f: f.gzip.seconds),
    Row("… MB", lambda f: f.gzip.size / 1e6, recorded="20.8"),
    Row("API change → in /metrics: updates/s meanwhile", lambda f: f.fresh_rate, paced=True),
    Row("… p50 ms", lambda f: f.fresh_p50 * 1e3, paced=True),
    Row("… p99 ms", lambda f: f.fresh_p99 * 1e3, lambda _: 100, scales=False, paced=True),
    Row("… worst ms", lambda f: f.fresh_worst * 1e3, paced=True),
    Row("… % of that time spent waiting for a core", lambda f: f.fresh_waited * 100, paced=True),
    Row("Longest stop of the loop, ms", lambda f: f.lag * 1e3, lambda _: 50, scales=False),
)


def table(plan: Plan, product: Figures, baseline: Figures | None) -> str:
    """Give it as Markdown."""
    pods = "" if baseline is None else f" ({baseline.pods:,} pods)"
    heads = ["", f"pod-exporter ({product.pods:,} pods)", "budget", "holds", f"baseline{pods}", "baseline ÷ ours"]
    heads.append("kube-state-metrics (recorded, not run here)")
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)]]
    lines += [list(_cells(row, plan, product, baseline)) for row in _ROWS]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cells(row: Row, plan: Plan, product: Figures, baseline: Figures | None) -> Iterator[str]:
    ours = row.read(product)
    yield row.name.format(pace=plan.pace, part=plan.paced // plan.repeats)
    yield _number(ours)
    budget = row.budget(product.pods)
    fits = budget < inf and (not row.scales or product.pods <= BUDGET_PODS + 1)
    yield _number(budget) if fits else ""
    yield ("yes" if ours <= budget else "**no**") if fits and not isnan(ours) else ""
    theirs = row.read(baseline) if baseline else nan
    yield _number(theirs)
    yield f"{_number(theirs / ours)}x" if ours and _comparable(row, product, baseline) else ""
    yield row.recorded


def _comparable(row: Row, product: Figures, baseline: Figures | None) -> bool:
    if baseline is None or isnan(row.read(product)) or isnan(row.read(baseline)):
        return False
    return baseline.pods == product.pods and (not row.paced or baseline.fresh_rate == product.fresh_rate)


def _number(value: float) -> str:
    if isnan(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
