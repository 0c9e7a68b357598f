"""A reflector on a scripted server, and what it told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import pytest
import structlog
from structlog.typing import EventDict

from exporter.kube.access import Access
from exporter.kube.backoff import Backoff
from exporter.kube.connection import Connection
from exporter.kube.limits import Limits
from exporter.kube.reflector import Reflector
from exporter.kube.resources import PODS, Resource
from exporter.objects import Applied, Change, Deleted, Listed, Unreadable
from exporter.vitals import WatchVitals
from tests.kube.scripted import Server, Step, serving

QUICK = Limits(silence=0.15, slack=0.3, initial=0.15, page=0.15, timeout=(0, 0), brief=0.0, gather=0.0)
"""Limits that let a stall be noticed while a test still runs; every clean end counts as long-lived, no read waits."""


def write_kubeconfig(path: Path, server: str, token: str = "") -> str:
    user = f"{{token: {token}}}" if token else "{}"
    path.write_text(
        "{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: k, user: u}}], "
        f"clusters: [{{name: k, cluster: {{server: '{server}'}}}}], users: [{{name: u, user: {user}}}]}}"
    )
    return str(path)


def told(change: Change) -> str:
    """One word for a change: `+a` applied, `*a` listed, `-a` deleted, `?uid-a` gone unread, `=uid-a,uid-b` a list."""
    match change:
        case Applied(item, listed):
            return ("*" if listed else "+") + item.metadata.name
        case Deleted(item):
            return "-" + item.metadata.name
        case Unreadable(_, uid):
            return f"?{uid}"
        case Listed():
            return "=" + ",".join(sorted(uid.removeprefix("uid-") for uid in change.uids))


@dataclass
class Story:
    """What a reflector did with a script."""

    server: Server
    vitals: WatchVitals
    changes: list[Change] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    @property
    def told(self) -> str:
        return " ".join(told(change) for change in self.changes)

    @property
    def asked(self) -> list[str]:
        """Each request in short: `stream`, `watch@7`, `list` or `list>token`."""
        return [_short(request.query) for request in self.server.requests]


def _short(query: dict[str, str]) -> str:
    if query.get("watch") == "true":
        return "stream" if query.get("sendInitialEvents") == "true" else f"watch@{query['resourceVersion']}"
    return "list" + (f">{query['continue']}" if "continue" in query else "")


Follow: TypeAlias = Callable[..., Awaitable[Story]]


@pytest.fixture
def follow(tmp_path: Path) -> Follow:
    """Run a reflector through a script until the script ends, then give the story."""

    async def run(
        *steps: Step,
        resource: Resource = PODS,
        namespace: str = "",
        limits: Limits = QUICK,
        sink: Callable[[Change], None] | None = None,
        on_pause: Callable[[float], None] = lambda _: None,
        backoff: Backoff | None = None,
    ) -> Story:
        async with serving(*steps) as server:
            story = Story(server, WatchVitals(resource.name))

            async def pause(seconds: float) -> None:
                story.pauses.append(seconds)
                on_pause(seconds)
                await asyncio.sleep(0)

            kubeconfig = write_kubeconfig(tmp_path / "config", server.url, "first")
            connection = Connection(lambda: Access(kubeconfig))
            reflector = Reflector(
                connection,
                resource,
                namespace,
                sink or story.changes.append,
                story.vitals,
                lambda: 1000.0,
                limits=limits,
                backoff=backoff or Backoff(uniform=lambda _low, high: high),
                sleep=pause,
            )
            await _run_to_the_end(reflector, connection, server)
            return story

    return run


async def _run_to_the_end(reflector: Reflector, connection: Connection, server: Server) -> None:
    task = asyncio.create_task(reflector.run())
    try:
        async with asyncio.timeout(8):
            await server.done.wait()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await connection.close()


@pytest.fixture
def logged() -> Iterator[list[EventDict]]:
    """All log entries of the test."""
    with structlog.testing.capture_logs() as entries:
        yield entries
