"""What happened, on accounts of workloads, namespaces and nodes, kept while they have pods and a while longer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import inf
from typing import Any, TypeVar, cast

from exporter.errors import SettingsError
from exporter.lifecycle.observations import (
    ContainerAppeared,
    ContainerRestarted,
    ImagePulled,
    Observation,
    Workload,
)
from exporter.lifecycle.records import Record
from exporter.metrics.accounts import Account, Feed, feeds_of
from exporter.metrics.books import Book
from exporter.metrics.bounds import Key
from exporter.metrics.catalogue import COUNTERS, GAUGES, HISTOGRAMS, PODS, born_early
from exporter.metrics.exposed import Exposed, Moment
from exporter.metrics.families import SCOPES, Family, Fed, GaugeFamily, Level, Scope
from exporter.metrics.gauges import Presence, WorkloadAccount, counts_alike, presence_of
from exporter.metrics.saved import SavedAccount, placed, saved

A = TypeVar("A", bound=Account)
WORKLOADS_PER_NAMESPACE = 500
KINDS_PER_NAMESPACE = 100
"""Of workloads: any text is a kind in a reference to an owner."""
MOST_NODES = 5000
MOST_REGISTRIES = 50
MOST_BORN = 200
"""Containers of which an account remembers that they were born; of any other each series is looked up anew."""


def levels_of(words: tuple[str, ...]) -> dict[str, Level]:
    """Read `family=level`; raise SettingsError for a family that is no histogram."""
    levels = {name: cast("Level", level) for name, _, level in (word.partition("=") for word in words)}
    known = {family.name for family in HISTOGRAMS}
    if unknown := sorted(levels.keys() - known):
        raise SettingsError(
            f"--metrics.histogram-level: no histogram {unknown[0]}; there are {', '.join(sorted(known))}"
        )
    return levels


def name_of(workload: Workload) -> Key:
    """A workload as the labels of its account have it."""
    return workload.namespace, workload.kind, workload.name


class Ledger:
    """All books. `birth_hold` and `retention` are seconds; times are Unix seconds.

    `levels`: on which accounts histograms are kept, where not on those of the catalogue; `dropped`: names of families
    that are not kept at all; `restarts`: remember what scrapes have shown, so that a checkpoint knows what is owed.
    """

    def __init__(
        self,
        birth_hold: float = 130.0,
        retention: float = 900.0,
        levels: Mapping[str, Level] | None = None,
        dropped: frozenset[str] = frozenset(),
        *,
        restarts: bool = False,
    ) -> None:
        self.exposed = Exposed(on=restarts)
        self.gauges: tuple[GaugeFamily, ...] = tuple(f for f in GAUGES if f.name not in dropped)

        def opened(
            make: Callable[[Key, str, tuple[Feed, ...]], A],
            scope: Scope,
            retention: float = retention,
            limit: float = inf,
            within: int = 0,
        ) -> Book[A]:
            feeds = feeds_of(_fed(scope, levels or {}, dropped))
            bounds = {"hold": birth_hold, "retention": retention, "limit": limit}
            return Book(make, SCOPES[scope], feeds, exposed=self.exposed, within=within, **bounds)

        self._workloads = opened(
            lambda name, head, feeds: WorkloadAccount(name, head, feeds, self.gauges, self._workloads.overflow),
            "workload",
            limit=WORKLOADS_PER_NAMESPACE,
            within=1,
        )
        self._namespaces = opened(Account, "namespace", limit=KINDS_PER_NAMESPACE, within=1)
        self._nodes = opened(Account, "node", limit=MOST_NODES)
        self._registries = opened(Account, "registry", retention=inf, limit=MOST_REGISTRIES)
        self._books = (self._workloads, self._namespaces, self._nodes, self._registries)
        self._feeds = [_by_kind(book.feeds) for book in self._books]
        self._early = {feed.family.name: feed for feed in self._workloads.feeds}

    def __len__(self) -> int:
        return len(self._workloads)

    @property
    def series(self) -> int:
        """Lines that all accounts show."""
        return sum([account.lines for book in self._books for account in book.snapshot()])

    @property
    def overflow(self) -> Counter[tuple[str, str]]:
        """What went to `other`: bookings by family and label, those of whole accounts under "all"."""
        return sum((book.overflow for book in self._books), Counter())

    def tiers(self) -> list[tuple[tuple[Family, ...], list[Account]]]:
        """Families and the accounts whose chunks follow their order."""
        tiers: list[tuple[tuple[Family, ...], list[Account]]] = [
            (tuple(feed.family for feed in book.feeds), [*book.snapshot()]) for book in self._books
        ]
        tiers[0] = ((*tiers[0][0], *self.gauges), tiers[0][1])
        return tiers

    def add(self, observation: Observation, now: float) -> None:
        """Book one observation, which may be older than `now`: its series appear now."""
        workload = observation.pod.workload
        if workload is None:  # the tracker holds such back
            raise AssertionError(observation)
        kind = type(observation)
        name = name_of(workload)
        for feed in self._feeds[0].get(kind, ()):
            self._workloads.add(name, feed, observation, now)
        for feed in self._feeds[1].get(kind, ()):
            self._namespaces.add(name[:2], feed, observation, now)
        if isinstance(observation, ContainerAppeared):
            self._born(name, observation, now)
        elif isinstance(observation, ContainerRestarted) and observation.node:
            for feed in self._feeds[2].get(kind, ()):
                self._nodes.add((observation.node,), feed, observation, now)
        elif isinstance(observation, ImagePulled) and observation.registry:
            for feed in self._feeds[3].get(kind, ()):
                self._registries.add((observation.registry,), feed, observation, now)

    def track(self, before: Record | None, after: Record, now: float) -> None:
        """Keep the counts of pods that are there; `before` and `after` belong to one pod."""
        if before is not None and counts_alike(before, after):
            return
        was, present = presence_of(before), presence_of(after)
        if was == present:
            return
        if was is not None and present is not None and was.workload == present.workload:
            self._workloads.account(name_of(present.workload), now).change(after.key, was, present)
            if was.node != present.node:
                self._nodes.come((present.node,), 1, now)
            return
        if present is not None:
            self._come(after.key, present, now)
        if was is not None:
            self._go(after.key, was, now)

    def expire(self, now: float) -> None:
        """Close the accounts whose last pod went longer ago than the retention."""
        for book in self._books:
            book.expire(now)

    def saved(self, now: float, moment: Moment) -> Iterator[SavedAccount]:
        """All accounts, one by one, each with what it owed at that moment.

        Those that are opened or closed meanwhile owe nothing that would not be told again.
        """
        for scope, book in self._by_scope():
            for account, booked in book.booked(now):
                yield saved(scope, account, booked, moment)

    def restore(self, accounts: Iterable[SavedAccount], now: float) -> Counter[str]:
        """Open saved accounts in a ledger that has none; gives how many series there are, owe something, are lost.

        Lost is what a series of a histogram owed whose buckets are others now.
        """
        counts: Counter[str] = Counter()
        books: dict[str, Book[Any]] = dict(self._by_scope())
        for account in accounts:
            book = books[account.scope]
            reopened = book.reopen(account.name, account.booked, now)
            for feed, series in placed(book.feeds, account) if reopened else ():
                fits = book.revive(reopened, feed, series.labels, series.owed, now)
                counts["series"] += 1
                counts["owing" if fits else "lost"] += series.value != 0 or any(series.buckets)
        return counts

    def restored(self) -> None:
        """All accounts have been restored: bring them into the order in which they close."""
        for book in self._books:
            book.sort()

    def _by_scope(self) -> Iterable[tuple[Scope, Book[Any]]]:
        return zip(SCOPES, self._books, strict=True)

    def _come(self, pod: str, presence: Presence, now: float) -> None:
        name = name_of(presence.workload)
        self._workloads.come(name, 1, now).move(pod, presence, 1)
        self._namespaces.come(name[:2], 1, now)
        if presence.node:
            self._nodes.come((presence.node,), 1, now)

    def _go(self, pod: str, presence: Presence, now: float) -> None:
        name = name_of(presence.workload)
        account = self._workloads.come(name, -1, now)
        account.move(pod, presence, -1)
        if not any(amount for (family, _), amount in account.counts.items() if family == PODS.name):
            account.emptied()
        self._namespaces.come(name[:2], -1, now)
        if presence.node:
            self._nodes.come((presence.node,), -1, now)

    def _born(self, name: Key, seen: ContainerAppeared, now: float) -> None:
        account = self._workloads.account(name, now)
        early = born_early(seen)
        if early in account.born:
            return
        if len(account.born) < MOST_BORN:
            account.born[early] = None
        for family, key in early:
            if (feed := self._early.get(family)) is not None:
                account.touch(feed.position)
                self._workloads.series(account, feed, key, now)


def _fed(scope: Scope, levels: Mapping[str, Level], dropped: frozenset[str]) -> Iterable[Fed]:
    families: list[Fed] = [f for f in COUNTERS if f.scope == scope]
    families += [f for f in HISTOGRAMS if levels.get(f.name, f.level) == scope]
    return [family for family in families if family.name not in dropped]


def _by_kind(feeds: tuple[Feed, ...]) -> dict[type[Observation], tuple[Feed, ...]]:
    return {kind: tuple(f for f in feeds if f.family.on is kind) for kind in {f.family.on for f in feeds}}
