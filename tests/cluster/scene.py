"""What fault tests stand on: an API server alone, a proxy before it, a fleet, and an account for the exporter."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self
from urllib.request import Request, urlopen

from tests.cluster import configs, hasty
from tests.cluster.api import Api, Object, wait_until
from tests.cluster.exporter_process import Exporter
from tests.cluster.fleet import Fleet
from tests.cluster.followed import Followed
from tests.cluster.node import Node
from tests.cluster.proxy import Proxy

LONG = os.environ.get("POD_EXPORTER_LONG") == "1"
"""Run what takes minutes by the real limits."""
NAMESPACE = "faults"
ACCOUNT = "exporter"
USER = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
RBAC = "rbac.authorization.k8s.io"
NAMES = [f"web-{n}" for n in range(6)]
"""Pods that are there from the start."""


class Scene:
    """All of it, for the time of a module."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.proxy = Proxy(node.ports.api)
        self.fleet = Fleet(lambda: node.api, NAMESPACE)
        self.ca = node.folder / "exporter-ca.crt"
        """The file in which the exporter reads whom to trust."""
        self.token = node.folder / "exporter-token"
        """The file in which it reads who it is."""
        self._followed: dict[str, Followed] = {}
        self.exporter: Exporter | None = None
        """One that lives as long as the scene, through all its faults."""

    @property
    def api(self) -> Api:
        return self.node.api

    def start(self) -> Self:
        self.proxy.start()
        self.node.create_namespace(NAMESPACE)
        self._grant()
        self.trust()
        self.token.write_text(self.fresh_token())
        for name in NAMES:
            self.fleet.create(name)
        return self

    def close(self) -> None:
        if self.exporter:
            self.exporter.close()
        self.proxy.close()

    def heal(self) -> None:
        """Whatever a test did to the network is over."""
        self.proxy.behave("pass")
        self.proxy.listen()

    def trust(self) -> None:
        """Let the exporter's CA file be the API server's present one."""
        self.ca.write_bytes(self.node.certificate.read_bytes())

    def fresh_token(self) -> str:
        """A token of the exporter's account, as the kubelet would ask for it."""
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
        path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{ACCOUNT}/token"
        token: str = self.api.request("POST", path, body)["status"]["token"]
        return token

    def as_exporter(self, token: str | None = None) -> Api:
        """The API as the exporter's account, past the proxy."""
        return Api(self.node.server, self.node.certificate, token or self.token.read_text())

    def start_exporter(
        self, folder: Path, *flags: str, name: str, command: Sequence[str] = hasty.COMMAND, **options: Any
    ) -> Exporter:
        config = configs.kubeconfig(f"https://localhost:{self.proxy.port}", self.ca, "")
        config["users"][0]["user"] = {"tokenFile": str(self.token)}
        kubeconfig = configs.write_json(self.node.folder / "exporter.kubeconfig", config)
        exporter = Exporter(folder, kubeconfig, *flags, name=name, command=command, **options)
        return exporter.start().wait_ready()

    def follow(self, exporter: Exporter) -> Followed:
        """From here on. What the exporter held when it was followed first is what it must always come back to."""
        before = self._followed.get(exporter.name)
        if before:
            before.settles()
        followed = Followed(exporter, self.fleet, before.footprint if before else None)
        self._followed[exporter.name] = followed
        return followed

    def compact(self) -> int:
        """Let etcd forget all revisions before the present one; the answer is that one."""
        revision = int(self._etcd("kv/range", {"key": "Lw=="})["header"]["revision"])
        self._etcd("kv/compaction", {"revision": revision, "physical": True})
        return revision

    def _etcd(self, call: str, body: Object) -> Object:
        url = f"http://127.0.0.1:{self.node.ports.etcd}/v3/{call}"
        with urlopen(Request(url, json.dumps(body).encode(), method="POST"), timeout=30) as response:
            answer: Object = json.load(response)
        return answer

    def _grant(self) -> None:
        """Exactly the rights that the exporter needs."""
        account = {"apiVersion": "v1", "kind": "ServiceAccount"}
        self.api.create({**account, "metadata": {"name": ACCOUNT, "namespace": NAMESPACE}})
        groups = (("", ["pods", "events"]), ("apps", ["replicasets"]), ("batch", ["jobs"]))
        rules = [{"apiGroups": [group], "resources": names, "verbs": ["list", "watch"]} for group, names in groups]
        common = {"apiVersion": f"{RBAC}/v1", "metadata": {"name": ACCOUNT}}
        self.api.create({**common, "kind": "ClusterRole", "rules": rules})
        self.bind()

    def bind(self) -> None:
        """Give the exporter's account its rights."""
        subjects = [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}]
        role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": ACCOUNT}
        binding = {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": ACCOUNT}}
        self.api.create({**binding, "subjects": subjects, "roleRef": role})
        wait_until(lambda: self.as_exporter(self.fresh_token()).get("/api/v1/pods", limit="1"), "the rights hold", 20)
