"""R20: amounts that were asked for in place count when the kubelet has granted them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from exporter.lifecycle.tracker import Tracker
from exporter.objects import Listed, Pod

T0 = 1_800_000_000.0
DECODE = msgspec.json.Decoder(Pod).decode


def resource_pod(
    memory: str, generation: int = 1, observed: int | None = 1, pending: str = "", debugger: str = ""
) -> Pod:
    containers = [{"name": "main", "resources": {"requests": {"memory": memory}, "limits": {"memory": memory}}}]
    spec: dict[str, Any] = {"nodeName": "node-1", "containers": containers}
    if debugger:
        spec["ephemeralContainers"] = [{"name": debugger, "livenessProbe": {"exec": {}}}]
    conditions = [{"type": "PodResizePending", "status": "True", "reason": pending}] if pending else []
    status: dict[str, Any] = {"phase": "Running", "conditions": conditions, "containerStatuses": [{"name": "main"}]}
    if observed is not None:
        status["observedGeneration"] = observed
    metadata = {"name": "web", "namespace": "shop", "uid": "u", "generation": generation}
    return DECODE(msgspec.json.encode({"metadata": metadata, "spec": spec, "status": status}))


class Seen:
    """A tracker and what it remembers of the one pod."""

    def __init__(self, *pods: Pod) -> None:
        self.tracker = Tracker(lambda *_: None)
        self.tracker.missing(Listed(Pod, "", frozenset(), T0))
        for one in pods:
            self.see(one)

    def see(self, pod: Pod) -> tuple[float, float, float]:
        """Requests and limits of the pod, and the request of its container, after this update."""
        self.tracker.pod(pod, T0, gap=False)
        requests, limits = dict(self.record.requests), dict(self.record.limits)
        return requests["memory"], limits["memory"], dict(self.record.containers[0].shape.requests)["memory"]

    @property
    def record(self) -> Any:
        return next(iter(self.tracker.records()))


def test_a_resize_counts_when_the_kubelet_has_observed_it() -> None:
    seen = Seen(resource_pod("64", 1, 1))
    assert seen.see(resource_pod("128", 2, 1)) == (64, 64, 64)
    assert seen.see(resource_pod("128", 2, 2)) == (128, 128, 128)


def test_a_wish_that_is_overtaken_by_another_never_counts() -> None:
    seen = Seen(resource_pod("64", 1, 1), resource_pod("128", 2, 1))
    assert seen.see(resource_pod("256", 3, 2)) == (64, 64, 64)
    assert seen.see(resource_pod("256", 3, 3)) == (256, 256, 256)


def test_a_resize_that_the_node_can_never_grant_does_not_count() -> None:
    seen = Seen(resource_pod("64", 1, 1))
    assert seen.see(resource_pod("128", 2, 2, pending="Infeasible")) == (64, 64, 64)
    assert seen.see(resource_pod("96", 3, 3)) == (96, 96, 96)


def test_a_resize_that_only_waits_for_room_is_reserved_as_the_scheduler_does() -> None:
    seen = Seen(resource_pod("64", 1, 1))
    assert seen.see(resource_pod("128", 2, 2, pending="Deferred")) == (128, 128, 128)


@pytest.mark.parametrize("observed", [None, 0])
def test_where_nothing_is_said_of_what_was_observed_the_spec_counts(observed: int | None) -> None:
    seen = Seen(resource_pod("64", 1, observed))
    assert seen.see(resource_pod("128", 2, observed)) == (128, 128, 128)


def test_where_pods_have_no_generation_the_spec_counts() -> None:
    seen = Seen(resource_pod("64", 0, None))
    assert seen.see(resource_pod("128", 0, None)) == (128, 128, 128)


def test_at_first_sight_the_spec_is_all_there_is() -> None:
    assert Seen().see(resource_pod("128", 2, 1)) == (128, 128, 128)


def test_a_container_that_is_new_has_its_shape_although_the_kubelet_has_yet_to_see_it() -> None:
    seen = Seen(resource_pod("64", 1, 1))
    assert seen.see(resource_pod("128", 2, 1, debugger="debugger")) == (64, 64, 64)
    assert [probe.probe for probe in seen.record.containers[1].shape.probes] == ["liveness"]
