"""What outlives a node's daemons: container processes, mounts, cgroups, folders of runs that crashed."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

PREFIX = "pod-exporter-node-"
CGROUPS = Path("/sys/fs/cgroup")


def new_state_folder() -> tuple[Path, IO[str]]:
    """A folder and the lock that says that its run is alive; folders of dead runs are removed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError), (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove_folder(folder)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    lock = (folder / "lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return folder, lock


def remove_folder(folder: Path) -> None:
    """Unmount first: deleting through a volume's mount would delete what it shows."""
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for mount in reversed(mounts):
        if mount.startswith((f"{folder}/", "/run/containerd/state/")):
            subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)
    shutil.rmtree(folder, ignore_errors=True)


def kill_containers() -> None:
    """Kill every process of every pod, then the shims that waited for them.

    Only processes of our own process namespace have a number here, so none of another run can be hit.
    """
    for members in _pod_cgroups("cgroup.procs"):
        with suppress(OSError):
            _kill(members.read_text().split())
    shims = [folder.name for folder in Path("/proc").glob("[0-9]*") if _is_shim(folder)]
    _kill(shims)


def remove_cgroups(seconds: float = 5) -> bool:
    """Remove the pods' cgroups; False if some process still is in one (another kubelet's pods?)."""
    deadline = time.monotonic() + seconds
    while True:
        for folder in sorted({path.parent for path in _pod_cgroups("cgroup.procs")}, reverse=True):
            with suppress(OSError):
                folder.rmdir()
        if not any(_pod_cgroups("cgroup.procs")):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)


def remove_bridge(name: str) -> None:
    subprocess.run(["ip", "link", "delete", name], check=False, capture_output=True)


def _pod_cgroups(name: str) -> list[Path]:
    """The files of that name below kubepods, in cgroup v2's tree or in each of v1's."""
    roots = [*CGROUPS.glob("kubepods"), *CGROUPS.glob("*/kubepods")]
    return [path for root in roots for path in root.rglob(name)]


def _is_shim(folder: Path) -> bool:
    try:
        return b"containerd-shim" in (folder / "cmdline").read_bytes().split(b"\0")[0]
    except OSError:
        return False


def _kill(pids: list[str]) -> None:
    for pid in pids:
        if int(pid):  # 0: a process outside our namespace, none of ours
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
