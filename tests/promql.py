"""What a query reads, by a parser that is not ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import promql_parser

from exporter.metrics.catalogue import COUNTERS, GAUGES, HISTOGRAMS, LABELS, ROWS
from exporter.metrics.families import metric_type
from exporter.metrics.own import OwnCollector, everything_on
from exporter.metrics.reference import labels_of

TARGET = frozenset(("job", "instance", "cluster"))
"""Labels that Prometheus gives to every series."""
PROCESS = frozenset(("process_resident_memory_bytes", "process_cpu_seconds_total"))
OWN_LABELS = frozenset(("resource", "event", "reason", "kind", "family", "label", "tier", "result", "source", "cause",
                        "room", "version", "python"))  # fmt: skip
_SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("",), "gauge": ("",)}


class Selector(NamedTuple):
    """One place where a query reads series."""

    metric: str
    labels: frozenset[str]
    """Those that its matchers name."""


def selectors(query: str) -> Iterator[Selector]:
    """Every selector of a query; ValueError if it is none."""
    yield from _walk(promql_parser.parse(substituted(query)))


def selector_texts(query: str) -> Iterator[str]:
    """Every selector as one would ask for it alone."""
    for node in _nodes(promql_parser.parse(substituted(query))):
        yield str(node)


def _walk(node: Any) -> Iterator[Selector]:
    for one in _nodes(node):
        yield Selector(one.name or "", frozenset(matcher.name for matcher in one.matchers.matchers))


def _nodes(node: Any) -> Iterator[promql_parser.VectorSelector]:
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    for name in ("lhs", "rhs", "expr", "args", "vector_selector", "param"):
        below = getattr(node, name, None)
        for one in below if isinstance(below, list) else [below]:
            if one is not None:
                yield from _nodes(one)


def substituted(query: str, span: str = "10m") -> str:
    """With everything chosen in all of Grafana's variables."""
    return re.sub(r"\$[a-z]\w*", ".*", re.sub(r"\$__(rate_interval|range|interval)", span, query))


def known() -> dict[str, frozenset[str]]:
    """Every sample name that the exporter can show, with its labels."""
    names: dict[str, frozenset[str]] = {}
    for family in (*COUNTERS, *HISTOGRAMS, *GAUGES, *ROWS, LABELS):
        kind = metric_type(family)
        for suffix in _SUFFIXES[kind]:
            le = {"le"} if suffix == "_bucket" else set()
            names[family.name + suffix] = TARGET | set(labels_of(family)) | le
    for own in OwnCollector(everything_on()).collect():
        for suffix in ("_total",) if own.type == "counter" else _SUFFIXES.get(own.type, ("",)):
            names[own.name + suffix] = TARGET | OWN_LABELS | {"le"}
    return names | dict.fromkeys(PROCESS, TARGET)


def family_of(sample: str) -> str:
    """The family that a sample belongs to."""
    return re.sub(r"(?<=_seconds)_(bucket|sum|count)$", "", sample)
