"""The kubelets' own counts of failed probes, read from each node: exact where Events are a lower bound.

`/metrics/probes` straight from the node needs `get` on nodes/metrics and nothing else; the way through the API server
would need nodes/proxy, which can run commands in every container of the node (KEP-2862).
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import aiohttp
import structlog
from prometheus_client.parser import text_string_to_metric_families

from exporter.errors import ApiError, ExporterError, StreamError
from exporter.kube.connection import CONNECT, Connection
from exporter.kube.faults import concerns_tls, cut, reason, translated
from exporter.objects import Applied, Change, Deleted, Listed, Node, Unreadable
from exporter.vitals import KubeletVitals

PATH = "/metrics/probes"
PORT = 10250
ANSWER = 10.0
"""Seconds that a kubelet may take for its whole answer."""
LARGEST = 32 * 2**20
"""Bytes of an answer; a node of 500 pods with three probes each sends 6 MiB."""
_FAILED = b'result="failed"'
_SERIES = b"prober_probe_total{"
_MOST = 2**53
"""Beyond this the kubelet's floats no longer count one by one."""
_PROBES = frozenset(("liveness", "readiness", "startup"))
_ADDRESSES = ("InternalIP", "Hostname", "ExternalIP")

log = structlog.get_logger()


class Total(NamedTuple):
    """Failed attempts of one probe since its kubelet began."""

    uid: str
    container: str
    probe: str
    failed: int


Sink: TypeAlias = Callable[[str, list[Total], bool], None]
"""Takes a node's name, what its kubelet said, and whether it is the first that it said."""


@dataclass(frozen=True, slots=True)
class Trust:
    """How a kubelet's certificate is checked: against the cluster's CA if nothing else is said."""

    ca_file: Path | None = None
    insecure: bool = False


class Kubelets:
    """All nodes' kubelets, read every `interval` seconds, at most `concurrency` of them at once."""

    def __init__(
        self,
        connection: Connection,
        sink: Sink,
        vitals: KubeletVitals,
        *,
        trust: Trust,
        interval: float = 30.0,
        concurrency: int = 16,
        scheme: str = "https",
    ) -> None:
        self._connection = connection
        self._sink = sink
        self._vitals = vitals
        self._trust = trust
        self._interval = interval
        self._turn = asyncio.Semaphore(concurrency)
        self._scheme = scheme
        self._nodes: dict[str, str] = {}
        """Host and port of each node's kubelet, by the node's name."""
        self._uids: dict[str, str] = {}
        self._read: set[str] = set()
        """Nodes that have been read."""
        self._trouble: dict[str, str] = {}
        self._tls: tuple[object, ssl.SSLContext | bool] = (None, True)

    def apply(self, change: Change) -> None:
        """Take in what the watch of nodes tells."""
        match change:
            case Applied(Node() as node):
                self._nodes[node.metadata.name] = _address(node)
                self._uids[node.metadata.name] = node.metadata.uid
            case Deleted(Node() as node):
                self._forget(node.metadata.name)
            case Unreadable(_, uid):
                for name in [name for name, known in self._uids.items() if known == uid]:
                    self._forget(name)
            case Listed():
                for name in [name for name, uid in self._uids.items() if uid not in change.uids]:
                    self._forget(name)

    async def run(self) -> None:
        """Read all nodes again and again; never returns and never raises; cancel it to end it."""
        while True:
            began = time.monotonic()
            await self.read_all()
            await asyncio.sleep(max(0.0, self._interval - (time.monotonic() - began)))

    async def read_all(self) -> None:
        """Read every node once; with the CA read anew if TLS failed the last time: it may have been replaced."""
        if "tls" in self._trouble.values():
            self._tls = (None, True)
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True), cookie_jar=aiohttp.DummyCookieJar()
        ) as session:
            nodes = [(name, address) for name, address in self._nodes.items() if address]
            results = await asyncio.gather(*(self._one(session, name, address) for name, address in nodes))
        self._vitals.answering = sum(results)

    async def _one(self, session: aiohttp.ClientSession, name: str, address: str) -> bool:
        """Read one node; whether it answered. A node that does not is said once, and counted each time."""
        async with self._turn:
            try:
                text = await self._text(session, address)
                totals = list(failed(text))
            except Exception as error:  # noqa: BLE001 - one odd kubelet must not keep the others from being read
                self._failed(name, error)
                return False
        self._vitals.reads["ok"] += 1
        if self._trouble.pop(name, ""):
            log.info("the kubelet answers again", node=name)
        self._sink(name, totals, name not in self._read)
        self._read.add(name)
        return True

    async def _text(self, session: aiohttp.ClientSession, address: str) -> bytes:
        access = await self._connection.access()
        url = f"{self._scheme}://{address}{PATH}"
        timeout = aiohttp.ClientTimeout(total=ANSWER, sock_connect=CONNECT)
        with translated(f"GET {url}"):
            async with session.get(
                url, headers=await access.headers(), ssl=self._context(access), timeout=timeout, allow_redirects=False
            ) as response:
                if response.status != 200:  # noqa: PLR2004 - HTTP's own number
                    raise ApiError(f"GET {url}: {response.status}", response.status)
                return await _bounded(response)

    def _context(self, access: Any) -> ssl.SSLContext | bool:  # noqa: ANN401 - an Access or what stands for one
        """The TLS context of these credentials; made anew when they are loaded anew, or it has been forgotten."""
        if self._scheme != "https":
            return True
        if self._tls[0] is not access:
            self._tls = (access, access.tls_elsewhere(self._trust.ca_file, insecure=self._trust.insecure))
        return self._tls[1]

    def _failed(self, name: str, error: Exception) -> None:
        why = _why(error)
        self._vitals.reads[why] += 1
        if self._trouble.get(name) != why:
            self._trouble[name] = why
            text = str(error) if isinstance(error, ExporterError) else type(error).__name__
            log.warning("a kubelet cannot be read; its probes count by Events", node=name, reason=why, error=cut(text))

    def _forget(self, name: str) -> None:
        for known in (self._nodes, self._uids, self._trouble):
            known.pop(name, None)
        self._read.discard(name)


def failed(text: bytes) -> Iterator[Total]:
    """The totals of failed attempts in an answer; only the lines that matter are parsed.

    Raises ValueError for text that is none of the format, and for numbers that no counter can have.
    """
    lines = [line for line in text.splitlines() if line.startswith(_SERIES) and _FAILED in line]
    for family in text_string_to_metric_families(b"\n".join(lines).decode() + "\n"):
        for sample in family.samples:
            found = sample.labels
            uid, container, probe = (found.get(key, "") for key in ("pod_uid", "container", "probe_type"))
            if not 0 <= sample.value <= _MOST:  # NaN is neither
                raise ValueError(f"{sample.value} failed attempts")
            if uid and container and probe.lower() in _PROBES:
                yield Total(uid, container, probe.lower(), int(sample.value))


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    parts: list[bytes] = []
    async for part in response.content.iter_any():
        parts.append(part)
        if sum(map(len, parts)) > LARGEST:
            raise StreamError(f"{response.url}: more than {LARGEST} bytes")
    return b"".join(parts)


def _why(error: Exception) -> str:
    """Name the failure as `KUBELET_RESULTS` does."""
    if concerns_tls(error):
        return "tls"
    why = reason(error)
    return why if why in ("unauthorized", "forbidden", "protocol") else "unreachable"


def _address(node: Node) -> str:
    """Host and port of a node's kubelet, "" if the node has no address yet."""
    status = node.status
    if status is None:
        return ""
    endpoint = status.daemon_endpoints and status.daemon_endpoints.kubelet_endpoint
    port = (endpoint.port if endpoint else 0) or PORT
    host = _first(_ADDRESSES, {a.type: a.address for a in status.addresses or ()})
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}" if host else ""


def _first(kinds: Iterable[str], addresses: dict[str, str]) -> str:
    return next((addresses[kind] for kind in kinds if kind in addresses), "")
