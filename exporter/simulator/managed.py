"""metadata.managedFields: who set which field. Half of a real object's bytes, and read by nobody here."""

from __future__ import annotations

from exporter.simulator.clock import rfc3339
from exporter.simulator.resources import Json

_CONDITION_FIELDS = ("lastProbeTime", "lastTransitionTime", "observedGeneration", "status", "type")
_BY_CONTROLLER = ("generateName", "labels", "annotations", "ownerReferences")


def creator_entry(metadata: Json, spec: Json) -> Json:
    """The entry of the controller that created a pod."""
    fields = {
        "f:metadata": _fields({key: metadata[key] for key in _BY_CONTROLLER if key in metadata}),
        "f:spec": _fields({key: value for key, value in spec.items() if key != "nodeName"}),
    }
    return _entry("kube-controller-manager", metadata["creationTimestamp"], fields)


def kubelet_entry(address: str, now: float) -> Json:
    """The entry of the kubelet, which owns the status; `now` in Unix seconds."""
    return _entry("kubelet", rfc3339(now), _status_fields(address)) | {"subresource": "status"}


def _entry(manager: str, time: str, fields: Json) -> Json:
    head = {"manager": manager, "operation": "Update", "apiVersion": "v1", "time": time}
    return {**head, "fieldsType": "FieldsV1", "fieldsV1": fields}


def _fields(value: object) -> Json:
    """FieldsV1 of a value: f: for keys, k: for list items with a name."""
    if isinstance(value, dict):
        return {f"f:{key}": _fields(inner) for key, inner in value.items()}
    if isinstance(value, list) and value and all(isinstance(item, dict) and "name" in item for item in value):
        return {".": {}} | {f'k:{{"name":"{item["name"]}"}}': {".": {}} | _fields(item) for item in value}
    return {}


def _status_fields(address: str) -> Json:
    leaves: Json = {".": {}} | {f"f:{name}": {} for name in _CONDITION_FIELDS}
    kinds = ("ContainersReady", "Initialized", "PodReadyToStartContainers", "Ready")
    conditions: Json = {f'k:{{"type":"{kind}"}}': leaves for kind in kinds}
    conditions['k:{"type":"PodScheduled"}'] = {"f:observedGeneration": {}}
    status: Json = {"f:conditions": conditions, "f:containerStatuses": {}, "f:observedGeneration": {}, "f:phase": {}}
    if address:
        status |= {"f:podIP": {}, "f:podIPs": {".": {}, f'k:{{"ip":"{address}"}}': {".": {}, "f:ip": {}}}}
    return {"f:status": status | {"f:startTime": {}}}
