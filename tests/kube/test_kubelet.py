"""Kubelets' own counts of failed probes, over real sockets on the loopback."""

from __future__ import annotations

import asyncio
import json
import ssl
from pathlib import Path
from typing import TypeAlias

import pytest
from structlog.typing import EventDict

from exporter.kube.access import Access
from exporter.kube.connection import Connection
from exporter.kube.kubelet import PATH, Kubelets, Total, Trust, failed
from exporter.objects import (
    Applied,
    DaemonEndpoint,
    DaemonEndpoints,
    Deleted,
    Listed,
    Metadata,
    Node,
    NodeAddress,
    NodeStatus,
    Unreadable,
)
from exporter.vitals import KUBELET_RESULTS, KubeletVitals
from tests.kube.certificates import authority
from tests.kube.conftest import write_kubeconfig
from tests.kube.scripted import Server, Step, answer, refused, serving, silent

RECORDED = Path(__file__).parent.parent / "recorded" / "kubelet-probes.txt"
TEXT = b"""\
# TYPE prober_probe_total counter
prober_probe_total{container="main",namespace="demo",pod="a",pod_uid="u-a",probe_type="Liveness",result="failed"} 7
prober_probe_total{container="main",namespace="demo",pod="a",pod_uid="u-a",probe_type="Liveness",result="successful"} 9
prober_probe_total{container="proxy",namespace="demo",pod="b",pod_uid="u-b",probe_type="Startup",result="failed"} 1e+06
prober_probe_total{container="",namespace="demo",pod="c",pod_uid="",probe_type="Startup",result="failed"} 1
"""
Read: TypeAlias = list[tuple[list[Total], bool]]


def node(server: Server, name: str = "node-1", kind: str = "InternalIP") -> Node:
    host, _, port = server.url.partition("://")[2].partition(":")
    status = NodeStatus(
        (NodeAddress("ExternalIP", "192.0.2.1"), NodeAddress(kind, host)), DaemonEndpoints(DaemonEndpoint(int(port)))
    )
    return Node(Metadata(name=name, uid=f"uid-{name}"), status)


class Reader:
    """Kubelets of a scripted server, and what they said."""

    def __init__(
        self,
        folder: Path,
        server: Server,
        access: Access | None = None,
        trust: Trust = Trust(),  # noqa: B008 - immutable
        scheme: str = "http",
    ) -> None:
        self.read: Read = []
        self.vitals = KubeletVitals(enabled=True)
        kubeconfig = write_kubeconfig(folder / "config", server.url, "secret-token")
        self.connection = Connection(lambda: access or Access(kubeconfig))
        self.kubelets = Kubelets(
            self.connection,
            lambda _, totals, first: self.read.append((totals, first)),
            self.vitals,
            trust=trust,
            scheme=scheme,
        )


def made(directory: Path) -> Path:
    directory.mkdir()
    return directory


def with_ca(directory: Path, url: str, certificate: Path) -> Access:
    """Load a kubeconfig with a token and this CA."""
    path = directory / "kubeconfig-with-ca"
    cluster = {"server": url, "certificate-authority": str(certificate)}
    content = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    path.write_text(json.dumps(content))
    return Access(str(path))


async def read(folder: Path, *steps: Step, times: int = 1) -> tuple[Reader, Server]:
    async with serving(*steps) as server:
        reader = Reader(folder, server)
        reader.kubelets.apply(Applied(node(server)))
        for _ in range(times):
            await reader.kubelets.read_all()
        return reader, server


def test_only_failed_attempts_of_known_probes_are_read() -> None:
    assert list(failed(TEXT)) == [Total("u-a", "main", "liveness", 7), Total("u-b", "proxy", "startup", 1_000_000)]
    assert list(failed(b"")) == []


def test_a_probe_that_kubernetes_does_not_have_is_not_read() -> None:
    assert list(failed(TEXT.replace(b"Liveness", b"Forged"))) == [Total("u-b", "proxy", "startup", 1_000_000)]


@pytest.mark.parametrize("value", [b"-1", b"NaN", b"+Inf", b"1e300", b"9007199254740994"])
def test_a_number_that_no_counter_can_have_spoils_the_answer(value: bytes) -> None:
    with pytest.raises(ValueError, match="failed attempts"):
        list(failed(TEXT.replace(b"1e+06", value)))


def test_the_largest_number_that_counts_one_by_one_is_read() -> None:
    assert [t.failed for t in failed(TEXT.replace(b"1e+06", b"9007199254740992"))] == [7, 2**53]


def test_the_recorded_kubelets_answer_is_read() -> None:
    totals = list(failed(RECORDED.read_bytes()))
    assert {(t.container, t.probe) for t in totals} == {
        ("main", "readiness"),
        ("main", "liveness"),
        ("main", "startup"),
    }
    assert sum(t.failed for t in totals) == sum(
        int(line.rpartition(" ")[2])
        for line in RECORDED.read_text().splitlines()
        if line.startswith("prober_probe_total") and 'result="failed"' in line
    )


async def test_a_node_is_asked_at_its_own_address_with_our_token(tmp_path: Path) -> None:
    reader, server = await read(tmp_path, answer(TEXT), answer(TEXT), times=2)
    assert [r.path for r in server.requests] == [PATH, PATH]
    assert server.requests[0].headers["Authorization"] == "Bearer secret-token"
    assert [first for _, first in reader.read] == [True, False]
    assert (reader.vitals.reads["ok"], reader.vitals.answering) == (2, 1)


@pytest.mark.parametrize(
    ("step", "result"),
    [
        (refused(401, "no"), "unauthorized"),
        (refused(403, "no"), "forbidden"),
        (answer(b'prober_probe_total{result="failed" oops'), "protocol"),
        (answer(TEXT.replace(b"1e+06", b"1e300")), "protocol"),
        (refused(500, "no"), "unreachable"),
        (answer(b"", 302, Location="http://192.0.2.1/"), "unreachable"),
    ],
)
async def test_a_node_that_does_not_answer_is_counted_and_said_once(
    tmp_path: Path, step: Step, result: str, logged: list[EventDict]
) -> None:
    reader, _ = await read(tmp_path, step, step, answer(TEXT), times=3)
    assert reader.vitals.reads == {result: 2, "ok": 1}
    assert result in KUBELET_RESULTS
    assert [entry["log_level"] for entry in logged] == ["warning", "info"]
    assert "secret" not in str(logged)


@pytest.mark.parametrize("named", [True, False], ids=["--kubelet.ca-file", "the cluster's CA"])
async def test_a_ca_that_is_replaced_is_trusted_from_the_second_read_on(tmp_path: Path, *, named: bool) -> None:
    old, new = (authority(made(tmp_path / name)) for name in ("old", "new"))
    trusted = tmp_path / "ca.crt"
    trusted.write_bytes(old.certificate.read_bytes())
    async with serving(answer(TEXT), tls=new.server(new.sign("kubelet"))) as server:
        access = with_ca(tmp_path, server.url, old.certificate if named else trusted)
        reader = Reader(tmp_path, server, access, Trust(trusted if named else None), "https")
        reader.kubelets.apply(Applied(node(server)))
        await reader.kubelets.read_all()
        trusted.write_bytes(new.certificate.read_bytes())
        await reader.kubelets.read_all()
    assert reader.vitals.reads == {"tls": 1, "ok": 1}


async def test_the_ca_is_read_once_for_a_round_that_follows_failures_of_tls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[bool] = []
    tls_elsewhere = Access.tls_elsewhere

    def counted(access: Access, ca_file: Path | None, *, insecure: bool) -> ssl.SSLContext:
        reads.append(insecure)
        return tls_elsewhere(access, ca_file, insecure=insecure)

    monkeypatch.setattr(Access, "tls_elsewhere", counted)
    known, unknown = (authority(made(tmp_path / name)) for name in ("known", "unknown"))
    async with (
        serving(*[answer(TEXT)] * 4, tls=known.server(known.sign("kubelet"))) as good,
        serving(tls=unknown.server(unknown.sign("kubelet"))) as bad,
    ):
        reader = Reader(tmp_path, good, with_ca(tmp_path, good.url, known.certificate), Trust(), "https")
        counts = []
        for named in ("good", "good", "bad", "worse"):
            reader.kubelets.apply(Applied(node(good if named == "good" else bad, named)))
            await reader.kubelets.read_all()
            counts.append(len(reads))
    assert reader.vitals.reads == {"ok": 4, "tls": 3}
    assert counts == [1, 1, 1, 2]


async def test_a_kubelet_that_hangs_does_not_keep_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporter.kube.kubelet.ANSWER", 0.3)
    async with serving(silent()) as slow, serving(answer(TEXT)) as quick:
        reader = Reader(tmp_path, slow)
        reader.kubelets.apply(Applied(node(slow, "slow")))
        reader.kubelets.apply(Applied(node(quick, "quick")))
        await reader.kubelets.read_all()
    assert reader.vitals.reads == {"unreachable": 1, "ok": 1}
    assert reader.vitals.answering == 1


async def test_an_endless_answer_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporter.kube.kubelet.LARGEST", 100)
    reader, _ = await read(tmp_path, answer(TEXT))
    assert reader.vitals.reads == {"unreachable": 1}


async def test_nodes_that_go_are_read_no_more(tmp_path: Path) -> None:
    async with serving(answer(TEXT)) as server:
        reader = Reader(tmp_path, server)
        for name in ("a", "b", "c"):
            reader.kubelets.apply(Applied(node(server, name)))
        reader.kubelets.apply(Deleted(node(server, "a")))
        reader.kubelets.apply(Unreadable(Node, "uid-c"))
        reader.kubelets.apply(Listed(Node, "", frozenset(("uid-a",)), 0.0))
        await reader.kubelets.read_all()
        assert server.requests == []


async def test_a_node_without_address_is_not_read(tmp_path: Path) -> None:
    async with serving(answer(TEXT)) as server:
        reader = Reader(tmp_path, server)
        reader.kubelets.apply(Applied(Node(Metadata(name="new"))))
        await reader.kubelets.read_all()
        assert (server.requests, reader.vitals.reads) == ([], {})


async def test_reading_goes_on_until_it_is_cancelled(tmp_path: Path) -> None:
    async with serving(answer(TEXT), answer(TEXT), answer(TEXT)) as server:
        reader = Reader(tmp_path, server)
        reader.kubelets._interval = 0.02
        reader.kubelets.apply(Applied(node(server)))
        task = asyncio.create_task(reader.kubelets.run())
        async with asyncio.timeout(5):
            while len(reader.read) < 3:  # noqa: ASYNC110 - a plain list is waited for
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert [first for _, first in reader.read] == [True, False, False]
