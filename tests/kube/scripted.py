"""A server on the loopback that answers each request with the next step of a script, byte by byte as it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlsplit

Step: TypeAlias = Callable[[asyncio.StreamWriter], Awaitable[None]]
DATE = "Sat, 05 Dec 2026 10:00:00 GMT"
DATE_UNIX = 1796464800.0


class _AgainError(Exception):
    """The step is not over."""


@dataclass
class Request:
    """What a client asked."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    certificate: str = ""
    """Common name of the client's certificate."""
    sni: str = ""


@dataclass
class Server:
    """The script, and what came of it."""

    steps: list[Step]
    requests: list[Request] = field(default_factory=list)
    url: str = ""
    done: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a request finds the script at its end; that one is held open."""
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the client leaves that one."""
    sni: str = ""
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        gone = (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError)
        with contextlib.suppress(*gone):
            await self._serve(reader, writer)
        writer.close()
        with contextlib.suppress(*gone):
            await writer.wait_closed()

    async def stop(self) -> None:
        """End what is still being answered."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append(await self._request(reader, writer))
        if self.steps:
            step = self.steps.pop(0)
            try:
                await step(writer)
            except _AgainError:
                self.steps.insert(0, step)
                self.requests.pop()
            return
        self.done.set()
        await reader.read()
        self.left.set()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *rest = head.strip().split("\r\n")
        method, target, _ = first.split(" ")
        headers = dict(line.split(": ", 1) for line in rest)
        url = urlsplit(target)
        certificate = writer.get_extra_info("peercert") or {}
        names = {key: value for ((key, value),) in certificate.get("subject", ())}
        query = dict(parse_qsl(url.query))
        return Request(method, url.path, query, headers, names.get("commonName", ""), self.sni)


@asynccontextmanager
async def serving(*steps: Step, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """Serve a script on a free port of 127.0.0.1."""
    server = Server(list(steps))
    if tls is not None:
        tls.sni_callback = lambda _socket, name, _context: setattr(server, "sni", name or "")
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls, limit=2**20)
    scheme = "http" if tls is None else "https"
    server.url = f"{scheme}://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listener.close()
        await server.stop()


def answer(body: Any = b"", status: int = 200, **headers: str) -> Step:
    """A whole answer; a body that is not bytes is sent as JSON, `Retry_After` is the header Retry-After."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def step(writer: asyncio.StreamWriter) -> None:
        head = _head(status, {"Content_Length": str(len(content)), **headers})
        writer.write(head + content)
        await writer.drain()

    return step


def stream(*chunks: bytes | float, end: str = "clean", **headers: str) -> Step:
    """A chunked answer. A number is a pause in seconds; `end` is clean, cut (no final chunk) or hang."""

    async def step(writer: asyncio.StreamWriter) -> None:
        writer.write(_head(200, {"Transfer-Encoding": "chunked", **headers}))
        for chunk in chunks:
            await _part(writer, chunk)
        if end == "hang":
            await asyncio.sleep(30)
        if end == "clean":
            writer.write(b"0\r\n\r\n")
        await writer.drain()

    return step


def silent() -> Step:
    """Never answers."""

    async def step(_: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)

    return step


def dropped() -> Step:
    """Closes the connection without an answer, twice: aiohttp itself repeats such a request once."""
    again = False

    async def step(_: asyncio.StreamWriter) -> None:
        nonlocal again
        again = not again
        if again:
            raise _AgainError

    return step


async def _part(writer: asyncio.StreamWriter, chunk: bytes | float) -> None:
    if isinstance(chunk, bytes):
        writer.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        await writer.drain()
    else:
        await asyncio.sleep(chunk)


def _head(status: int, headers: dict[str, str]) -> bytes:
    fields = {"Date": DATE, "Content-Type": "application/json", "Connection": "close"}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{name}: {value}" for name, value in fields.items() if value]
    return "\r\n".join([f"HTTP/1.1 {status} Scripted", *lines, "", ""]).encode()


# What the API server says.


def pod(name: str, version: int = 1, **more: Any) -> dict[str, Any]:
    """A pod's JSON with the uid `uid-<name>`; `more` replaces top-level fields."""
    metadata = {"name": name, "namespace": "demo", "uid": f"uid-{name}", "resourceVersion": str(version)}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": metadata} | more


def line(type_: str, object_: dict[str, Any]) -> bytes:
    """A watch line."""
    return json.dumps({"type": type_, "object": object_}, separators=(",", ":")).encode() + b"\n"


def added(name: str, version: int = 1, **more: Any) -> bytes:
    return line("ADDED", pod(name, version, **more))


def modified(name: str, version: int = 1) -> bytes:
    return line("MODIFIED", pod(name, version))


def deleted(name: str, version: int = 1) -> bytes:
    return line("DELETED", pod(name, version))


def bookmark(version: int, **annotations: str) -> bytes:
    """A bookmark as the API server sends it for pods, with its `containers: null`."""
    metadata = {"resourceVersion": str(version), "creationTimestamp": None, "annotations": annotations or None}
    return line("BOOKMARK", {"kind": "Pod", "metadata": metadata, "spec": {"containers": None}, "status": {}})


def end_mark(version: int) -> bytes:
    return bookmark(version, **{"k8s.io/initial-events-end": "true"})


def status(code: int, message: str = "", seconds: int | None = None) -> dict[str, Any]:
    """A Status object."""
    details = None if seconds is None else {"retryAfterSeconds": seconds}
    return {"kind": "Status", "status": "Failure", "code": code, "message": message, "details": details}


def error(code: int, message: str = "", seconds: int | None = None) -> bytes:
    return line("ERROR", status(code, message, seconds))


def refused(code: int, message: str = "", **headers: str) -> Step:
    """An answer with an error status and its Status body."""
    return answer(status(code, message), code, **headers)


def page(items: Iterable[dict[str, Any]] | None, version: int, token: str = "", **headers: str) -> Step:
    """One page of a list."""
    metadata = {"resourceVersion": str(version), "continue": token}
    body = {"kind": "PodList", "metadata": metadata, "items": None if items is None else list(items)}
    return answer(body, 200, **headers)
