"""Pod specs as the API server shows them: all defaults filled in, and a canary wherever a secret could hide."""

from __future__ import annotations

from random import Random

from exporter.simulator.resources import Json
from exporter.simulator.templates import Container, Probe, Template

GATE = "example.com/quota"
"""What keeps gated pods from being scheduled."""
_SA_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
_HANDLERS = {"tcpSocket": {"port": 8080}, "grpc": {"port": 9000, "service": None}}


class Canaries:
    """Values that must never leave the API server; `all` is what a test greps for."""

    def __init__(self, rng: Random) -> None:
        self.all: list[str] = []
        self._rng = rng

    def hatch(self) -> str:
        """A new one."""
        canary = f"canary-{self._rng.getrandbits(64):016x}"
        self.all.append(canary)
        return canary


def pod_annotations(canaries: Canaries) -> Json:
    """Annotations of a pod template."""
    return {
        "checksum/config": canaries.hatch(),
        "vault.hashicorp.com/agent-inject-token": canaries.hatch(),
        "prometheus.io/scrape": "true",
    }


def pod_spec(template: Template, canaries: Canaries) -> Json:
    """The spec of a pod of this template, not yet bound to a node."""
    inits = [c for c in template.containers if c.type != "container"]
    spec: Json = {"volumes": _volumes(template, canaries)}
    if inits:
        spec["initContainers"] = [container_json(c, template, canaries) for c in inits]
    apps = [c for c in template.containers if c.type == "container"]
    spec["containers"] = [container_json(c, template, canaries) for c in apps]
    return (
        spec
        | _optional(template)
        | {
            "restartPolicy": template.restart_policy,
            "terminationGracePeriodSeconds": template.grace_seconds,
            "dnsPolicy": "ClusterFirst",
            "serviceAccountName": "default",
            "serviceAccount": "default",
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "imagePullSecrets": [{"name": canaries.hatch()}],
            "schedulerName": "default-scheduler",
            "tolerations": [
                {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute"}
                | {"tolerationSeconds": template.toleration_seconds}
                for key in ("not-ready", "unreachable")
            ],
            "priority": 0,
            "enableServiceLinks": True,
            "preemptionPolicy": "PreemptLowerPriority",
        }
    )


def _optional(template: Template) -> Json:
    """What only some pods have."""
    wanted: Json = {
        "readinessGates": [{"conditionType": gate} for gate in template.readiness_gates],
        "schedulingGates": [{"name": GATE}] if template.gated_seconds else [],
        "activeDeadlineSeconds": template.deadline_seconds,
        "nodeSelector": {"example.com/pool": template.pool} if template.pool else {},
    }
    return {key: value for key, value in wanted.items() if value}


def _volumes(template: Template, canaries: Canaries) -> list[Json]:
    volumes: list[Json] = [
        {"name": "credentials", "secret": {"secretName": canaries.hatch(), "defaultMode": 420}},
        {"name": "config", "configMap": {"name": canaries.hatch(), "defaultMode": 420}},
        {
            "name": "kube-api-access-x7k2p",
            "projected": {
                "sources": [
                    {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                    {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                ],
                "defaultMode": 420,
            },
        },
    ]
    if template.shared_volume:
        volumes.append({"name": template.shared_volume, "emptyDir": {}})
    return volumes


def mounts(template: Template) -> list[Json]:
    """What every container of the template mounts."""
    found: list[Json] = [
        {"name": "credentials", "readOnly": True, "mountPath": "/etc/credentials"},
        {"name": "kube-api-access-x7k2p", "readOnly": True, "mountPath": _SA_PATH},
    ]
    if template.shared_volume:
        found.append({"name": template.shared_volume, "mountPath": f"/var/{template.shared_volume}"})
    return found


def resources(container: Container) -> Json:
    """Requests and limits, as spec and status show them; neither is shown empty."""
    shown = {"limits": dict(container.limits), "requests": dict(container.requests)}
    return {key: value for key, value in shown.items() if value}


def container_spec(spec: Json, name: str) -> Json:
    """One container of a pod's spec."""
    found: Json = next(container for container in spec["containers"] if container["name"] == name)
    return found


def container_json(container: Container, template: Template, canaries: Canaries) -> Json:
    """A container of any kind as the spec shows it."""
    spec: Json = {
        "name": container.name,
        "image": container.image,
        "command": ["/bin/app", f"--token={canaries.hatch()}"],
        "args": ["--listen=:8080", f"--dsn=postgres://app:{canaries.hatch()}@db:5432/app"],
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
        "envFrom": [{"secretRef": {"name": canaries.hatch()}}],
        "env": [
            {"name": "POD", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}},
            *({"name": f"SECRET_{n}", "value": canaries.hatch()} for n in range(template.canaries)),
        ],
        "resources": resources(container),
    }
    spec |= _policies(container)
    spec["volumeMounts"] = mounts(template)
    for name, probe in (
        ("livenessProbe", container.liveness),
        ("readinessProbe", container.readiness),
        ("startupProbe", container.startup),
    ):
        if probe is not None:
            spec[name] = _probe(probe, canaries)
    return spec | {
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "imagePullPolicy": "IfNotPresent",
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }


def _policies(container: Container) -> Json:
    """How it restarts, where that is not the pod's policy."""
    policy = "Always" if container.type == "sidecar" else container.restart_policy
    rules = [
        {"action": rule.action, "exitCodes": {"operator": "In", "values": list(rule.exit_codes)}}
        for rule in container.rules
    ]
    resizes = [{"resourceName": "memory", "restartPolicy": container.resized_by}] if container.resized_by else []
    wanted: Json = {"restartPolicy": policy, "restartPolicyRules": rules, "resizePolicy": resizes}
    return {key: value for key, value in wanted.items() if value}


def _probe(probe: Probe, canaries: Canaries) -> Json:
    headers = [{"name": "Authorization", "value": f"Bearer {canaries.hatch()}"}]
    handlers: Json = _HANDLERS | {
        "httpGet": {"path": "/healthz", "port": "http", "scheme": "HTTP", "httpHeaders": headers},
        "exec": {"command": ["/bin/check", f"--key={canaries.hatch()}"]},
    }
    return {
        probe.handler: handlers[probe.handler],
        "timeoutSeconds": 1,
        "periodSeconds": probe.period,
        "successThreshold": 1,
        "failureThreshold": probe.failure_threshold,
    }


def quality(template: Template) -> str:
    """The pod's QoS class."""
    demands = [(c.requests, c.limits) for c in template.containers]
    if not any(requests or limits for requests, limits in demands):
        return "BestEffort"
    full = all(limits and dict(requests) == dict(limits) for requests, limits in demands)
    return "Guaranteed" if full else "Burstable"
