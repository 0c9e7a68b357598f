"""One answer of /metrics, read by the official parsers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.samples import Sample

TEXT = "text/plain; version=0.0.4"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@dataclass(frozen=True, slots=True)
class Scrape:
    """All samples of one answer."""

    body: str
    samples: tuple[Sample, ...]

    @classmethod
    def parse(cls, body: str, content_type: str) -> Scrape:
        """Read the body by its content type; ValueError if the parser refuses it."""
        parse = parse_openmetrics if content_type.startswith("application/openmetrics-text") else parse_text
        return cls(body, tuple(sample for family in parse(body) for sample in family.samples))

    def select(self, name: str, **labels: str) -> list[Sample]:
        """The samples of that name that have these labels among theirs."""
        wanted = labels.items()
        return [sample for sample in self.samples if sample.name == name and wanted <= sample.labels.items()]

    def select_all(self, namespace: str) -> list[Sample]:
        """The samples about that namespace."""
        return [sample for sample in self.samples if sample.labels.get("namespace") == namespace]

    def total(self, name: str, **labels: str) -> float:
        return sum(sample.value for sample in self.select(name, **labels))

    def by(self, label: str, name: str, **labels: str) -> dict[str, float]:
        """Sums by one label, zeros left out."""
        sums: Counter[str] = Counter()
        for sample in self.select(name, **labels):
            sums[sample.labels.get(label, "")] += sample.value  # type: ignore[assignment]
        return {value: total for value, total in sums.items() if total}

    def lines(self) -> list[str]:
        """The lines that hold samples."""
        return [line for line in self.body.split("\n") if line and not line.startswith("#")]

    def duplicates(self) -> list[str]:
        series = Counter(line.rpartition(" ")[0] for line in self.lines())
        return [name for name, count in series.items() if count > 1]
