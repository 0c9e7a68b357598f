"""What pods ask for: requests and limits, by the scheduler's rules, and configured probes.

Only the spec's values are read: status.resources can hold nonsense (a memory limit of 2^53 Ki was seen).
Source: k8s.io/component-helpers/resource/helpers.go, 1.36.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TypeAlias

from exporter.lifecycle.observations import Value
from exporter.lifecycle.phases import condition
from exporter.objects import ContainerSpec, Pod, PodSpec, PodStatus, Probe, Resources

Amounts: TypeAlias = tuple[tuple[str, float], ...]
"""Amounts by resource, sorted by name, in cores, bytes or pieces."""

_QUANTITY = re.compile(r"([+-]?\d+(?:\.\d*)?|[+-]?\.\d+)(?:[eE]([+-]?\d+)|([numkMGTPE]|[KMGTPE]i)?)")
_SUFFIX = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
_BINARY = {f"{prefix}i": 1024.0**power for power, prefix in enumerate("KMGTPE", 1)}
POD_LEVEL = ("cpu", "memory")
HANDLERS = ("httpGet", "exec", "tcpSocket", "grpc")


class ProbeShape(Value, frozen=True):
    """A configured probe. `period` is seconds; `grace` too, 0 where the pod's applies."""

    probe: str
    handler: str
    period: int
    threshold: int
    grace: int = 0


class ContainerShape(Value, frozen=True):
    """What a container is configured to be."""

    requests: Amounts = ()
    limits: Amounts = ()
    probes: tuple[ProbeShape, ...] = ()


@lru_cache(maxsize=4096)
def quantity(text: str) -> float | None:
    """A quantity such as 100m, 1.5Gi or 1e3 as a number; None if it is none."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        return None
    number, exponent, suffix = match[1], match[2], match[3] or ""
    if exponent is not None:
        return float(f"{number}e{exponent}")
    return float(number) * (_BINARY.get(suffix) or _SUFFIX[suffix])


def unit_of(resource: str) -> str:
    """core, byte or integer (pieces of an extended resource)."""
    if resource == "cpu":
        return "core"
    is_bytes = resource in ("memory", "ephemeral-storage", "storage") or resource.startswith("hugepages-")
    return "byte" if is_bytes else "integer"


Pairs: TypeAlias = tuple[tuple[str, str], ...]


def granted(pod: Pod) -> bool:
    """R20: whether what the spec asks for is what the pod has been given.

    A resize in place is only a wish until the kubelet has observed it, and stays one if the node can never grant it
    (KEP-1287). API servers before 1.35 do not say what was observed: there the spec stands.
    """
    if 0 < (pod.status or PodStatus()).observed_generation < pod.metadata.generation:
        return False
    pending = condition(pod, "PodResizePending")
    return pending is None or pending.status != "True" or pending.reason != "Infeasible"


def shape_of(spec: ContainerSpec) -> ContainerShape:
    """One object for all containers that are configured alike, found without parsing anything again."""
    return _shape(*_pairs(spec.resources), spec.liveness_probe, spec.readiness_probe, spec.startup_probe)


@lru_cache(maxsize=4096)
def _shape(
    requests: Pairs, limits: Pairs, liveness: Probe | None, readiness: Probe | None, startup: Probe | None
) -> ContainerShape:
    probes = (("liveness", liveness), ("readiness", readiness), ("startup", startup))
    return ContainerShape(
        _amounts(requests), _amounts(limits), tuple(_probe(name, probe) for name, probe in probes if probe is not None)
    )


def _pairs(resources: Resources | None) -> tuple[Pairs, Pairs]:
    if resources is None:
        return (), ()
    return tuple((resources.requests or {}).items()), tuple((resources.limits or {}).items())


def _probe(name: str, probe: Probe) -> ProbeShape:
    handlers = zip(HANDLERS, (probe.http_get, probe.exec, probe.tcp_socket, probe.grpc), strict=True)
    handler = next((kind for kind, one in handlers if one is not None), "other")
    grace = probe.termination_grace_period_seconds or 0
    return ProbeShape(name, handler, probe.period_seconds, probe.failure_threshold, grace)


def sums(spec: PodSpec) -> tuple[Amounts, Amounts]:
    """What the scheduler reserves for a pod, and its limits, summed by the same rules once for all pods alike.

    A resource that one of its containers leaves open has no limit.
    """
    return _summed(
        tuple([shape_of(c) for c in spec.containers or ()]),
        tuple([(shape_of(c), c.restart_policy == "Always") for c in spec.init_containers or ()]),
        tuple((spec.overhead or {}).items()),
        *_pairs(spec.resources),
    )


@lru_cache(maxsize=4096)
def _summed(
    apps: tuple[ContainerShape, ...],
    inits: tuple[tuple[ContainerShape, bool], ...],
    overhead: Pairs,
    requests: Pairs,
    limits: Pairs,
) -> tuple[Amounts, Amounts]:
    beside = _parsed(overhead)
    reserved = _total([c.requests for c in apps], [(c.requests, sidecar) for c, sidecar in inits])
    reserved |= _pod_level(requests)
    _add(reserved, beside)
    most = _total([c.limits for c in apps], [(c.limits, sidecar) for c, sidecar in inits])
    most |= _pod_level(limits)
    _add(most, {name: value for name, value in beside.items() if name in most})
    return tuple(sorted(reserved.items())), tuple(sorted(most.items()))


def _total(apps: list[Amounts], inits: list[tuple[Amounts, bool]]) -> dict[str, float]:
    """App containers and sidecars together, or the largest init container with the sidecars before it."""
    total: dict[str, float] = {}
    for amounts in apps:
        _add(total, dict(amounts))
    sidecars: dict[str, float] = {}
    largest: dict[str, float] = {}
    for amounts, sidecar in inits:
        at_once = dict(sidecars)
        _add(at_once, dict(amounts))
        if sidecar:
            _add(total, dict(amounts))
            sidecars = at_once
        _raise(largest, at_once)
    _raise(total, largest)
    return total


def _pod_level(pairs: Pairs) -> dict[str, float]:
    """KEP-2837: what is set for the pod as a whole replaces the sum; hugepages may be set there too."""
    return {k: v for k, v in _parsed(pairs).items() if k in POD_LEVEL or k.startswith("hugepages-")}


def _amounts(pairs: Pairs) -> Amounts:
    return tuple(sorted(_parsed(pairs).items()))


def _parsed(pairs: Pairs) -> dict[str, float]:
    return {name: value for name, text in pairs if (value := quantity(text)) is not None}


def _add(total: dict[str, float], amounts: Mapping[str, float]) -> None:
    for name, value in amounts.items():
        total[name] = total.get(name, 0.0) + value


def _raise(total: dict[str, float], least: Mapping[str, float]) -> None:
    for name, value in least.items():
        total[name] = max(total.get(name, 0.0), value)
