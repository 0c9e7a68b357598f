"""Rows of labels and values, as many as fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tools.pictures.content import Content, mapping, nothing
from tools.pictures.source import Json
from tools.pictures.svg import Box, rectangle, text, width_of
from tools.pictures.theme import BORDER, FAINT, GRID, LINK, SMALL, SOFT, TEXT
from tools.pictures.units import shown

Cell: TypeAlias = str | float
Record: TypeAlias = dict[str, Cell]
HEAD, LINE = 22, 21
_APART = 14
_NARROWEST = 34


@dataclass(frozen=True, slots=True)
class Column:
    """A column with its cells as they are shown, and where it stands."""

    name: str
    cells: tuple[str, ...]
    numeric: bool
    colour: str
    x: float = 0
    width: float = 0


def draw(content: Content) -> Iterator[str]:
    """The head, the first rows, and how many there are more."""
    records = arranged(content)
    if not records:
        yield from nothing(content)
        return
    box = content.box
    fit = int((box.height - HEAD) // LINE)
    rows = records if len(records) <= fit else records[: int((box.height - HEAD - 14) // LINE)]
    for column in _placed([_column(content, name, rows) for name in records[0]], box):
        yield from _drawn(column, box)
    yield from _lines(len(rows), box)
    if len(rows) < len(records):
        yield text(f"… {len(records) - len(rows)} more", box.x, box.bottom - 1, size=SMALL, fill=FAINT)


# --- the rows, as Grafana's transformations make them -----------------------------------------------------------------


def arranged(content: Content) -> list[Record]:
    """One record for each set of labels, after the panel's own transformations and order."""
    records = _merged(content)
    for one in content.panel["transformations"]:
        if one["id"] == "organize":
            records = [_organized(record, one["options"]) for record in records]
    for order in reversed(content.panel["options"].get("sortBy", ())):
        records.sort(key=lambda record: _rank(record.get(order["displayName"], "")), reverse=order["desc"])
    return records


def _merged(content: Content) -> list[Record]:
    """The answers to all targets, joined by their labels; a value that is not there is an empty cell."""
    several = len(content.found) > 1
    values = {
        target["refId"]: f"Value #{target['refId']}" if several else "Value" for target in content.panel["targets"]
    }
    names = sorted({label for found in content.found for one in found for label in one.labels})
    rows: dict[tuple[str, ...], Record] = {}
    for column, found in zip(values.values(), content.found, strict=True):
        for one in found:
            labels = tuple(one.labels.get(name, "") for name in names)
            row = rows.setdefault(
                labels, {**dict(zip(names, labels, strict=True)), **dict.fromkeys(values.values(), "")}
            )
            row[column] = next(iter(one.points.values()), "")
    return list(rows.values())


def _organized(record: Record, options: Json) -> Record:
    left_out, new, order = options["excludeByName"], options["renameByName"], options.get("indexByName", {})
    kept = sorted((name for name in record if not left_out.get(name)), key=lambda name: order.get(name, len(order)))
    return {new.get(name, name): record[name] for name in kept}


def _rank(cell: Cell) -> tuple[bool, Cell]:
    return isinstance(cell, float), cell


# --- where they stand -------------------------------------------------------------------------------------------------


def _column(content: Content, name: str, rows: Sequence[Record]) -> Column:
    cells = [row[name] for row in rows]
    numeric = any(isinstance(cell, float) for cell in cells)
    words = tuple(_words(content, name, cell) if isinstance(cell, float) else cell for cell in cells)
    return Column(name, words, numeric, LINK if content.setting(name, "links") else TEXT)


def _words(content: Content, name: str, value: float) -> str:
    mappings = content.setting(name, "mappings", ())
    word = mapping(mappings, value).get("text") if isinstance(mappings, list) else None
    return str(word or shown(value, str(content.setting(name, "unit", content.unit))))


def _wanted(column: Column) -> float:
    return max(width_of(column.name, SMALL), *map(width_of, column.cells), 0) + 2


def _placed(columns: Sequence[Column], box: Box) -> Iterator[Column]:
    """Side by side; what is too wide in all is taken from the widest."""
    widths = [_wanted(column) for column in columns]
    room = box.width - _APART * (len(columns) - 1)
    while sum(widths) > room and max(widths) > _NARROWEST:
        widest = widths.index(max(widths))
        widths[widest] -= min(4, sum(widths) - room)
    spare = max(0.0, room - sum(widths)) / len(columns)
    x = box.x
    for column, width in zip(columns, widths, strict=True):
        yield Column(column.name, column.cells, column.numeric, column.colour, x, width + spare)
        x += width + spare + _APART


def _drawn(column: Column, box: Box) -> Iterator[str]:
    anchor = "end" if column.numeric else None
    x = column.x + column.width if column.numeric else column.x
    yield text(
        column.name, x, box.y + 13, size=SMALL, fill=SOFT, width=column.width, text_anchor=anchor, font_weight="600"
    )
    for place, cell in enumerate(column.cells):
        y = box.y + HEAD + place * LINE + 15
        yield text(cell, x, y, fill=column.colour, width=column.width, text_anchor=anchor)


def _lines(rows: int, box: Box) -> Iterator[str]:
    yield rectangle(Box(box.x, box.y + HEAD - 1, box.width, 1), BORDER)
    for place in range(1, rows):
        yield rectangle(Box(box.x, box.y + HEAD + place * LINE, box.width, 1), GRID)
