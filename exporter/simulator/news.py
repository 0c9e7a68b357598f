"""What the cluster's components say of pods in Events, in the words of 1.36, and the book of what the API carried."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from exporter.simulator.clock import Clock
from exporter.simulator.pods import Pod, PodContainer
from exporter.simulator.recorder import Recorder, Subject
from exporter.simulator.series import SeriesRecorder
from exporter.simulator.store import Store
from exporter.simulator.truth import Truth

_FAILURES = {
    "httpGet": ("HTTP probe failed with statuscode: 503", "http_status"),
    "tcpSocket": ("dial tcp 10.88.0.7:8080: connect: connection refused", "connection_refused"),
    "grpc": ('service unhealthy (responded with "NOT_SERVING")', "grpc"),
    "exec": ("", "exec_exit"),
}
"""What a probe of each kind puts out when it fails, and the cause that this is."""
_FIELDS = {
    "init": "initContainers",
    "sidecar": "initContainers",
    "container": "containers",
    "ephemeral": "ephemeralContainers",
}


class News:
    """Speaks for the kubelets and the scheduler."""

    def __init__(self, store: Store, clock: Clock, truth: Truth) -> None:
        self._truth = truth
        self._kubelet = Recorder(store, clock, "kubelet", "node-1")
        self._scheduler = SeriesRecorder(store, clock, "default-scheduler")
        self._nodes = Recorder(store, clock, "node-controller")
        self._taints = Recorder(store, clock, "taint-eviction-controller")
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
        self._carry(self._scheduler, pod, "FailedScheduling", message)

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

    def killing_for(self, pod: Pod, container: PodContainer, text: str) -> None:
        """The kubelet ends an instance for something else than a probe or the pod's end."""
        self._normal(pod, container, "Killing", text)

    def hook_failed(self, pod: Pod, container: PodContainer) -> None:
        """The postStart hook of an instance has failed, and so the instance has to go."""
        self._warn(pod, container, "FailedPostStartHook", "PostStartHook failed")
        self._normal(pod, container, "Killing", "FailedPostStartHook")

    def sandbox_changed(self, pod: Pod) -> None:
        """The sandbox is dead; this is about no single container."""
        text = "Pod sandbox changed, it will be killed and re-created."
        self._kubelet.record(_subject(pod), "Normal", "SandboxChanged", text)

    def resized(self, pod: Pod, reason: str, text: str, why: str = "") -> None:
        """A resize in place begins, is over, or is refused."""
        if why:
            self._carry(self._kubelet, pod, reason, f"{text}: {why}")
        else:
            self._kubelet.record(_subject(pod), "Normal", reason, f'{text}: {{"generation":{pod.generation}}}')

    def verdict(self, pod: Pod, kind: str, reason: str, message: str) -> None:
        """The kubelet ends or refuses the pod; `kind` is the Event's type, "" where there is none."""
        if kind == "Warning":
            self._carry(self._kubelet, pod, reason, message)
        elif kind:
            self._kubelet.record(_subject(pod), kind, reason, message)

    def node_not_ready(self, pod: Pod) -> None:
        """The pod's node has not been heard of."""
        self._carry(self._nodes, pod, "NodeNotReady", "Node is not ready")

    def marked_for_deletion(self, pod: Pod) -> None:
        """The taint manager takes the pod away; it gives no uid."""
        subject = Subject(pod.namespace, pod.name, "")
        text = f"Marking for deletion Pod {pod.namespace}/{pod.name}"
        self._taints.record(subject, "Normal", "TaintManagerEviction", text)

    def _carry(self, recorder: Recorder | SeriesRecorder, pod: Pod, reason: str, message: str) -> None:
        """A Warning about the pod as a whole."""
        self._truth.carried(pod.workload, reason, recorder.record(_subject(pod), "Warning", reason, message))

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
