"""What a family is: its name, type, labels, meaning, and what feeds it. The tables are in `catalogue.py`."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from exporter.lifecycle.observations import Observation

Scope: TypeAlias = Literal["pod", "container", "ending"]


class RowFamily(NamedTuple):
    """One line for each pod, container or ending, rendered when a record changes.

    `labels`: words `label` or `label=path`, read from what the scope names; `value`: a path, "" for 1, and no line
    where it gives None.
    """

    name: str
    scope: Scope
    help: str
    labels: str = ""
    value: str = ""


class CounterFamily(NamedTuple):
    """Counts observations of one kind on the workload's account.

    `labels`: words `label` or `label=attribute` of the observation; `amount`: the attribute to add, "" for 1, nothing
    is added where it is None. `bounds`: the label whose values are bounded, how many of them, and by which other
    label they are counted apart ("" for all together).
    """

    name: str
    on: type[Observation]
    help: str
    labels: str
    amount: str = ""
    bounds: tuple[tuple[str, int, str], ...] = ()

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels behind the workload's own."""
        return tuple(word.partition("=")[0] for word in self.labels.split())


class GaugeFamily(NamedTuple):
    """A number of a workload's pods as they are now."""

    name: str
    help: str


Family: TypeAlias = RowFamily | CounterFamily | GaugeFamily


def metric_type(family: Family) -> str:
    """The type that both formats name; information is a gauge in both, so that one body serves both."""
    return "counter" if isinstance(family, CounterFamily) else "gauge"


def header(family: Family, *, openmetrics: bool) -> bytes:
    """HELP and TYPE, in OpenMetrics also UNIT; there a counter's name stands without `_total`."""
    kind = metric_type(family)
    name = family.name.removesuffix("_total") if openmetrics and kind == "counter" else family.name
    unit = next((u for u in ("seconds", "bytes") if name.endswith(f"_{u}")), "") if openmetrics else ""
    lines = [f"# HELP {name} {family.help}", f"# TYPE {name} {kind}"]
    if unit:
        lines.append(f"# UNIT {name} {unit}")
    return ("\n".join(lines) + "\n").encode()


def escape(text: object) -> str:
    """A label value as both formats want it."""
    text = str(text)
    if "\\" in text or '"' in text or "\n" in text:
        text = text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return text
