"""What scenarios are told in: containers, how their instances run, and the pods made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from exporter.simulator.truth import ContainerType

FOREVER = float("inf")
Policy: TypeAlias = Literal["Always", "OnFailure", "Never"]
PullError: TypeAlias = Literal["network", "auth", "not_found", "rate_limit"]


@dataclass(frozen=True, slots=True)
class Run:
    """How one instance of a container goes. All times are virtual seconds."""

    seconds: float = FOREVER
    """From its start until it ends by itself or the kubelet starts to kill it."""
    exit_code: int = 0
    oom: bool = False
    killed_by: Literal["", "LivenessProbe", "StartupProbe"] = ""
    """The probe whose failures make the kubelet end it."""
    start_error: bool = False
    """The runtime cannot start it: exit code 128, never ran."""
    hook_fails: bool = False
    """Its postStart hook fails after `seconds`, and the kubelet kills it."""
    startup_seconds: float = 0.0
    """From its start until its startup probe succeeds."""
    ready_seconds: float = 1.0
    """From then until its readiness probe succeeds."""
    flap_seconds: float = 0.0
    """Readiness fails for so long, holds for so long, and so on; 0: it holds."""
    stop_code: int = 143
    """Exit code after SIGTERM."""
    stop_seconds: float = 0.4
    """From SIGTERM to the exit; beyond the grace period it is killed (137)."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A probe as configured. When it fails is the story of the `Run`."""

    handler: Literal["httpGet", "exec", "tcpSocket", "grpc"] = "httpGet"
    period: int = 10
    failure_threshold: int = 3


@dataclass(frozen=True, slots=True)
class Rule:
    """A container's own restart rule: what its exit with one of these codes brings (KEP-5307, KEP-5532)."""

    action: Literal["Restart", "RestartAllContainers"]
    exit_codes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Container:
    """A container of any type. Its instances go by `runs` in turn, the last one again and again."""

    name: str
    image: str = "registry.example.com/shop/app:1.4.2"
    type: ContainerType = "container"
    runs: tuple[Run, ...] = (Run(),)
    liveness: Probe | None = None
    readiness: Probe | None = None
    startup: Probe | None = None
    requests: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, str] = field(default_factory=dict)
    pull_seconds: float = 0.0
    pull_failures: float = 0
    """Image pulls that fail before the first that succeeds."""
    pull_error: PullError = "network"
    restart_policy: Policy | None = None
    """Its own, where it is not the pod's; a sidecar's is Always."""
    rules: tuple[Rule, ...] = ()
    resized_by: Literal["", "RestartContainer"] = ""
    """What a resize of memory in place takes; "": nothing."""
    config_error_seconds: float = 0.0
    """From the first try until the secret that it needs exists."""

    def action_at(self, exit_code: int) -> str:
        """What its rules say of an exit code: "" if nothing."""
        return next((rule.action for rule in self.rules if exit_code in rule.exit_codes), "")


@dataclass(frozen=True, slots=True)
class Template:
    """A pod template. Order within `containers`: init containers and sidecars as they start, then the others."""

    containers: tuple[Container, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    restart_policy: Policy = "Always"
    grace_seconds: int = 30
    blocked: tuple[str, ...] = ()
    """Why it cannot be scheduled at first: causes as `scheduler.py` knows them, each for some seconds."""
    unschedulable: bool = False
    """The last of them stays for ever; lack of CPU if there is none."""
    gated_seconds: float = 0.0
    """How long a scheduling gate keeps the scheduler from trying."""
    readiness_gates: tuple[str, ...] = ()
    """Conditions that others have to set to True before the pod is Ready."""
    deadline_seconds: int = 0
    """The kubelet ends the pod so long after it took it; 0: never."""
    rejected_for: str = ""
    """The resource of which the node that it is bound to has too little, or the node's condition: MemoryPressure."""
    pool: str = ""
    """The kind of nodes that it runs on."""
    toleration_seconds: int = 300
    """How long it stays on a node that is not ready."""
    held_seconds: float = 0.0
    """How long a finalizer keeps a deleted pod after all its containers have ended."""
    shared_volume: str = ""
    """Name of an emptyDir that all its containers mount."""
    canaries: int = 3
    """Environment variables with a secret value in each container; more make a bigger object."""
