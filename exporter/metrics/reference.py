"""docs/metrics.md, made from the catalogue: what a family means, how exact it is, and a query to begin with."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.metrics.catalogue import COUNTERS, GAUGES, HISTOGRAMS, LABELS, ROWS
from exporter.metrics.families import (
    SCOPES,
    CounterFamily,
    Family,
    GaugeFamily,
    HistogramFamily,
    RowFamily,
    metric_type,
)
from exporter.metrics.own import OwnCollector, everything_on

_INTRODUCTION = """\
# Metrics

Written by `make docs` from `exporter/metrics/catalogue.py`. The rules (R1, R2, …) are those of [rules.md](rules.md).
Families of workloads outlive their pods and start at 0 with the process; read counters with `increase()` or `rate()`.
"""


def markdown() -> str:
    """The whole page."""
    return "\n".join([_INTRODUCTION, *_part("Counters of workloads and nodes", COUNTERS),
                      *_part("Histograms", HISTOGRAMS), *_part("Workloads now", GAUGES),
                      *_part("Pods now", (*ROWS, LABELS)), *_own()])  # fmt: skip


def labels_of(family: Family) -> tuple[str, ...]:
    """All labels of a family's series, in their order."""
    if isinstance(family, RowFamily):
        own = () if family.labels == "*" else tuple(word.partition("=")[0] for word in family.labels.split())
        parts = () if family.scope == "pod" else ("container", "container_type")
        return ("namespace", "pod", *parts, *own, *(("label_…",) if family.labels == "*" else ()))
    if isinstance(family, GaugeFamily):
        return (*SCOPES["workload"], *family.labels)
    return (*_account(family), *family.label_names)


def _account(family: CounterFamily | HistogramFamily) -> tuple[str, ...]:
    if isinstance(family, CounterFamily):
        return SCOPES[family.scope]
    return () if family.level == "off" else SCOPES[family.level]


def _part(title: str, families: tuple[Family, ...]) -> Iterator[str]:
    yield f"## {title}\n"
    for family in families:
        yield f"### {family.name}\n"
        yield f"{family.help}\n"
        yield f"- type: {metric_type(family)}"
        yield f"- labels: {', '.join(f'`{label}`' for label in labels_of(family))}"
        if isinstance(family, HistogramFamily):
            buckets = ", ".join(f"{bound:g}" for bound in family.buckets)
            yield f"- buckets: {buckets}; level: {family.level} (`--metrics.histogram-level`)"
        yield f"- exactness: {family.exact}"
        yield f"- example: `{family.example}`\n"


def _own() -> Iterator[str]:
    yield "## The exporter itself\n"
    yield "| family | type | labels | meaning |"
    yield "|---|---|---|---|"
    for family in OwnCollector(everything_on()).collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = ", ".join(f"`{label}`" for label in vars(family).get("_labelnames", ()))  # they have no public name
        yield f"| `{name}` | {family.type} | {labels} | {family.documentation} |"
    yield ""
