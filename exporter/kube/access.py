"""Where the API server is and how we prove who we are, by the official client's (synchronous) loaders.

Only the loaders are taken from that package: its asynchronous half never refreshes exec tokens, and its models and
watch are 54 times dearer than ours. Their error texts quote whole user entries, so only known-safe parts are repeated.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypedDict
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from exporter.errors import AccessError

_EXEC_STATUS = re.compile(r"(?:exec|cmd-path): process returned -?\d+")
_IDP_AUTHORITIES = ("idp-certificate-authority", "idp-certificate-authority-data")


class RequestOptions(TypedDict):
    """What each request of aiohttp must be given."""

    ssl: ssl.SSLContext | bool
    server_hostname: str | None
    proxy: str | None
    proxy_headers: dict[str, str] | None


class Access:
    """One loaded set of credentials: address, CA, certificate and token belong together, so all are loaded anew.

    Loading reads files and may run an exec plugin, so it blocks: call it in a thread. Raises AccessError. With neither
    kubeconfig nor context, and no KUBECONFIG in the environment, a pod's own service account is taken.
    """

    def __init__(self, kubeconfig: str = "", context: str = "") -> None:
        self._source = _source(kubeconfig, context)
        with _explained(self._source) as overheard:
            loaded = _load(kubeconfig, context)
            self.url: str = loaded.host
            tls = _tls(loaded) if self.url.startswith("https:") else True
            proxy, login = _proxy(loaded.proxy, self.url)
        self._loaded = loaded
        self.certified = bool(loaded.cert_file)
        """Whether we show a client certificate."""
        self._lock = asyncio.Lock()
        self._demand_credentials(overheard.text)
        self.options = RequestOptions(
            ssl=tls,
            server_hostname=loaded.tls_server_name if tls is not True else None,
            proxy=proxy,
            proxy_headers=login,
        )

    async def headers(self) -> dict[str, str]:
        """Give the Authorization header, if any: for each request anew, since tokens are re-read and renewed.

        Token files are read again (in a cluster once a minute), exec plugins run again before their token expires.
        Raises AccessError.
        """
        async with self._lock:  # one plugin run for all watches, and never on the loop
            token = await asyncio.to_thread(self._token)
        return {"Authorization": token} if token else {}

    def tls_elsewhere(self, ca_file: Path | None, *, insecure: bool) -> ssl.SSLContext:
        """TLS with another server of the cluster: our certificate if we have one, and the cluster's CA unless told so.

        Raises AccessError if the file cannot be used.
        """
        with _explained(f"CA file {ca_file}" if ca_file else self._source):
            context = _tls(self._loaded, str(ca_file) if ca_file else None)
        if insecure:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    def _token(self) -> str:
        with _explained(self._source):
            token: str = self._loaded.get_api_key_with_prefix("BearerToken") or ""
        return " ".join(token.split())  # the loaders keep a file's newline

    def _demand_credentials(self, overheard: str) -> None:
        """A plugin's failure is only logged by the loaders; without this we would ask as system:anonymous."""
        if not self.url.startswith("https:") or self._loaded.cert_file:
            return
        _, _, secret = self._loaded.api_key.get("BearerToken", "").strip().partition(" ")
        if not secret:
            why = f" ({overheard})" if overheard else ""
            raise AccessError(
                f"{self._source}: neither token nor client certificate{why}; "
                "log in anew, or run the user's exec plugin by hand to see what it says"
            )


def _source(kubeconfig: str, context: str) -> str:
    """Name where credentials come from, for messages."""
    if _inside(kubeconfig, context):
        return "service account of this pod"
    from_where = kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
    return f"kubeconfig {from_where}" + (f", context {context}" if context else "")


def _inside(kubeconfig: str, context: str) -> bool:
    named = kubeconfig or context or os.environ.get("KUBECONFIG")
    return not named and "KUBERNETES_SERVICE_HOST" in os.environ


def _load(kubeconfig: str, context: str) -> Any:  # noqa: ANN401 - the package's Configuration; it must not be imported
    # 10 MiB and 0.15 s, so only where a cluster is used
    from kubernetes import client, config  # noqa: PLC0415

    loaded = client.Configuration(proxy="")  # not from the environment: see _proxy
    if _inside(kubeconfig, context):
        config.load_incluster_config(loaded)  # type: ignore[no-untyped-call]
    else:
        _kubeconfig_loader(kubeconfig, context).load_and_set(loaded)
    return loaded


def _kubeconfig_loader(kubeconfig: str, context: str) -> Any:  # noqa: ANN401 - as above
    """Do what `load_kube_config` does, but look at the user's entry before anything is sent with it."""
    from kubernetes.config import kube_config  # noqa: PLC0415

    path = kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
    merged: Any = kube_config.KubeConfigMerger(path).config  # type: ignore[no-untyped-call]
    if merged is None:
        raise AccessError(f"kubeconfig {path}: no such file; give --kube.kubeconfig or run inside a cluster")
    for entry in merged.value["users"]:
        entry.value["user"] = entry.value.get("user") or {}  # kubectl takes `user:` with nothing after it
    make: Any = kube_config.KubeConfigLoader
    loader = make(merged, context or None, config_base_path=None)
    user = loader._user.value if loader._user else {}  # noqa: SLF001 - the chosen entry has no public name
    _refuse_unverified_login(user)
    if user.get("tokenFile") and not user.get("token"):
        loader.expiry = datetime.now(UTC)  # expired from the start: the file is read again for each request
    return loader


def _refuse_unverified_login(user: dict[str, Any]) -> None:
    """Keep the loader from its OIDC discovery without TLS verification, which would hand out the refresh token."""
    provider = user.get("auth-provider") or {}
    settings = provider.get("config") or {}
    if provider.get("name") == "oidc" and not any(settings.get(name) for name in _IDP_AUTHORITIES):
        raise AccessError(
            "kubeconfig: the user logs in by OIDC without idp-certificate-authority, so the login server could not "
            "be verified; set it to the CA's file, or use an exec plugin such as kubelogin"
        )


def _tls(loaded: Any, ca_file: str | None = None) -> ssl.SSLContext:  # noqa: ANN401 - as above
    context = ssl.create_default_context(cafile=ca_file or loaded.ssl_ca_cert)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # on by default since Python 3.13; many cluster CAs fail it
    if loaded.cert_file:
        context.load_cert_chain(loaded.cert_file, loaded.key_file)
    if not loaded.verify_ssl:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _proxy(configured: str | None, url: str) -> tuple[str | None, dict[str, str] | None]:
    """Give the proxy, the kubeconfig's, else the environment's with its NO_PROXY, and the header that it wants.

    User and password go into that header, since aiohttp's errors quote the address. Not by aiohttp's trust_env, which
    would also send passwords of a ~/.netrc to the API server.
    """
    server = urlsplit(url)
    host = server.hostname or ""
    proxy = configured or (None if proxy_bypass(host) else getproxies().get(server.scheme))
    if not proxy:
        return None, None
    address = urlsplit(proxy)
    login, _, place = address.netloc.rpartition("@")
    bare = address._replace(netloc=place).geturl()
    if address.scheme not in ("http", "https") or "@" in bare:
        raise AccessError(
            "the proxy for the API server must be an http:// or https:// address, with special characters of user and "
            "password percent-encoded; SOCKS is not supported"
        )
    if not login:
        return bare, None
    user, _, password = map(unquote, login.partition(":"))
    return bare, {"Proxy-Authorization": aiohttp.encode_basic_auth(user, password)}


@contextmanager
def _explained(source: str) -> Iterator[_Overheard]:
    """Turn whatever a loader raises into an AccessError without secrets, and keep what it logs out of the log."""
    overheard = _Overheard()
    root = logging.getLogger()
    root.addFilter(overheard)
    try:
        yield overheard
    except AccessError:
        raise
    except Exception as error:  # noqa: BLE001 - they raise anything, KeyError and binascii.Error included
        text = f"{source}: {_harmless(error)}; `kubectl get pods` with the same settings tells more"
        raise AccessError(text) from None
    finally:
        root.removeFilter(overheard)


def _harmless(error: Exception) -> str:
    """Give the part of a loader's error that quotes no value."""
    from kubernetes.config import ConfigException  # noqa: PLC0415

    if isinstance(error, ssl.SSLError):
        return f"CA or client certificate cannot be used: {error.reason or 'not in PEM form'}"
    if isinstance(error, OSError):
        return f"{error.filename or 'system'}: {error.strerror or type(error).__name__}"
    if isinstance(error, ConfigException):
        return _first_words(str(error))
    return f"not in the form that is expected ({type(error).__name__})"


def _first_words(text: str) -> str:
    """Cut where the loaders begin to quote: the whole user entry after " in ", a plugin's output after its status."""
    if status := _EXEC_STATUS.match(text):
        return status.group()
    return text.partition("\n")[0].partition(" in ")[0][:200]


class _Overheard(logging.Filter):
    """Catches what the loaders log to the root logger in this thread: why a plugin failed, values included."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self._thread = threading.get_ident()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.thread != self._thread or record.module not in ("kube_config", "exec_provider"):
            return True
        self.text = _first_words(record.getMessage())
        return False
