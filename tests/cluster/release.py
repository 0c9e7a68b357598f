"""The exporter as a user installs it: the image of this tree, by the chart, on the real node."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path
from urllib.request import urlopen

import yaml

from tests.cluster import image, programs
from tests.cluster.api import Object, wait_until
from tests.cluster.helm import CHART, Helm
from tests.cluster.image import ROOT, Sources
from tests.cluster.node import Node
from tests.cluster.scrape import TEXT, Scrape

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
FLAGS = ("--set=image.registry=localhost", "--set=image.pullPolicy=Never", "--set=settings.ledger.birth_hold=0s")


class Release:
    """One release of the chart in a namespace of its own that lets in only pods of the restricted standard."""

    def __init__(self, node: Node, folder: Path, name: str = "pod-exporter", helm: str = "4") -> None:
        self.node, self.name, self.namespace = node, name, f"{name}-system"
        home = folder / f"helm-{name}"
        home.mkdir()
        self.helm = Helm(helm, home, node.kubeconfig())
        self._folder = folder

    def create_namespace(self) -> None:
        self.node.create_namespace(self.namespace)
        self.node.api.patch(f"/api/v1/namespaces/{self.namespace}", {"metadata": {"labels": RESTRICTED}})

    def install(self, *flags: str, chart: Path = CHART, sources: Sources | None = None) -> None:
        """Install or upgrade, and wait until the exporter is ready."""
        sources = sources or Sources()
        assert sources.archive.exists(), "run `python -m tests.cluster.image` first"
        self.node.load_image(sources.archive)
        options = ("--install", "--wait", "--timeout=120s", f"--set=image.tag={sources.tag}", *FLAGS, *flags)
        self.helm("upgrade", self.name, str(chart), f"--namespace={self.namespace}", *options)

    def previous_chart(self) -> Path | None:
        """The chart of the commit before, None if there was none."""
        if image.previous() is None:
            return None
        command = ["git", "archive", "--format=tar", "HEAD~1", "charts"]
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        target = self._folder / "previous"
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
            archive.extractall(target, filter="data")
        return target / "charts" / CHART.name

    @property
    def pods(self) -> list[Object]:
        return [pod for pod in self.node.api.pods(self.namespace) if "test" not in pod["metadata"]["name"]]

    @property
    def address(self) -> str:
        """Host and port of the Service."""
        service = self.node.api.get(f"/api/v1/namespaces/{self.namespace}/services/{self.name}")
        return f"{service['spec']['clusterIP']}:{service['spec']['ports'][0]['port']}"

    def get(self, path: str) -> str:
        with urlopen(f"http://{self.address}{path}", timeout=10) as response:
            text: str = response.read().decode()
        return text

    def scrape(self) -> Scrape:
        return Scrape.parse(self.get("/metrics"), TEXT)

    def settled(self) -> Object:
        """The only pod, once every other is gone and the Service leads to it."""

        def alone() -> bool:
            pods = self.pods
            return len(pods) == 1 and any(one["ready"] for one in pods[0]["status"].get("containerStatuses", ()))

        wait_until(alone, f"{self.name} has one pod, and it is ready", 60)
        wait_until(lambda: self.get("/readyz") == "ok\n", "its Service leads to it", 20)
        return self.pods[0]

    def log(self) -> str:
        """What all its pods have written, from where the kubelet keeps it on this machine."""
        files = Path("/var/log/pods").glob(f"{self.namespace}_*/pod-exporter/*.log")
        text = "".join(path.read_text() for path in files)
        assert text
        return text


def create_operator_resources(node: Node) -> None:
    """Define ServiceMonitor and PrometheusRule as the Prometheus Operator does."""
    for plural in programs.CRDS:
        definition = yaml.safe_load(programs.crd(plural).read_text())
        node.api.create(definition)
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{definition['metadata']['name']}"
        wait_until(lambda path=path: _established(node.api.get(path)), f"{plural} is served", 30)  # type: ignore[misc]


def _established(definition: Object) -> bool:
    conditions = definition.get("status", {}).get("conditions") or ()
    return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)
