"""Records as the lifecycle would give them, and expositions as the official parsers read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import Any, TypeAlias

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.lifecycle.observations import PodRef, Workload
from exporter.lifecycle.records import Container, Record

MakeRecord: TypeAlias = Callable[..., Record]
MakeContainer: TypeAlias = Callable[..., Container]
Samples: TypeAlias = Mapping[tuple[str, ...], float]
Parse: TypeAlias = Callable[[bytes, bool], Samples]


def _record(
    name: str = "web-1",
    *,
    uid: str = "",
    namespace: str = "shop",
    kind: str = "Deployment",
    of: str = "web",
    **more: Any,
) -> Record:
    pod = PodRef(namespace, name, uid or f"uid-of-{name}", Workload(namespace, kind, of))
    fields: dict[str, Any] = {"phase": "Running", "created": 100.0, "newest": 100.0, "since": 100.0, "gone_at": inf}
    return Record(key=pod.uid, pod=pod, **(fields | more))


def _container(name: str = "main", **more: Any) -> Container:
    fields: dict[str, Any] = {"type": "container", "counted": 0}
    return Container(name=name, **(fields | more))


def _parsed(body: bytes, openmetrics: bool) -> Samples:
    """Samples as (name, label, value, label, value, ...), labels sorted; fails on what a parser or we would refuse."""
    families = (parse_openmetrics if openmetrics else parse_text)(body.decode())
    samples: dict[tuple[str, ...], float] = {}
    names = set()
    for family in families:
        assert family.name not in names, f"the lines of {family.name} do not stand together"
        names.add(family.name)
        for sample in family.samples:
            labels = [word for pair in sorted(sample.labels.items()) for word in pair]
            key = (sample.name, *labels)
            assert key not in samples, f"{key} stands twice"
            samples[key] = sample.value
    return samples


@pytest.fixture(scope="session")
def record() -> MakeRecord:
    return _record


@pytest.fixture(scope="session")
def container() -> MakeContainer:
    return _container


@pytest.fixture(scope="session")
def parsed() -> Parse:
    return _parsed
