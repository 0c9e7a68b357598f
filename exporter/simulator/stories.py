"""What happens seldom, all of it within two minutes: gates, lost nodes, verdicts of kubelets, restarts in place."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from exporter.simulator import endings
from exporter.simulator.cluster import Cluster
from exporter.simulator.pods import Pod
from exporter.simulator.samples import GPU, LIMIT, REGISTRY, SMALL, app, template
from exporter.simulator.specs import container_json
from exporter.simulator.templates import Container, Rule, Run, Template
from exporter.simulator.workloads import Deployment, StatefulSet, bare_pod, recreate_mirror, static_pod

TARGET = "target-health.example.com/gateway"
"""The readiness gate that the load balancer opens and closes."""


def stories(cluster: Cluster) -> None:
    """All of them."""
    for tell in (scheduling, load_balancing, nodes, kubelets, in_place, rules, visits, pulls):
        tell(cluster)


def scheduling(cluster: Cluster) -> None:
    """Pods that wait for a gate, for room, for a taint to go, for a volume."""
    trainer = Container("eval", f"{REGISTRY}/llm/eval:1.2.0", requests=GPU, limits=GPU)
    bare_pod(cluster, "llm", "batch-eval", replace(template(trainer), gated_seconds=25.0))
    embedder = replace(template(app(image="llm/embedder:0.3.0")), blocked=("insufficient_nvidia.com/gpu", "taint"))
    deployment = Deployment(cluster, "llm", "embedder", embedder)
    cluster.clock.after(40, deployment.roll_out)
    ledger = replace(template(app("ledger", image="db/ledger:2.2.0")), blocked=("volume",))
    StatefulSet(cluster, "shop", "ledger", ledger)


def load_balancing(cluster: Cluster) -> None:
    """A load balancer registers pods, and takes one out of traffic for a while."""
    gateway = replace(template(app(image="shop/gateway:5.0.0")), readiness_gates=(TARGET,))
    deployment = Deployment(cluster, "shop", "gateway", gateway, replicas=2)
    balancer = LoadBalancer(cluster, deployment)
    cluster.add(balancer)
    cluster.clock.after(50, partial(balancer.drain, 12.0))


class LoadBalancer:
    """Sets the readiness gate of a Deployment's pods."""

    def __init__(self, cluster: Cluster, deployment: Deployment) -> None:
        self._cluster = cluster
        self._deployment = deployment

    def reconcile(self) -> None:
        """Register pods whose containers have become ready."""
        for pod in self._deployment.pods:
            if pod.is_true("ContainersReady") and TARGET not in pod.conditions:
                self._set(pod, "True", "Registered")

    def drain(self, seconds: float) -> None:
        """Take the first pod out of traffic, and put it back after so many seconds."""
        pod = self._deployment.pods[0]
        self._set(pod, "False", "Unhealthy")
        pod.after(seconds, partial(self._set, pod, "True", "Healthy"))

    def _set(self, pod: Pod, status: str, reason: str) -> None:
        """The kubelet draws its conclusion at its next look."""
        pod.condition(TARGET, status, reason)
        self._cluster.publish(pod)
        pod.after(self._cluster.timings.sync / 2, partial(self._cluster.kubelet.publish, pod))


def nodes(cluster: Cluster) -> None:
    """Nodes that are away for a moment, for too long, and for ever; one whose agent does not know."""
    cluster.fleet.add("edge", "edge-1", "edge-2")
    cluster.fleet.add("virtual", "virtual-1")
    edge = replace(template(app(image="platform/edge-cache:1.9.0")), pool="edge", toleration_seconds=10)
    Deployment(cluster, "platform", "edge-cache", edge, replicas=4)
    burst = replace(template(app("burst", image="llm/burst:0.2.0")), pool="virtual")
    pod = bare_pod(cluster, "llm", "burst", burst)
    fleet, at = cluster.fleet, cluster.clock.after
    at(30, partial(fleet.lose, "edge-1"))
    at(38, partial(fleet.find, "edge-1"))
    at(55, partial(fleet.lose, "edge-2"))
    at(65, partial(fleet.taint, "edge-2"))
    at(80, partial(fleet.find, "edge-2"))
    at(95, partial(fleet.remove, "edge-1"))
    at(33, partial(cluster.kubelet.lose_sight, pod, 10.0))


def kubelets(cluster: Cluster) -> None:
    """Pods that their kubelet ends or refuses."""
    archive = bare_pod(cluster, "platform", "log-archive", template(app(image="logging/archive:0.4.0", probe=False)))
    replica = Deployment(cluster, "shop", "replica", template(app(image="db/replica:17.2")), replicas=2)
    export = replace(template(app(image="shop/export:1.1.0", probe=False)), deadline_seconds=40)
    bare_pod(cluster, "shop", "nightly-export", export)
    at = cluster.clock.after
    at(22, partial(bring_to, cluster, "node-debug", "node-2", "cpu"))
    at(24, partial(bring_to, cluster, "heap-dump", "node-1", "MemoryPressure"))
    at(52, partial(cluster.kubelet.end, archive, endings.FULL))
    at(58, partial(end_first, cluster, replica, endings.DISPLACED))
    at(85, partial(end_first, cluster, replica, endings.SHUT_DOWN))


def bring_to(cluster: Cluster, name: str, node: str, lack: str) -> None:
    """A pod that its maker has bound to a node, which cannot take it."""
    debug = replace(template(app(image="platform/debug:0.1.0", probe=False)), rejected_for=lack)
    bare_pod(cluster, "platform", name, debug, node=node)


def end_first(cluster: Cluster, deployment: Deployment, verdict: endings.Verdict) -> None:
    """The kubelet ends the oldest pod of a Deployment."""
    if deployment.pods:
        cluster.kubelet.end(deployment.pods[0], verdict)


def in_place(cluster: Cluster) -> None:
    """A sandbox that dies, and containers that get more memory: by a restart, and never."""
    setup = Container("setup", f"{REGISTRY}/shop/setup:1.0.0", "init", runs=(Run(2.0),))
    stock = Deployment(cluster, "shop", "stock", template(setup, app(image="shop/stock:2.7.0")))
    redis = replace(app("redis", image="library/redis:8.2", probe=False), resized_by="RestartContainer")
    cache = bare_pod(cluster, "shop", "cache", template(redis))
    more = {"limits": {"memory": "512Mi"}, "requests": SMALL | {"memory": "256Mi"}}
    most = {"limits": {"memory": "64Gi"}, "requests": SMALL | {"memory": "64Gi"}}
    swapped = "In-place resize of containers with swap is not supported."
    renewal, at = cluster.kubelet.renewal, cluster.clock.after
    at(42, lambda: renewal.change_sandbox(stock.pods[0]))
    at(44, partial(renewal.resize, cache, "redis", more))
    at(74, partial(renewal.resize, cache, "redis", most, swapped))


def rules(cluster: Cluster) -> None:
    """Containers with rules of their own: one that restarts, and one that has all restart."""
    again = replace(
        app("scrape", Run(15.0, exit_code=42), Run(15.0, exit_code=42), Run(30.0), image="shop/scraper:1.0.1"),
        readiness=None,
        restart_policy="Never",
        rules=(Rule("Restart", (42,)),),
    )
    bare_pod(cluster, "shop", "price-scraper", Template((again,), restart_policy="Never", grace_seconds=2))
    learner = replace(
        app("learner", Run(32.0, exit_code=43), Run(), image="llm/rl-learner:0.8.0"),
        restart_policy="Never",
        rules=(Rule("RestartAllContainers", (43,)),),
    )
    fetch = Container("fetch", f"{REGISTRY}/llm/downloader:1.0.0", "init", runs=(Run(4.0),))
    actor = app("actor", image="llm/rl-actor:0.8.0", probe=False)
    bare_pod(cluster, "llm", "rl-training", Template((fetch, learner, actor), restart_policy="Never", grace_seconds=5))
    hook = (Run(2.0, hook_fails=True),)
    loyalty = Container("main", f"{REGISTRY}/shop/loyalty:0.3.0", runs=hook, requests=SMALL, limits=LIMIT)
    Deployment(cluster, "shop", "loyalty", template(loyalty))
    Deployment(cluster, "shop", "sitemap", template(app("main", Run(20.0), image="shop/sitemap:1.0.0", probe=False)))


def visits(cluster: Cluster) -> None:
    """Somebody looks into a pod, and deletes the picture of a static one."""
    nginx = bare_pod(cluster, "shop", "nginx-pod", template(app("nginx", image="library/nginx:1.29")))
    scheduler = template(app("kube-scheduler", image="platform/kube-scheduler:1.36.3"))
    mirror = static_pod(cluster, "kube-system", "kube-scheduler", scheduler, cluster.nodes[0])
    debugger = Container("debugger-x7k2p", f"{REGISTRY}/tools/busybox:1.37", "ephemeral", (Run(5.0, exit_code=4),))
    written = container_json(debugger, nginx.template, cluster.canaries)
    cluster.clock.after(48, partial(cluster.kubelet.renewal.debug, nginx, debugger, written))
    cluster.clock.after(56, partial(recreate_mirror, cluster, mirror))


def pulls(cluster: Cluster) -> None:
    """Images that cannot be had, each for another reason."""
    failing: tuple[tuple[str, Container], ...] = (
        ("emails", Container("main", "registry.invalid/shop/emails:2.2.2", pull_failures=float("inf"))),
        (
            "vouchers",
            Container("main", "private.example.com/shop/vouchers:1.0.0", pull_failures=1e9, pull_error="auth"),
        ),
        ("surveys", Container("main", f"{REGISTRY}/shop/surveys:3.0.0", pull_failures=2, pull_error="rate_limit")),
    )
    for name, container in failing:
        Deployment(cluster, "shop", name, template(container))
    typo = Container("server", f"{REGISTRY}/llm/vlm-openai:0.11.0", pull_failures=float("inf"), pull_error="not_found")
    playground = bare_pod(cluster, "llm", "playground", Template((typo,), grace_seconds=5))
    cluster.clock.after(75, partial(cluster.delete_pod, playground))
