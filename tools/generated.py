"""Which files of the repository are generated, and what writes each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from exporter.metrics import reference as metrics
from exporter.settings import reference as settings
from tools import chart_readme, chart_schema

ROOT = Path(__file__).parent.parent
FILES: dict[Path, Callable[[], str]] = {
    ROOT / "docs/configuration.md": settings.markdown,
    ROOT / "docs/metrics.md": metrics.markdown,
    chart_readme.CHART / "README.md": chart_readme.text,
    chart_readme.CHART / "values.schema.json": chart_schema.text,
}
