"""Watches beside the exporter's: every line that the API server sends, with the time of its receipt, in a file."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

from tests.cluster.api import Api, Object, RefusedError

Heard = Callable[[Object], None]


class Tape:
    """Follows one collection until it is stopped. What a list shows has type LISTED, its end END."""

    def __init__(self, api: Api, path: str, file: Path, heard: Heard = lambda _: None) -> None:
        self.file = file
        self._api, self._path, self._heard = api, path, heard
        self._stopping = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._run, name=f"tape of {self._path}", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.wait(0.5):
            try:
                self._follow(self._list())
            except (OSError, HTTPException, RefusedError, ValueError):
                continue  # the API server is away for a while: that is part of the story

    def _list(self) -> str:
        answer = self._api.get(self._path)
        kind = answer["kind"].removesuffix("List")
        for item in answer["items"]:
            self._note({"type": "LISTED", "object": {"kind": kind, "apiVersion": "v1", **item}})
        self._note({"type": "END", "object": {"metadata": answer["metadata"]}})
        version: str = answer["metadata"]["resourceVersion"]
        return version

    def _follow(self, version: str) -> None:
        for line in self._api.watch(self._path, resourceVersion=version, timeoutSeconds="40"):
            event = json.loads(line)
            if event["type"] == "ERROR":
                return
            self._note(event)

    def _note(self, event: Object) -> None:
        self._heard(event)
        with self.file.open("a") as file:
            file.write(json.dumps({"at": round(time.time(), 3), **event}) + "\n")
