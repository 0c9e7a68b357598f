"""Which pictures there are: of which dashboard, with what chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tools.dashboards import exporter, overview, pod, probes, stability, startup, workload
from tools.dashboards.grafana import Dashboard
from tools.pictures.page import opened
from tools.pictures.source import COARSE, PictureError, Source, View


@dataclass(frozen=True, slots=True)
class Picture:
    """A dashboard and what is chosen in its variables."""

    name: str
    dashboard: Dashboard
    chosen: Mapping[str, str] = field(default_factory=dict)


_SOME = {"workload": "cart|checkout|llm-with-monitoring|orders|search"}
_ORDERS = {"namespace": "shop", "workload_kind": "Deployment", "workload": "orders"}
PICTURES = (
    Picture("overview", opened(overview.DASHBOARD)),
    Picture("workload", opened(workload.DASHBOARD), _SOME),
    Picture("pod", opened(pod.DASHBOARD), _ORDERS),
    Picture("probes", opened(probes.DASHBOARD)),
    Picture("stability", opened(stability.DASHBOARD)),
    Picture("startup", opened(startup.DASHBOARD)),
    Picture("exporter", opened(exporter.DASHBOARD)),
)


def view(one: Picture, minutes: int, end: int, source: Source) -> View:
    """The last minutes before a Unix time, on steps as Grafana takes them; a pod that is there is chosen."""
    end -= end % COARSE
    chosen = dict(one.chosen)
    if "pod" in one.dashboard.variables:
        chosen["pod"] = _pod(chosen, end, source)
    return View(end - minutes * 60, end, chosen=chosen)


def _pod(chosen: Mapping[str, str], at: float, source: Source) -> str:
    selected = ", ".join(f'{label}="{value}"' for label, value in chosen.items())
    pods = sorted(found.labels["pod"] for found in source.instant(f"pod_info{{{selected}}}", at))
    if not pods:
        raise PictureError(f"there is no pod with {selected}: the demo has changed, or has not run for long enough")
    return pods[0]
