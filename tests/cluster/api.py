"""A synchronous client of the API server: plain requests, so that no test shares code with the exporter."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

Object = dict[str, Any]
"""A Kubernetes object as JSON gives it."""

MERGE_PATCH = "application/merge-patch+json"
GROUPS = {
    "v1": "/api/v1",
    "apps/v1": "/apis/apps/v1",
    "batch/v1": "/apis/batch/v1",
    "apiextensions.k8s.io/v1": "/apis/apiextensions.k8s.io/v1",
    "monitoring.coreos.com/v1": "/apis/monitoring.coreos.com/v1",
    "scheduling.k8s.io/v1": "/apis/scheduling.k8s.io/v1",
    "flowcontrol.apiserver.k8s.io/v1": "/apis/flowcontrol.apiserver.k8s.io/v1",
    "rbac.authorization.k8s.io/v1": "/apis/rbac.authorization.k8s.io/v1",
}
CLUSTER_WIDE = {
    "Namespace",
    "ClusterRole",
    "ClusterRoleBinding",
    "Node",
    "PriorityClass",
    "CustomResourceDefinition",
    "FlowSchema",
    "PriorityLevelConfiguration",
}


class RefusedError(Exception):
    """The API server's answer is an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"HTTP {status}: {message}")
        self.status = status


class Api:
    """One identity at one API server."""

    def __init__(self, server: str, ca: Path, token: str) -> None:
        self.server, self.ca, self.token = server, ca, token
        self._tls = ssl.create_default_context(cafile=str(ca))

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        media: str = "application/json",
        accept: str = "application/json",
    ) -> Any:
        """Send one request; the answer is decoded JSON, or text where it is none."""
        with self._open(method, path, body, media, accept) as response:
            text = response.read()
        try:
            return json.loads(text)
        except ValueError:
            return text.decode()

    def get(self, path: str, **query: str) -> Any:
        return self.request("GET", f"{path}?{urlencode(query)}" if query else path)

    def pods(self, namespace: str) -> list[Object]:
        items: list[Object] = self.get(f"/api/v1/namespaces/{namespace}/pods")["items"]
        return items

    def create(self, obj: Object) -> Object:
        created: Object = self.request("POST", collection_of(obj), obj)
        return created

    def check(self, obj: Object) -> None:
        """Let the API server refuse what it would not take, unknown fields included, and create nothing."""
        self.request("POST", f"{collection_of(obj)}?dryRun=All&fieldValidation=Strict", obj)

    def patch(self, path: str, change: Object) -> Object:
        patched: Object = self.request("PATCH", path, change, MERGE_PATCH)
        return patched

    def delete(self, path: str, *, force: bool = False) -> None:
        """Ask for the deletion; `force` removes the object at once, as `kubectl delete --force` does."""
        self.request("DELETE", path, {"gracePeriodSeconds": 0} if force else {"propagationPolicy": "Background"})

    def evict(self, namespace: str, pod: str) -> None:
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction"}
        eviction["metadata"] = {"name": pod, "namespace": namespace}  # type: ignore[assignment]
        self.request("POST", f"/api/v1/namespaces/{namespace}/pods/{pod}/eviction", eviction)

    def watch(self, path: str, **query: str) -> Iterator[bytes]:
        """The lines of one watch, until it ends."""
        with self._open("GET", f"{path}?{urlencode({'watch': '1', **query})}", None, "") as response:
            yield from response

    def _open(self, method: str, path: str, body: Any, media: str, accept: str = "application/json") -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Accept": accept, "Content-Type": media}
        request = Request(self.server + path, data, headers, method=method)
        try:
            return urlopen(request, timeout=60, context=self._tls)
        except HTTPError as error:
            with error:
                raise RefusedError(error.code, error.read().decode(errors="replace")) from None


def collection_of(obj: Object) -> str:
    """Where an object of this kind is created."""
    kind = obj["kind"]
    plural = f"{kind.lower()}es" if kind.endswith("s") else f"{kind.lower()}s"
    base = GROUPS[obj["apiVersion"]]
    return f"{base}/{plural}" if kind in CLUSTER_WIDE else f"{base}/{namespace_part(obj)}/{plural}"


def path_of(obj: Object) -> str:
    return f"{collection_of(obj)}/{obj['metadata']['name']}"


def namespace_part(obj: Object) -> str:
    return f"namespaces/{obj['metadata']['namespace']}"


def wait_until(condition: Callable[[], Any], what: str, seconds: float = 60, every: float = 0.25) -> Any:
    """Ask again and again; the answer when it is true, AssertionError naming `what` when it never is."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            answer = condition()
        except (OSError, URLError, RefusedError) as error:
            answer, problem = None, f": {error}"
        else:
            problem = ""
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what}{problem}")
        time.sleep(every)
