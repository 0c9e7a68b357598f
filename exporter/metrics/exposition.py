"""The whole answer to a scrape, in blocks: one body for both formats but the headers."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from time import monotonic

from prometheus_client.exposition import generate_latest as generate_text
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector

from exporter.metrics.accounts import Account
from exporter.metrics.families import Family, header, sample_names
from exporter.metrics.ledger import Ledger
from exporter.metrics.rows import Rows

SLICE = 1024
"""Rows or accounts whose chunks are joined at once: some 100-300 KB, written before the next ones are."""
BLOCK = 2**20
"""Bytes that a block has at least: each is sent, and perhaps compressed in a thread, by itself.

Between two blocks a busy watch works for a slice: with 128 KB, a scrape of 100,000 pods took up to 20 s then.
"""
TURN = 0.005
"""Seconds of rendering accounts after which an empty block gives others their turn."""
END = b"# EOF\n"


def exposition(
    rows: Rows,
    ledger: Ledger,
    own: Collector,
    now: float,
    *,
    openmetrics: bool,
    names: frozenset[str],
    clock: Callable[[], float] = monotonic,
) -> Generator[bytes, None, int | None]:
    """Blocks of the answer at Unix time `now`, some of them empty; all rows and accounts are of one moment.

    `names`: only these families, by family or sample name; empty for all. The last block of OpenMetrics is `END`.
    Returns the mark of that moment (`metrics.exposed`), None if not everything was asked for.
    """
    yield from _rendered(ledger, now, names, clock)
    tiers: list[tuple[tuple[Family, ...], list[tuple[bytes, ...]]]] = [
        (families, [account.chunks(now) for account in accounts]) for families, accounts in _tiers(ledger, names)
    ]
    tiers.append((rows.families, rows.snapshot()))
    mark = None if names else ledger.exposed.snapshot(now)
    yield from _joined(_pieces(tiers, own, openmetrics=openmetrics, names=names))
    if openmetrics:
        yield END
    return mark


def _rendered(ledger: Ledger, now: float, names: frozenset[str], clock: Callable[[], float]) -> Iterator[bytes]:
    """Render in turns what has changed, so that hardly anything is left to render at the moment of the snapshot.

    An empty block whenever it is time for others.
    """
    until = clock() + TURN
    for _, accounts in _tiers(ledger, names):
        for account in accounts:
            account.chunks(now)
            if clock() >= until:
                yield b""
                until = clock() + TURN


def _tiers(ledger: Ledger, names: frozenset[str]) -> Iterator[tuple[tuple[Family, ...], list[Account]]]:
    for families, accounts in ledger.tiers():
        if any(_wanted(names, *sample_names(family)) for family in families):
            yield families, accounts


def _joined(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Make blocks of pieces: most families of the ledger are small, and there are many of them."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= BLOCK:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)


def _pieces(
    tiers: list[tuple[tuple[Family, ...], list[tuple[bytes, ...]]]],
    own: Collector,
    *,
    openmetrics: bool,
    names: frozenset[str],
) -> Iterator[bytes]:
    for families, chunks in tiers:
        for i, family in enumerate(families):
            if _wanted(names, *sample_names(family)):
                yield from _family(family, i, chunks, openmetrics=openmetrics)
    yield from _own(own, openmetrics=openmetrics, names=names)


def _family(family: Family, index: int, chunks: list[tuple[bytes, ...]], *, openmetrics: bool) -> Iterator[bytes]:
    yield header(family, openmetrics=openmetrics)
    for start in range(0, len(chunks), SLICE):
        yield b"".join([chunk[index] for chunk in chunks[start : start + SLICE]])


def _wanted(names: frozenset[str], *known: str) -> bool:
    return not names or not names.isdisjoint(known)


class _Chosen(Collector):
    """The exporter's own families that are wanted; a registry can only choose among collectors that it made."""

    def __init__(self, own: Collector, names: frozenset[str]) -> None:
        self._own = own
        self._names = names

    def collect(self) -> Iterator[Metric]:
        for family in self._own.collect():
            if _wanted(self._names, family.name, f"{family.name}_total", *(sample.name for sample in family.samples)):
                yield family


def _own(own: Collector, *, openmetrics: bool, names: frozenset[str]) -> Iterator[bytes]:
    chosen = _Chosen(own, names)
    if openmetrics:
        yield generate_openmetrics(chosen).removesuffix(END)
    else:
        yield generate_text(chosen)
