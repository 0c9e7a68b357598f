"""The whole answer to a scrape, in blocks: one body for both formats but the headers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest as generate_text
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from exporter.metrics.catalogue import COUNTERS, GAUGES
from exporter.metrics.families import Family, header
from exporter.metrics.ledger import Ledger
from exporter.metrics.rows import Rows

SLICE = 1024
"""Rows or accounts whose chunks make a block: some 100-300 KB, written before the next one is made."""
END = b"# EOF\n"


def exposition(
    rows: Rows, ledger: Ledger, own: CollectorRegistry, now: float, *, openmetrics: bool, names: frozenset[str]
) -> Iterator[bytes]:
    """Blocks of a consistent whole: rows and accounts as they are at the first block, Unix time `now`.

    `names`: only these families, by family or sample name; empty for all. The last block of OpenMetrics is `END`.
    """
    pods = rows.snapshot()
    accounts = [account.chunks(now) for account in ledger.snapshot()]
    tiers: tuple[tuple[tuple[Family, ...], list[tuple[bytes, ...]]], ...] = (
        ((*COUNTERS, *GAUGES), accounts),
        (rows.families, pods),
    )
    for families, chunks in tiers:
        for i, family in enumerate(families):
            if not names or names & {family.name, family.name.removesuffix("_total")}:
                yield from _blocks(family, i, chunks, openmetrics=openmetrics)
    yield from _own(own, openmetrics=openmetrics, names=names)
    if openmetrics:
        yield END


def _blocks(family: Family, index: int, chunks: list[tuple[bytes, ...]], *, openmetrics: bool) -> Iterator[bytes]:
    yield header(family, openmetrics=openmetrics)
    for start in range(0, len(chunks), SLICE):
        yield b"".join([chunk[index] for chunk in chunks[start : start + SLICE]])


def _own(registry: CollectorRegistry, *, openmetrics: bool, names: Iterable[str]) -> Iterator[bytes]:
    chosen = registry.restricted_registry(names) if names else registry
    if openmetrics:
        text: bytes = generate_openmetrics(chosen)
        yield text.removesuffix(END)
    else:
        yield generate_text(chosen)
