"""The container image as `make image` builds it, on a base of Debian packages: `python -m tests.cluster.image`.

Image registries are not asked for anything. The archive stays in the cache under a name that changes with everything
that goes into the image.
"""

from __future__ import annotations

import ast
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tests.cluster.build import BuildError, cache_folder, say

ROOT = Path(__file__).parent.parent.parent
INPUTS = ("Dockerfile", ".dockerignore", "pyproject.toml", "README.md", "LICENSE", "requirements", "exporter")
NAME = "localhost/pod-exporter"
BASE = "localhost/pod-exporter-base:1"
PACKAGES = "python3,python3-venv,ca-certificates"
CERTIFICATES = Path("/etc/ssl/certs")


class Sources:
    """Everything that goes into one image, as it is in the working tree or in a commit."""

    def __init__(self, commit: str = "") -> None:
        self._files = dict(_committed(commit) if commit else _present())

    @property
    def tag(self) -> str:
        """A tag that changes with everything that goes into the image."""
        digest = hashlib.sha256(Path(__file__).read_bytes())
        for name in sorted(self._files):
            digest.update(name.encode() + b"\0" + self._files[name] + b"\0")
        return digest.hexdigest()[:12]

    @property
    def archive(self) -> Path:
        """Where the image built of them is, or will be."""
        return cache_folder() / f"image-{self.tag}.tar"

    def write(self, folder: Path) -> None:
        for name, content in self._files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)


def _present() -> dict[str, bytes]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *INPUTS]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    return {name: (ROOT / name).read_bytes() for name in names if (ROOT / name).exists()}


def _committed(commit: str) -> dict[str, bytes]:
    command = ["git", "archive", "--format=tar", commit]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        return {
            member.name: archive.extractfile(member).read()  # type: ignore[union-attr] # it is a file
            for member in archive
            if member.isfile() and member.name.partition("/")[0] in INPUTS
        }


def build(sources: Sources) -> Path:
    """Build the image of these sources unless that has been done; a docker archive."""
    archive = sources.archive
    if not archive.exists():
        if not shutil.which("buildah"):
            raise BuildError("no buildah: run tests/cluster/install.sh")
        say(f"building {archive.name}; its base is made of Debian packages the first time")
        with tempfile.TemporaryDirectory(prefix="pod-exporter-image-") as folder:
            _build(sources, Path(folder))
        for old in sorted(cache_folder().glob("image-*.tar"), key=lambda path: path.stat().st_mtime)[:-4]:
            old.unlink()
    return archive


def _build(sources: Sources, folder: Path) -> None:
    name, context, base = f"{NAME}:{sources.tag}", folder / "context", folder / "base"
    context.mkdir()
    base.mkdir()
    sources.write(context)
    shutil.copyfile(_base(), base / "base.tar")
    (base / "Dockerfile").write_text("FROM scratch\nADD base.tar /\n")
    (folder / "pip.conf").write_text(_pip_settings())
    storage = ["--root", str(folder / "storage"), "--runroot", str(folder / "run"), "--storage-driver", "vfs"]
    common = ["build", "--isolation=chroot", "--network=host", "--format=docker", "--quiet"]
    _buildah(*storage, *common, "--tag", BASE, str(base))
    options = [f"--build-arg=BASE={BASE}", f"--secret=id=pip,src={folder}/pip.conf"]
    options.append(f"--volume={CERTIFICATES}:{CERTIFICATES}:ro")
    _buildah(*storage, *common, *options, "--tag", name, str(context))
    unfinished = sources.archive.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    _buildah(*storage, "push", "--quiet", name, f"docker-archive:{unfinished}:{name}")
    unfinished.rename(sources.archive)


def _buildah(*arguments: str) -> None:
    if subprocess.run(["buildah", *arguments], check=False, stdout=subprocess.DEVNULL).returncode:
        raise BuildError("buildah failed, see above")


def _base() -> Path:
    """A file system of Debian's Python, of the release that this machine runs and from where it gets its packages."""
    release = re.search(r"^VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text(), re.MULTILINE)
    if release is None:
        raise BuildError("this Debian has no codename")
    target = cache_folder() / f"base-{release[1]}-1.tar"
    if not target.exists():
        unfinished = target.with_name(f"unfinished-{target.name}")
        found = (Path("/etc/apt/sources.list"), Path("/etc/apt/sources.list.d/debian.sources"))
        sources = [str(path) for path in found if path.exists() and path.read_text().strip()]
        command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}", release[1]]
        if subprocess.run([*command, str(unfinished), *sources], check=False).returncode:
            raise BuildError("mmdebstrap failed, see above")
        unfinished.rename(target)
    return target


def _pip_settings() -> str:
    """This machine's package index and certificates, for the pip of the build."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    settings = {}
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        name = key.rpartition(".")[2]
        if name in ("index-url", "extra-index-url", "trusted-host", "cert"):
            settings[name] = ast.literal_eval(value)
    return "".join(["[global]\n", *(f"{name} = {value}\n" for name, value in settings.items())])


def previous() -> Sources | None:
    """The sources of the commit before, None if the image could not be built then."""
    command = ["git", "cat-file", "-e", "HEAD~1:Dockerfile"]
    known = not subprocess.run(command, cwd=ROOT, check=False, stderr=subprocess.DEVNULL).returncode
    return Sources("HEAD~1") if known else None


if __name__ == "__main__":
    os.umask(0o022)
    try:
        for sources in filter(None, (Sources(), previous())):
            build(sources)
    except BuildError as error:
        sys.exit(f"tests/cluster: {error}")
