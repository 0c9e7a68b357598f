"""The names of all settings, and the texts made from them: docs/configuration.md and --help."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from exporter.settings.forms import duration
from exporter.settings.model import PREFIX, Settings

_INTRODUCTION = """\
# Configuration

<!-- Written by `make docs` from exporter/settings/model.py; a test compares them. -->

Every setting can be given in three ways; the first that names it counts:

1. a flag: `pod-exporter --log.level=debug` or `--log.level debug`; `--kubelet.probes` alone is `--kubelet.probes=true`
2. an environment variable: `POD_EXPORTER_LOG__LEVEL=debug` (an empty one counts as not given)
3. the YAML file named by `--config`, spelled with underscores:

   ```yaml
   log:
     level: debug
   kube:
     namespaces: [shop, search]
   ```

Durations are written like `130s`, `2m` or `1h30m`. An unknown name or a value that makes no sense stops the start with
exit code 2 and one line for each mistake; `pod-exporter check-config` does only that check. Settings hold no secrets,
only paths to files that do, and no message quotes a value.
"""


_FORMS: dict[Any, str] = {float: "duration", tuple[str, ...]: "list", bool: "true|false", int: "number"}


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting and its three names."""

    path: tuple[str, ...]
    field: FieldInfo

    @property
    def key(self) -> str:
        """Its name in the file, groups divided by dots."""
        return ".".join(self.path)

    @property
    def flag(self) -> str:
        """Its name on the command line."""
        return "--" + self.key.replace("_", "-")

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return PREFIX + "__".join(self.path).upper()

    @property
    def default(self) -> str:
        """Its default as one would write it; "" if there is none."""
        value = self.field.default
        if isinstance(value, bool):
            return str(value).lower()
        return duration(value) if isinstance(value, float) else str(value) if value else ""

    @property
    def switch(self) -> bool:
        """Whether its flag alone says `true`."""
        return self.field.annotation is bool

    @property
    def form(self) -> str:
        """What its value looks like, in a word."""
        choices = get_args(self.field.annotation)
        if choices and all(isinstance(choice, str) for choice in choices):
            return "|".join(choices)
        if Path in choices:
            return "file"
        return _FORMS.get(self.field.annotation, "text")

    @property
    def meaning(self) -> str:
        """Its docstring on one line."""
        return " ".join((self.field.description or "").split())


def _walk(model: type[BaseModel], path: tuple[str, ...]) -> Iterator[Setting]:
    for name, field in model.model_fields.items():
        kind: Any = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _walk(kind, (*path, name))
        else:
            yield Setting((*path, name), field)


SETTINGS = tuple(_walk(Settings, ()))


def nearest(name: str, names: Iterable[str], cutoff: float = 0.6) -> str:
    """Half a sentence with the name that was probably meant, "" if none is alike by at least `cutoff` of 1."""
    near = get_close_matches(name, names, n=1, cutoff=cutoff)
    return f"; did you mean {near[0]}?" if near else ""


def markdown() -> str:
    """Write docs/configuration.md."""
    rows = "".join(
        f"| `{setting.flag}`<br>`{setting.variable}` | {_cell(setting)} | {setting.meaning} |\n" for setting in SETTINGS
    )
    return f"{_INTRODUCTION}\n| Flag and variable | Value | Meaning |\n|---|---|---|\n{rows}"


def _cell(setting: Setting) -> str:
    form = setting.form if "|" not in setting.form else ", ".join(f"`{choice}`" for choice in setting.form.split("|"))
    return f"{form}<br>default `{setting.default}`" if setting.default else form


def usage() -> str:
    """Write the settings' part of --help: two lines each."""
    return "".join(
        f"  {setting.flag}={setting.form}{f' ({setting.default})' if setting.default else ''}\n"
        f"      {setting.meaning}\n"
        for setting in SETTINGS
    )
