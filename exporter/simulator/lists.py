"""Answering lists: pages of one consistent state, continue tokens that expire."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from exporter.simulator.protocol import Question, RefusedError, Token
from exporter.simulator.resources import META_VERSION, Json, encode, failure
from exporter.simulator.store import Store, Version

_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)
_SNAPSHOTS = 32
"""How many unfinished paged lists are kept; real servers keep all for as long as etcd is not compacted."""


@dataclass(frozen=True, slots=True)
class _Snapshot:
    revision: int
    versions: list[Version]
    compactions: int
    taken: float


class Lists:
    """Lists of a store. Continue tokens live `token_seconds` of real time, or until the store is compacted."""

    def __init__(self, store: Store, token_seconds: float = 300.0) -> None:
        self.token_seconds = token_seconds
        self._store = store
        self._snapshots: dict[tuple[str, str, int], _Snapshot] = {}

    def answer(self, question: Question) -> Iterator[bytes]:
        """A list's JSON in pieces. RefusedError 410 for an expired token, 504 for a future resourceVersion."""
        if question.revision is not None and question.revision > self._store.revision:
            raise RefusedError(_future(question.revision, self._store.revision), retry_after=1)
        snapshot, start = self._find(question)
        rest = snapshot.versions[start:]
        page = rest[: question.limit] if question.limit else rest
        metadata: Json = {"resourceVersion": str(snapshot.revision)}
        if len(page) < len(rest):
            self._keep(question, snapshot)
            metadata["continue"] = Token(snapshot.revision, page[-1].key).text()
            metadata["remainingItemCount"] = len(rest) - len(page)
        return _render(question, metadata, page)

    def _find(self, question: Question) -> tuple[_Snapshot, int]:
        if not question.token:
            return self._now(question), 0
        token = Token.parse(question.token)
        snapshot = self._now(question) if token.rv < 0 else self._kept(question, token)
        return snapshot, bisect_right(snapshot.versions, token.start, key=lambda version: version.key)

    def _now(self, question: Question) -> _Snapshot:
        store = self._store
        versions = store.versions(question.resource, question.namespace)
        return _Snapshot(store.revision, versions, store.compactions, time.monotonic())

    def _kept(self, question: Question, token: Token) -> _Snapshot:
        snapshot = self._snapshots.get((question.resource.plural, question.namespace, token.rv))
        if snapshot is None or self._expired(snapshot):
            offer = Token(-1, token.start).text()
            raise RefusedError(failure(410, "Expired", _TOO_OLD, token=offer))
        return snapshot

    def _keep(self, question: Question, snapshot: _Snapshot) -> None:
        key = (question.resource.plural, question.namespace, snapshot.revision)
        self._snapshots.setdefault(key, snapshot)
        while len(self._snapshots) > _SNAPSHOTS:
            del self._snapshots[next(iter(self._snapshots))]

    def _expired(self, snapshot: _Snapshot) -> bool:
        old = time.monotonic() - snapshot.taken > self.token_seconds
        return old or snapshot.compactions < self._store.compactions


def _future(asked: int, current: int) -> Json:
    details = {"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]}
    message = f"Timeout: Too large resource version: {asked}, current: {current}"
    return failure(504, "Timeout", message, details={**details, "retryAfterSeconds": 1})


def _render(question: Question, metadata: Json, page: list[Version]) -> Iterator[bytes]:
    """Items of a typed list go without kind and apiVersion; those of a metadata-only list keep theirs."""
    resource = question.resource
    kind = "PartialObjectMetadataList" if question.partial else f"{resource.kind}List"
    version = META_VERSION if question.partial else resource.api_version
    head = {"kind": kind, "apiVersion": version, "metadata": metadata}
    yield encode(head)[:-1] + b',"items":['
    cut = len(resource.head)
    for number, item in enumerate(page):
        comma = b"," if number else b""
        yield comma + item.partial if question.partial else comma + b"{" + item.body[cut:]
    yield b"]}\n"
