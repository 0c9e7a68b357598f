"""The demo: a shop, its platform and its LLM workloads, with everything that can go wrong with pods.

At speed 1 most of it happens within a minute, all of it within two; then operators go on deploying for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from exporter.simulator.cluster import Cluster
from exporter.simulator.jobs import CronJob, Job
from exporter.simulator.pods import Pod
from exporter.simulator.samples import GPU, HTTP, REGISTRY, app, template
from exporter.simulator.stories import stories
from exporter.simulator.templates import Container, Probe, Run, Template
from exporter.simulator.truth import Workload
from exporter.simulator.workloads import DaemonSet, Deployment, StatefulSet, TrainingJob, bare_pod


def demo(cluster: Cluster) -> None:
    """Fill a cluster with the demo's workloads."""
    healthy = shop(cluster)
    failing = trouble(cluster)
    llm(cluster)
    platform(cluster)
    stories(cluster)
    cluster.clock.after(110, partial(_operate, cluster, healthy, failing))


def shop(cluster: Cluster) -> list[Deployment]:
    """Healthy workloads that are deployed, scaled and deleted; the Deployments among them."""
    web = Deployment(cluster, "shop", "web", template(app(image="shop/web:2.0.1")), replicas=3)
    cart = Deployment(cluster, "shop", "cart", template(app(image="shop/cart:0.9.0")), replicas=2)
    database = template(app("postgres", image="db/postgres:17.2"), grace=10)
    db = StatefulSet(cluster, "shop", "db", database, replicas=2)
    stubborn = template(app("main", Run(stop_seconds=999.0), image="shop/legacy:0.1.0"), grace=6)
    legacy = bare_pod(cluster, "shop", "legacy", stubborn)
    backup = replace(template(app("dump", image="db/backup:2.4.0")), held_seconds=60.0)
    held = bare_pod(cluster, "shop", "db-backup", backup)
    at = cluster.clock.after
    at(25, web.roll_out)
    at(40, partial(cluster.delete_pod, legacy))
    at(45, db.roll_out)
    at(55, partial(_scale, web, 5))
    at(35, partial(cluster.delete_pod, held))
    at(50, partial(_take_one, cluster.preempt_pod, cluster, cart))
    at(62, partial(_take_one, partial(cluster.kubelet.evict, resource="memory"), cluster, cart))
    at(70, partial(_scale, web, 2))
    at(80, partial(_delete_one, cluster, cart, grace=0))
    cluster.clock.after(300, partial(_redeploy, cluster, db))
    return [web, cart]


def trouble(cluster: Cluster) -> list[Deployment]:
    """One Deployment for each way in which containers fail."""
    failing = []
    crash = app("main", Run(6.0, exit_code=3), image="shop/payments:3.1.0")
    failing.append(Deployment(cluster, "shop", "payments", template(crash), replicas=2))
    oom = app("main", Run(9.0, oom=True), image="shop/recommender:1.1.0", probe=False)
    failing.append(Deployment(cluster, "shop", "recommender", template(oom)))
    alive = Probe("httpGet", period=3, failure_threshold=2)
    hangs = (Run(8.0, killed_by="LivenessProbe", stop_seconds=999.0), Run(8.0, killed_by="LivenessProbe", stop_code=0))
    search = Container("main", f"{REGISTRY}/shop/search:5.2.0", runs=hangs, liveness=alive, readiness=HTTP)
    failing.append(Deployment(cluster, "shop", "search", template(search)))
    slow = Run(8.0, killed_by="StartupProbe", stop_seconds=999.0)
    reports = Container("main", f"{REGISTRY}/shop/reports:1.0.0", runs=(slow,), startup=Probe("exec", 2, 4))
    failing.append(Deployment(cluster, "shop", "reports", template(reports)))
    flaps = app("main", Run(flap_seconds=9.0), image="shop/checkout:7.0.3")
    failing.append(Deployment(cluster, "shop", "checkout", template(flaps)))
    secretless = Container("main", f"{REGISTRY}/shop/invoices:1.3.0", config_error_seconds=45.0)
    failing.append(Deployment(cluster, "shop", "invoices", template(secretless)))
    no_binary = Container("main", f"{REGISTRY}/shop/coupons:0.0.1", runs=(Run(start_error=True),))
    failing.append(Deployment(cluster, "shop", "coupons", template(no_binary)))
    proxy = Container("proxy", f"{REGISTRY}/mesh/proxy:1.22", "sidecar", runs=(Run(12.0, exit_code=1),))
    failing.append(Deployment(cluster, "shop", "orders", template(proxy, app(image="shop/orders:4.4.0"))))
    migrate = Container("migrate", f"{REGISTRY}/shop/migrate:1.0.0", "init", runs=(Run(3.0, exit_code=7),))
    failing.append(Deployment(cluster, "shop", "accounts", template(migrate, app(image="shop/accounts:1.8.0"))))
    return failing


def llm(cluster: Cluster) -> None:
    """A model server with a log shipper and a long model download that fails once; training that restarts."""
    download = (Run(10.0, exit_code=1), Run(20.0))
    startup = Probe("httpGet", period=5, failure_threshold=60)
    server = Container(
        name="llm-server",
        image=f"{REGISTRY}/llm/vllm-openai:0.11.0",
        runs=(Run(50.0, oom=True, startup_seconds=8.0), Run(startup_seconds=8.0)),
        readiness=HTTP,
        liveness=HTTP,
        startup=startup,
        requests=GPU,
        limits=GPU,
    )
    containers = (
        Container("model-download", f"{REGISTRY}/llm/downloader:1.0.0", "init", runs=download),
        server,
        app("log-shipper", image="logging/fluent-bit:4.1", probe=False),
    )
    served = Template(containers, grace_seconds=8, shared_volume="logs")
    Deployment(cluster, "llm", "llm-with-monitoring", served)
    trainer = Container(
        name="pytorch",
        image=f"{REGISTRY}/llm/trainer:2.8.0",
        runs=(Run(30.0, exit_code=1), Run(400.0, exit_code=1), Run()),
        requests=GPU,
        limits=GPU,
        pull_seconds=6.0,
    )
    TrainingJob(cluster, "llm", "llama-finetune", Template((trainer,), restart_policy="OnFailure", grace_seconds=8))
    too_big = Container("server", f"{REGISTRY}/llm/vllm-openai:0.11.0", requests={"cpu": "500"})
    bare_pod(cluster, "llm", "llama-405b", Template((too_big,), unschedulable=True))
    bare_pod(cluster, "llm", f"notebook-{cluster.suffix()}", template(app("jupyter", probe=False)), folded="notebook")


def platform(cluster: Cluster) -> None:
    """Agents and batch jobs."""
    agents = DaemonSet(cluster, "platform", "agent", template(app("agent", image="platform/agent:0.5.0", probe=False)))
    cluster.clock.after(30, partial(_evict_one, cluster, agents))
    CronJob(cluster, "platform", "tick", _batch(Run(2.0)), keep=1)
    Job(cluster, "platform", "train", _batch(Run(12.0)))
    Job(cluster, "platform", "badjob", _batch(Run(3.0, exit_code=2)), retries=2, retry_seconds=5.0)
    Job(
        cluster,
        "platform",
        "import-20261122",
        _batch(Run(3.0, exit_code=9), Run(3.0, exit_code=9), Run(4.0), policy="OnFailure"),
        workload=Workload("platform", "Job", "import"),
    )


def _batch(*runs: Run, policy: str = "Never") -> Template:
    worker = app("worker", *runs, image="platform/batch:1.0.0", probe=False)
    return Template((worker,), restart_policy="OnFailure" if policy == "OnFailure" else "Never", grace_seconds=2)


def _scale(deployment: Deployment, replicas: int) -> None:
    deployment.replicas = replicas


def _delete_one(cluster: Cluster, deployment: Deployment, grace: int | None = None) -> None:
    if deployment.pods:
        cluster.delete_pod(cluster.rng.choice(deployment.pods), grace)


def _take_one(take: Callable[[Pod], None], cluster: Cluster, deployment: Deployment) -> None:
    running = [pod for pod in deployment.pods if pod.phase == "Running"]
    if running:
        take(cluster.rng.choice(running))


def _evict_one(cluster: Cluster, agents: DaemonSet) -> None:
    alive = [pod for pod in agents.pods.values() if pod.alive]
    if alive:
        cluster.evict_pod(cluster.rng.choice(alive))


def _redeploy(cluster: Cluster, db: StatefulSet) -> None:
    db.roll_out()
    cluster.clock.after(300, partial(_redeploy, cluster, db))


def _operate(cluster: Cluster, healthy: list[Deployment], failing: list[Deployment]) -> None:
    """One thing that operators do, chosen by lot; the next one follows after 20 to 60 seconds."""
    deployment = cluster.rng.choice(healthy)
    deeds = (
        deployment.roll_out,
        partial(_scale, deployment, cluster.rng.randint(1, 5)),
        partial(_delete_one, cluster, deployment),
        partial(_delete_one, cluster, cluster.rng.choice(failing)),
    )
    cluster.rng.choice(deeds)()
    cluster.clock.after(cluster.rng.uniform(20, 60), partial(_operate, cluster, healthy, failing))
