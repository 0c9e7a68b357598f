"""What a Prometheus answers to the queries of a panel."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import Any, Protocol, TypeAlias
from urllib.parse import urlencode

Json: TypeAlias = dict[str, Any]
ALL = ".*"
FINE, COARSE = 2, 20
"""Seconds between two values of a panel."""
_DONE = 200


class PictureError(Exception):
    """A picture cannot be drawn; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Series:
    """Labels, and values by Unix time in seconds; what is not a number is left out."""

    labels: Mapping[str, str]
    points: Mapping[float, float]


@dataclass(frozen=True, slots=True)
class View:
    """What is looked at: a span of Unix times in seconds, and what is chosen in the dashboard's variables."""

    start: int
    end: int
    step: int = FINE
    coarse: int = COARSE
    """Of panels that ask for a least step, which hours would need: the demo has minutes."""
    scrape: int = 1
    chosen: Mapping[str, str] = field(default_factory=dict)

    def step_of(self, panel: Json) -> int:
        """Seconds between two values of a panel."""
        return self.coarse if panel.get("interval") else self.step

    def substituted(self, query: str, step: int) -> str:
        """The query with Grafana's variables replaced, its interval of rates by Grafana's own rule."""
        times = {
            "$__rate_interval": f"{max(step + self.scrape, 4 * self.scrape)}s",
            "$__interval": f"{step}s",
            "$__range": f"{self.end - self.start}s",
        }
        for name, value in times.items():
            query = query.replace(name, value)
        return re.sub(r"\$([a-z]\w*)", lambda found: self.chosen.get(found[1], ALL), query)


class Source(Protocol):
    """Who answers: a Prometheus, or in tests a table."""

    def instant(self, query: str, at: float) -> list[Series]:
        """Every series with its value at one Unix time."""

    def range(self, query: str, start: float, end: float, step: int) -> list[Series]:
        """Every series with its values at each step, both ends included."""


class Prometheus:
    """One that listens on this machine or elsewhere, by HTTP; PictureError if it does not answer as it should."""

    def __init__(self, address: str) -> None:
        self.address = address

    def instant(self, query: str, at: float) -> list[Series]:
        """As `Source` says."""
        found = self._ask("query", query=query, time=str(at))
        return [Series(one["metric"], _points([one["value"]])) for one in found]

    def range(self, query: str, start: float, end: float, step: int) -> list[Series]:
        """As `Source` says."""
        found = self._ask("query_range", query=query, start=str(start), end=str(end), step=str(step))
        return [Series(one["metric"], _points(one["values"])) for one in found]

    def _ask(self, what: str, **parameters: str) -> list[Json]:
        connection = HTTPConnection(self.address, timeout=60)
        try:
            connection.request("GET", f"/api/v1/{what}?{urlencode(parameters)}")
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, HTTPException) as error:
            raise PictureError(f"Prometheus at {self.address} does not answer: {error}") from error
        finally:
            connection.close()
        if answer.status != _DONE:
            raise PictureError(f"Prometheus says {answer.status} to {parameters['query']}: {body[:200]!r}")
        result: list[Json] = json.loads(body)["data"]["result"]
        return result


def _points(values: Sequence[Sequence[Any]]) -> dict[float, float]:
    read = {float(time): float(value) for time, value in values}
    return {time: value for time, value in read.items() if math.isfinite(value)}


def answers(panel: Json, view: View, source: Source) -> list[list[Series]]:
    """For each target of a panel its series; the newest values only, if it asks for them."""
    step = view.step_of(panel)
    found = []
    for target in panel["targets"]:
        query = view.substituted(target["expr"], step)
        instant = target["instant"]
        found.append(source.instant(query, view.end) if instant else source.range(query, view.start, view.end, step))
    return found


def legend(target: Json, labels: Mapping[str, str]) -> str:
    """The name of a series by its target's pattern; all of its labels without one."""
    if target["legendFormat"] == "__auto":
        return ", ".join(labels.values())
    named: str = re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), target["legendFormat"])
    return named.strip()
