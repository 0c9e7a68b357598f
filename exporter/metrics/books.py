"""Books: which accounts there are, who is booked on them, and when they close."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from math import inf
from operator import itemgetter
from typing import Generic, TypeVar

from exporter.lifecycle.observations import Observation
from exporter.metrics.accounts import Account, Feed, Series
from exporter.metrics.bounds import OTHER, Key
from exporter.metrics.exposed import Count, Exposed
from exporter.metrics.families import HistogramFamily, escape

A = TypeVar("A", bound=Account)


class Book(Generic[A]):
    """All accounts of one scope. `hold` and `retention` are seconds, times Unix seconds.

    `within`: how many labels of a name name the group in which at most `limit` have accounts of their own; what is
    beyond is booked under `other`, and stays there as long as its book is open.
    """

    def __init__(
        self,
        make: Callable[[Key, str, tuple[Feed, ...]], A],
        labels: tuple[str, ...],
        feeds: tuple[Feed, ...],
        *,
        hold: float,
        retention: float,
        exposed: Exposed,
        limit: float = inf,
        within: int = 0,
    ) -> None:
        self._make = make
        self._labels = labels
        self.feeds = feeds
        self._hold = hold
        self._retention = retention
        self._exposed = exposed
        self._limit = limit
        self._within = within
        self._booked: dict[Key, A] = {}
        self._accounts: dict[Key, A] = {}
        self._own: Counter[Key] = Counter()
        self._pods: Counter[Key] = Counter()
        self._idle: dict[Key, float] = {}
        """When the books of those without pods close, oldest first."""
        self.overflow: Counter[tuple[str, str]] = Counter()

    def __len__(self) -> int:
        return len(self._accounts)

    def account(self, name: Key, now: float) -> A:
        """Where `name` is booked."""
        account = self._booked.get(name)
        if account is None:
            account = self._booked[name] = self._open(name)
            self._idle[name] = now + self._retention
        return account

    def add(self, name: Key, feed: Feed, observation: Observation, now: float) -> None:
        """Book an observation, which may be older than `now`: its series appear now."""
        for key, amount in feed.samples(observation):
            if amount is not None:
                account = self.account(name, now)
                account.touch(feed.position)
                series = self.series(account, feed, key, now)
                self._exposed.changing(series)
                series.add(feed, amount)

    def series(self, account: A, feed: Feed, key: Key, now: float) -> Series:
        """The series of these label values, born now if there was none."""
        known = account.series_of.setdefault(feed.position, {})
        series = known.get(key)
        if series is None:
            key, overflown = account.admit(feed, key)
            self.overflow.update((feed.family.name, label) for label in overflown)
            series = known.get(key)
        if series is None:
            series = known[key] = self._born(feed, key, now)
        return series

    def _born(self, feed: Feed, key: Key, now: float) -> Series:
        escaped = tuple(map(escape, key))
        buckets = [0] * (len(feed.family.buckets) + 1) if isinstance(feed.family, HistogramFamily) else None
        return Series(key if escaped == key else escaped, now + self._hold, 0.0, buckets)

    def come(self, name: Key, by: int, now: float) -> A:
        """Let `by` pods come, or go if negative; the retention begins when the last one has gone."""
        account = self.account(name, now)
        self._pods[name] += by
        self._idle.pop(name, None)
        if not self._pods[name]:
            del self._pods[name]
            self._idle[name] = now + self._retention
        return account

    def expire(self, now: float) -> None:
        """Close the accounts whose last pod went longer ago than the retention."""
        while self._idle:
            name, at = next(iter(self._idle.items()))
            if at > now:
                return
            self._close(name)

    def snapshot(self) -> list[A]:
        """All accounts at this moment."""
        return list(self._accounts.values())

    def booked(self, now: float) -> Iterator[tuple[A, list[tuple[Key, float]]]]:
        """Each account, who is booked on it, and for how many seconds yet; infinity while there are pods."""
        shared: dict[Key, tuple[A, list[tuple[Key, float]]]] = {}
        for name, account in [*self._booked.items()]:
            one = name, self._idle.get(name, inf) - now
            if account.sharers == 1:
                yield account, [one]
            else:
                shared.setdefault(account.name, (account, []))[1].append(one)
        yield from shared.values()

    def reopen(self, shown: Key, booked: Iterable[tuple[Key, float]], now: float) -> A | None:
        """Open an account as `booked` told, under `other` if there were more than now; None if nobody is booked."""
        account = None
        for name, left in booked:
            account = self._booked[name] = self._open(shown)
            self._idle[name] = now + min(left, self._retention)
        return account

    def revive(self, account: A, feed: Feed, key: Key, owed: Count, now: float) -> bool:
        """Let a series begin again at 0, to show later what it owes; False if it has no room for that."""
        account.touch(feed.position)
        return self.series(account, feed, key, now).owe(owed)

    def sort(self) -> None:
        """Bring what `reopen` has opened into the order in which it closes."""
        self._idle = dict(sorted(self._idle.items(), key=itemgetter(1)))

    def _open(self, name: Key) -> A:
        group = name[: self._within]
        if self._own[group] < self._limit or name in self._accounts:
            return self._opened(name)
        self.overflow["all", self._labels[-1]] += 1
        return self._opened(self._other(name))

    def _other(self, name: Key) -> Key:
        return (*name[: self._within], *[OTHER] * (len(name) - self._within))

    def _opened(self, shown: Key) -> A:
        account = self._accounts.get(shown)
        if account is None:
            pairs = zip(self._labels, shown, strict=True)
            head = ",".join(f'{label}="{escape(text)}"' for label, text in pairs)
            account = self._accounts[shown] = self._make(shown, head, self.feeds)
            self._own[shown[: self._within]] += shown != self._other(shown)
        account.sharers += 1
        return account

    def _close(self, name: Key) -> None:
        del self._idle[name]
        account = self._booked.pop(name)
        account.sharers -= 1
        if not account.sharers:
            shown = account.name
            del self._accounts[shown]
            self._own[shown[: self._within]] -= shown != self._other(shown)
            for _, series in account.families():
                self._exposed.closed(series.values())
