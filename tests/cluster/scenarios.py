"""What happens on the real node, one function a scenario; each says what it must count.

Every container that can appends `uid pod container time` to the truth folder at each start, which no API object
was asked for. When the file `calm` appears there, nothing crashes or fails any more, so that counts can be compared
with a truth that stands still.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.cluster.api import Object
from tests.cluster.images import BUSYBOX

NAMESPACE = "story"
SLEEP = "exec sleep 100000"
LOG_START = 'echo "$POD_UID $POD_NAME {} $(date +%s)" >> /truth/starts; '
CALM_DOWN = "[ ! -e /truth/calm ] || exec sleep 100000; "
TRUTH = {"name": "truth", "mountPath": "/truth"}
NEVER_RUNS = "badcmd"
"""The workload of which no instance can log its start."""
GIZMO = "example.com/gizmo"
"""A resource of which the node gets one."""
CANARY = "c4n4ry-5ecret"
"""Planted in everything of a pod that must never be shown."""


def container(name: str, script: str, *, calm: str = CALM_DOWN, **more: Any) -> Object:
    """A container that logs its start, then runs the script unless it is time to be calm."""
    fields = {"POD_NAME": "metadata.name", "POD_UID": "metadata.uid"}
    return {
        "name": name,
        "image": BUSYBOX,
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", LOG_START.format(name) + calm + script],
        "env": [{"name": key, "valueFrom": {"fieldRef": {"fieldPath": path}}} for key, path in fields.items()],
        "volumeMounts": [TRUTH],
        **more,
    }


def spec(*containers: Object, init: tuple[Object, ...] = (), grace: int = 1, **more: Any) -> Object:
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": grace,
        "containers": list(containers),
        "initContainers": list(init),
        **more,
        "volumes": [{"name": "truth", "hostPath": {"path": "TRUTH"}}, *more.get("volumes", [])],
    }


def labels(kind: str, name: str) -> Object:
    """The truth about a pod's workload, in labels that the exporter does not read."""
    return {"truth-kind": kind, "truth-workload": name}


def pod(name: str, pod_spec: Object, **metadata: Any) -> Object:
    meta = {"name": name, "namespace": NAMESPACE, "labels": labels("Pod", name), **metadata}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": pod_spec}


def workload(kind: str, name: str, pod_spec: Object, *, template: Object | None = None, **more: Any) -> Object:
    selector = labels(kind, name)
    template_meta = {**(template or {}), "labels": {**selector, **(template or {}).get("labels", {})}}
    body = {"selector": {"matchLabels": selector}, "template": {"metadata": template_meta, "spec": pod_spec}}
    meta = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": meta, "spec": {**body, **more}}


def deployment(name: str, pod_spec: Object, **more: Any) -> Object:
    return workload("Deployment", name, pod_spec, **more)


def job(name: str, pod_spec: Object, *, policy: str = "Never", **more: Any) -> Object:
    template = {"metadata": {"labels": labels("Job", name)}, "spec": {**pod_spec, "restartPolicy": policy}}
    meta = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": {"template": template, **more}}


def server(name: str, period: int, **more: Any) -> Object:
    """Serves a page, at which its readiness probe looks every so many seconds."""
    serve = "mkdir /tmp/w; echo ok > /tmp/w/index.html; exec httpd -f -p 80 -h /tmp/w"
    probe = {"httpGet": {"path": "/index.html", "port": 80}, "periodSeconds": period}
    return container(name, serve, readinessProbe=probe, **more)


def with_volume(name: str, source: Object) -> tuple[list[Object], list[Object]]:
    """Mounts and volumes of a pod that has an emptyDir of this kind at /NAME, beside the truth."""
    return [TRUTH, {"name": name, "mountPath": f"/{name}"}], [{"name": name, "emptyDir": source}]


def exists(path: str, **more: Any) -> Object:
    """A probe that succeeds while the file exists, and whenever it is time to be calm."""
    return {"exec": {"command": ["test", "-e", path, "-o", "-e", "/truth/calm"]}, **more}


# --- restarts, each with one reason ---------------------------------------------------------------------------


def crasher() -> Object:
    """Restarts{Error}: exits 3 after two seconds, in two pods."""
    return deployment("crasher", spec(container("main", "sleep 2; exit 3")), replicas=2)


def completer() -> Object:
    """Restarts{Completed}: exits 0 although it should go on."""
    return deployment("completer", spec(container("main", "sleep 3; exit 0")))


def oom() -> Object:
    """Restarts and terminations{OOMKilled}."""
    memory = {"limits": {"memory": "16Mi"}, "requests": {"memory": "8Mi"}}
    return deployment("oom", spec(container("main", "sleep 1; exec tail /dev/zero", resources=memory)))


def hang() -> Object:
    """Restarts{LivenessProbe}: killed with 137."""
    probe = exists("/tmp/live", periodSeconds=3, failureThreshold=2)
    return deployment("hang", spec(container("main", SLEEP, livenessProbe=probe)))


def polite() -> Object:
    """Restarts{LivenessProbe}, though it exits 0 when it is asked to end."""
    probe = exists("/tmp/live", periodSeconds=4, failureThreshold=2)
    script = "trap 'exit 0' TERM; while :; do sleep 0.2; done"
    return deployment("polite", spec(container("main", script, livenessProbe=probe), grace=3))


def slow_start() -> Object:
    """Restarts{StartupProbe}."""
    probe = exists("/tmp/up", periodSeconds=2, failureThreshold=3)
    return deployment("slow-start", spec(container("main", SLEEP, startupProbe=probe)))


def bad_init() -> Object:
    """Restarts{Error} of a container_type="init"; main starts once, when the init container is calm."""
    setup = container("setup", "sleep 1; exit 7", calm="[ ! -e /truth/calm ] || exit 0; ")
    return deployment("badinit", spec(container("main", SLEEP), init=(setup,)))


def sidecar() -> Object:
    """Restarts{Error} of a container_type="sidecar"."""
    proxy = container("proxy", "sleep 5; exit 1", restartPolicy="Always")
    return deployment("sidecar", spec(container("main", SLEEP), init=(proxy,)))


def bad_command() -> Object:
    """Restarts{StartError}: no instance ever runs, only restartCount knows."""
    return deployment(NEVER_RUNS, spec({**container("main", ""), "command": ["/no/such/binary"]}))


def hook() -> Object:
    """Restarts{PostStartHook}."""
    command = ["sh", "-c", "sleep 1; test -e /truth/calm"]
    return deployment("hook", spec(container("main", SLEEP, lifecycle={"postStart": {"exec": {"command": command}}})))


def rule() -> Object:
    """Restarts{RestartRule} in a pod whose policy is Never: exit code 42 restarts."""
    rules = [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]
    main = container("main", "sleep 4; exit 42", restartPolicy="Never", restartPolicyRules=rules)
    return pod("rule", spec(main, restartPolicy="Never"))


def sandboxed() -> Object:
    """Restarts{PodSandboxChanged} of both containers once its sandbox is killed."""
    setup = container("setup", "exit 0", calm="")
    return deployment("sandboxed", spec(container("main", SLEEP), init=(setup,)))


def guarded() -> Object:
    """Restarts{LivenessProbe} of a container_type="sidecar"."""
    probe = exists("/tmp/live", periodSeconds=5, failureThreshold=2)
    proxy = container("proxy", SLEEP, restartPolicy="Always", livenessProbe=probe)
    return deployment("guarded", spec(container("main", SLEEP), init=(proxy,)))


def resized() -> Object:
    """Restarts{Resize}: more memory in place, by a container that asks to be restarted for it."""
    policy = [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]
    memory = {"requests": {"memory": "16Mi"}, "limits": {"memory": "32Mi"}}
    return pod("resized", spec(container("main", SLEEP, resources=memory, resizePolicy=policy)))


def together() -> Object:
    """Restarts{Error} of the one that exits with 43, and {RestartAllContainers} of the others for it."""
    rules = [{"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [43]}}]
    worker = container("worker", "sleep 8; exit 43", restartPolicy="Never", restartPolicyRules=rules)
    return pod("together", spec(worker, container("helper", SLEEP), restartPolicy="Never"))


def orphan() -> Object:
    """Restarts{Error}: killed while the kubelet is stopped, so nobody has seen it end."""
    return deployment("orphan", spec(container("main", SLEEP)))


# --- counts that outlive their pods ---------------------------------------------------------------------------


def rolled() -> Object:
    """Restarts{Error} of the pods before and after a rollout add up in one workload."""
    return deployment("rolled", spec(container("main", "sleep 4; exit 5")))


def scaled() -> Object:
    """Restarts{Error} of the pods that a scale-down removes stay."""
    return deployment("scaled", spec(container("main", "sleep 6; exit 5")), replicas=3)


def gone() -> Object:
    """Restarts{Error} of a workload that is deleted as a whole stay."""
    return deployment("gone", spec(container("main", "sleep 3; exit 1")))


def db() -> Object:
    """Restarts{Error} of two pods of one name and different uid."""
    return workload("StatefulSet", "db", spec(container("main", "sleep 8; exit 6")), serviceName="db", replicas=2)


def retry() -> Object:
    """Two restarts{Error} in one pod, then the Job fails."""
    return job("retry", spec(container("worker", "sleep 1; exit 9", calm="")), policy="OnFailure", backoffLimit=2)


# --- no restarts at all ---------------------------------------------------------------------------------------


def web() -> Object:
    """One rollout; every pod gets Ready."""
    return deployment("web", spec(server("main", period=1, calm="")), replicas=2)


def flapper() -> Object:
    """Readiness losses, each logged by the container itself in the file `losses`."""
    lose = "rm /tmp/ready; echo >> /truth/losses; sleep 8"
    script = f"while [ ! -e /truth/calm ]; do touch /tmp/ready; sleep 8; {lose}; done; touch /tmp/ready; {SLEEP}"
    probe = exists("/tmp/ready", periodSeconds=1, failureThreshold=1)
    return deployment("flapper", spec(container("main", script, readinessProbe=probe)))


def agent() -> Object:
    return workload("DaemonSet", "agent", spec(container("main", SLEEP)))


def idle() -> Object:
    """Nothing at all: it is scaled to 0."""
    return deployment("idle", spec(container("main", SLEEP)))


def evicted() -> Object:
    """One disruption{EvictionByEvictionAPI}."""
    return deployment("evicted", spec(container("main", SLEEP)))


def hoarder() -> Object:
    """One disruption{LocalStorageLimit}."""
    mounts, volumes = with_volume("data", {"sizeLimit": "4Mi"})
    fill = "dd if=/dev/zero of=/data/x bs=1M count=16; " + SLEEP
    return pod("hoarder", spec(container("main", fill, volumeMounts=mounts), volumes=volumes))


def deadline() -> Object:
    """One disruption{DeadlineExceeded}."""
    return pod("deadline", spec(container("main", SLEEP), activeDeadlineSeconds=15))


def stubborn() -> Object:
    """Ignores SIGTERM: one grace period exceeded when it is deleted."""
    ignore = "trap '' TERM; while :; do sleep 0.5; done"
    return pod("stubborn", spec(container("main", ignore, calm=""), grace=3))


def forced() -> Object:
    """Removed from the API at once by a forced deletion."""
    return pod("forced", spec(container("main", SLEEP), grace=5))


def slow_stop() -> Object:
    """One grace period exceeded when it is deleted: its preStop hook takes longer."""
    hook = {"preStop": {"exec": {"command": ["sleep", "60"]}}}
    return pod("slow-stop", spec(container("main", SLEEP, calm="", lifecycle=hook), grace=3))


def cheap() -> Object:
    """One disruption{PreemptionByScheduler}: it holds what `dear` wants."""
    return pod("cheap", spec(container("main", SLEEP, resources={"limits": {GIZMO: "1"}}), priorityClassName="cheap"))


def dear() -> Object:
    """Created last, when `cheap` runs."""
    return pod("dear", spec(container("main", SLEEP, resources={"limits": {GIZMO: "1"}}), priorityClassName="dear"))


def gated() -> Object:
    return pod("gated", spec(container("main", SLEEP), schedulingGates=[{"name": "example.com/wait"}]))


def unschedulable() -> Object:
    huge = {"requests": {"cpu": "500"}}
    return pod("unschedulable", spec(container("main", SLEEP, resources=huge)))


def unpullable() -> Object:
    """Failed pulls: nobody listens on port 9."""
    return deployment("nopull", spec({"name": "main", "image": "127.0.0.1:9/none:1"}))


def no_secret() -> Object:
    """Waits for ever: the secret of its environment does not exist."""
    key = {"secretKeyRef": {"name": "absent", "key": "api-key"}}
    main = container("main", SLEEP)
    main["env"].append({"name": "API_KEY", "valueFrom": key})
    return pod("no-secret", spec(main))


def nginx_pod() -> Object:
    """A bare pod with one container: nothing will make it again."""
    return pod("nginx-pod", spec(server("nginx", period=2)))


def llm_with_monitoring() -> Object:
    """Four seconds of init: a download of a model; then a server whose log the other container reads."""
    mounts, volumes = with_volume("logs", {})
    server = container("llm-server", "while :; do date >> /logs/x; sleep 1; done", volumeMounts=mounts)
    shipper = container("log-shipper", "exec tail -F /logs/x", volumeMounts=mounts)
    download = container("model-download", "sleep 4", calm="")
    return pod("llm-with-monitoring", spec(server, shipper, init=(download,), volumes=volumes))


def train() -> Object:
    return job("train", spec(container("worker", "sleep 4", calm="")))


def bad_job() -> Object:
    """Three pods that fail, none restarted."""
    return job("badjob", spec(container("worker", "sleep 1; exit 2", calm="")), backoffLimit=2)


def tick() -> Object:
    """A pod a minute, all of one CronJob."""
    one = job("tick", spec(container("worker", "sleep 1", calm="")))
    one["spec"]["template"]["metadata"]["labels"] = labels("CronJob", "tick")
    return {**one, "kind": "CronJob", "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": one["spec"]}}}


def talker() -> Object:
    """Secrets in every field that is nobody's business, in probe output and in its last words."""
    script = f"echo {CANARY} > /dev/termination-log; sleep 6; exit 4"
    main = container("main", script, workingDir=f"/{CANARY}", args=[CANARY])
    main["env"] += [{"name": "API_KEY", "value": CANARY}, {"name": CANARY.upper().replace("-", "_"), "value": "x"}]
    main["livenessProbe"] = {"exec": {"command": ["sh", "-c", f"echo {CANARY}; exit 1"]}, "failureThreshold": 100}
    main["volumeMounts"] = [*main["volumeMounts"], {"name": CANARY, "mountPath": f"/{CANARY}/data"}]
    volumes = [{"name": CANARY, "configMap": {"name": CANARY, "optional": True}}]
    template = {"annotations": {"example.com/note": CANARY, CANARY: "x"}, "labels": {"note": CANARY}}
    return deployment("talker", spec(main, volumes=volumes), template=template)


def config_talker() -> Object:
    """The waiting message names a ConfigMap that does not exist."""
    env = [{"configMapRef": {"name": CANARY}}]
    return pod("config-talker", spec(container("main", SLEEP, envFrom=env)), annotations={"example.com/note": CANARY})


SCENARIOS = (
    crasher, completer, oom, hang, polite, slow_start, bad_init, sidecar, bad_command, hook, rule, sandboxed,
    guarded, resized, together, orphan, rolled, scaled, gone, db, retry, web, flapper, agent, idle, evicted, hoarder,
    deadline, stubborn, slow_stop, cheap, forced, gated,
    unschedulable, unpullable, no_secret, nginx_pod, llm_with_monitoring, train, bad_job, tick, talker, config_talker,
)  # fmt: skip


PRIORITIES = tuple(
    {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": name},
        "value": value,
        "description": "for a preemption",
    }
    for name, value in (("cheap", 10), ("dear", 20))
)


def all_objects(truth: Path) -> list[Object]:
    return placed([scenario() for scenario in SCENARIOS], truth)


def placed(objects: list[Object], truth: Path) -> list[Object]:
    """With the real path of the truth folder."""
    there: list[Object] = json.loads(json.dumps(objects).replace('"TRUTH"', json.dumps(str(truth))))
    return there


REASONS = {
    ("crasher", "main"): "Error",
    ("completer", "main"): "Completed",
    ("oom", "main"): "OOMKilled",
    ("hang", "main"): "LivenessProbe",
    ("polite", "main"): "LivenessProbe",
    ("slow-start", "main"): "StartupProbe",
    ("badinit", "setup"): "Error",
    ("sidecar", "proxy"): "Error",
    (NEVER_RUNS, "main"): "StartError",
    ("hook", "main"): "PostStartHook",
    ("rule", "main"): "RestartRule",
    ("sandboxed", "main"): "PodSandboxChanged",
    ("sandboxed", "setup"): "PodSandboxChanged",
    ("guarded", "proxy"): "LivenessProbe",
    ("resized", "main"): "Resize",
    ("together", "worker"): "Error",
    ("together", "helper"): "RestartAllContainers",
    ("orphan", "main"): "Error",
    ("rolled", "main"): "Error",
    ("scaled", "main"): "Error",
    ("gone", "main"): "Error",
    ("db", "main"): "Error",
    ("retry", "worker"): "Error",
    ("talker", "main"): "Error",
}
"""The one reason of all restarts of a workload's container."""
