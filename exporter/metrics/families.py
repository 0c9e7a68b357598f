"""What a family is: its name, type, labels, meaning, and what feeds it. The tables are in `catalogue.py`."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from exporter.lifecycle.observations import Observation

Rows: TypeAlias = Literal["pod", "container", "ending", "loop"]
Scope: TypeAlias = Literal["workload", "namespace", "node", "registry"]
Level: TypeAlias = Literal["workload", "namespace", "registry", "off"]

SCOPES: dict[Scope, tuple[str, ...]] = {
    "workload": ("namespace", "workload_kind", "workload"),
    "namespace": ("namespace", "workload_kind"),
    "node": ("node",),
    "registry": ("registry",),
}
"""The labels of whose account a family is kept on."""


class RowFamily(NamedTuple):
    """One line for each pod, container, ending or crash loop, rendered when a record changes.

    `labels`: words `label` or `label=path`, read from what the scope names, from the record if the path begins with
    `pod.` or `record.`; "*" for those that the settings allow. `value`: a path, "" for 1; no line where it gives None.
    """

    name: str
    scope: Rows
    help: str
    labels: str = ""
    value: str = ""
    exact: str = "as of the newest update of the pod"
    example: str = ""


class CounterFamily(NamedTuple):
    """Counts observations of one kind on an account.

    `labels`: words `label`, `label=attribute` of the observation or `label=:text`; `amount`: the attribute to add, ""
    for 1, nothing is added where it is None; `each`: an attribute of pairs (label value, amount), each of which is
    added. `bounds`: the label whose values are bounded, how many of them, and by which other label they are counted
    apart ("" for all together).
    """

    name: str
    on: type[Observation]
    help: str
    labels: str
    amount: str = ""
    each: str = ""
    bounds: tuple[tuple[str, int, str], ...] = ()
    scope: Scope = "workload"
    exact: str = "exact while the watch is unbroken"
    example: str = ""

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels behind those of the account."""
        return _names(self.labels)


class HistogramFamily(NamedTuple):
    """Distributes an attribute of observations over buckets; fields as of `CounterFamily`.

    `level`: on whose accounts it is kept unless `--metrics.histogram-level` says otherwise.
    """

    name: str
    on: type[Observation]
    help: str
    labels: str
    buckets: tuple[float, ...]
    level: Level
    amount: str = ""
    each: str = ""
    bounds: tuple[tuple[str, int, str], ...] = ()
    exact: str = "exact while the watch is unbroken; API times are whole seconds"
    example: str = ""

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels behind those of the account."""
        return _names(self.labels)


class GaugeFamily(NamedTuple):
    """A number of a workload's pods as they are now; `labels` are those behind the workload's own.

    `bounds` as of `CounterFamily`; what is beyond counts as `other`.
    """

    name: str
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[tuple[str, int, str], ...] = ()
    exact: str = "as of the newest updates of the pods"
    example: str = ""


Fed: TypeAlias = CounterFamily | HistogramFamily
Family: TypeAlias = RowFamily | CounterFamily | HistogramFamily | GaugeFamily


def metric_type(family: Family) -> str:
    """The type that both formats name; information is a gauge in both, so that one body serves both."""
    if isinstance(family, HistogramFamily):
        return "histogram"
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


def sample_names(family: Family) -> frozenset[str]:
    """All names under which a family can be asked for."""
    names = {family.name, family.name.removesuffix("_total")}
    if isinstance(family, HistogramFamily):
        names |= {f"{family.name}_{part}" for part in ("bucket", "sum", "count")}
    return frozenset(names)


def escape(text: object) -> str:
    """A label value as both formats want it."""
    text = str(text)
    if "\\" in text or '"' in text or "\n" in text:
        text = text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return text


def number(value: float) -> str:
    """A sample's value: without a fraction if it has none."""
    whole = int(value)
    return str(whole) if value == whole else repr(value)


def _names(words: str) -> tuple[str, ...]:
    return tuple(word.partition("=")[0] for word in words.split())
