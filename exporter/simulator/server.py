"""The HTTP side of the simulated API server, bound to 127.0.0.1 only."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from email.utils import formatdate
from functools import partial
from typing import NamedTuple

from aiohttp import web

from exporter.simulator.faults import Faults
from exporter.simulator.lists import Lists
from exporter.simulator.protocol import Question, RefusedError, invalid, read, refusal
from exporter.simulator.resources import RESOURCES, Json, Resource, encode, failure
from exporter.simulator.store import Store
from exporter.simulator.watches import Watch

VERSION = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "gitVersion": "v1.36.3",
    "gitTreeState": "clean",
    "goVersion": "go1.26.0",
    "compiler": "gc",
    "platform": "linux/amd64",
}
_BLOCK = 256 * 1024


class Asked(NamedTuple):
    """A request as it came in, for tests."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]


class ApiServer:
    """Lists and watches of a store over HTTP. `now` gives the time for Date headers, Unix seconds."""

    def __init__(self, store: Store, now: Callable[[], float], bookmark_interval: float = 60.0) -> None:
        self.store = store
        self.faults = Faults()
        self.lists = Lists(store)
        self.asked: deque[Asked] = deque(maxlen=1000)
        self.bookmark_interval = bookmark_interval
        self._now = now
        self._open: dict[Watch, web.Request] = {}
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Where it listens, once started."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def open_watches(self) -> list[Question]:
        """The watches that clients hold open now."""
        return [watch.question for watch in self._open]

    async def start(self, port: int = 0) -> None:
        """Listen on 127.0.0.1; port 0 takes a free one, and a later start takes the same again."""
        self._runner = web.AppRunner(
            self._application(), access_log=None, handler_cancellation=True, shutdown_timeout=1.0
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port or self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """End all watches cleanly and close the port."""
        self.cut_watches(clean=True)
        if self._runner is not None:
            await self._runner.cleanup()

    def cut_watches(self, resource: str = "", *, clean: bool = False) -> int:
        """Break open watches of a resource (plural; "" for all), abruptly or as a server ends them; how many."""
        chosen = [(w, r) for w, r in self._open.items() if resource in ("", w.question.resource.plural)]
        for watch, request in chosen:
            watch.end()
            if not clean and request.transport is not None:
                request.transport.abort()
        return len(chosen)

    def fail_watches(self, code: int, reason: str = "Expired", message: str = "too old resource version") -> None:
        """Have all open watches say an ERROR line with such a Status and end."""
        for watch in self._open:
            watch.end(failure(code, reason, message))

    def _application(self) -> web.Application:
        app = web.Application()
        for resource in RESOURCES:
            handler = partial(self._answer, resource)
            app.router.add_get(f"{resource.prefix}/{resource.plural}", handler)
            app.router.add_get(f"{resource.prefix}/namespaces/{{namespace}}/{resource.plural}", handler)
        app.router.add_get("/version", self._version)
        app.router.add_get("/readyz", self._healthy)
        app.router.add_get("/livez", self._healthy)
        app.router.add_route("*", "/{path:.*}", self._unknown)
        app.on_response_prepare.append(self._date)
        return app

    async def _date(self, _request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = formatdate(self._now(), usegmt=True)
        response.headers["Cache-Control"] = "no-cache, private"

    async def _version(self, _request: web.Request) -> web.Response:
        return web.json_response(VERSION)

    async def _healthy(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _unknown(self, _request: web.Request) -> web.Response:
        return _status(failure(404, "NotFound", "the server could not find the requested resource"))

    async def _answer(self, resource: Resource, request: web.Request) -> web.StreamResponse:
        self.asked.append(Asked(request.path, dict(request.query), dict(request.headers)))
        try:
            question = read(request, resource)
            self._refuse(question)
            return await (self._watch if question.watch else self._list)(request, question)
        except RefusedError as refused:
            return _status(refused.status, refused.retry_after)

    def _refuse(self, question: Question) -> None:
        answer = self.faults.take(question.resource.plural, question.verb)
        if answer is not None:
            status = refusal(question.resource, question.verb, answer.code)
            raise RefusedError(status, answer.retry_after)
        if question.watch and question.initial_events and self.faults.refuse_watch_list == "422":
            text = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"
            raise RefusedError(invalid(text))

    async def _list(self, request: web.Request, question: Question) -> web.StreamResponse:
        pieces = self.lists.answer(question)
        response = await _begin(request)
        block = bytearray()
        for piece in pieces:
            block += piece
            if len(block) >= _BLOCK:
                await response.write(bytes(block))
                block.clear()
        await response.write(bytes(block))
        await response.write_eof()
        return response

    async def _watch(self, request: web.Request, question: Question) -> web.StreamResponse:
        response = await _begin(request)
        watch = Watch(question, self.store, self.faults, self.bookmark_interval)
        self._open[watch] = request
        try:
            await watch.run(response.write)
            await response.write_eof()
        except ConnectionError:
            # Our own abrupt cut, or the client's: nobody is left to be told.
            await asyncio.sleep(0)
        finally:
            del self._open[watch]
        return response


async def _begin(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    return response


def _status(status: Json, retry_after: int | None = None) -> web.Response:
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return web.Response(
        body=encode(status) + b"\n", status=status["code"], headers=headers, content_type="application/json"
    )
