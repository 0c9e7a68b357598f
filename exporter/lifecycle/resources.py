"""What pods ask for: requests and limits, by the scheduler's rules, and configured probes.

Only the spec's values are read: status.resources can hold nonsense (a memory limit of 2^53 Ki was seen).
Source: k8s.io/component-helpers/resource/helpers.go, 1.36.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TypeAlias

from exporter.lifecycle.observations import Value
from exporter.objects import ContainerSpec, PodSpec, Probe, Resources

Amounts: TypeAlias = tuple[tuple[str, float], ...]
"""Amounts by resource, sorted by name, in cores, bytes or pieces."""

_QUANTITY = re.compile(r"([+-]?\d+(?:\.\d*)?|[+-]?\.\d+)(?:[eE]([+-]?\d+)|([numkMGTPE]|[KMGTPE]i)?)")
_SUFFIX = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
_BINARY = {f"{prefix}i": 1024.0**power for power, prefix in enumerate("KMGTPE", 1)}
POD_LEVEL = ("cpu", "memory")
HANDLERS = (("http_get", "httpGet"), ("exec", "exec"), ("tcp_socket", "tcpSocket"), ("grpc", "grpc"))


class ProbeShape(Value, frozen=True):
    """A configured probe. `period` is seconds."""

    probe: str
    handler: str
    period: int
    threshold: int


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


@lru_cache(maxsize=4096)
def _shape(
    requests: tuple[tuple[str, str], ...], limits: tuple[tuple[str, str], ...], probes: tuple[ProbeShape, ...]
) -> ContainerShape:
    return ContainerShape(_amounts(dict(requests)), _amounts(dict(limits)), probes)


def shape_of(spec: ContainerSpec) -> ContainerShape:
    """One object for all containers that are configured alike."""
    resources = spec.resources or Resources()
    probes = (("liveness", spec.liveness_probe), ("readiness", spec.readiness_probe), ("startup", spec.startup_probe))
    return _shape(
        tuple(sorted((resources.requests or {}).items())),
        tuple(sorted((resources.limits or {}).items())),
        tuple(_probe(name, probe) for name, probe in probes if probe is not None),
    )


def requested(spec: PodSpec) -> Amounts:
    """What the scheduler reserves for a pod."""
    return _of_pod(spec, "requests")


def limited(spec: PodSpec) -> Amounts:
    """The pod's limits, summed by the same rules; a resource that one of its containers leaves open has none."""
    return _of_pod(spec, "limits")


def _of_pod(spec: PodSpec, part: str) -> Amounts:
    """Sum of app containers and sidecars, or the largest init container with the sidecars before it, plus overhead."""
    total: dict[str, float] = {}
    for container in spec.containers or ():
        _add(total, _container(container, part))
    sidecars: dict[str, float] = {}
    largest: dict[str, float] = {}
    for container in spec.init_containers or ():
        own = _container(container, part)
        if container.restart_policy == "Always":
            _add(total, own)
            _add(sidecars, own)
            own = {}
        at_once = dict(sidecars)
        _add(at_once, own)
        _raise(largest, at_once)
    _raise(total, largest)
    total |= _pod_level(spec, part)
    if part == "requests" or total:
        overhead = _parsed(spec.overhead or {})
        _add(total, overhead if part == "requests" else {k: v for k, v in overhead.items() if k in total})
    return _one(tuple(sorted(total.items())))


@lru_cache(maxsize=4096)
def _one(amounts: Amounts) -> Amounts:
    """One object for all pods that ask for the same."""
    return amounts


def _pod_level(spec: PodSpec, part: str) -> dict[str, float]:
    """KEP-2837: what is set for the pod as a whole replaces the sum; hugepages may be set there too."""
    resources = spec.resources or Resources()
    own = _parsed((resources.requests if part == "requests" else resources.limits) or {})
    return {name: value for name, value in own.items() if name in POD_LEVEL or name.startswith("hugepages-")}


def _container(spec: ContainerSpec, part: str) -> Mapping[str, float]:
    shape = shape_of(spec)
    return dict(shape.requests if part == "requests" else shape.limits)


def _amounts(texts: Mapping[str, str]) -> Amounts:
    return tuple(sorted(_parsed(texts).items()))


def _parsed(texts: Mapping[str, str]) -> dict[str, float]:
    return {name: value for name, text in texts.items() if (value := quantity(text)) is not None}


def _add(total: dict[str, float], amounts: Mapping[str, float]) -> None:
    for name, value in amounts.items():
        total[name] = total.get(name, 0.0) + value


def _raise(total: dict[str, float], least: Mapping[str, float]) -> None:
    for name, value in least.items():
        total[name] = max(total.get(name, 0.0), value)


def _probe(name: str, probe: Probe) -> ProbeShape:
    handlers: Iterable[str] = (text for attribute, text in HANDLERS if getattr(probe, attribute) is not None)
    return ProbeShape(name, next(iter(handlers), "other"), probe.period_seconds, probe.failure_threshold)
