"""What the cluster's components say of pods in Events, in the words of 1.36, and the book of what the API carried."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from exporter.simulator.clock import Clock
from exporter.simulator.pods import Pod, PodContainer
from exporter.simulator.recorder import Recorder, Subject
from exporter.simulator.store import Store
from exporter.simulator.truth import Truth

_FAILURES = {
    "httpGet": ("HTTP probe failed with statuscode: 503", "http_status"),
    "tcpSocket": ("dial tcp 10.88.0.7:8080: connect: connection refused", "connection_refused"),
    "grpc": ('service unhealthy (responded with "NOT_SERVING")', "grpc"),
    "exec": ("", "exec_exit"),
}
"""What a probe of each kind puts out when it fails, and the cause that this is."""
_FIELDS = {"init": "initContainers", "sidecar": "initContainers", "container": "containers"}


class News:
    """Speaks for the kubelets and the scheduler."""

    def __init__(self, store: Store, clock: Clock, truth: Truth) -> None:
        self._truth = truth
        self._kubelet = Recorder(store, clock, "kubelet", "node-1")
        self._scheduler = Recorder(store, clock, "default-scheduler")
        self._muted = False

    @contextmanager
    def muted(self) -> Iterator[None]:
        """What happens meanwhile was long ago: its Events have expired."""
        self._muted = True
        try:
            yield
        finally:
            self._muted = False

    def unschedulable(self, pod: Pod, message: str) -> None:
        """The scheduler has tried in vain."""
        grown = self._scheduler.record(_subject(pod), "Warning", "FailedScheduling", message)
        self._truth.carried(pod.workload, "FailedScheduling", grown)

    def scheduled(self, pod: Pod) -> None:
        """The pod is bound."""
        text = f"Successfully assigned {pod.namespace}/{pod.name} to {pod.node}"
        if not self._muted:
            self._scheduler.record(_subject(pod), "Normal", "Scheduled", text)

    def present(self, pod: Pod, container: PodContainer) -> None:
        """Nothing needs to be pulled."""
        text = f'Container image "{container.spec.image}" already present on machine and can be accessed by the pod'
        self._truth.pulled(container.key, "present", self._normal(pod, container, "Pulled", text))

    def pulled(self, pod: Pod, container: PodContainer, seconds: float) -> None:
        """The image has come."""
        text = (
            f'Successfully pulled image "{container.spec.image}" in {seconds:.3g}s ({seconds:.3g}s including waiting). '
        )
        grown = self._normal(pod, container, "Pulled", f"{text}Image size: 59774010 bytes.")
        self._truth.pulled(container.key, "pulled", grown)

    def pull_failed(self, pod: Pod, container: PodContainer, why: str) -> None:
        """The image did not come."""
        self._warn(pod, container, "Failed", f'Failed to pull image "{container.spec.image}": {why}')
        self._warn(pod, container, "Failed", "Error: ErrImagePull")

    def started(self, pod: Pod, container: PodContainer) -> None:
        """An instance was made and runs."""
        self._normal(pod, container, "Created", "Container created")
        self._normal(pod, container, "Started", "Container started")

    def start_failed(self, pod: Pod, container: PodContainer, why: str) -> None:
        """The runtime could not start an instance."""
        self._warn(pod, container, "Failed", f"Error: {why}")

    def backs_off(self, pod: Pod, container: PodContainer) -> None:
        """The kubelet will not restart it yet."""
        name = f"{pod.name}_{pod.namespace}({pod.uid})"
        self._warn(
            pod, container, "BackOff", f"Back-off restarting failed container {container.spec.name} in pod {name}"
        )

    def unhealthy(self, pod: Pod, container: PodContainer, probe: str) -> None:
        """An attempt of a probe has failed."""
        spec = {"liveness": container.spec.liveness, "readiness": container.spec.readiness}
        configured = spec.get(probe, container.spec.startup)
        output, cause = _FAILURES[configured.handler if configured else "exec"]
        grown = self._warn(pod, container, "Unhealthy", f"{probe.capitalize()} probe failed: {output}")
        self._truth.probe_failed(container.key, probe, cause, grown)

    def killing(self, pod: Pod, container: PodContainer, why: str) -> None:
        """The kubelet ends an instance; `why` is the probe's name, "" for the pod's own end."""
        name = container.spec.name
        if why and container.spec.type == "sidecar":
            text = f"Init container {name} failed {why} probe"
        else:
            text = f"Container {name} failed {why} probe, will be restarted" if why else f"Stopping container {name}"
        self._normal(pod, container, "Killing", text)

    def evicted(self, pod: Pod, message: str) -> None:
        """The kubelet has taken the pod's place away."""
        grown = self._kubelet.record(_subject(pod), "Warning", "Evicted", message)
        self._truth.carried(pod.workload, "Evicted", grown)

    def _normal(self, pod: Pod, container: PodContainer, reason: str, text: str) -> int:
        return 0 if self._muted else self._kubelet.record(_subject(pod, container), "Normal", reason, text)

    def _warn(self, pod: Pod, container: PodContainer, reason: str, text: str) -> int:
        grown = self._kubelet.record(_subject(pod, container), "Warning", reason, text)
        self._truth.carried(pod.workload, reason, grown)
        return grown


def _subject(pod: Pod, container: PodContainer | None = None) -> Subject:
    field = f"spec.{_FIELDS[container.spec.type]}{{{container.spec.name}}}" if container else ""
    mirror = pod.metadata.get("annotations", {}).get("kubernetes.io/config.mirror")
    return Subject(pod.namespace, pod.name, mirror or pod.uid, field)
