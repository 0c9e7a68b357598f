"""A real Kubernetes node: etcd, API server, controllers, scheduler, kube-proxy, containerd, kubelet.

`python -m tests.cluster.box python -m tests.cluster.node` starts one and opens a shell beside it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Literal, Self
from urllib.request import Request, urlopen

from tests.cluster import box, build, configs, leftovers
from tests.cluster.api import Api, Object, wait_until
from tests.cluster.daemon import Daemon, free_port
from tests.cluster.dns import Dns
from tests.cluster.images import write_images
from tests.cluster.truth import Instance

FOLDERS = ("etcd", "certs", "logs", "kubelet", "manifests", "cni", "truth")
LABEL = "io.kubernetes"
"""What the names of the labels begin with that the kubelet gives to containers."""
PROGRAMS = ("containerd", "runc", "ctr", "iptables", "ip", "openssl")


class CannotRunError(Exception):
    """This machine lacks something that a node needs; the text is one line."""


class Node:
    """One node with all its state in one folder; `control=False` starts only etcd and the API server."""

    def __init__(
        self,
        *,
        control: bool = True,
        etcd: Literal["bundled", "debian"] = "bundled",
        max_restart_period: str = "5m",
    ) -> None:
        self.control, self.etcd, self.max_restart_period = control, etcd, max_restart_period
        self.kube = _check_machine(etcd, control=control)
        self.folder, self._lock = leftovers.new_state_folder()
        self.ports = configs.Ports(*(free_port() for _ in configs.Ports.__dataclass_fields__))
        self.socket = Path("/run/containerd/node.sock")
        self.truth = self.folder / "truth"
        self.daemons: dict[str, Daemon] = {}
        self.dns: Dns | None = None
        self.api_flags: list[str] = []
        """More flags for the API server, from its next start on."""
        self.ca: Path | None = None
        """Whom clients trust, if not the certificate that the API server makes itself."""

    @property
    def server(self) -> str:
        return f"https://localhost:{self.ports.api}"

    @property
    def certificate(self) -> Path:
        return self.ca or self.folder / "certs" / "apiserver.crt"

    @property
    def api(self) -> Api:
        """The API as a cluster administrator."""
        return Api(self.server, self.certificate, "admin-token")

    def start(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def _start(self) -> None:
        for name in FOLDERS:
            (self.folder / name).mkdir()
        self._write_keys()
        self._start_etcd()
        if self.control:
            _make_bridge()
        self._start_api_server()
        if self.control:
            self._start_controllers()
            self._start_containerd()
            self.dns = Dns(configs.NODE_ADDRESS, self.api)
            self.start_kubelet()
            wait_until(self._is_ready, "the node is ready", 90)

    def close(self) -> None:
        """End everything, latest first, and leave nothing behind."""
        for name in ("kubelet", "proxy", "scheduler", "controllers"):
            self._stop(name)
        if self.control:
            leftovers.kill_containers()
        if self.dns:
            self.dns.close()
        self._stop("containerd")
        for name in ("api", "etcd"):
            self._stop(name, how=signal.SIGKILL)
        if self.control:
            leftovers.remove_cgroups()
            leftovers.remove_bridge(configs.BRIDGE)
        leftovers.remove_folder(self.folder)
        self._lock.close()

    def restart_api_server(self, away: float = 0) -> None:
        """Let it crash (asked politely, it waits half a minute for its watchers) and start it again."""
        self._stop("api", how=signal.SIGKILL)
        time.sleep(away)
        self._start_api_server()

    def start_kubelet(self, evicts_below: str = "100Mi") -> None:
        """`evicts_below`: memory that must be left, of which more than there is puts the node under pressure."""
        config = configs.kubelet(self.folder, self.socket, self.ports, self.max_restart_period, evicts_below)
        self._start_component(
            "kubelet",
            "kubelet",
            f"--config={configs.write_json(self.folder / 'kubelet.json', config)}",
            f"--kubeconfig={self.kubeconfig('node-token')}",
            f"--hostname-override={configs.NODE}",
            f"--root-dir={self.folder}/kubelet",
            f"--node-ip={configs.NODE_ADDRESS}",
        )

    def probes(self) -> str:
        """What the kubelet itself has counted of probes since it began."""
        return self._ask_kubelet("/metrics/probes")

    def available_memory(self) -> int:
        """Bytes that are left on the node as the kubelet sees it."""
        available: int = json.loads(self._ask_kubelet("/stats/summary"))["node"]["memory"]["availableBytes"]
        return available

    def _ask_kubelet(self, path: str) -> str:
        tls = ssl.create_default_context()
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        url = f"https://{configs.NODE_ADDRESS}:{self.ports.kubelet}{path}"
        request = Request(url, headers={"Authorization": "Bearer admin-token"})
        with urlopen(request, context=tls, timeout=10) as response:
            text: str = response.read().decode()
        return text

    def stop_kubelet(self) -> None:
        """Containers go on without it."""
        self._stop("kubelet")

    def kubeconfig(self, token: str = "admin-token", name: str | None = None) -> Path:
        target = self.folder / f"{name or token}.kubeconfig"
        return configs.write_json(target, configs.kubeconfig(self.server, self.certificate, token))

    def kill_sandbox(self, pod_uid: str) -> None:
        """Kill the pod's pause process: the kubelet must start all its containers anew in a new sandbox."""
        self._kill(f'labels."{LABEL}.pod.uid"=={pod_uid},labels."io.cri-containerd.kind"==sandbox')

    def kill_container(self, pod_uid: str, name: str) -> None:
        """Kill a container's process behind the kubelet's back."""
        self._kill(f'labels."{LABEL}.pod.uid"=={pod_uid},labels."{LABEL}.container.name"=={name}')

    def _kill(self, wanted: str) -> None:
        found = self._ctr("-n", "k8s.io", "containers", "list", "--quiet", wanted).split()
        assert len(found) == 1, f"{len(found)} containers have {wanted}"
        self._ctr("-n", "k8s.io", "tasks", "kill", "--signal", "SIGKILL", found[0])

    def never_started(self) -> Iterator[tuple[str, Instance]]:
        """Ids of containers that a kubelet has made and did not live to start, and whose instances they are."""
        for file in self.folder.glob("containerd/io.containerd.grpc.v1.cri/containers/*/status"):
            status = json.loads(file.read_text())
            if not status["StartedAt"] and not status["FinishedAt"]:
                labels = json.loads(self._ctr("-n", "k8s.io", "containers", "info", file.parent.name))["Labels"]
                yield file.parent.name, Instance(labels[f"{LABEL}.pod.uid"], labels[f"{LABEL}.container.name"])

    def load_image(self, archive: Path) -> None:
        """Make an image of a docker archive known to the node; nothing is ever pulled."""
        self._ctr("-n", "k8s.io", "images", "import", str(archive))

    def create_namespace(self, name: str) -> None:
        """Pods are refused before the namespace has its service account."""
        self.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        if self.control:
            account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
            wait_until(lambda: self.api.get(account), f"namespace {name} has a service account")

    def has(self, resource: str, amount: int) -> None:
        """Give the node a resource, as a device plugin would."""
        self.api.patch(f"/api/v1/nodes/{configs.NODE}/status", {"status": {"capacity": {resource: str(amount)}}})
        wait_until(lambda: resource in self.status()["allocatable"], f"the node has {resource}")

    def status(self) -> Object:
        node: Object = self.api.get(f"/api/v1/nodes/{configs.NODE}")
        return node["status"]  # type: ignore[no-any-return]

    def _is_ready(self) -> bool:
        self._fail_if_dead()
        return any(c["type"] == "Ready" and c["status"] == "True" for c in self.status()["conditions"])

    def _write_keys(self) -> None:
        (self.folder / "tokens.csv").write_text(configs.TOKENS)
        key, public = str(self.folder / "sa.key"), str(self.folder / "sa.pub")
        for arguments in (["genrsa", "-out", key, "2048"], ["rsa", "-in", key, "-pubout", "-out", public]):
            subprocess.run(["openssl", *arguments], check=True, capture_output=True)

    def _start_etcd(self) -> None:
        clients, peers = f"http://127.0.0.1:{self.ports.etcd}", f"http://127.0.0.1:{self.ports.etcd_peers}"
        program = ["/usr/bin/etcd"] if self.etcd == "debian" else [str(self.kube), "etcd"]
        flags = {
            "data-dir": f"{self.folder}/etcd",
            "listen-client-urls": clients,
            "advertise-client-urls": clients,
            "listen-peer-urls": peers,
            "initial-advertise-peer-urls": peers,
            "initial-cluster": f"default={peers}",
        }
        options = [f"--{name}={value}" for name, value in flags.items()]
        self._run("etcd", [*program, *options, "--unsafe-no-fsync"])

    def _start_api_server(self) -> None:
        accounts = [] if self.control else ["--disable-admission-plugins=ServiceAccount"]
        self._start_component(
            "api",
            "kube-apiserver",
            *accounts,
            f"--etcd-servers=http://127.0.0.1:{self.ports.etcd}",
            f"--cert-dir={self.folder}/certs",
            f"--secure-port={self.ports.api}",
            "--bind-address=0.0.0.0",
            f"--advertise-address={configs.NODE_ADDRESS}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self.folder}/sa.pub",
            f"--service-account-signing-key-file={self.folder}/sa.key",
            f"--token-auth-file={self.folder}/tokens.csv",
            "--authorization-mode=Node,RBAC",
            f"--service-cluster-ip-range={configs.SERVICE_NETWORK}",
            "--allow-privileged=true",
            "--kubelet-preferred-address-types=InternalIP",
            *self.api_flags,
        )
        wait_until(self._api_answers, "the API server is ready", 60)

    def _api_answers(self) -> bool:
        self._fail_if_dead()
        return self.certificate.exists() and bool(self.api.get("/readyz") == "ok")

    def _start_controllers(self) -> None:
        admin = self.kubeconfig("controllers-token")
        common = [f"--kubeconfig={admin}", "--leader-elect=false", "--bind-address=127.0.0.1"]
        self._start_component(
            "controllers",
            "kube-controller-manager",
            *common,
            f"--secure-port={self.ports.controllers}",
            f"--service-account-private-key-file={self.folder}/sa.key",
            f"--root-ca-file={self.certificate}",
            "--use-service-account-credentials=false",
        )
        common[0] = f"--kubeconfig={self.kubeconfig('scheduler-token')}"
        self._start_component("scheduler", "kube-scheduler", *common, f"--secure-port={self.ports.scheduler}")
        proxy = configs.write_json(self.folder / "proxy.json", configs.proxy(admin, self.ports))
        self._start_component("proxy", "kube-proxy", f"--config={proxy}")

    def _start_containerd(self) -> None:
        configs.write_json(self.folder / "cni" / "10-test.conflist", configs.pod_network(self.folder))
        overlay = subprocess.run(["stat", "-fc", "%T", self.folder], check=True, capture_output=True, text=True)
        snapshotter = "native" if overlay.stdout.strip() == "overlayfs" else "overlayfs"
        config = self.folder / "containerd.toml"
        config.write_text(configs.containerd(self.folder, self.socket, snapshotter))
        self._run("containerd", ["containerd", "-c", str(config)])
        wait_until(self._containerd_answers, "containerd answers", 30)
        for archive in write_images(self.folder):
            self.load_image(archive)

    def _containerd_answers(self) -> bool:
        self._fail_if_dead()
        return self.socket.exists() and bool(self._ctr("version"))

    def _ctr(self, *arguments: str) -> str:
        command = ["ctr", "-a", str(self.socket), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def _start_component(self, name: str, component: str, *arguments: str) -> None:
        self._run(name, [str(self.kube), component, *arguments])

    def _run(self, name: str, command: list[str]) -> None:
        self.daemons[name] = Daemon(command, self.folder / "logs" / f"{name}.log").start()

    def _stop(self, name: str, how: signal.Signals = signal.SIGTERM, seconds: float = 10) -> None:
        if name in self.daemons:
            self.daemons.pop(name).stop(how, seconds)

    def _fail_if_dead(self) -> None:
        for name, daemon in self.daemons.items():
            code = daemon.exit_code()
            if code is not None:
                raise CannotRunError(f"{name} ended with exit code {code}:\n{daemon.tail()}")


StartNode = Callable[..., AbstractContextManager[Node]]
"""Takes the options of `Node`; the node lives as long as the `with` block."""


def _make_bridge() -> None:
    """The node's own address is on the pods' bridge, so that pods reach the API and the API the pods."""
    for command in (
        f"ip link add {configs.BRIDGE} type bridge",
        f"ip addr add {configs.NODE_ADDRESS}/24 dev {configs.BRIDGE}",
        f"ip link set {configs.BRIDGE} up",
        f"ip route add {configs.SERVICE_NETWORK} dev {configs.BRIDGE}",
    ):
        subprocess.run(command.split(), check=True)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def _check_machine(etcd: str, *, control: bool) -> Path:
    """The Kubernetes binary, or the reason why no node can be started here."""
    if not os.environ.get(box.INSIDE):
        raise CannotRunError("not in a box of its own: use `make test-cluster`, or `python -m tests.cluster.box`")
    wanted = [*PROGRAMS, "/usr/bin/etcd"] if etcd == "debian" else list(PROGRAMS)
    missing = [name for name in wanted if not shutil.which(name)]
    if missing:
        raise CannotRunError(f"missing programs: {' '.join(missing)}; run tests/cluster/install.sh")
    if control and not leftovers.remove_cgroups():
        raise CannotRunError("another kubelet runs pods on this machine: the cgroup kubepods has processes")
    try:
        return build.built_binary()
    except build.BuildError as error:
        raise CannotRunError(str(error)) from None


if __name__ == "__main__":
    with closing(Node().start()) as node:
        sys.stderr.write(f"kubectl is `{node.kube} kubectl`; leave the shell to stop the node\n")
        environment = {**os.environ, "KUBECONFIG": str(node.kubeconfig())}
        subprocess.run([os.environ.get("SHELL", "/bin/sh")], env=environment, check=False)
