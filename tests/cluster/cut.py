"""Cut a recording of rare troubles out of a run's tapes: `python -m tests.cluster.cut FOLDER...`.

The folders are those that pytest has kept of test_main_job and test_pressure.
"""

from __future__ import annotations

import gzip
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.cluster.api import Object

TARGET = Path(__file__).parent.parent / "recorded" / "troubles"
TROUBLES = {
    "orphan", "sandboxed", "resized", "together", "guarded", "slow-stop", "forced", "cheap", "dear", "no-secret",
    "resident", "greedy", "late",
}  # fmt: skip


def lines(file: Path) -> Iterator[Object]:
    return map(json.loads, file.read_text().splitlines())


def is_wanted(pod: Object) -> bool:
    return pod["metadata"].get("labels", {}).get("truth-workload") in TROUBLES


def cleaned(event: Object) -> Object:
    """Without who wrote which field, and without this machine's folder."""
    thing = event["object"]
    thing["metadata"].pop("managedFields", None)
    for volume in thing.get("spec", {}).get("volumes", ()):
        if "hostPath" in volume:
            volume["hostPath"]["path"] = "/truth"
    return event


def cut(folder: Path, pods: list[Object], events: list[Object], starts: list[str]) -> None:
    """Add a run's lines of pods, lines of Events and lines of the containers' own log."""
    heard = list(lines(folder / "pods.watch.jsonl"))
    namespace = next(e["object"]["metadata"]["namespace"] for e in heard if e["type"] != "END")
    uids = {e["object"]["metadata"]["uid"] for e in heard if e["type"] != "END" and is_wanted(e["object"])}
    pods += [cleaned(e) for e in heard if e["type"] == "END" or e["object"]["metadata"]["uid"] in uids]
    told = lines(folder / "events.watch.jsonl")
    events += [cleaned(e) for e in told if e["type"] == "END" or e["object"]["involvedObject"].get("uid") in uids]
    for event in (*pods, *events):
        if event["type"] == "END":
            event["object"]["metadata"].setdefault("namespace", namespace)
    log = folder / "container-starts.txt"
    starts += [line for line in log.read_text().splitlines() if line.split()[0] in uids] if log.exists() else []


def write(folders: list[Path]) -> None:
    """Write the recording anew."""
    pods: list[Object] = []
    events: list[Object] = []
    starts: list[str] = []
    for folder in folders:
        cut(folder, pods, events, starts)
    TARGET.mkdir(exist_ok=True)
    for name, found in (("pods", pods), ("events", events)):
        text = "".join(json.dumps(event, separators=(",", ":")) + "\n" for event in found)
        (TARGET / f"{name}.watch.jsonl.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    for folder in folders:
        if (folder / "series.json").exists():
            shutil.copy(folder / "series.json", TARGET)
    (TARGET / "container-starts.txt").write_text("\n".join([*starts, ""]))


if __name__ == "__main__":
    write([Path(name) for name in sys.argv[1:]])
