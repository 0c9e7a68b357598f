"""Which files of the repository are generated, and what writes each."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from exporter.metrics import reference as metrics
from exporter.settings import reference as settings
from tools import alerts, chart_readme, chart_schema
from tools.dashboards import DASHBOARDS

ROOT = Path(__file__).parent.parent
FILES: dict[Path, Callable[[], str]] = {
    ROOT / "docs/configuration.md": settings.markdown,
    ROOT / "docs/metrics.md": metrics.markdown,
    chart_readme.CHART / "README.md": chart_readme.text,
    chart_readme.CHART / "values.schema.json": chart_schema.text,
    ROOT / "docs/alerts.md": alerts.page,
    **{ROOT / "alerts" / f"{group}.yaml": partial(alerts.text, group) for group in alerts.GROUPS},
    chart_readme.CHART / "files/alerts.yaml": alerts.chart_text,
    # The chart cannot reach outside of its folder, so it has a copy.
    **{ROOT / "dashboards" / f"{one.uid}.json": one.text for one in DASHBOARDS},
    **{chart_readme.CHART / "dashboards" / f"{one.uid}.json": one.text for one in DASHBOARDS},
}
