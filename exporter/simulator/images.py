"""Images: how they come, and why one could not be had, in containerd's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.simulator.pods import Pod, PodContainer
from exporter.simulator.templates import PullError

if TYPE_CHECKING:
    from exporter.simulator.cluster import Cluster
    from exporter.simulator.runtime import Runtime

_REASONS: dict[PullError, str] = {
    "network": 'failed to do request: Head "https://{registry}/v2/{path}": dial tcp: lookup {registry}: no such host',
    "auth": "pull access denied, repository does not exist or may require authorization: server message: "
    "insufficient_scope: authorization failed",
    "not_found": "{image}: not found",
    "rate_limit": "unexpected status from HEAD request to https://{registry}/v2/{path}: 429 Too Many Requests",
}


def refusal(image: str, error: PullError) -> str:
    """The message of ErrImagePull."""
    registry, _, rest = image.partition("/")
    name, _, tag = rest.rpartition(":")
    why = _REASONS[error].format(image=image, registry=registry, path=f"{name}/manifests/{tag}")
    return f'failed to pull and unpack image "{image}": failed to resolve reference "{image}": {why}'


class Images:
    """What comes before a container can be created."""

    def __init__(self, cluster: Cluster, runtime: Runtime) -> None:
        self._cluster = cluster
        self._runtime = runtime

    def launch(self, pod: Pod, container: PodContainer) -> None:
        """Pull the image and create the container, or wait for what is missing."""
        spec = container.spec
        if container.tried_at < 0:
            container.tried_at = self._cluster.clock.now
            pod.address = (
                pod.address or f"10.88.{self._cluster.rng.randrange(256)}.{self._cluster.rng.randrange(2, 255)}"
            )
        waited = self._cluster.clock.now - container.tried_at
        if container.pulls < spec.pull_failures:
            self._fail_to_pull(pod, container)
        elif waited < spec.pull_seconds:
            self._runtime.later(pod, container, spec.pull_seconds - waited, self.launch)
        elif waited < spec.config_error_seconds:
            self._runtime.wait(container, "CreateContainerConfigError", 'secret "absent" not found')
            self._runtime.later(
                pod, container, min(10 * self._cluster.timings.sync, spec.config_error_seconds - waited), self.launch
            )
        else:
            self._runtime.start(pod, container)

    def _fail_to_pull(self, pod: Pod, container: PodContainer) -> None:
        image = container.spec.image
        why = refusal(image, container.spec.pull_error)
        container.pulls += 1
        self._runtime.wait(container, "ErrImagePull", why)
        self._cluster.truth.not_pulled(container.key, container.spec.pull_error)
        self._cluster.news.pull_failed(pod, container, why)
        pause = self._cluster.timings.pause(min(container.pulls, 10))

        def back_off(pod: Pod, container: PodContainer) -> None:
            self._runtime.wait(container, "ImagePullBackOff", f'Back-off pulling image "{image}": ErrImagePull: {why}')
            self._runtime.later(pod, container, pause, self.launch)

        self._runtime.later(pod, container, 2 * self._cluster.timings.sync, back_off)

    def fetched(self, pod: Pod, container: PodContainer) -> None:
        """What the kubelet says of the image before each start."""
        spec = container.spec
        if spec.pull_seconds and not container.restart_count:
            self._cluster.news.pulled(pod, container, spec.pull_seconds)
        else:
            self._cluster.news.present(pod, container)
