"""Series of workloads in trouble, taken from the real node's Prometheus for tests of the alerts that need no node."""

from __future__ import annotations

import time
from typing import TypeAlias

from tests.cluster.prometheus import Prometheus
from tests.promql import selector_texts
from tools.alerts import ALERTS

Captured: TypeAlias = dict[str, dict[str, str]]
"""For each alert the series that it reads, with their values in the notation of promtool's tests."""
TAKEN = {
    "PodContainerOOMKilled": "oom",
    "PodContainerCrashLooping": "crasher",
    "PodImagePullFailing": "nopull",
    "PodContainerCannotStart": "no-secret",
    "PodProbeKills": "hang",
    "PodReadinessFlapping": "flapper",
    "PodWorkloadDegraded": "web",
}
"""Alerts and the workload whose series are taken. `web` was rolled out, which raises nothing."""


def captured(prometheus: Prometheus, since: float, step: int) -> Captured:
    """What Prometheus has of them from a Unix time on, at every step of so many seconds."""
    taken: Captured = {}
    for alert in ALERTS:
        for text in selector_texts(alert.query()) if alert.name in TAKEN else ():
            selector = _of(text, TAKEN[alert.name])
            taken.setdefault(alert.name, {}).update(prometheus.history(selector, since, time.time(), step))
    return taken


def _of(selector: str, workload: str) -> str:
    name, _, matchers = selector.partition("{")
    return f'{name}{{workload="{workload}",{matchers or "}"}'
