"""Helm, the operator's definitions and a Prometheus 3, once per machine: `python -m tests.cluster.programs`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.cluster import debian
from tests.cluster.build import LOCAL_GO, BuildError, cache_folder, find_go, say

HELM = {"3": "helm.sh/helm/v3/cmd/helm@v3.21.4", "4": "helm.sh/helm/v4/cmd/helm@v4.2.4"}
OPERATOR = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
CRDS = ("servicemonitors", "prometheusrules")


def helm(major: str) -> Path:
    """The Helm of that major version."""
    return cache_folder() / f"helm-{HELM[major].rpartition('@')[2]}"


def crd(plural: str) -> Path:
    """The Prometheus Operator's definition of that resource."""
    return cache_folder() / f"operator-{OPERATOR.rpartition('@')[2]}" / f"{plural}.yaml"


def fetch() -> None:
    """Build and download what this machine does not have yet; the checksum database of Go vouches for it."""
    go = find_go(install=True)
    for major, package in HELM.items():
        if not helm(major).exists():
            _install(go, package, helm(major))
    if not all(crd(plural).exists() for plural in CRDS):
        _copy_crds(go)


def _install(go: str, package: str, target: Path) -> None:
    say(f"building {target.name}; on two cores this takes about 2 minutes the first time")
    folder = target.with_name(f"{target.name}.unfinished")
    environment = {**LOCAL_GO, "GOBIN": str(folder)}
    if subprocess.run([go, "install", "-ldflags", "-s -w", package], env=environment, check=False).returncode:
        raise BuildError(f"go install {package} failed, see above")
    (folder / "helm").rename(target)
    folder.rmdir()


def _copy_crds(go: str) -> None:
    command = [go, "mod", "download", "-json", OPERATOR]
    done = subprocess.run(command, env=LOCAL_GO, cwd=os.sep, check=False, capture_output=True, text=True)
    if done.returncode:
        raise BuildError(f"go mod download {OPERATOR} failed: {done.stdout}{done.stderr}")
    source = Path(json.loads(done.stdout)["Dir"]) / "example" / "prometheus-operator-crd"
    for plural in CRDS:
        crd(plural).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / f"monitoring.coreos.com_{plural}.yaml", crd(plural))


if __name__ == "__main__":
    try:
        fetch()
        debian.fetch()
    except BuildError as error:
        sys.exit(f"tests/cluster: {error}")
