"""Per-pod series as ready bytes: a new state of a pod swaps its whole row, a scrape only joins.

Families are a table, compiled once into one function of f-strings, as namedtuple and attrs do: 18 us a pod instead
of 35 with attribute getters. Re-rendering only the families that changed was measured: not worth it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from math import inf
from typing import Literal, TypeAlias, cast

from exporter.lifecycle.bounded import LIMIT
from exporter.lifecycle.records import Record
from exporter.metrics.catalogue import INFO, LABELS
from exporter.metrics.families import RowFamily, escape, number

Row: TypeAlias = tuple[bytes, ...]
"""One chunk of lines a family, b"" for none."""
Which: TypeAlias = Literal["all", "unhealthy", "none"]

_SCOPES = {"container": "containers", "ending": "endings", "loop": "loops"}
"""Scopes of which a pod has none, one or several, and what the compiled function calls them."""
_NO_LABEL = re.compile(r"[^a-zA-Z0-9_]")


def label_names(keys: Sequence[str]) -> tuple[str | None, ...]:
    """What the allowed pod labels are called; None for one whose name an earlier one has."""
    names: list[str | None] = []
    for key in keys:
        name = f"label_{_NO_LABEL.sub('_', key)}"
        names.append(None if name in names else name)
    return tuple(names)


def labels_of(names: tuple[str | None, ...]) -> Callable[[Record], str | None]:
    """Make the function that gives a record's allowed labels as text, None if it has none of them."""

    def labels(record: Record) -> str | None:
        found = zip(names, record.labels, strict=False)
        shown = [f',{name}="{escape(text[:LIMIT])}"' for name, text in found if name is not None and text is not None]
        return "".join(shown) or None

    return labels


def compile_row(families: Iterable[RowFamily], allowed: Sequence[str] = ()) -> Callable[[Record], Row]:
    """Make the function that renders a record's row; nothing of the settings enters its source."""
    chunks = "".join(map(_chunk, families))
    source = (
        "def row(r):\n"
        ' at = f\'{{namespace="{e(r.pod.namespace)}",pod="{e(r.pod.name)}"\'\n'
        " x = r\n"
        ' containers = [(f\'{at},container="{e(c.name)}",container_type="{c.type}"\', c) for c in r.containers]\n'
        " endings = [(at, c.ending) for at, c in containers if c.ending]\n"
        " loops = [(at, c.loop) for at, c in containers if c.loop]\n"
        f" return ({chunks})\n"
    )
    scope: dict[str, object] = {"e": escape, "n": number, "b": "".join, "l": labels_of(label_names(allowed))}
    exec(compile(source, "<families>", "exec"), scope)  # noqa: S102 - the table above is its only input
    return cast("Callable[[Record], Row]", scope["row"])


def _chunk(family: RowFamily) -> str:
    """The expression of a family's chunk. A pod's needs no list, and most pods have no ending and no loop."""
    labels = (label.partition("=") for label in family.labels.split())
    texts = "".join(f',{name}="{{e({_path(path or name)})}}"' for name, _, path in labels)
    value, wanted = ("{n(v)}", f"(v := {_path(family.value)}) is not None") if family.value else ("1", "")
    if family.labels == "*":
        texts, wanted = "{t}", "(t := l(r)) is not None"
    line = f"f'{family.name}{{at}}{texts}}}}} {value}\\n'"
    if family.scope == "pod":
        return f"{line}.encode() if {wanted or 'True'} else b'',"
    found = _SCOPES[family.scope]
    return f"b([{line} for at, x in {found}{' if ' if wanted else ''}{wanted}]).encode() if {found} else b'',"


def _path(path: str) -> str:
    """Paths that begin with `pod.` lead to the record's reference, all others into the scope."""
    return f"r.{path}" if path.startswith("pod.") else f"x.{path}"


def healthy(record: Record) -> bool:
    """Whether a pod is as it should be, and has been so for a while."""
    fine = (record.phase == "Running" and record.ready) or record.phase == "Succeeded"
    calm = record.quiet_at == inf and record.deletion_requested == inf
    return fine and calm and all(c.loop is None for c in record.containers)


class Rows:
    """The rows of all pods that are there, by namespace and name, as their labels are (R11).

    `which`: of all pods, of unhealthy ones (and pod_info of all), or none; `allowed`: keys of pod labels to show.
    """

    def __init__(self, families: tuple[RowFamily, ...], which: Which = "all", allowed: Sequence[str] = ()) -> None:
        families = (*families, LABELS) if allowed else families
        self.families = () if which == "none" else families
        self._which = which
        self._render = compile_row(self.families, allowed)
        self._brief = compile_row([INFO] if INFO in self.families else [])
        self._rows: dict[str, Row] = {}
        self._uids: dict[str, str] = {}
        self.series = 0
        """Lines in all rows together."""

    def render(self, record: Record) -> Row:
        """A record's row; what may fail on a record fails here, before anything is changed."""
        if self._which == "unhealthy" and healthy(record):
            info = self._brief(record)
            return tuple([info[0] if family is INFO else b"" for family in self.families])
        return self._render(record)

    def put(self, record: Record, row: Row) -> None:
        """Show this row from now on."""
        name = _name(record)
        self.series += _lines(row) - _lines(self._rows.get(name, ()))
        self._rows[name] = row
        self._uids[name] = record.pod.uid

    def drop(self, record: Record) -> None:
        """Take a pod's row away, if its name has not passed to another pod."""
        name = _name(record)
        if self._uids.get(name) == record.pod.uid:
            del self._uids[name]
            self.series -= _lines(self._rows.pop(name))

    def snapshot(self) -> list[Row]:
        """All rows as they are at this moment."""
        return list(self._rows.values())


def _name(record: Record) -> str:
    return f"{record.pod.namespace}/{record.pod.name}"


def _lines(row: Row) -> int:
    return b"".join(row).count(b"\n")
