"""The configuration files of a node's components. JSON is YAML, so the same writer serves them all."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.images import PAUSE

NODE = "node-1"
NODE_ADDRESS = "10.88.0.1"
POD_NETWORK = "10.88.0.0/24"
BRIDGE = "cni0"
SERVICE_NETWORK = "10.0.0.0/24"
BACK_OFF = os.environ.get("POD_EXPORTER_BACK_OFF", "5s")
"""The kubelet's longest back-off between restarts: 5s, or its own default, 5m."""
TOKENS = """\
admin-token,admin,admin,"system:masters"
node-token,system:node:node-1,node-1,"system:nodes"
controllers-token,system:kube-controller-manager,controllers,"system:masters"
scheduler-token,system:kube-scheduler,scheduler
"""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the components listen; several nodes of one run share the box's loopback."""

    etcd: int
    etcd_peers: int
    api: int
    controllers: int
    scheduler: int
    proxy: int
    proxy_health: int
    kubelet: int
    kubelet_health: int


def write_json(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content, indent=1))
    return path


def kubeconfig(server: str, ca: Path, token: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": server, "certificate-authority": str(ca)}}],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }


def proxy(kubeconfig_file: Path, ports: Ports) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(kubeconfig_file)},
        "mode": "iptables",
        "clusterCIDR": POD_NETWORK,
        "hostnameOverride": NODE,
        "metricsBindAddress": f"127.0.0.1:{ports.proxy}",
        "healthzBindAddress": f"127.0.0.1:{ports.proxy_health}",
        "conntrack": {"maxPerCore": 0},
    }


def kubelet(state: Path, socket: Path, ports: Ports, max_restart_period: str, evicts_below: str) -> dict[str, Any]:
    """A kubelet that runs where it may not lower its own OOM score, has swap, or only cgroup v1.

    `evicts_below`: the memory that must be left on the node.
    """
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": "0.0.0.0",
        "port": ports.kubelet,
        "healthzPort": ports.kubelet_health,
        "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": True}},
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "failSwapOn": False,
        "containerRuntimeEndpoint": f"unix://{socket}",
        "resolvConf": "/etc/resolv.conf",
        "clusterDNS": [NODE_ADDRESS],
        "clusterDomain": "cluster.local",
        "staticPodPath": str(state / "manifests"),
        "evictionHard": {"memory.available": evicts_below, "nodefs.available": "1%", "imagefs.available": "1%"},
        "evictionPressureTransitionPeriod": "5s",
        "imageGCHighThresholdPercent": 99,
        "crashLoopBackOff": {"maxContainerRestartPeriod": max_restart_period},
    }


def pod_network(state: Path) -> dict[str, Any]:
    addresses = {"subnet": POD_NETWORK, "rangeStart": "10.88.0.10", "gateway": NODE_ADDRESS}
    ipam = {"type": "host-local", "dataDir": str(state / "ipam"), "ranges": [[addresses]]}
    bridge = {"type": "bridge", "bridge": BRIDGE, "isGateway": True, "ipMasq": False}
    bridge["ipam"] = {**ipam, "routes": [{"dst": "0.0.0.0/0"}]}
    return {"cniVersion": "0.4.0", "name": "test", "plugins": [bridge]}


def containerd(state: Path, socket: Path, snapshotter: str) -> str:
    return f"""\
version = 2
root = "{state}/containerd"
state = "/run/containerd/state"
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{state}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"
"""
