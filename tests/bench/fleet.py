"""Pods as a busy cluster has them, ready to be sent: about 11 KB of JSON each, most of it read by nobody.

Their shapes take turns: a third of the workloads have one container, a third two, a third three; every fourth has an
init container too. All pods are ready at the start. One more pod, the marker, is in a crash loop: each update of it is
one more entry into CrashLoopBackOff, which both subjects count, so a scrape tells which of them have arrived.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, TypeAlias

import msgspec

Json: TypeAlias = dict[str, Any]

BYTES = 11_000
"""Size of a pod's JSON; environment variables fill what is missing."""
PODS_PER_WORKLOAD = 20
NAMESPACES = 25
MARKER = "marker"
"""Name of the marker's workload."""
_CYCLE = 10
"""Visits of a pod after which it is as it was, but for one restart."""
_RESTART, _NOTHING = 5, 8
_KUBELET_FIELDS = ("lastProbeTime", "lastTransitionTime", "message", "observedGeneration", "reason", "status", "type")

encode = msgspec.json.Encoder().encode


class Pod:
    """One pod: its JSON but for resourceVersion and status, and what changes of it."""

    __slots__ = (
        "_before",
        "_between",
        "created",
        "inits",
        "names",
        "number",
        "ready",
        "ready_since",
        "restarts",
        "visits",
    )

    def __init__(self, number: int, owner: Owner, created: float) -> None:
        self.names = names = ("app", "log-shipper", "metrics-proxy")[: 1 + owner.number % 3]
        self.inits = ("download-model",) if owner.number % 4 == 0 else ()
        self.created = self.ready_since = rfc3339(created)
        self.ready, self.restarts, self.visits = True, 0, number  # so that neighbours are visited at different points
        self.number = number
        name = f"{owner.name}-{suffix(number)}"
        metadata = _metadata(name, number, owner, self.created)
        spec = _spec(number, names, self.inits)
        missing = BYTES - len(encode(metadata)) - len(encode(spec)) - len(encode(self._status()))
        spec["containers"][0]["env"] += _variables(missing)
        before, after = encode(metadata).split(b'"resourceVersion":""')
        self._before = b'{"kind":"Pod","apiVersion":"v1","metadata":' + before + b'"resourceVersion":"'
        self._between = b'"' + after + b',"spec":' + encode(spec) + b',"status":'

    def body(self, version: int) -> bytes:
        """Give its JSON as of now."""
        return b"".join((self._before, b"%d" % version, self._between, encode(self._status()), b"}"))

    def turn(self) -> None:
        """Change as running pods do: readiness lost, regained, now and then a restart, now and then nothing of note."""
        at = self.visits % _CYCLE
        self.visits += 1
        if at == _NOTHING:
            return
        self.ready = at % 2 == 0 or at == _NOTHING + 1
        self.ready_since = rfc3339(time.time())
        self.restarts += at == _RESTART

    def _status(self) -> Json:
        inits = [self._init(name) for name in self.inits]
        return {
            "observedGeneration": 1,
            "phase": "Running",
            "conditions": self._conditions(),
            "hostIP": "10.0.0.11",
            "hostIPs": [{"ip": "10.0.0.11"}],
            "podIP": "10.244.17.203",
            "podIPs": [{"ip": "10.244.17.203"}],
            "startTime": self.created,
            **({"initContainerStatuses": inits} if inits else {}),
            "containerStatuses": [self._container(place, name) for place, name in enumerate(self.names)],
            "qosClass": "Burstable",
        }

    def _conditions(self) -> list[Json]:
        turning = {
            "status": "True" if self.ready else "False",
            "lastProbeTime": None,
            "lastTransitionTime": self.ready_since,
        }
        if not self.ready:
            turning |= {"reason": "ContainersNotReady", "message": "containers with unready status: [app]"}
        steady = {"status": "True", "lastProbeTime": None, "lastTransitionTime": self.created}
        return [
            {"type": "PodReadyToStartContainers", "observedGeneration": 1, **steady},
            {"type": "Initialized", "observedGeneration": 1, **steady},
            {"type": "Ready", "observedGeneration": 1, **turning},
            {"type": "ContainersReady", "observedGeneration": 1, **turning},
            {"type": "PodScheduled", "observedGeneration": 1, **steady},
        ]

    def _container(self, place: int, name: str) -> Json:
        turning = place == 0
        restarted = turning and self.restarts > 0
        since = self.ready_since if restarted else self.created
        return {
            **_shown(name, place, self.restarts if turning else 0, self.number),
            "state": self._state(since, turning=turning),
            "lastState": self._ended() if restarted else {},
            "ready": self.ready or not turning,
            "started": True,
        }

    def _state(self, since: str, *, turning: bool) -> Json:  # noqa: ARG002 - the marker's differs for its container
        return {"running": {"startedAt": since}}

    def _ended(self) -> Json:
        return _termination(
            1, "Error", self.created, self.ready_since, _container_id(0, self.restarts - 1, self.number)
        )

    def _init(self, name: str) -> Json:
        done = _termination(0, "Completed", self.created, self.created, _container_id(9, 0, self.number))
        return {**_shown(name, 9, 0, self.number), "state": done, "lastState": {}, "ready": True, "started": False}


class Marker(Pod):
    """The pod whose updates can be told from each other: number k brings restartCount k and one more back-off."""

    __slots__ = ()

    def turn(self) -> None:
        """Crash once more."""
        self.ready_since = rfc3339(time.time())
        self.ready = False
        self.restarts += 1

    def _state(self, since: str, *, turning: bool) -> Json:
        if turning and self.restarts:
            return {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting failed container"}}
        return super()._state(since, turning=turning)

    def _ended(self) -> Json:
        return _termination(1, "Error", self.created, self.ready_since, _container_id(0, self.restarts, self.number))


class Owner:
    """A ReplicaSet of a Deployment."""

    __slots__ = ("name", "namespace", "number", "workload")

    def __init__(self, number: int, workload: str) -> None:
        self.number = number
        self.workload = workload
        self.namespace = f"team-{number % NAMESPACES}"
        self.name = f"{workload}-{number:010x}"

    @property
    def uid(self) -> str:
        """metadata.uid."""
        return f"00000000-0000-4000-9000-{self.number:012x}"

    def body(self, version: int, created: float) -> bytes:
        """Give its JSON, metadata only."""
        controller = {"kind": "Deployment", "name": self.workload, "uid": self.uid.replace("-9000-", "-8000-")}
        return encode(
            {
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": {
                    "name": self.name,
                    "namespace": self.namespace,
                    "uid": self.uid,
                    "resourceVersion": str(version),
                    "creationTimestamp": rfc3339(created),
                    "labels": {"app": self.workload},
                    "ownerReferences": [{"apiVersion": "apps/v1", **controller, "controller": True}],
                },
            }
        )


class Fleet:
    """All pods and their owners, some hours old."""

    def __init__(self, pods: int) -> None:
        self.created = time.time() - 7200.0
        self.version = 1000
        count = max(1, pods // PODS_PER_WORKLOAD)
        self.owners = [Owner(number, f"service-{number}") for number in range(count)]
        self.pods = [Pod(number, self.owners[number % count], self.created) for number in range(pods)]
        owner = Owner(count, MARKER)
        self.owners.append(owner)
        self.marker = Marker(pods, owner, self.created)
        self.marks = 0
        self._next = 0

    def all(self) -> Iterator[Pod]:
        """All pods, the marker last."""
        yield from self.pods
        yield self.marker

    def update(self) -> bytes:
        """Change the next pod; give the line of the watch."""
        pod = self.pods[self._next % len(self.pods)]
        self._next += 1
        return self._changed(pod)

    def mark(self) -> bytes:
        """Change the marker; give the line of the watch."""
        self.marks += 1
        return self._changed(self.marker)

    def next_version(self) -> int:
        """Give the next resource version."""
        self.version += 1
        return self.version

    def _changed(self, pod: Pod) -> bytes:
        version = self.next_version()
        pod.turn()
        return line(b"MODIFIED", pod.body(version))


def line(kind: bytes, body: bytes) -> bytes:
    """Give a watch's line."""
    return b'{"type":"%s","object":%s}\n' % (kind, body)


def _metadata(name: str, number: int, owner: Owner, created: str) -> Json:
    reference = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner.name, "uid": owner.uid}
    labels = {"app": owner.workload, "pod-template-hash": f"{owner.number:010x}", "team": owner.namespace}
    return {
        "name": name,
        "generateName": f"{owner.name}-",
        "namespace": owner.namespace,
        "uid": f"00000000-0000-4000-a000-{number:012x}",
        "resourceVersion": "",
        "generation": 1,
        "creationTimestamp": created,
        "labels": labels,
        "annotations": {"prometheus.io/scrape": "true", "checksum/config": f"{number * 7919:064x}"},
        "ownerReferences": [{**reference, "controller": True, "blockOwnerDeletion": True}],
        "managedFields": [_managed("kube-controller-manager", created, _created_fields()), _kubelet(created)],
    }


def _managed(manager: str, at: str, fields: Json) -> Json:
    return {
        "manager": manager,
        "operation": "Update",
        "apiVersion": "v1",
        "time": at,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }


def _created_fields() -> Json:
    handler: Json = {".": {}, "f:path": {}, "f:port": {}, "f:scheme": {}}
    probe: Json = {".": {}, "f:failureThreshold": {}, "f:httpGet": handler}
    container = _fields("command", "env", "image", "imagePullPolicy", "name", "ports", "resources", "volumeMounts")
    container |= {f"f:{kind}Probe": probe for kind in ("liveness", "readiness")}
    spec = _fields("dnsPolicy", "enableServiceLinks", "restartPolicy", "schedulerName", "securityContext", "volumes")
    return {
        "f:metadata": _fields("annotations", "generateName", "labels", "ownerReferences"),
        "f:spec": {"f:containers": {'k:{"name":"app"}': container}} | spec,
    }


def _fields(*names: str) -> Json:
    return {f"f:{name}": {} for name in names}


def _kubelet(created: str) -> Json:
    leaves: Json = {".": {}} | _fields(*_KUBELET_FIELDS)
    kinds = ("ContainersReady", "Initialized", "PodReadyToStartContainers", "Ready")
    status = {
        "f:conditions": {f'k:{{"type":"{kind}"}}': leaves for kind in kinds},
        "f:containerStatuses": {},
        "f:hostIP": {},
        "f:phase": {},
        "f:podIP": {},
        "f:startTime": {},
    }
    return _managed("kubelet", created, {"f:status": status}) | {"subresource": "status"}


def _spec(number: int, names: tuple[str, ...], inits: tuple[str, ...]) -> Json:
    token = {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}
    roots = {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}}
    volumes = [
        {"name": "config", "configMap": {"name": "service-config", "defaultMode": 420}},
        {"name": "kube-api-access-x7k2p", "projected": {"sources": [token, roots], "defaultMode": 420}},
    ]
    tolerations = [
        {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
        for key in ("not-ready", "unreachable")
    ]
    return {
        "volumes": volumes,
        **({"initContainers": [container_spec(name, probes=False) for name in inits]} if inits else {}),
        "containers": [container_spec(name, probes=True) for name in names],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "serviceAccountName": "service",
        "serviceAccount": "service",
        "nodeName": f"node-{number % 300}",
        "securityContext": {},
        "schedulerName": "default-scheduler",
        "tolerations": tolerations,
        "priorityClassName": "standard",
        "priority": 1000,
        "enableServiceLinks": True,
        "preemptionPolicy": "PreemptLowerPriority",
    }


def container_spec(name: str, *, probes: bool) -> Json:
    """Give the spec of a container."""
    container: Json = {
        "name": name,
        "image": _image(name),
        "command": [f"/bin/{name}", "--config=/etc/config/config.yaml"],
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
        "env": [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}}],
        "resources": _resources(),
        "volumeMounts": _mounts(),
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "IfNotPresent",
    }
    if probes:
        probe = {"httpGet": {"path": "/healthz", "port": "http", "scheme": "HTTP"}, "timeoutSeconds": 1}
        timing = {"periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
        container |= {"livenessProbe": {**probe, **timing}, "readinessProbe": {**probe, **timing}}
    return container


def _resources() -> Json:
    return {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "250m", "memory": "512Mi"}}


def _mounts() -> list[Json]:
    service_account = "/var/run/secrets/kubernetes.io/serviceaccount"
    return [
        {"name": "config", "mountPath": "/etc/config"},
        {"name": "kube-api-access-x7k2p", "readOnly": True, "mountPath": service_account},
    ]


def _variables(missing: int) -> list[Json]:
    each = len(encode({"name": "SETTING_0000", "value": "x" * 32})) + 1
    return [{"name": f"SETTING_{n:04}", "value": f"{n * 104729:032x}"} for n in range(max(0, missing // each))]


def _image(name: str) -> str:
    return f"registry.example.com/platform/{name}:1.14.2"


def _shown(name: str, place: int, count: int, pod: int) -> Json:
    digest = f"{sum(name.encode()) * 2654435761:064x}"
    return {
        "name": name,
        "restartCount": count,
        "image": _image(name),
        "imageID": f"{_image(name).partition(':')[0]}@sha256:{digest}",
        "containerID": _container_id(place, count, pod),
        "resources": _resources(),
        "volumeMounts": _mounts(),
    }


def _container_id(place: int, instance: int, pod: int) -> str:
    return f"containerd://{pod:040x}{place:04x}{instance:020x}"


def _termination(code: int, reason: str, started: str, finished: str, container_id: str) -> Json:
    times = {"startedAt": started, "finishedAt": finished}
    return {"terminated": {"exitCode": code, "reason": reason, **times, "containerID": container_id}}


def rfc3339(at: float) -> str:
    """Give a time (Unix seconds) as the API writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def suffix(number: int) -> str:
    """Give five characters as the API appends them to names."""
    letters = "bcdfghjklmnpqrstvwxz2456789"
    text = ""
    for _ in range(5):
        number, at = divmod(number, len(letters))
        text += letters[at]
    return text
