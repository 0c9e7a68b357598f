"""The file is replaced as a whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from stat import S_IMODE

import pytest

from exporter.checkpoint.file import Replacement, put_aside


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def replaced(path: Path, *pieces: bytes) -> None:
    replacement = Replacement(path)
    for piece in pieces:
        replacement.write(piece)
    replacement.commit()


def test_the_pieces_are_its_content_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "state"
    replaced(path, b"old")
    replaced(path, b"one", b"two")
    assert path.read_bytes() == b"onetwo"
    assert S_IMODE(path.stat().st_mode) == 0o600
    assert names(tmp_path) == ["state"]


def test_until_it_is_complete_the_old_content_stays(tmp_path: Path) -> None:
    path = tmp_path / "state"
    replaced(path, b"old")
    replacement = Replacement(path)
    replacement.write(b"new")
    assert path.read_bytes() == b"old"
    replacement.abandon()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["state"]


def test_what_a_killed_process_has_left_is_written_over_whatever_its_mode(tmp_path: Path) -> None:
    left = tmp_path / "state.new"
    left.write_bytes(b"much more than will be written")
    left.chmod(0o644)
    replaced(tmp_path / "state", b"new")
    assert (tmp_path / "state").read_bytes() == b"new"
    assert S_IMODE((tmp_path / "state").stat().st_mode) == 0o600


def test_it_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def noted(name: str, call: Callable[..., object]) -> Callable[..., object]:
        def act(*args: object) -> object:
            done.append(name)
            return call(*args)

        return act

    monkeypatch.setattr(os, "fsync", noted("fsync", os.fsync))
    monkeypatch.setattr(Path, "replace", noted("replace", Path.replace))
    replaced(tmp_path / "state", b"new")
    assert done == ["fsync", "replace", "fsync"]


def test_a_link_that_someone_has_put_there_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "state.new").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic link"):
        replaced(tmp_path / "state", b"new")
    assert not (tmp_path / "elsewhere").exists()


def test_abandoning_never_fails(tmp_path: Path) -> None:
    Replacement(tmp_path / "state").abandon()
    replacement = Replacement(tmp_path / "state")
    replacement.write(b"x")
    (tmp_path / "state.new").unlink()
    replacement.abandon()
    missing = Replacement(tmp_path / "no" / "state")
    with pytest.raises(FileNotFoundError):
        missing.write(b"x")
    missing.abandon()


def test_a_bad_file_is_put_aside_over_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "state"
    for content in (b"first", b"second"):
        path.write_bytes(content)
        assert put_aside(path) == tmp_path / "state.bad"
        assert not path.exists()
        assert (tmp_path / "state.bad").read_bytes() == content


def test_a_folder_that_was_named_by_mistake_stays(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        put_aside(tmp_path)
    assert tmp_path.is_dir()
