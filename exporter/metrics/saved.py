"""What a restart needs of the ledger: which series there are, and what each has counted that no scrape has shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import msgspec

from exporter.lifecycle.saved import Known, Records
from exporter.metrics.accounts import Account, Feed
from exporter.metrics.bounds import Key
from exporter.metrics.exposed import Count, Moment
from exporter.metrics.families import Scope


class SavedSeries(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A series by the values of its family's own labels, and what it owes; never its value."""

    labels: Key
    value: float = 0.0
    buckets: tuple[int, ...] = ()

    @property
    def owed(self) -> Count:
        """What it has counted and no completed scrape has shown."""
        return Count(self.value, self.buckets)


class SavedAccount(msgspec.Struct, frozen=True, gc=False):
    """An account, who is booked on it and for how many seconds yet (infinity while there are pods), and its series."""

    scope: Scope
    name: Key
    booked: tuple[tuple[Key, float], ...]
    series: dict[str, tuple[SavedSeries, ...]]
    """By the name of their family."""


class Accounts(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Some of the accounts."""

    accounts: tuple[SavedAccount, ...]


Part: TypeAlias = Known | Records | Accounts
"""A piece of what a restart needs."""


def saved(scope: Scope, account: Account, booked: Iterable[tuple[Key, float]], moment: Moment) -> SavedAccount:
    """An account as it is saved."""
    series = {
        feed.family.name: tuple([SavedSeries(key, *moment.owed(one)) for key, one in [*known.items()]])
        for feed, known in account.families()
    }
    return SavedAccount(scope, account.name, tuple(booked), series)


def placed(feeds: Iterable[Feed], account: SavedAccount) -> Iterable[tuple[Feed, SavedSeries]]:
    """The series of an account that have a place among the families that are kept now."""
    for feed in feeds:
        for series in account.series.get(feed.family.name, ()):
            if len(series.labels) == len(feed.family.label_names):
                yield feed, series
