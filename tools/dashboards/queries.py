"""Shorthands of the queries. Every query names job and cluster, so that one Prometheus can hold many clusters.

`$W` selects workloads, `$K` the same without the workload's name (histograms of a namespace), `$P` one pod, `$C` a
cluster, `$S` an exporter; `W` as a label stands for the four labels that name a workload.
"""

from __future__ import annotations

import re

_CLUSTER = 'job=~"$job", cluster=~"$cluster"'
_KIND = f'{_CLUSTER}, namespace=~"$namespace", workload_kind=~"$workload_kind"'
SELECTORS = {
    "$W": f'{_KIND}, workload=~"$workload"',
    "$K": _KIND,
    "$P": f'{_CLUSTER}, namespace=~"$namespace", pod=~"$pod"',
    "$C": _CLUSTER,
    "$S": f'{_CLUSTER}, instance=~"$instance"',
}
WORKLOAD = "cluster, namespace, workload_kind, workload"


def expand(query: str) -> str:
    """The query as Grafana takes it."""
    selected = re.sub(r"\$[WKPCS]\b", lambda found: SELECTORS[found[0]], query)
    return re.sub(r"(?<=\()W(?=[,)])", WORKLOAD, selected)


def above_zero(query: str) -> str:
    """The query without what is 0: series that exist from the begin, so that increase() sees their first event."""
    return query if query.endswith(" > 0") else f"{query} > 0"


def in_gib(aggregated: str, query: str) -> str:
    """The query twice, for what is counted in bytes and for all else, bytes as GiB: a column of a table has one unit.

    `query` has `%s` where the matcher of its label `unit` goes.
    """
    rest, memory = (f"{aggregated} ({query % matcher})" for matcher in ('unit!="byte"', 'unit="byte"'))
    return f'{rest} or label_replace({memory} / 1024^3, "unit", "GiB", "", "")'
