"""The texts of Events that tell a cause, in one table each: what a message holds, and what it means.

A message is free text with names, addresses and outputs of probes in it, so it is classified here and goes no further.
Sources, by version of Kubernetes: pkg/kubelet/kuberuntime/kuberuntime_manager.go and kuberuntime_container.go (kills),
pkg/kubelet/prober/prober.go and pkg/probe (probes), pkg/kubelet/images/image_manager.go (pulls).
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple, TypeAlias

from exporter.lifecycle.bounded import bounded
from exporter.lifecycle.resources import HANDLERS
from exporter.lifecycle.times import go_duration

ProbeName: TypeAlias = Literal["liveness", "readiness", "startup"]
Outcome: TypeAlias = Literal["failed", "errored"]

COMBINED = "(combined from similar events): "
"""Begins the message of an Event into which the recorder has put others that differ only in their text."""
SANDBOX = "PodSandboxChanged"
EXEC = HANDLERS[1]
OTHER = "other"
UNKNOWN_REGISTRY = "unknown"


class Text(NamedTuple):
    """One row: a pattern, what it means, and the versions whose sources have the text."""

    pattern: re.Pattern[str]
    meaning: str
    seen_in: str


def _row(pattern: str, meaning: str, seen_in: str) -> Text:
    return Text(re.compile(pattern, re.IGNORECASE), meaning, seen_in)


KILLS = (
    _row(r"\bfailed liveness probe\b", "LivenessProbe", "1.14-1.36"),
    _row(r"\bfailed startup probe\b", "StartupProbe", "1.16-1.36"),
    _row(r"\bdefinition changed\b", "DefinitionChanged", "1.14-1.36"),
    _row(r"\bresize requires restart\b", "Resize", "1.27-1.36"),
    _row(r"^FailedPostStartHook\b", "PostStartHook", "1.14-1.36"),
)
"""Messages of Killing; `Stopping container x` comes at every stop of a pod and at a sandbox change: no cause (R5)."""

PROBE_CAUSES = (
    _row(r"timed out|timeout|deadline exceeded|did not complete within", "timeout", "1.20-1.36"),
    _row(r"connection refused", "connection_refused", "1.14-1.36"),
    _row(r"connection reset|broken pipe|\bEOF\b", "connection_reset", "1.14-1.36"),
    _row(r"HTTP probe failed with statuscode", "http_status", "1.14-1.36"),
    _row(r"no such host|server misbehaving|name resolution", "dns", "Go net"),
    _row(r"\btls\b|x509|HTTP response to HTTPS client|malformed HTTP response", "tls", "Go crypto/tls"),
    _row(r"service unhealthy|grpc|health rpc", "grpc", "1.23-1.36"),
)
"""Why a probe failed, by what its output says; the first that fits."""
CAUSES_OF_PROBES = (*(text.meaning for text in PROBE_CAUSES), "exec_exit", OTHER)

_PROBE = re.compile(r"(liveness|readiness|startup) probe (failed|errored)", re.IGNORECASE)
_PULLED = re.compile(
    r'successfully pulled image "(?P<image>[^"]*)"(?: in (?P<took>[0-9.a-zµ]+))?|image "[^"]*" already present',
    re.IGNORECASE,
)
_CONTAINER = re.compile(r"spec\.(?:initContainers|containers|ephemeralContainers)\{(.+)\}")


class ProbeText(NamedTuple):
    """An attempt of a probe that did not succeed; `cause` is "" where the text alone does not tell it."""

    probe: str
    outcome: str
    cause: str


class PullText(NamedTuple):
    """An image that was pulled, or present. `seconds` of the pull, None where the text has none."""

    result: Literal["pulled", "present"]
    registry: str
    seconds: float | None


def killed_for(message: str) -> str:
    """The cause that a Killing Event names, "" if none."""
    return _first(KILLS, message)


def probed(message: str) -> ProbeText | None:
    """Which probe an Unhealthy Event tells of, and how it went."""
    match = _PROBE.match(message)
    if match is None:
        return None
    rest = message[match.end() :].lstrip(": ")
    return ProbeText(match[1].lower(), match[2].lower(), _first(PROBE_CAUSES, rest) or ("" if rest else "exec_exit"))


def cause_of(text_cause: str, handler: str) -> str:
    """The cause, given the kind of probe: a command's output is its own text, but for the word of a timeout."""
    if handler == EXEC:
        return text_cause if text_cause == "timeout" else "exec_exit"
    return text_cause or OTHER


def pulled(message: str) -> PullText | None:
    """What a Pulled Event tells of an image."""
    match = _PULLED.search(message)
    if match is None:
        return None
    if match["image"] is None:
        return PullText("present", "", None)
    return PullText("pulled", registry_of(match["image"]), go_duration(match["took"] or ""))


def registry_of(image: str) -> str:
    """Host of an image's registry; images that name none come from docker.io."""
    host, slash, _ = image.partition("/")
    if slash and ("." in host or ":" in host or host == "localhost"):
        return bounded(host.lower())
    return "docker.io" if image else UNKNOWN_REGISTRY


def container_of(field_path: str) -> str:
    """The container that an Event's fieldPath names, "" if it is about the pod."""
    match = _CONTAINER.fullmatch(field_path)
    return match[1] if match else ""


def _first(rows: tuple[Text, ...], text: str) -> str:
    return next((row.meaning for row in rows if row.pattern.search(text)), "")
