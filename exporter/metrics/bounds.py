"""Labels whose values anybody may choose: the first ones have series of their own, what is beyond is `other`.

A value that has come in stays in, and where there is no room for one there never will be, as long as its account is
open. So what a gauge takes back it takes from the very series to which it was added.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import NamedTuple, TypeAlias

OTHER = "other"
Key: TypeAlias = tuple[str, ...]
"""Values of a family's own labels, in their order."""
Known: TypeAlias = dict[tuple[int, str], dict[str, None]]
"""Values that have come in, by the position of their label and the value apart from others of which they count."""


class Bound(NamedTuple):
    """A label and its position, how many values it may have, and the position of the one apart from whose others."""

    label: str
    at: int
    limit: int
    apart: int | None


class Bounds(NamedTuple):
    """All bounds of a family; `least`: as long as it has fewer series than that, none of them is reached."""

    each: tuple[Bound, ...]
    least: float

    def first(self, keys: Iterable[Key]) -> Known:
        """The values that have come in with the series so far."""
        known: Known = {}
        for key in keys:
            self.admit(known, key)
        return known

    def admit(self, known: Known, key: Key) -> tuple[Key, list[str]]:
        """Let a new series' values in; gives the key to use and the labels that overflowed. However many there are."""
        overflown = []
        for label, at, limit, apart in self.each:
            values = known.setdefault((at, "" if apart is None else key[apart]), {})
            if key[at] in values or key[at] == OTHER:
                continue
            if len(values) < limit:
                values[key[at]] = None
            else:
                key = (*key[:at], OTHER, *key[at + 1 :])
                overflown.append(label)
        return key, overflown


def bounds_of(labels: tuple[str, ...], bounds: Iterable[tuple[str, int, str]]) -> Bounds:
    """Bounds as the catalogue has them, ready for the hot path."""
    each = tuple(
        Bound(label, labels.index(label), limit, labels.index(apart) if apart else None)
        for label, limit, apart in bounds
    )
    return Bounds(each, min((bound.limit for bound in each), default=inf))
