"""A Prometheus 3, from a newer Debian than the machine's: beside the installed one, from the same place."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.cluster.build import BuildError, cache_folder, say

SUITE = "forky"
"""The first one with a Prometheus 3."""
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def prometheus3() -> Path:
    """The program, once fetched; it needs nothing but the C library."""
    return cache_folder() / f"prometheus-{SUITE}"


def fetch() -> None:
    """Download it unless this machine has it; apt checks its signature."""
    if prometheus3().exists():
        return
    say(f"fetching the prometheus of Debian's suite {SUITE}")
    with tempfile.TemporaryDirectory(prefix="pod-exporter-debian-") as folder:
        _fetch(Path(folder))


def _fetch(folder: Path) -> None:
    for name in ("lists/partial", "archives/partial"):
        (folder / name).mkdir(parents=True)
    (folder / "sources.list").write_text(f"deb [signed-by={KEYRING}] {_archive()} {SUITE} main\n")
    places = {"Etc::sourcelist": "sources.list", "State::lists": "lists", "Cache": "."}
    options = [f"-o=Dir::{key}={folder / name}" for key, name in places.items()]
    options += ["-o=Dir::Etc::sourceparts=-", "-o=APT::Sandbox::User=root", "-qq"]
    _run(["apt-get", *options, "update"], folder)
    _run(["apt-get", *options, "download", "prometheus"], folder)
    [package] = folder.glob("prometheus_*.deb")
    _run(["dpkg-deb", "-x", str(package), "unpacked"], folder)
    program = folder / "unpacked/usr/bin/prometheus"
    version = _run([str(program), "--version"], folder).split()[2]
    if not version.startswith("3."):
        raise BuildError(f"the prometheus of {SUITE} is {version}, not a 3.x")
    prometheus3().parent.mkdir(parents=True, exist_ok=True)
    unfinished = prometheus3().with_suffix(".unfinished")
    shutil.copy(program, unfinished)
    unfinished.rename(prometheus3())


def _archive() -> str:
    """The address from which this machine gets Debian's packages."""
    wanted = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(ORIGIN) $(LABEL)", "Created-By: Packages"]
    found = _run(wanted, Path("/")).splitlines()
    if not found:
        _run(["apt-get", "update", "-qq"], Path("/"))
        found = _run(wanted, Path("/")).splitlines()
    addresses = [address for address, _, name in (line.partition(" ") for line in found) if name == "Debian Debian"]
    if not addresses:
        raise BuildError("apt knows no source of Debian's packages")
    return addresses[0]


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"{' '.join(command)} failed: {done.stderr.strip()}")
    return done.stdout or done.stderr
