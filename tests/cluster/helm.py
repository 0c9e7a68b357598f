"""Helm as a user calls it, in both major versions."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.api import Object
from tests.cluster.programs import helm

CHART = Path(__file__).parent.parent.parent / "charts" / "pod-exporter"
MAJORS = ("3", "4")


class OnlyOnce(yaml.SafeLoader):
    """YAML as Flux and kustomize read it: a key that is there twice is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"there twice: {twice}", node.start_mark)
        return super().construct_mapping(node, deep)


class HelmError(Exception):
    """Helm's exit code was not 0; the text is what it said."""


class Helm:
    """One Helm with a home of its own, so that no setting of the machine matters."""

    def __init__(self, major: str, home: Path, kubeconfig: Path | None = None) -> None:
        self.program, self.home = helm(major), home
        self._env = {"PATH": os.environ["PATH"], "HOME": str(home), "KUBECONFIG": str(kubeconfig or os.devnull)}

    def __call__(self, *arguments: str) -> str:
        done = subprocess.run(
            [str(self.program), *arguments], env=self._env, check=False, capture_output=True, text=True
        )
        if done.returncode:
            raise HelmError(done.stderr + done.stdout)
        return done.stdout

    def template(self, *arguments: str, version: str = "1.36") -> list[Object]:
        """The manifests of the release `r` in the namespace `monitoring`, empty documents left out."""
        flags = ("--namespace", "monitoring", "--kube-version", version)
        text = self("template", "r", str(CHART), *flags, *arguments)
        return [obj for obj in yaml.load_all(text, OnlyOnce) if obj]


def of(manifests: list[Object], kind: str, name: str = "") -> Object:
    """The one manifest of that kind."""
    [found] = [one for one in manifests if one["kind"] == kind and name in ("", one["metadata"]["name"])]
    return found


def settings_of(manifests: list[Object]) -> dict[str, Any]:
    """What the exporter will read as its configuration file."""
    names = [one for one in manifests if one["kind"] == "ConfigMap" and "config.yaml" in one.get("data", {})]
    settings: dict[str, Any] = yaml.safe_load(names[0]["data"]["config.yaml"])
    return settings
