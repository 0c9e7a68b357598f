from __future__ import annotations

import asyncio
import base64
import json
import logging
import ssl
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes.config import incluster_config

from exporter.errors import AccessError, StreamError
from exporter.kube.access import Access
from exporter.kube.connection import Connection
from tests.kube.certificates import Authority, Pair, authority
from tests.kube.scripted import Request, answer, refused, serving

SECRET = "hunter2-hunter2"


@pytest.fixture(scope="session")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="session")
def server_pair(ca: Authority) -> Pair:
    return ca.sign("server")


@pytest.fixture(scope="session")
def client_pair(ca: Authority) -> Pair:
    return ca.sign("client")


@pytest.fixture
def tls(ca: Authority, server_pair: Pair) -> ssl.SSLContext:
    return ca.server(server_pair)


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No cluster, kubeconfig or proxy of the machine may show through."""
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def kubeconfig(directory: Path, url: str, user: dict[str, Any] | None, **cluster: Any) -> str:
    """Write a kubeconfig; JSON is YAML."""
    path = directory / "kubeconfig"
    content = {
        "current-context": "one",
        "contexts": [
            {"name": "one", "context": {"cluster": "c", "user": "u"}},
            {"name": "other", "context": {"cluster": "c", "user": "v"}},
        ],
        "clusters": [{"name": "c", "cluster": {"server": url, **cluster}}],
        "users": [{"name": "u", "user": user}, {"name": "v", "user": {"token": "other-token"}}],
    }
    path.write_text(json.dumps(content))
    return str(path)


def plugin(directory: Path, **credential: Any) -> dict[str, Any]:
    """Give a user whose exec plugin prints this status; `counter` holds a line for each run."""
    script = directory / "plugin.py"
    said = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": credential}
    script.write_text(f"open({str(directory / 'counter')!r}, 'a').write('run\\n')\nprint({json.dumps(said)!r})\n")
    return failing_plugin(str(script))


def failing_plugin(*arguments: str) -> dict[str, Any]:
    version = "client.authentication.k8s.io/v1"
    return {"exec": {"apiVersion": version, "command": sys.executable, "args": list(arguments)}}


async def ask(access: Access, server_requests: list[Request], times: int = 1) -> Request:
    """Send requests with these credentials and give the last as it arrived."""
    connection = Connection(lambda: access)
    try:
        for _ in range(times):
            response = await connection.get("/version", {}, {})
            response.release()
    finally:
        await connection.close()
    return server_requests[-1]


def replace_token(path: Path) -> None:
    path.write_text("second\n")


def data(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


class TestKubeconfig:
    async def test_a_static_token_is_sent(self, tmp_path: Path, ca: Authority, tls: ssl.SSLContext) -> None:
        async with serving(answer(), tls=tls) as server:
            config = kubeconfig(
                tmp_path, server.url, {"token": "static\n"}, **{"certificate-authority": str(ca.certificate)}
            )
            request = await ask(Access(config), server.requests)
        assert request.headers["Authorization"] == "Bearer static"

    async def test_the_ca_may_stand_in_the_file(self, tmp_path: Path, ca: Authority, tls: ssl.SSLContext) -> None:
        async with serving(answer(), tls=tls) as server:
            config = kubeconfig(
                tmp_path, server.url, {"token": "t"}, **{"certificate-authority-data": data(ca.certificate)}
            )
            request = await ask(Access(config), server.requests)
        assert request.headers["Authorization"] == "Bearer t"

    async def test_without_its_ca_a_server_is_not_trusted(self, tmp_path: Path, tls: ssl.SSLContext) -> None:
        async with serving(answer(), tls=tls) as server:
            access = Access(kubeconfig(tmp_path, server.url, {"token": "t"}))
            with pytest.raises(Exception, match="certificate verify failed"):
                await ask(access, server.requests)
        assert server.requests == []

    async def test_insecure_skips_verification(self, tmp_path: Path, tls: ssl.SSLContext) -> None:
        async with serving(answer(), tls=tls) as server:
            config = kubeconfig(tmp_path, server.url, {"token": "t"}, **{"insecure-skip-tls-verify": True})
            request = await ask(Access(config), server.requests)
        assert request.headers["Authorization"] == "Bearer t"

    async def test_a_context_chooses_the_user(self, tmp_path: Path) -> None:
        async with serving(answer()) as server:
            access = Access(kubeconfig(tmp_path, server.url, {"token": "t"}), "other")
            request = await ask(access, server.requests)
        assert request.headers["Authorization"] == "Bearer other-token"

    async def test_a_token_file_is_read_again_for_each_request(self, tmp_path: Path) -> None:
        (tmp_path / "token").write_text("first\n")
        async with serving(answer(), answer()) as server:
            access = Access(kubeconfig(tmp_path, server.url, {"tokenFile": "token"}))
            first = await ask(access, server.requests)
            replace_token(tmp_path / "token")
            second = await ask(access, server.requests)
        assert first.headers["Authorization"] == "Bearer first"
        assert second.headers["Authorization"] == "Bearer second"

    async def test_a_token_file_that_is_gone_is_an_access_error(self, tmp_path: Path) -> None:
        (tmp_path / "token").write_text("first")
        access = Access(kubeconfig(tmp_path, "http://127.0.0.1:1", {"tokenFile": "token"}))
        (tmp_path / "token").unlink()
        with pytest.raises(AccessError, match="token: No such file"):
            await access.headers()

    async def test_a_client_certificate_of_files_is_shown(
        self, tmp_path: Path, ca: Authority, server_pair: Pair, client_pair: Pair
    ) -> None:
        user = {"client-certificate": str(client_pair.certificate), "client-key": str(client_pair.key)}
        assert await self.shown(tmp_path, ca, server_pair, user) == "client"

    async def test_a_client_certificate_may_stand_in_the_file(
        self, tmp_path: Path, ca: Authority, server_pair: Pair, client_pair: Pair
    ) -> None:
        user = {
            "client-certificate-data": data(client_pair.certificate),
            "client-key-data": data(client_pair.key),
        }
        assert await self.shown(tmp_path, ca, server_pair, user) == "client"

    async def test_a_client_certificate_of_an_exec_plugin_is_shown(
        self, tmp_path: Path, ca: Authority, server_pair: Pair, client_pair: Pair
    ) -> None:
        certificate, key = client_pair.certificate.read_text(), client_pair.key.read_text()
        user = plugin(tmp_path, clientCertificateData=certificate, clientKeyData=key)
        assert await self.shown(tmp_path, ca, server_pair, user) == "client"

    @staticmethod
    async def shown(directory: Path, ca: Authority, server_pair: Pair, user: dict[str, Any]) -> str:
        async with serving(answer(), tls=ca.server(server_pair, mutual=True)) as server:
            config = kubeconfig(directory, server.url, user, **{"certificate-authority": str(ca.certificate)})
            request = await ask(Access(config), server.requests)
        assert "Authorization" not in request.headers
        return request.certificate

    async def test_tls_server_name_is_asked_for_and_verified(self, tmp_path: Path, ca: Authority) -> None:
        named = ca.server(ca.sign("named", "DNS:api.example"))
        options = {"certificate-authority": str(ca.certificate), "tls-server-name": "api.example"}
        async with serving(answer(), tls=named) as server:
            config = kubeconfig(tmp_path, server.url, {"token": "t"}, **options)
            request = await ask(Access(config), server.requests)
        assert request.sni == "api.example"

    @pytest.mark.parametrize("user", [{}, None])
    async def test_a_plain_server_needs_no_user(self, tmp_path: Path, user: dict[str, Any] | None) -> None:
        async with serving(answer()) as server:
            request = await ask(Access(kubeconfig(tmp_path, server.url, user)), server.requests)
        assert "Authorization" not in request.headers

    async def test_a_path_of_the_server_is_kept(self, tmp_path: Path) -> None:
        async with serving(answer()) as server:
            access = Access(kubeconfig(tmp_path, server.url + "/clusters/c-1/", {"token": "t"}))
            request = await ask(access, server.requests)
        assert request.path == "/clusters/c-1/version"

    def test_several_files_of_the_environment_are_merged(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "more").write_text("{}")
        one = kubeconfig(tmp_path, "http://127.0.0.1:1", {})
        monkeypatch.setenv("KUBECONFIG", f"{one}:{tmp_path / 'more'}")
        assert Access().url == "http://127.0.0.1:1"


class TestExecPlugin:
    async def test_its_token_is_sent(self, tmp_path: Path) -> None:
        async with serving(answer(), answer()) as server:
            access = Access(kubeconfig(tmp_path, server.url, plugin(tmp_path, token="made")))
            request = await ask(access, server.requests, times=2)
        assert request.headers["Authorization"] == "Bearer made"
        assert (tmp_path / "counter").read_text() == "run\n"

    async def test_it_runs_again_before_its_token_expires(self, tmp_path: Path) -> None:
        soon = (datetime.now(UTC) + timedelta(minutes=4)).strftime("%Y-%m-%dT%H:%M:%SZ")
        async with serving(answer()) as server:
            user = plugin(tmp_path, token="made", expirationTimestamp=soon)
            access = Access(kubeconfig(tmp_path, server.url, user))
            plugin(tmp_path, token="newer")
            request = await ask(access, server.requests)
        assert request.headers["Authorization"] == "Bearer newer"

    async def test_it_never_runs_on_the_loop(self, tmp_path: Path) -> None:
        threads: list[int] = []

        def load() -> Access:
            threads.append(threading.get_ident())
            return Access(kubeconfig(tmp_path, "http://127.0.0.1:1", plugin(tmp_path, token="t")))

        connection = Connection(load)
        await connection.open()
        assert threads
        assert threading.get_ident() not in threads

    @pytest.mark.parametrize(
        ("user", "why"),
        [
            (failing_plugin("-c", f"import sys; sys.exit('{SECRET}')"), "exec: process returned 1"),
            (failing_plugin("-c", f"print('{SECRET}')"), "exec: failed to decode process output"),
            ({"exec": {"apiVersion": "v1", "command": "/nonexistent/plugin"}}, "No such file or directory"),
            ({"exec": {"apiVersion": "v1", "command": "x", "env": [{"value": SECRET}]}}, "Expected key name"),
            ({}, "neither token nor client certificate;"),
        ],
    )
    def test_its_failure_is_told_without_its_output_and_not_logged(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, user: dict[str, Any], why: str
    ) -> None:
        with pytest.raises(AccessError) as caught:
            Access(kubeconfig(tmp_path, "https://127.0.0.1:1", user | {"password": SECRET}))
        assert why in str(caught.value)
        assert SECRET not in str(caught.value) + caplog.text

    def test_what_others_log_meanwhile_is_kept(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        Access(kubeconfig(tmp_path, "http://127.0.0.1:1", {}))
        logging.getLogger().error("still heard")
        assert "still heard" in caplog.text
        assert logging.getLogger().filters == []

    def test_an_empty_token_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(AccessError, match="neither token nor client certificate"):
            Access(kubeconfig(tmp_path, "https://127.0.0.1:1", plugin(tmp_path, token="")))


class TestInCluster:
    @pytest.fixture
    def token(self, tmp_path: Path, ca: Authority, monkeypatch: pytest.MonkeyPatch) -> Path:
        file = tmp_path / "token"
        file.write_text("first\n")
        monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(file))
        monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(ca.certificate))
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        return file

    async def test_a_rotated_token_file_is_read_again_within_a_minute(
        self, token: Path, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with serving(answer(), answer(), answer(), tls=tls) as server:
            monkeypatch.setenv("KUBERNETES_SERVICE_PORT", server.url.rpartition(":")[2])
            access = Access()
            await ask(access, server.requests)
            replace_token(token)
            await ask(access, server.requests)
            later = SimpleNamespace(now=lambda: datetime.now() + timedelta(seconds=61))  # noqa: DTZ005 - as the loader
            monkeypatch.setattr(incluster_config, "datetime", SimpleNamespace(datetime=later, timedelta=timedelta))
            await ask(access, server.requests)
        sent = [request.headers["Authorization"] for request in server.requests]
        assert sent == ["bearer first", "bearer first", "bearer second"]

    @pytest.mark.usefixtures("token")
    def test_a_kubeconfig_that_is_named_wins(self, tmp_path: Path) -> None:
        assert Access(kubeconfig(tmp_path, "http://127.0.0.1:1", {})).url == "http://127.0.0.1:1"

    def test_a_missing_token_is_an_access_error(self, token: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
        token.unlink()
        with pytest.raises(AccessError, match="service account of this pod: Service token file does not exist"):
            Access()

    @pytest.mark.usefixtures("token")
    def test_an_ipv6_address_is_bracketed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
        assert Access().url == "https://[fd00::1]:443"


@asynccontextmanager
async def tunnelling(seen: list[str]) -> AsyncIterator[str]:
    """An HTTP proxy that knows CONNECT."""
    tasks: set[asyncio.Task[None]] = set()

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(65536):
            writer.write(chunk)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        seen.append(head)
        host, _, port = head.split(" ")[1].partition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        tasks.update(map(asyncio.ensure_future, (pipe(reader, far_writer), pipe(far_reader, writer))))

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    await asyncio.gather(*tasks)
    listener.close()


def login(user_and_password: str) -> str:
    return "Basic " + base64.b64encode(user_and_password.encode()).decode()


class TestProxy:
    async def test_a_proxy_of_the_kubeconfig_tunnels_tls(
        self, tmp_path: Path, ca: Authority, tls: ssl.SSLContext
    ) -> None:
        seen: list[str] = []
        async with serving(answer(), tls=tls) as server, tunnelling(seen) as proxy:
            options = {"certificate-authority": str(ca.certificate), "proxy-url": f"http://me:pw@{proxy}"}
            config = kubeconfig(tmp_path, server.url, {"token": "t"}, **options)
            request = await ask(Access(config), server.requests)
        assert request.headers["Authorization"] == "Bearer t"
        assert f"Proxy-Authorization: {login('me:pw')}" in seen[0]
        assert "Proxy-Authorization" not in request.headers
        assert "Bearer" not in seen[0]

    @pytest.mark.parametrize(("direct", "expected"), [("", "http://proxy:3128"), ("127.0.0.1", None)])
    def test_a_proxy_of_the_environment_minds_no_proxy(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, direct: str, expected: str | None
    ) -> None:
        monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
        monkeypatch.setenv("NO_PROXY", direct)
        access = Access(kubeconfig(tmp_path, "https://127.0.0.1:1", {"token": "t"}))
        assert access.options["proxy"] == expected

    @pytest.mark.parametrize("status", [403, 407, 503])
    @pytest.mark.parametrize("by", ["kubeconfig", "environment"])
    async def test_a_proxy_that_refuses_is_told_without_its_password(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, by: str
    ) -> None:
        async with serving(refused(status)) as proxy:
            address = proxy.url.replace("http://", f"http://me:{SECRET}%40@")
            if by == "environment":
                monkeypatch.setenv("HTTPS_PROXY", address)
            options = {"proxy-url": address} if by == "kubeconfig" else {}
            access = Access(kubeconfig(tmp_path, "https://127.0.0.1:1", {"token": "t"}, **options))
            with pytest.raises(StreamError, match=f"GET /version: ClientHttpProxyError: {status}") as caught:
                await ask(access, proxy.requests)
        assert proxy.requests[0].headers["Proxy-Authorization"] == login(f"me:{SECRET}@")
        assert SECRET not in f"{caught.value} {caught.value.__cause__} {caught.value.__cause__!r}"

    async def test_a_proxy_of_an_http_server_gets_its_password(self, tmp_path: Path) -> None:
        async with serving(answer()) as proxy:
            options = {"proxy-url": proxy.url.replace("http://", "http://me:pw@")}
            request = await ask(Access(kubeconfig(tmp_path, "http://192.0.2.1", {}, **options)), proxy.requests)
        assert request.headers["Proxy-Authorization"] == login("me:pw")

    @pytest.mark.parametrize("address", [f"http://me:{SECRET}/@proxy", f"http://me:{SECRET}@[proxy"])
    def test_a_proxy_that_cannot_be_read_is_refused_without_its_password(self, tmp_path: Path, address: str) -> None:
        config = kubeconfig(tmp_path, "http://127.0.0.1:1", {}, **{"proxy-url": address})
        with pytest.raises(AccessError) as caught:
            Access(config)
        assert SECRET not in str(caught.value)

    async def test_a_server_that_cannot_be_read_is_told_without_its_password(self, tmp_path: Path) -> None:
        config = kubeconfig(tmp_path, f"http://me:{SECRET}@127.0.0.1:port", {})
        with pytest.raises(StreamError, match="the address cannot be used") as caught:
            await ask(Access(config), [])
        assert SECRET not in str(caught.value)

    def test_a_socks_proxy_is_refused_without_its_password(self, tmp_path: Path) -> None:
        config = kubeconfig(tmp_path, "http://127.0.0.1:1", {}, **{"proxy-url": f"socks5://me:{SECRET}@127.0.0.1:1080"})
        with pytest.raises(AccessError, match="SOCKS is not supported") as caught:
            Access(config)
        assert SECRET not in str(caught.value)

    async def test_a_netrc_of_the_user_is_not_sent(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "netrc").write_text(f"default login me password {SECRET}\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        async with serving(answer()) as server:
            request = await ask(Access(kubeconfig(tmp_path, server.url, {})), server.requests)
        assert "Authorization" not in request.headers


class TestRefusals:
    def test_oidc_without_the_login_servers_ca_is_refused(self, tmp_path: Path) -> None:
        provider = {"name": "oidc", "config": {"id-token": f"a.{SECRET}.c", "refresh-token": SECRET}}
        with pytest.raises(AccessError, match="OIDC without idp-certificate-authority") as caught:
            Access(kubeconfig(tmp_path, "https://127.0.0.1:1", {"auth-provider": provider}))
        assert SECRET not in str(caught.value)

    async def test_oidc_with_it_sends_its_token(self, tmp_path: Path) -> None:
        claims = base64.urlsafe_b64encode(b'{"exp": 99999999999}').decode().rstrip("=")
        settings = {"id-token": f"aa.{claims}.cc", "idp-certificate-authority": "/ca.pem"}
        user = {"auth-provider": {"name": "oidc", "config": settings}}
        access = Access(kubeconfig(tmp_path, "http://127.0.0.1:1", user))
        assert await access.headers() == {"Authorization": f"Bearer aa.{claims}.cc"}

    @pytest.mark.parametrize(
        ("content", "why"),
        [
            ("", "file is empty"),
            (f"users: [{{name: u, user: {{token: {SECRET}", "not in the form that is expected (ParserError)"),
            (f"- {SECRET}", "not in the form that is expected"),
            (f"{{current-context: c, users: [{{name: u, user: {{token: {SECRET}}}}}]}}", "Expected object with name c"),
            (f"{{users: [{{user: {{token: {SECRET}}}}}]}}", ""),
        ],
    )
    def test_a_bad_kubeconfig_is_told_without_what_it_holds(self, tmp_path: Path, content: str, why: str) -> None:
        (tmp_path / "config").write_text(content)
        with pytest.raises(AccessError) as caught:
            Access(str(tmp_path / "config"))
        assert str(caught.value).startswith(f"kubeconfig {tmp_path}/config: ")
        assert why in str(caught.value)
        assert SECRET not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__

    def test_an_unreadable_user_entry_is_not_quoted(self, tmp_path: Path) -> None:
        user = {"auth-provider": {"name": "gcp", "config": {"access-token": SECRET, "expiry": SECRET}}}
        with pytest.raises(AccessError) as caught:
            Access(kubeconfig(tmp_path, "https://127.0.0.1:1", user))
        assert SECRET not in str(caught.value)

    def test_a_missing_kubeconfig_says_what_to_give(self, tmp_path: Path) -> None:
        with pytest.raises(AccessError, match=r"no such file; give --kube\.kubeconfig"):
            Access(str(tmp_path / "nowhere"))

    def test_a_missing_context_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(AccessError, match=r"context nowhere: .*Expected object with name nowhere"):
            Access(kubeconfig(tmp_path, "http://127.0.0.1:1", {}), "nowhere")

    def test_a_certificate_that_is_none_is_told(self, tmp_path: Path) -> None:
        options = {"certificate-authority-data": base64.b64encode(b"nothing").decode()}
        with pytest.raises(AccessError, match="CA or client certificate cannot be used"):
            Access(kubeconfig(tmp_path, "https://127.0.0.1:1", {"token": SECRET}, **options))


def test_importing_it_does_not_import_the_official_client() -> None:
    code = "import sys, exporter.kube.reflector; sys.exit('kubernetes' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
