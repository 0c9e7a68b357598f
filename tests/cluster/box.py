"""Run a command in a network, a mount and a process namespace of its own: `python -m tests.cluster.box COMMAND...`.

A node starts daemons, makes bridges, mounts and packet filter rules. In here it can collide with nothing of the
machine, every port is free, and whatever way the command ends, all of that ends with it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

INSIDE = "POD_EXPORTER_BOX"
PRIVATE_FOLDERS = ("/run/containerd", "/var/lib/kubelet", "/var/lib/cni", "/var/log/pods", "/var/log/containers")
KERNEL_SETTINGS = ("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops")


def why_no_box() -> str | None:
    """One line that says why no namespaces can be made here, None if they can."""
    if os.geteuid() != 0:
        return "not root: namespaces, containers and cgroups need it (try sudo)"
    probe = ["unshare", "--net", "--mount", "--pid", "--fork", "true"]
    done = subprocess.run(probe, capture_output=True, text=True, check=False)
    return f"no namespaces, CAP_SYS_ADMIN is missing: {done.stderr.strip()}" if done.returncode else None


def enter(command: list[str]) -> int:
    """Run the command inside; the exit code is the command's."""
    reason = why_no_box()
    if reason:
        sys.stderr.write(f"tests/cluster: {reason}\n")
        return 1
    unshare = ["unshare", "--net", "--mount", "--pid", "--mount-proc", "--fork", "--kill-child"]
    kept = {name: Path("/proc/sys", name).read_text() for name in KERNEL_SETTINGS}
    try:
        init = [sys.executable, "-m", "tests.cluster.box", *command]
        box = subprocess.Popen([*unshare, *init], env={**os.environ, INSIDE: "1"})
        signal.signal(signal.SIGINT, lambda *_: None)  # a terminal sends it to the command as well
        signal.signal(signal.SIGTERM, lambda *_: _terminate_child_of(box.pid))
        return box.wait()
    finally:
        for name, value in kept.items():  # the kubelet sets them, and they belong to no namespace
            Path("/proc/sys", name).write_text(value)


def _terminate_child_of(pid: int) -> None:
    """`unshare` lets no signal through."""
    subprocess.run(["pkill", "-TERM", "--parent", str(pid)], check=False)


def run_as_init(command: list[str]) -> int:
    """Be the namespace's first process: prepare it, run the command, collect the orphans of others."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for folder in PRIVATE_FOLDERS:
        Path(folder).mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=True)
    child = subprocess.Popen(command)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the command as well
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    while True:
        pid, status = os.wait()
        if pid == child.pid:
            return abs(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    sys.exit(run_as_init(sys.argv[1:]) if os.environ.get(INSIDE) else enter(sys.argv[1:]))
