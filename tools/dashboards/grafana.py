"""Grafana's classic dashboard JSON, as much of it as we use: one place for its quirks, colours and links.

Queries are in the shorthand of `queries`. Panels flow from left to right in a grid of 24 columns.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from tools.dashboards.queries import above_zero, expand

Json: TypeAlias = dict[str, Any]
SCHEMA = 42
"""Grafana 12 writes it; 10 and 11 read it, newer ones migrate it when they load it."""
COLUMNS = 24
DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
TAG = "pod-exporter"
EVENT_STEP = "5m"
"""Of bars: increase() over a shorter window would show one event in several bars."""

GREEN, YELLOW, ORANGE, RED, BLUE, PURPLE, GREY = "green", "yellow", "orange", "red", "blue", "purple", "text"
PHASES = {
    "Pending": ORANGE, "ContainerCreating": YELLOW, "Running": GREEN, "Succeeded": BLUE, "Failed": RED,
    "Unknown": PURPLE, "Terminating": GREY,
}  # fmt: skip
CAUSES = {
    "OOMKilled": "dark-red", "Error": RED, "LivenessProbe": ORANGE, "StartupProbe": YELLOW,
    "PostStartHook": "dark-orange", "StartError": "dark-purple", "PodSandboxChanged": "light-blue", "Completed": BLUE,
    "Resize": "light-green", "Unobserved": PURPLE,
}  # fmt: skip
STAGES = {
    "gated": GREY, "scheduling": PURPLE, "sandbox": "light-blue", "init": YELLOW, "start": ORANGE, "readiness": GREEN,
}  # fmt: skip
PROBES = {
    "liveness failed": ORANGE, "readiness failed": BLUE, "startup failed": YELLOW, "liveness errored": "dark-orange",
    "readiness errored": "dark-blue", "startup errored": "dark-yellow",
}  # fmt: skip
PULLS = {
    "present": "light-blue", "pulled": BLUE, "failed auth": RED, "failed not_found": "dark-red",
    "failed rate_limit": ORANGE, "failed network": "light-red", "failed other": PURPLE,
}  # fmt: skip
STATUSES = {
    "Running": GREEN, "(Completed|Succeeded)": BLUE, "(Pending|ContainerCreating|PodInitializing|Init)": YELLOW,
    "Terminating": GREY, r"\S*(BackOff|Err|Error|Killed|Failed|Evicted|Unknown|DeadlineExceeded)\S*": RED,
}  # fmt: skip
Colours: TypeAlias = Mapping[str, str]
"""A word, or a pattern of words, has one colour on all dashboards."""
FIRST = ("cluster", "namespace", "workload", "workload_kind", "pod", "container")
"""Labels that are a table's first columns; Grafana alone would sort all by their names."""


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel. `legend` is a pattern like `{{container}}`; tables show its labels as columns."""

    expr: str
    legend: str = ""
    name: str = ""
    """Of the value's column in a table."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: what is specific to its kind stands in `options` and `defaults`."""

    kind: str
    title: str
    description: str
    """What it shows, what is bad, what to do."""
    queries: tuple[Query, ...]
    width: int = 12
    height: int = 8
    unit: str = "short"
    options: Json = field(default_factory=dict)
    defaults: Json = field(default_factory=dict)
    transformations: tuple[Json, ...] = ()
    overrides: tuple[Json, ...] = ()
    interval: str = ""
    mode: Literal["range", "instant", "heatmap"] = "range"
    """instant: what is now; a range would go on showing the last value of a series that has ended."""

    def json(self, number: int, x: int, y: int) -> Json:
        """Grafana's form of it, at that place."""
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": DATASOURCE,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            **({"interval": self.interval} if self.interval else {}),
            "targets": [self._target(query, chr(ord("A") + place)) for place, query in enumerate(self.queries)],
            "fieldConfig": {
                "defaults": {"unit": self.unit, "noValue": "none", **self.defaults},
                "overrides": list(self.overrides),
            },
            "options": self.options,
            "transformations": list(self.transformations),
        }

    def _target(self, query: Query, ref: str) -> Json:
        return {
            "refId": ref,
            "datasource": DATASOURCE,
            "expr": expand(query.expr),
            "legendFormat": query.legend or "__auto",
            "editorMode": "code",
            "range": self.mode != "instant",
            "instant": self.mode == "instant",
            "format": self.kind if self.kind in ("table", "heatmap") else "time_series",
        }


@dataclass(frozen=True, slots=True)
class Row:
    """A title with panels below it."""

    title: str
    panels: tuple[Panel, ...]
    collapsed: bool = False


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One dashboard; its file is named by its uid."""

    uid: str
    title: str
    description: str
    variables: tuple[str, ...]
    """Names of VARIABLES, each chained to those before it."""
    rows: tuple[Row, ...]

    def json(self) -> Json:
        """Grafana's form of it."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": [TAG, "kubernetes"],
            "schemaVersion": SCHEMA,
            "version": 1,
            "editable": False,
            "graphTooltip": 1,
            "timezone": "browser",
            "refresh": "30s",
            "time": {"from": "now-6h", "to": "now"},
            "annotations": {"list": [_ROLLOUTS] if "workload" in self.variables else []},
            "links": [_OTHERS],
            "templating": {"list": [_DATASOURCE_VARIABLE, *(_variable(name) for name in self.variables)]},
            "panels": list(self._panels()),
        }

    def text(self) -> str:
        """The file."""
        return json.dumps(self.json(), indent=2, ensure_ascii=False) + "\n"

    def _panels(self) -> Iterator[Json]:
        number = y = 0
        for row in self.rows:
            number += 1
            placed, height = list(_placed(row.panels, number + 1, y + 1)), _height(row.panels)
            yield {
                "id": number,
                "type": "row",
                "title": row.title,
                "collapsed": row.collapsed,
                "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1},
                "panels": placed if row.collapsed else [],
            }
            number += len(placed)
            y += 1
            if not row.collapsed:
                yield from placed
                y += height


def _lines(panels: Sequence[Panel]) -> Iterator[list[Panel]]:
    line: list[Panel] = []
    for panel in panels:
        if sum(one.width for one in line) + panel.width > COLUMNS:
            yield line
            line = []
        line.append(panel)
    yield line


def _height(panels: Sequence[Panel]) -> int:
    return sum(max(panel.height for panel in line) for line in _lines(panels))


def _placed(panels: Sequence[Panel], number: int, y: int) -> Iterator[Json]:
    for line in _lines(panels):
        x = 0
        for panel in line:
            yield panel.json(number, x, y)
            number += 1
            x += panel.width
        y += max(panel.height for panel in line)


# --- variables, links, annotations ----------------------------------------------------------------------------------

VARIABLES = {
    "job": ("Job", "label_values(pod_exporter_build_info, job)"),
    "cluster": ("Cluster", 'label_values(pod_exporter_build_info{job=~"$job"}, cluster)'),
    "instance": ("Exporter", "label_values(pod_exporter_build_info{$C}, instance)"),
    "namespace": ("Namespace", "label_values(pod_workload_ready_pods{$C}, namespace)"),
    "workload_kind": ("Kind", 'label_values(pod_workload_ready_pods{$C, namespace=~"$namespace"}, workload_kind)'),
    "workload": ("Workload", "label_values(pod_workload_ready_pods{$K}, workload)"),
    "pod": ("Pod", "label_values(pod_info{$W}, pod)"),
}
"""Label and query of each; `.*` for all also matches a label that is not there, such as cluster."""
SINGLE = ("pod",)
_DATASOURCE_VARIABLE: Json = {
    "type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus", "current": {},
    "hide": 0, "includeAll": False, "multi": False, "options": [], "refresh": 1, "regex": "",
}  # fmt: skip


def _variable(name: str) -> Json:
    label, query = VARIABLES[name]
    many = name not in SINGLE
    everything = {"current": {"text": ["All"], "value": ["$__all"]}, "allValue": ".*"} if many else {"current": {}}
    return {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": DATASOURCE,
        "definition": expand(query),
        "query": {"query": expand(query), "refId": f"variable-{name}", "qryType": 1},
        "refresh": 2,
        "sort": 1,
        "hide": 0,
        "regex": "",
        "options": [],
        "multi": many,
        "includeAll": many,
        **everything,
    }


_OTHERS: Json = {
    "type": "dashboards", "title": "pod-exporter", "tags": [TAG], "asDropdown": True, "keepTime": True,
    "includeVars": True, "targetBlank": False, "icon": "external link", "tooltip": "", "url": "",
}  # fmt: skip
_ROLLOUTS: Json = {
    "name": "Rollouts",
    "datasource": DATASOURCE,
    "enable": True,
    "hide": False,
    "iconColor": BLUE,
    "expr": expand("sum by (namespace, workload) (increase(pod_workload_rollouts_total{$W}[$__rate_interval])) > 0"),
    "step": "60s",
    "titleFormat": "Rollout",
    "textFormat": "{{namespace}}/{{workload}}",
}
_KEPT = "${__url_time_range}&${datasource:queryparam}&${job:queryparam}&${cluster:queryparam}"


def _link(title: str, uid: str, *labels: str) -> Json:
    chosen = "".join(f"&var-{label}=${{__data.fields.{label}}}" for label in labels)
    return {"title": title, "url": f"/d/{uid}?{_KEPT}{chosen}", "targetBlank": False}


TO_WORKLOAD = _link("Show the workload", "pod-exporter-workload", "namespace", "workload_kind", "workload")
TO_POD = _link("Show the pod", "pod-exporter-pod", "namespace", "pod")


# --- panels ---------------------------------------------------------------------------------------------------------


def steps(*limits: tuple[float, str], base: str = GREEN) -> Json:
    """Thresholds: a colour from each value on."""
    first: list[Json] = [{"color": base, "value": None}]
    return {"mode": "absolute", "steps": first + [{"color": colour, "value": value} for value, colour in limits]}


BAD = steps((1, RED))
WORRYING = steps((1, ORANGE))
NEUTRAL = steps(base=BLUE)
YES_OR_NO: list[Json] = [{"type": "value", "options": {"0": {"text": "no"}, "1": {"text": "yes"}}}]


def _queries(given: str | Sequence[Query], legend: str) -> tuple[Query, ...]:
    return (Query(given, legend),) if isinstance(given, str) else tuple(given)


def _coloured(colours: Colours) -> tuple[Json, ...]:
    return tuple(
        {
            "matcher": {"id": "byRegexp", "options": f"/(^| ){word}( |$)/"},
            "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}],
        }
        for word, colour in colours.items()
    )


def stat(
    title: str, expr: str, description: str, *, legend: str = "", thresholds: Json = BAD, **more: Any
) -> Panel:  # fmt: skip
    """One number with its history behind it, or with a legend the name of its series."""
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value", "graphMode": "area", "justifyMode": "auto", "orientation": "auto",
        "textMode": "name" if legend else "auto",
    }  # fmt: skip
    defaults = {"thresholds": thresholds, "color": {"mode": "thresholds"}, **more.pop("defaults", {})}
    return Panel(
        "stat",
        title,
        description,
        (Query(expr, legend),),
        **{"width": 4, "height": 4, **more},
        options=options,
        defaults=defaults,
    )


def lines(
    title: str,
    queries: str | Sequence[Query],
    description: str,
    legend: str = "",
    *,
    stacked: bool = False,
    **more: Any,
) -> Panel:
    """Values over time."""
    custom = {
        "drawStyle": "line", "lineWidth": 1, "fillOpacity": 30 if stacked else 5, "showPoints": "auto",
        "spanNulls": False, "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
    }  # fmt: skip
    return _timeseries(title, _queries(queries, legend), description, custom, **more)


def bars(title: str, queries: str | Sequence[Query], description: str, legend: str = "", **more: Any) -> Panel:
    """Events in each span of time; what did not happen in all of it is not in the legend."""
    happened = tuple(replace(one, expr=above_zero(one.expr)) for one in _queries(queries, legend))
    custom = {
        "drawStyle": "bars", "lineWidth": 0, "fillOpacity": 80, "showPoints": "never",
        "stacking": {"mode": "normal", "group": "A"},
    }  # fmt: skip
    return _timeseries(title, happened, description, custom, interval=EVENT_STEP, **more)


def _timeseries(
    title: str,
    queries: tuple[Query, ...],
    description: str,
    custom: Json,
    *,
    colours: Colours | None = None,
    **more: Any,
) -> Panel:
    options = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc", "hideZeros": True},
    }
    defaults = {"custom": custom, "color": {"mode": "palette-classic"}, "min": 0, **more.pop("defaults", {})}
    return Panel(
        "timeseries",
        title,
        description,
        queries,
        **more,
        options=options,
        defaults=defaults,
        overrides=_coloured(colours or {}),
    )


def heatmap(title: str, expr: str, description: str, **more: Any) -> Panel:
    """Durations over time: darker is more."""
    options = {
        "calculate": False,
        "cellGap": 1,
        "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5, "reverse": False},
        "yAxis": {"unit": "s", "axisPlacement": "left"},
        "tooltip": {"mode": "single", "yHistogram": False},
        "legend": {"show": False},
        "rowsFrame": {"layout": "auto"},
        "filterValues": {"le": 1e-9},
    }
    query = Query(expr, "{{le}}")
    more = {"interval": EVENT_STEP, "unit": "s", **more}
    return Panel("heatmap", title, description, (query,), **more, mode="heatmap", options=options)


def table(
    title: str, queries: str | Sequence[Query], description: str, *, column: str = "", links: Sequence[Json] = (),
    units: dict[str, str] | None = None, flags: Sequence[str] = (), ascending: bool = False, **more: Any,
) -> Panel:  # fmt: skip
    """One row for each set of labels, by the first value, which is the worst at the top unless `ascending`.

    `column` names the value of the only query, which is not shown without a name; `units` are by column; in `flags`
    1 is yes and 0 no.
    """
    many = (Query(queries, name=column),) if isinstance(queries, str) else tuple(queries)
    letters = [chr(ord("A") + place) for place in range(len(many))]
    values = {
        f"Value #{letter}" if len(many) > 1 else "Value": query.name
        for letter, query in zip(letters, many, strict=True)
    }
    transformations: list[Json] = [{"id": "merge", "options": {}}] if len(many) > 1 else []
    transformations.append({"id": "organize", "options": _organized(values)})
    options = {
        "showHeader": True,
        "cellHeight": "sm",
        "footer": {"show": False},
        "sortBy": [{"displayName": many[0].name, "desc": not ascending}] if many[0].name else [],
    }
    defaults = {"custom": {"filterable": True, "align": "auto"}}
    return Panel(
        "table", title, description, many, **more, mode="instant", options=options, defaults=defaults,
        transformations=tuple(transformations), overrides=tuple(_columns(units or {}, flags, links)),
    )  # fmt: skip


def _columns(units: Mapping[str, str], flags: Sequence[str], links: Sequence[Json]) -> Iterator[Json]:
    """What is special about single columns of a table."""
    leading = [(name, link) for name, link in (("workload", TO_WORKLOAD), ("pod", TO_POD)) if link in links]
    settings: list[tuple[str, str, Any]] = [
        *((name, "unit", unit) for name, unit in units.items()),
        *((name, "mappings", YES_OR_NO) for name in flags),
        *((name, "links", [link]) for name, link in leading),
    ]
    for name, setting, value in settings:
        yield {"matcher": {"id": "byName", "options": name}, "properties": [{"id": setting, "value": value}]}


def _organized(values: dict[str, str]) -> Json:
    """Options of the transformation that orders and names the columns; a value without a name is left out."""
    return {
        "excludeByName": {"Time": True, **{value: True for value, name in values.items() if not name}},
        "indexByName": {label: place for place, label in enumerate(FIRST)},
        "renameByName": {value: name for value, name in values.items() if name},
    }


def timeline(
    title: str, expr: str, description: str, legend: str, states: dict[int, tuple[str, str]] | None = None,
    *, colours: Colours | None = None, **more: Any,
) -> Panel:  # fmt: skip
    """What was when; `states`: word and colour of each number, without it a row has one colour and no words."""
    mapping = {str(number): {"text": word, "color": colour} for number, (word, colour) in (states or {}).items()}
    defaults = {
        "mappings": [{"type": "value", "options": mapping}] if states else [],
        # Colours by thresholds would show "< 80" instead of the mapped words.
        "color": {"mode": "fixed", "fixedColor": GREY},
        "custom": {"fillOpacity": 80, "lineWidth": 0},
    }
    options = {
        "mergeValues": True, "showValue": "auto" if states else "never", "alignValue": "left", "rowHeight": 0.9,
        "perPage": 20, "legend": {"displayMode": "list", "placement": "bottom", "showLegend": bool(states)},
        "tooltip": {"mode": "single"},
    }  # fmt: skip
    return Panel(
        "state-timeline",
        title,
        description,
        (Query(expr, legend),),
        **{"width": 24, **more},
        options=options,
        defaults=defaults,
        overrides=_coloured(colours or {}),
    )
