"""STATUS as kubectl prints it: the real API server's own Table answer is the oracle."""

from __future__ import annotations

import inspect
import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from types import CodeType, FrameType
from typing import Any, NamedTuple

import msgspec
import pytest

from exporter.lifecycle import status
from exporter.objects import Pod
from tests.cluster.api import Api, Object, RefusedError
from tests.cluster.node import StartNode
from tests.cluster.random_pods import draft

pytestmark = pytest.mark.cluster
PODS = int(os.environ.get("POD_EXPORTER_STATUSES", "2400"))
ACCEPTED = 2000
SEED = int(os.environ.get("POD_EXPORTER_SEED", "20261122"))
NAMESPACE = "statuses"
PATH = f"/api/v1/namespaces/{NAMESPACE}/pods"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
PAGE = 500

OUTCOMES = {
    "kubectl_status": (
        "Unknown", "Terminating", "SchedulingGated", "Pending", "Running", "Succeeded", "Failed", "Evicted",
        "CrashLoopBackOff", "ImagePullBackOff", "CreateContainerConfigError", "OOMKilled", "Error", "Completed",
        "NotReady", "Signal:N", "ExitCode:N", "Init:N/N", "Init:Signal:N", "Init:ExitCode:N", "Init:OOMKilled",
        "Init:Error", "Init:CrashLoopBackOff", "Init:ErrImagePull", "PodInitializing",
    ),
    "_initializing": ("", "Init:N/N", "Init:Signal:N", "Init:ExitCode:N", "Init:Completed", "Init:ImagePullBackOff"),
    "_containers": ("Init:N/N", "Running", "Completed", "Signal:N", "ExitCode:N", "Evicted", "SchedulingGated"),
    "_of_completed": ("Running", "Completed", "NotReady"),
    "_ended": ("Signal:N", "ExitCode:N", "Completed", "Error"),
    "_is_true": ("True", "False"),
}  # fmt: skip
"""What each function of status.py must have given at least once, numbers as N."""


class Row(NamedTuple):
    """One pod: what the API server prints, and the object from which it does."""

    printed: str
    pod: Object


@dataclass
class Reached:
    """Lines and results of status.py while traced: no coverage tool is needed, and none is disturbed."""

    lines: set[int] = field(default_factory=set)
    results: Counter[tuple[str, str]] = field(default_factory=Counter)

    @contextmanager
    def traced(self) -> Iterator[None]:
        before = sys.gettrace()
        sys.settrace(self._called)
        try:
            yield
        finally:
            sys.settrace(before)

    def _called(self, frame: FrameType, *_: Any) -> Any:
        return self._stepped if frame.f_code.co_filename == status.__file__ else None

    def _stepped(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            self.lines.add(frame.f_lineno)
        elif event == "return":
            self.results[frame.f_code.co_name, re.sub(r"\d+", "N", str(argument))] += 1
        return self._stepped


def lines_of(code: CodeType) -> set[int]:
    """The lines of a function's body, those of its comprehensions included."""
    own = {line for *_, line in code.co_lines() if line is not None and line != code.co_firstlineno}
    return own.union(*(lines_of(part) for part in code.co_consts if isinstance(part, CodeType)))


def write(api: Api, number: int) -> bool:
    """Write one pod; give whether the API server accepted its status."""
    pod, its_status, deleted = draft(SEED, number, NAMESPACE)
    created = api.create(pod)
    path = f"{PATH}/{created['metadata']['name']}"
    try:
        api.request("PUT", f"{path}/status", {**created, "status": its_status})
    except RefusedError as error:
        if error.status != 422:
            raise
        return False
    if deleted:
        api.delete(path, force=True)
    return True


def rows(api: Api) -> Iterator[Row]:
    """Every pod beside what is printed for it: both come in one answer, so they can't differ in age."""
    more = ""
    while True:
        page = api.request("GET", f"{PATH}?includeObject=Object&limit={PAGE}&continue={more}", accept=TABLE)
        column = [one["name"] for one in page["columnDefinitions"]].index("Status")
        yield from (Row(row["cells"][column], row["object"]) for row in page["rows"])
        more = page["metadata"].get("continue", "")
        if not more:
            return


@pytest.fixture(scope="module")
def printed(start_node: StartNode, report: list[str]) -> Iterator[list[Row]]:
    """The pods whose status was accepted."""
    with start_node(control=False) as node:
        node.create_namespace(NAMESPACE)
        began = time.monotonic()
        with ThreadPoolExecutor(8) as threads:
            taken = list(threads.map(partial(write, node.api), range(PODS)))
        names = {f"pod-{number}" for number, fine in enumerate(taken) if fine}
        accepted = [row for row in rows(node.api) if row.pod["metadata"]["name"] in names]
        seconds, kinds = time.monotonic() - began, len({row.printed for row in accepted})
        report.append(
            f"status: {len(accepted)} accepted, {PODS - len(names)} refused, {kinds} kinds of STATUS, {seconds:.0f} s"
        )
        assert len(accepted) == len(names)
        yield accepted


@pytest.fixture(scope="module")
def reached() -> Reached:
    return Reached()


def test_status_is_what_the_api_server_prints(printed: list[Row], reached: Reached) -> None:
    wrong = []
    for row in printed:
        pod = msgspec.json.decode(json.dumps(row.pod), type=Pod)
        with reached.traced():
            ours = status.kubectl_status(pod)
        if ours != row.printed:
            wrong.append((row.pod["metadata"]["name"], ours, row.printed, row.pod["status"]))
    assert wrong == [], f"seed {SEED}: (pod, ours, the API server's, its status)"
    assert len(printed) >= ACCEPTED


def test_every_line_of_the_rule_was_reached(printed: list[Row], reached: Reached) -> None:
    functions = [thing for _, thing in inspect.getmembers(status, inspect.isfunction)]
    own = [f for f in functions if f.__module__ == status.__name__ and f is not status.shortened]
    assert set().union(*(lines_of(f.__code__) for f in own)) - reached.lines == set()


@pytest.mark.parametrize(("function", "outcome"), [(f, outcome) for f, given in OUTCOMES.items() for outcome in given])
def test_every_outcome_of_the_rule_was_seen(printed: list[Row], reached: Reached, function: str, outcome: str) -> None:
    assert reached.results[function, outcome] > 0


def test_a_failed_container_outweighs_a_completed_one(printed: list[Row], reached: Reached) -> None:
    """The one outcome of `_of_completed` that has many names."""
    names = {result for function, result in reached.results if function == "_of_completed"}
    assert names & {"Error", "OOMKilled", "Signal:N", "ExitCode:N"}


def test_only_progress_is_shortened(printed: list[Row]) -> None:
    changed = {row.printed: status.shortened(row.printed) for row in printed}
    assert {short for before, short in changed.items() if short != before} == {"Init"}
    assert all(before.split("/")[0][5:].isdigit() for before, short in changed.items() if short != before)
