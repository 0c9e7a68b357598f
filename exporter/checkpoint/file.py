"""The file: replaced as a whole or not at all, for its owner only, put aside when it is bad. All calls block."""

from __future__ import annotations

import os
from contextlib import suppress
from errno import ENOENT
from pathlib import Path
from typing import BinaryIO

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


class Replacement:
    """The next content of a file, written beside it. What fails raises OSError; the old content stays until `commit`.

    The name beside it is always the same, so what a killed process has left is written over.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._beside = path.with_name(f"{path.name}.new")
        self._file: BinaryIO | None = None

    def write(self, piece: bytes) -> None:
        """Write the next piece."""
        if self._file is None:
            descriptor = os.open(self._beside, _FLAGS, 0o600)
            self._file = os.fdopen(descriptor, "wb")
            os.fchmod(descriptor, 0o600)  # one that was left there keeps its mode else
        self._file.write(piece)

    def commit(self) -> None:
        """Put the content in its place; after that, a crash of the machine leaves this one or the one before."""
        if self._file is None:
            raise ValueError("nothing was written")
        with self._file as file:
            file.flush()
            os.fsync(file.fileno())
        self._beside.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def abandon(self) -> None:
        """Leave no trace of what was written; a disk that is full is full no longer."""
        with suppress(OSError):
            if self._file is not None:
                self._file.close()  # may fail to flush what is left
        if self._file is not None:
            with suppress(OSError):
                self._beside.unlink()


def put_aside(path: Path) -> Path:
    """Rename a file that cannot be used, so that it can be looked at; raises OSError."""
    if not path.is_file():  # a folder that was named by mistake may hold anything
        raise FileNotFoundError(ENOENT, "no file", path)
    return path.rename(path.with_name(f"{path.name}.bad"))
