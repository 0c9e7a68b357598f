"""From the command line, the environment and the file to settings, or to one line for each mistake."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsError as SourceError

from exporter.errors import SettingsError
from exporter.settings.model import PREFIX, Settings
from exporter.settings.reference import SETTINGS, nearest

_VARIABLE_OF_FILE = PREFIX + "CONFIG"
_FLAGS = {setting.flag: setting for setting in SETTINGS}
_VARIABLES = {setting.variable: setting for setting in SETTINGS}
_KEYS = {setting.key: setting for setting in SETTINGS}
_SERVICE_LINK = re.compile(
    r"([A-Z0-9]+_)*(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_SERVICE_URL = re.compile(r"(tcp|udp|sctp)://")


def load(argv: Sequence[str]) -> Settings:
    """Read the flags in `argv`, the environment and the file; raise `SettingsError` with all mistakes, a line each."""
    flags, mistakes = _flags(argv)
    mistakes += _unknown_variables(os.environ)
    try:
        settings = Settings(**_nested(flags))
    except ValidationError as error:
        mistakes += _explain(error, flags, os.environ)
    except SourceError:  # a group as one variable; it has been named above
        pass
    except SettingsError as error:
        mistakes.append(str(error))
    if mistakes:
        raise SettingsError("\n".join(mistakes))
    return settings


def _flags(argv: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Read `--flag value`, `--flag=value` and `--switch`: the values by the settings' keys, and the mistakes."""
    values: dict[str, str] = {}
    mistakes: list[str] = []
    words = iter(enumerate(argv, start=1))
    for position, word in words:
        flag, equals, value = word.partition("=")
        if not flag.startswith("--"):
            mistakes.append(f"argument {position} is no flag; settings are given like --web.listen-address=:9873")
            continue
        if not equals and flag in _FLAGS and _FLAGS[flag].switch:
            equals, value = "=", "true"
        elif not equals and position < len(argv) and not argv[position].startswith("-"):
            equals, value = "=", next(words)[1]
        if flag not in _FLAGS:
            mistakes.append(f"{flag}: no such setting{nearest(flag, _FLAGS)}")
        elif not equals or _FLAGS[flag].key in values:
            mistakes.append(f"{flag}: {'given twice' if equals else 'needs a value'}")
        else:
            values[_FLAGS[flag].key] = value
    return values, mistakes


def _nested(values: Mapping[str, str]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for key, value in values.items():
        *groups, name = key.split(".")
        place = nested
        for group in groups:
            place = place.setdefault(group, {})
        place[name] = value
    return nested


def _unknown_variables(environ: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(environ):
        rest = name.upper().removeprefix(PREFIX)
        if rest == name.upper() or name.upper() in _VARIABLES or _is_service_link(rest, environ[name]):
            continue
        yield f"{name}: no such setting{nearest(name.upper(), _VARIABLES, cutoff=0.8)}"


def _is_service_link(rest: str, value: str) -> bool:
    """Whether the kubelet put this variable there for a Service whose name begins with pod-exporter."""
    return bool(_SERVICE_LINK.fullmatch(rest) or (rest.endswith("PORT") and _SERVICE_URL.match(value)))


def _explain(error: ValidationError, flags: Mapping[str, str], environ: Mapping[str, str]) -> Iterator[str]:
    given = {name.upper() for name, value in environ.items() if value}
    file = "config" in flags or _VARIABLE_OF_FILE in given
    for mistake in error.errors(include_url=False, include_context=False, include_input=False):
        key = ".".join(part for part in mistake["loc"] if isinstance(part, str))
        variable = PREFIX + key.upper().replace(".", "__")
        if variable in given and variable not in _VARIABLES:
            continue  # it has been named as unknown
        if key in flags or not (file or variable in given):
            name = _KEYS[key].flag
        else:
            name = variable if variable in given else f"{key} (in the file of --config)"
        yield f"{name}: {_sentence(mistake, key)}"


def _sentence(mistake: ErrorDetails, key: str) -> str:
    if mistake["type"] == "extra_forbidden":
        return f"no such setting{nearest(key, _KEYS)}"
    if mistake["type"] in ("model_type", "model_attributes_type"):
        return "should be a group of settings"
    if mistake["type"].startswith("bool_"):
        return "should be true or false"
    return mistake["msg"].removeprefix("Value error, ").replace("Input should", "should")
