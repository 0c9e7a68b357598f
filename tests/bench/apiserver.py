"""The stand-in API server: `python -m tests.bench.apiserver --pods N` prints its port and serves until its stdin ends.

It speaks the real protocol as far as the two subjects use it: lists in pages, watch-lists with their end mark, watches.
Updates are made on demand, by GET /bench/updates?count=&rate= (a second; 0: as fast as they are taken): one HTTP chunk
each, as a real API server sends them, the marker among them every `mark` updates and at last. It answers when all have
been sent, with the moment of each mark on the machine's monotonic clock.

GET /bench/jobs?first=&count=&rate= has one-shot jobs come and go. There are no Events.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import deque
from collections.abc import Iterable
from email.utils import formatdate

from aiohttp import web

from tests.bench.fleet import Fleet, Json, encode, line
from tests.bench.jobs import Resource, told

_BLOCK = 64
"""Objects of a list or watch-list that go out in one write."""
_PENDING = 200
"""Updates that may wait for the client at full speed."""


class ApiServer:
    """A fleet behind HTTP."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._pending: dict[Resource, list[deque[bytes]]] = {"pods": [], "jobs": []}
        self._news: dict[Resource, asyncio.Event] = {"pods": asyncio.Event(), "jobs": asyncio.Event()}

    def application(self) -> web.Application:
        """Give the routes."""
        app = web.Application()
        app.router.add_get("/api/v1/pods", self._pods)
        app.router.add_get("/apis/apps/v1/replicasets", self._replicasets)
        app.router.add_get("/apis/batch/v1/jobs", self._jobs)
        app.router.add_get("/api/v1/events", self._events)
        app.router.add_get("/bench/updates", self._updates)
        app.router.add_get("/bench/jobs", self._come_and_go)
        app.on_response_prepare.append(_date)
        return app

    async def _pods(self, request: web.Request) -> web.StreamResponse:
        fleet = self._fleet
        if request.query.get("watch") not in ("true", "True", "1"):
            return self._page(request)
        response = await _begin(request)
        if not request.query.get("resourceVersion"):
            bodies = (pod.body(fleet.version) for pod in fleet.all())
            await _initial(response, bodies, "Pod", fleet.version)
        await self._follow(response, "pods")
        return response

    def _page(self, request: web.Request) -> web.Response:
        pods = list(self._fleet.all())
        start, limit = int(request.query.get("continue") or 0), int(request.query.get("limit") or len(pods))
        metadata: Json = {"resourceVersion": str(self._fleet.version)}
        if start + limit < len(pods):
            metadata |= {"continue": str(start + limit), "remainingItemCount": len(pods) - start - limit}
        items = b",".join([pod.body(self._fleet.version) for pod in pods[start : start + limit]])
        head = encode({"kind": "PodList", "apiVersion": "v1", "metadata": metadata})[:-1]
        return web.Response(body=head + b',"items":[' + items + b"]}", content_type="application/json")

    async def _replicasets(self, request: web.Request) -> web.StreamResponse:
        fleet = self._fleet
        response = await _begin(request)
        bodies = (owner.body(fleet.version, fleet.created) for owner in fleet.owners)
        await _initial(response, bodies, "PartialObjectMetadata", fleet.version)
        await asyncio.Event().wait()
        return response

    async def _events(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("watch") != "true":
            metadata = {"resourceVersion": str(self._fleet.version)}
            return web.json_response({"kind": "EventList", "apiVersion": "v1", "metadata": metadata, "items": []})
        response = await _begin(request)
        await asyncio.Event().wait()
        return response

    async def _jobs(self, request: web.Request) -> web.StreamResponse:
        response = await _begin(request)
        await _initial(response, (), "PartialObjectMetadata", self._fleet.version)
        await self._follow(response, "jobs")
        return response

    async def _follow(self, response: web.StreamResponse, resource: Resource) -> None:
        pending: deque[bytes] = deque()
        self._pending[resource].append(pending)
        try:
            while True:
                while pending:
                    await response.write(pending.popleft())
                self._news[resource].clear()
                await self._news[resource].wait()
        finally:
            self._pending[resource].remove(pending)

    async def _updates(self, request: web.Request) -> web.Response:
        count, rate = int(request.query["count"]), float(request.query["rate"])
        every = int(request.query.get("mark") or count + 1)
        marks: list[tuple[int, float]] = []
        began = time.monotonic()
        for number in range(1, count + 1):
            await self._due(began + number / rate if rate else 0.0)
            if number % every == 0 or number == count:
                self._tell("pods", self._fleet.mark())
                marks.append((self._fleet.marks, time.monotonic()))
            else:
                self._tell("pods", self._fleet.update())
        return web.json_response({"marks": marks, "seconds": time.monotonic() - began})

    async def _come_and_go(self, request: web.Request) -> web.Response:
        first, count, rate = int(request.query["first"]), int(request.query["count"]), float(request.query["rate"])
        began = time.monotonic()
        for number, lines in enumerate(told(first, count, self._fleet.next_version, time.time)):
            await self._due(began + number / rate)
            for resource, text in lines:
                self._tell(resource, text)
        return web.json_response({"seconds": time.monotonic() - began})

    async def _due(self, at: float) -> None:
        """Wait for the moment, or at full speed until the client has taken most of what was sent."""
        if at:
            await asyncio.sleep(max(0.0, at - time.monotonic()))
            return
        while any(len(pending) >= _PENDING for pending in self._pending["pods"]):  # noqa: ASYNC110 - one client, a moment
            await asyncio.sleep(0)

    def _tell(self, resource: Resource, text: bytes) -> None:
        for pending in self._pending[resource]:
            pending.append(text)
        self._news[resource].set()


async def _begin(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    return response


async def _initial(response: web.StreamResponse, bodies: Iterable[bytes], kind: str, version: int) -> None:
    """Send all objects as ADDED, then the bookmark that ends a watch-list."""
    block: list[bytes] = []
    for body in bodies:
        block.append(line(b"ADDED", body))
        if len(block) == _BLOCK:
            await response.write(b"".join(block))
            block.clear()
    metadata = {"resourceVersion": str(version), "annotations": {"k8s.io/initial-events-end": "true"}}
    block.append(line(b"BOOKMARK", encode({"kind": kind, "metadata": metadata})))
    await response.write(b"".join(block))


async def _date(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Date"] = formatdate(usegmt=True)


async def _serve(pods: int) -> None:
    runner = web.AppRunner(ApiServer(Fleet(pods)).application(), access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.apiserver")
    parser.add_argument("--pods", type=int, default=10_000)
    asyncio.run(_serve(parser.parse_args().pods))


if __name__ == "__main__":
    main()
