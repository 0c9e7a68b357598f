"""The settings themselves: what each means and why its default is what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from exporter.errors import SettingsError
from exporter.settings.forms import Address, Count, Duration, LabelKey, LabelKeys, Levels, Namespaces, Pattern

PREFIX = "POD_EXPORTER_"


class Group(BaseModel):
    """The settings of one room."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True)


class Kube(Group):
    """Which cluster, and which part of it."""

    kubeconfig: Path | None = None
    """Kubeconfig file. Unset: `$KUBECONFIG`; else the service account in a pod, `~/.kube/config` elsewhere."""
    context: str | None = None
    """Context of the kubeconfig. Unset: its current one."""
    namespaces: Namespaces = ()
    """Namespaces to watch, separated by commas. Unset: all of them, which needs a ClusterRole."""
    workload_label: LabelKey = ""
    """Key of a pod label whose value names the workload, for pods made by controllers of your own.
    Where a pod has it, it comes before the pod's owner."""


class Web(Group):
    """The HTTP server."""

    listen_address: Address = ":9873"
    """Address and port to serve on. Without a host: all addresses; port 0: any free one."""

    @property
    def endpoint(self) -> tuple[str | None, int]:
        """Host (None: all addresses) and port."""
        host, _, port = self.listen_address.rpartition(":")
        return host.strip("[]") or None, int(port)


class Events(Group):
    """The cluster's Events: why probes failed and containers were killed."""

    enabled: bool = True
    """Watch the Events of pods. Without, causes of restarts are read from the pods' status alone, and successful image
    pulls, Events and (unless kubelet.probes is on) probe failures are not counted."""
    normal: bool = False
    """Count Events of type Normal too, not only Warnings."""


class Kubelet(Group):
    """The kubelets as the exact source of probe failures."""

    probes: bool = False
    """Count failures of probes from each kubelet's /metrics/probes, not from Events alone. Needs list and watch on
    nodes and get on nodes/metrics; the token of the exporter is shown to every kubelet."""
    interval: Duration = 30.0
    """How often each kubelet is read."""
    concurrency: Count = 16
    """How many kubelets are read at once, at most."""
    ca_file: Path | None = None
    """CA of the kubelets' certificates, in PEM form. Unset: the cluster's own."""
    insecure_skip_verify: bool = False
    """Do not check the kubelets' certificates; in many clusters they are self-signed. Whoever can pose as a node then
    gets the exporter's token, which can read what the exporter can."""

    @field_validator("interval")
    @classmethod
    def _takes_time(cls, value: float) -> float:
        if value < 1:
            raise ValueError("should be at least 1s")
        return value


class Lifecycle(Group):
    """How what happened is derived."""

    attribution_wait: Duration = 3.0
    """How long the end of a container whose cause only an Event can tell for certain waits for it, before the cause is
    inferred from the path of its status. 0: no wait."""


class Ledger(Group):
    """The counters that outlive pods."""

    model_config = ConfigDict(validate_default=True)

    birth_hold: Duration = 130.0
    """How long a new series stays at 0 before it shows its value; else `increase()` would miss its first event.
    Choose a little more than two scrape intervals; 0 shows values at once."""
    retention: Duration = 900.0
    """How long a workload's series stay after its last pod has gone. At least as long as the birth-hold, or the last
    counts would never show."""

    @field_validator("retention")
    @classmethod
    def _outlives_the_hold(cls, value: float, before: ValidationInfo) -> float:
        if value <= 0 or value < before.data.get("birth_hold", 0.0):
            raise ValueError("should be more than 0 and at least as long as ledger.birth-hold")
        return value


class State(Group):
    """What outlives the exporter itself."""

    checkpoint_file: Path | None = None
    """File that keeps what is known of pods over a restart, so that what happened meanwhile is counted too. Its folder
    must be there and writable. Unset: a restart begins anew."""
    checkpoint_interval: Duration = 60.0
    """How often the file is written, besides at an orderly end. Keep it at or below the birth-hold: else a crash soon
    after a restart counts again what the restart had made up for."""
    checkpoint_max_age: Duration = 3600.0
    """A file that is older than this when the exporter starts is not gone on from: what happened in so long a time
    would all seem to happen at the start. 0: whatever its age."""

    @field_validator("checkpoint_interval")
    @classmethod
    def _takes_time(cls, value: float) -> float:
        if value < 1:
            raise ValueError("should be at least 1s")
        return value


class Metrics(Group):
    """What is exposed, and how finely."""

    drop: Pattern = ""
    """Regular expression of families of workloads and pods to leave out, matched against whole names; they cost nothing
    then. The exporter's own families stay, and pod_labels."""
    pod_labels: LabelKeys = ()
    """Keys of pod labels to show as pod_labels, separated by commas. Unset: none, and no such family."""
    histogram_level: Levels = ()
    """On whose accounts histograms are kept, as family=workload, family=namespace or family=off, separated by commas.
    Workload is finest and dearest: a histogram is some ten series."""


class Log(Group):
    """What is written to stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe messages to write."""
    format: Literal["auto", "json", "console"] = "auto"
    """One JSON object a line, or text for people. auto: text on a terminal, else JSON."""
    observations: Literal["none", "problems", "all"] = "none"
    """Which of the observations that are counted are also written, pod by pod, for a log store to keep. problems:
    restarts, failing ends, waits, failed probes, and pods that failed or vanished unseen."""


class Settings(BaseSettings):
    """All settings; `exporter.settings.load` makes them. Keywords are what the flags say."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )
    config: Path | None = None
    """YAML file with these settings."""
    pods: Literal["all", "unhealthy", "none"] = "all"
    """Which pods have series of their own. unhealthy: those that are not running and ready or succeeded, are in a crash
    loop, being deleted, or were in trouble within ten minutes, and pod_info of all. none: no series of pods at all."""
    kube: Kube = Kube()
    web: Web = Web()
    events: Events = Events()
    kubelet: Kubelet = Kubelet()
    lifecycle: Lifecycle = Lifecycle()
    ledger: Ledger = Ledger()
    state: State = State()
    metrics: Metrics = Metrics()
    log: Log = Log()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - not a source of ours
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - not a source of ours
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then variables, then the file."""
        return init_settings, env_settings, _File(settings_cls)


class _File(PydanticBaseSettingsSource):
    """The YAML file that the flags or the environment name."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        raise NotImplementedError  # the whole file is one value

    def __call__(self) -> dict[str, Any]:
        path = self.current_state.get("config")
        return _read(Path(path)) if path else {}


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise SettingsError(f"the file of --config cannot be read: {error.strerror}") from None
    except yaml.YAMLError as error:  # its text would quote the file
        mark = getattr(error, "problem_mark", None)
        place = f", see line {mark.line + 1}" if mark else ""
        raise SettingsError(f"the file of --config is not YAML{place}") from None
    if not isinstance(content, dict | None):
        raise SettingsError("the file of --config should hold settings as keys and values")
    if "config" in (content or {}):
        raise SettingsError("config (in the file of --config): cannot name another file")
    return _given(content or {})


def _given(content: dict[Any, Any]) -> dict[str, Any]:
    """Leave out keys without a value, and read numbers as the text that a flag would have."""
    return {str(key): _value(value) for key, value in content.items() if value is not None}


def _value(value: object) -> object:
    if isinstance(value, dict):
        return _given(value)
    return str(value) if isinstance(value, int | float) else value
