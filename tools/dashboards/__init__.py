"""The dashboards in dashboards/*.json, as `make docs` writes them."""

from tools.dashboards import exporter, overview, pod, probes, stability, startup, workload

DASHBOARDS = tuple(module.DASHBOARD for module in (overview, workload, stability, startup, probes, pod, exporter))
