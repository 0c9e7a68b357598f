"""When the checkpoint is read and written, and that nothing of it stops the exporter."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from exporter.checkpoint.keeper import Keeper
from exporter.lifecycle.saved import Known, Records
from exporter.metrics.saved import Part
from exporter.vitals import CheckpointVitals

KNOWN = Known({}, (), (), {}, (), (), False)
FULL = OSError(28, "No space left on device")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class Kept:
    """A keeper of a file, and what it keeps."""

    def __init__(self, path: Path, *, interval: float = 60.0) -> None:
        self.parts: list[Part] = [KNOWN, Records(())]
        self.closed = 0
        self.vitals = CheckpointVitals()
        self.keeper = Keeper(path, self._saved, self.vitals, interval=interval)

    def _saved(self) -> Generator[Part, None, None]:
        try:
            yield from self.parts
        finally:
            self.closed += 1


async def written(path: Path, *, cluster: str = "", made: float = 100.0) -> None:
    kept = Kept(path)
    kept.keeper.load(cluster, 0.0)
    await kept.keeper.write(made)


async def test_what_was_written_is_loaded(tmp_path: Path) -> None:
    await written(tmp_path / "state", cluster="here")
    kept = Kept(tmp_path / "state")
    found = kept.keeper.load("here", 0.0)
    assert found is not None
    assert found[0].made == 100.0
    assert [*found[1]] == kept.parts
    assert kept.vitals.load == "loaded"


async def test_its_numbers_are_told(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "state")
    assert kept.vitals.writes == {"ok": 0, "failed": 0}
    await kept.keeper.write(100.0)
    assert kept.vitals.writes == {"ok": 1, "failed": 0}
    assert kept.vitals.size == (tmp_path / "state").stat().st_size
    assert kept.vitals.written_at > 0
    assert kept.vitals.seconds > 0
    assert kept.closed == 1


def test_no_file_is_a_cold_start(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "state")
    with capture_logs() as logs:
        assert kept.keeper.load("", 0.0) is None
    assert kept.vitals.load == "missing"
    assert [line["log_level"] for line in logs] == ["info"]


async def test_a_bad_file_is_put_aside_and_the_start_goes_on(tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(b"no checkpoint")
    kept = Kept(tmp_path / "state")
    with capture_logs() as logs:
        assert kept.keeper.load("", 0.0) is None
    assert kept.vitals.load == "bad"
    assert names(tmp_path) == ["state.bad"]
    assert [line["event"] for line in logs] == [
        "the checkpoint is of no use: what happened before is not known",
        "it was put aside",
    ]
    await kept.keeper.write(100.0)
    assert names(tmp_path) == ["state", "state.bad"]


async def test_one_of_another_cluster_is_put_aside_and_an_old_one_is_not(tmp_path: Path) -> None:
    await written(tmp_path / "state", cluster="there")
    kept = Kept(tmp_path / "state")
    assert kept.keeper.load("there", 101.0) is None
    assert kept.vitals.load == "old"
    assert names(tmp_path) == ["state"]
    assert kept.keeper.load("here", 0.0) is None
    assert kept.vitals.load == "foreign"
    assert names(tmp_path) == ["state.bad"]


def test_a_folder_in_its_place_is_said_and_stays(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    kept = Kept(tmp_path / "state")
    with capture_logs() as logs:
        assert kept.keeper.load("", 0.0) is None
    assert kept.vitals.load == "bad"
    assert "it is no file" in logs[0]["error"]
    assert (tmp_path / "state").is_dir()


def test_one_that_may_not_be_read_is_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "state").write_bytes(b"x")

    def forbidden(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", forbidden)
    kept = Kept(tmp_path / "state")
    with capture_logs() as logs:
        assert kept.keeper.load("", 0.0) is None
    assert "cannot be read: Permission denied" in logs[0]["error"]


def test_one_that_cannot_be_put_aside_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "state").write_bytes(b"x")

    def fixed(*_: object) -> Path:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "rename", fixed)
    with capture_logs() as logs:
        assert Kept(tmp_path / "state").keeper.load("", 0.0) is None
    assert logs[-1]["event"] == "it could not be put aside"
    assert logs[-1]["error"] == "Read-only file system"


async def test_a_full_disk_is_counted_and_said_and_the_old_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await written(tmp_path / "state")
    old = (tmp_path / "state").read_bytes()
    kept = Kept(tmp_path / "state")
    full = True

    def fsync(descriptor: int) -> None:
        if full:
            raise FULL

    monkeypatch.setattr(os, "fsync", fsync)
    with capture_logs() as logs:
        await kept.keeper.write(200.0)
        await kept.keeper.write(201.0)
        assert kept.vitals.writes == {"ok": 0, "failed": 2}
        assert kept.vitals.written_at == 0
        assert (tmp_path / "state").read_bytes() == old
        assert names(tmp_path) == ["state"]
        full = False
        await kept.keeper.write(202.0)
    assert kept.vitals.writes == {"ok": 1, "failed": 2}
    assert [(line["event"], line.get("error")) for line in logs] == [
        ("the checkpoint could not be written, the old one stays", "No space left on device"),
        ("the checkpoint is written again", None),
    ]
    assert kept.closed == 3


async def test_a_folder_that_is_not_there_is_a_failed_write_each_time_until_it_is(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "later" / "state")
    assert kept.keeper.load("", 0.0) is None
    await kept.keeper.write(100.0)
    (tmp_path / "later").mkdir()
    await kept.keeper.write(101.0)
    assert kept.vitals.writes == {"ok": 1, "failed": 1}


async def test_a_part_that_cannot_be_made_is_a_failed_write(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "state")
    kept.parts.append(object())  # type: ignore[arg-type]
    await kept.keeper.write(100.0)
    assert kept.vitals.writes["failed"] == 1
    assert names(tmp_path) == []


async def test_it_is_written_again_and_again_and_who_ends_it_lets_a_write_that_has_begun_go_on(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "state", interval=0.01)
    task = asyncio.create_task(kept.keeper.run(lambda: 100.0))
    async with asyncio.timeout(20):
        while kept.vitals.writes["ok"] < 3:  # noqa: ASYNC110 - a plain number
            await asyncio.sleep(0.005)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await kept.keeper.write(200.0)
    assert kept.vitals.writes["failed"] == 0
    found = kept.keeper.load("", 0.0)
    assert found is not None
    assert found[0].made == 200.0


async def test_others_get_their_turn_between_the_parts(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "state")
    kept.parts += [Records(())] * 20
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await kept.keeper.write(100.0)
    task.cancel()
    assert turns >= 20
