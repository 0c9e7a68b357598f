"""What a Prometheus makes of expositions: raw samples, and the sum of their positive deltas, resets corrected."""

from __future__ import annotations

from collections import defaultdict


class Ingested:
    """One server's view of counters and histograms: last sample of each series, and by how much it has grown."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}
        self.grown: dict[str, float] = defaultdict(float)
        """By the series as the exposition writes it; from its first sample on, as `increase()` counts."""

    def take(self, exposition: str) -> None:
        """One complete scrape: a sample below the last one is a reset to 0."""
        for line in exposition.splitlines():
            series, _, text = line.rpartition(" ")
            if not line.startswith("pod_exporter_") and line.startswith("pod_") and _grows(series):
                value = float(text)
                last = self._last.get(series, value)
                self.grown[series] += value - last if value >= last else value
                self._last[series] = value

    def non_zero(self) -> dict[str, float]:
        """Growth, rounded to what floats keep, of the series that have grown."""
        return {series: round(value, 6) for series, value in self.grown.items() if round(value, 6)}


def _grows(series: str) -> bool:
    return series.partition("{")[0].endswith(("_total", "_bucket", "_sum", "_count"))
