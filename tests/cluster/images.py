"""Container images made by hand, because a test fetches nothing: a static busybox and nothing else."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path

BUSYBOX = "localhost/busybox:1"
PAUSE = "localhost/pause:1"
APPLETS = ("cat", "date", "dd", "echo", "httpd", "mkdir", "rm", "sh", "sleep", "tail", "test", "touch")
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def write_images(folder: Path) -> list[Path]:
    """Write both images as docker archives, as `ctr images import` takes them."""
    forever = ["/bin/busybox", "sleep", "2147483647"]
    return [
        _write(folder / "pause.tar", PAUSE, entrypoint=forever),
        _write(folder / "busybox.tar", BUSYBOX, entrypoint=None),
    ]


def _write(target: Path, name: str, entrypoint: list[str] | None) -> Path:
    layer = _layer()
    digest = hashlib.sha256(layer).hexdigest()
    config = json.dumps(
        {
            "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "config": {"Entrypoint": entrypoint, "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        }
    ).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    layers = [f"{digest}/layer.tar"]
    manifest = json.dumps([{"Config": config_name, "RepoTags": [name], "Layers": layers}]).encode()
    with tarfile.open(target, "w") as archive:
        for path, content in ((config_name, config), (layers[0], layer), ("manifest.json", manifest)):
            _add_file(archive, path, content)
    return target


def _layer() -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name in ("bin", "dev", "etc", "proc", "sys", "tmp"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(folder)
        _add_file(archive, "bin/busybox", Path("/bin/busybox").read_bytes(), mode=0o755)
        for applet in APPLETS:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
    return raw.getvalue()


def _add_file(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), mode
    archive.addfile(member, io.BytesIO(content))
