"""A simulated pod's JSON, as the API server shows it."""

from __future__ import annotations

from functools import lru_cache

from exporter.simulator.clock import rfc3339
from exporter.simulator.managed import kubelet_entry
from exporter.simulator.pods import Pod, PodContainer
from exporter.simulator.resources import Json
from exporter.simulator.specs import mounts, quality, resources

CONDITIONS = (
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
    "AllContainersRestarting",
)
"""The kubelet's, in the order in which it writes them, behind those of others."""


def pod_object(pod: Pod) -> Json:
    """The whole object as the API server shows it; only its resourceVersion is left to the store."""
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": _metadata(pod),
        "spec": pod.spec,
        "status": _status(pod),
    }


def _metadata(pod: Pod) -> Json:
    head = {key: pod.metadata[key] for key in ("name", "generateName", "namespace", "uid") if key in pod.metadata}
    body: Json = head | {"resourceVersion": "", "generation": pod.generation}
    body["creationTimestamp"] = pod.metadata["creationTimestamp"]
    if pod.deletion is not None:
        body["deletionTimestamp"] = rfc3339(pod.deletion[0])
        body["deletionGracePeriodSeconds"] = pod.deletion[1]
    body |= {key: pod.metadata[key] for key in ("labels", "annotations", "ownerReferences") if key in pod.metadata}
    if pod.finalizers:
        body["finalizers"] = pod.finalizers
    body["managedFields"] = [pod.creator]
    if pod.observed:
        body["managedFields"] = [pod.creator, kubelet_entry(pod.address, pod.clock.now)]
    return body


def _status(pod: Pod) -> Json:
    status: Json = {"observedGeneration": pod.observed} if pod.observed else {}
    status["phase"] = pod.phase
    if pod.verdict:
        status["reason"], status["message"] = pod.verdict
    order = [kind for kind in pod.conditions if kind not in CONDITIONS]
    order += [kind for kind in CONDITIONS if kind in pod.conditions]
    if order:
        status["conditions"] = [pod.conditions[kind] for kind in order]
    if pod.observed:
        status |= _kubelet_status(pod)
    status["qosClass"] = quality(pod.template)
    if pod.observed:
        status["resources"] = {}
    return status


def _kubelet_status(pod: Pod) -> Json:
    if not pod.apps:
        return {"startTime": rfc3339(pod.started_at)}
    status: Json = {"hostIP": "10.0.0.11", "hostIPs": [{"ip": "10.0.0.11"}]}
    if pod.address:
        status |= {"podIP": pod.address, "podIPs": [{"ip": pod.address}]}
    status["startTime"] = rfc3339(pod.started_at)
    if pod.inits:
        status["initContainerStatuses"] = [_container_status(pod, c) for c in pod.inits]
    status["containerStatuses"] = [_container_status(pod, c) for c in pod.apps]
    debuggers = [_container_status(pod, c) for c in pod.containers if c.spec.type == "ephemeral"]
    return status | ({"ephemeralContainerStatuses": debuggers} if debuggers else {})


def _container_status(pod: Pod, container: PodContainer) -> Json:
    status: Json = {
        "name": container.spec.name,
        "state": container.state,
        "lastState": container.last_state,
        "ready": container.ready,
        "restartCount": container.restart_count,
        "image": container.spec.image,
        "imageID": _image_id(container.spec.image) if container.container_id else "",
    }
    if container.container_id:
        status["containerID"] = container.container_id
    if container.spec.type != "ephemeral":
        status["started"] = container.started
    if container.container_id:
        status["resources"] = container.resources or resources(container.spec)
        status["volumeMounts"] = mounts(pod.template)
    return status


@lru_cache
def _image_id(image: str) -> str:
    digest = "".join(f"{ord(c) * (n + 7) % 256:02x}" for n, c in enumerate((image * 64)[:32]))
    return f"{image.rpartition(':')[0]}@sha256:{digest}"
