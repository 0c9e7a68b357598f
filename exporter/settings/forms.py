"""The forms that values take, each with the sentence that a mistake is answered with."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", re.ASCII)
_DURATION = re.compile(rf"(?:{_AMOUNT.pattern})+", re.ASCII)
_ADDRESS = re.compile(r"(\[[0-9a-f:.]+(%\w+)?\]|[\w.-]*):(?P<port>\d{1,5})", re.ASCII | re.IGNORECASE)
_LARGEST_PORT = 65535
_LEVEL = re.compile(r"pod_[a-z_]+=(workload|namespace|off)")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LABEL_KEY = re.compile(
    r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[a-z0-9]([-\w.]{0,61}[a-z0-9])?", re.ASCII | re.IGNORECASE
)


def seconds(value: object) -> float:
    """Read a duration as Go and Prometheus write it; 0 needs no unit, a float is seconds already."""
    if isinstance(value, float):
        return value
    text = str(value)
    if text == "0":
        return 0.0
    if not _DURATION.fullmatch(text):
        raise ValueError("should be a duration such as 130s, 2m or 1h30m")
    return sum(float(amount) * _UNITS[unit] for amount, unit in _AMOUNT.findall(text))


def duration(value: float) -> str:
    """Write seconds in the largest unit that divides them, as `seconds` reads them back."""
    milliseconds = round(value * 1000)
    whole = {unit: divmod(milliseconds, round(size * 1000)) for unit, size in _UNITS.items()}
    amount, unit = min((amount, unit) for unit, (amount, rest) in whole.items() if not rest)
    return f"{amount}{unit}" if amount else "0"


def _items(value: object) -> object:
    return tuple(filter(None, re.split(r"[\s,]+", value))) if isinstance(value, str) else value


def _count(value: object) -> object:
    if not str(value).isdecimal() or not int(str(value)):
        raise ValueError("should be a whole number, 1 or more")
    return int(str(value))


def _namespaces(names: tuple[str, ...]) -> tuple[str, ...]:
    if not all(map(_NAMESPACE.fullmatch, names)):
        raise ValueError("should be names of namespaces, separated by commas")
    return tuple(dict.fromkeys(names))


def _label_key(key: str) -> str:
    if key and not _LABEL_KEY.fullmatch(key):
        raise ValueError("should be the key of a label, such as app.kubernetes.io/name")
    return key


def _label_keys(keys: tuple[str, ...]) -> tuple[str, ...]:
    if not all(map(_LABEL_KEY.fullmatch, keys)):
        raise ValueError("should be keys of labels, separated by commas")
    return tuple(dict.fromkeys(keys))


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error:
        raise ValueError("should be a regular expression, such as pod_container_probe_.*") from None
    return text


def _levels(words: tuple[str, ...]) -> tuple[str, ...]:
    if not all(map(_LEVEL.fullmatch, words)):
        raise ValueError("should be pairs such as pod_startup_duration_seconds=namespace, separated by commas")
    return words


def _address(address: str) -> str:
    match = _ADDRESS.fullmatch(address)
    if not match or int(match["port"]) > _LARGEST_PORT:
        raise ValueError("should be host:port, such as :9873, 127.0.0.1:9873 or [::1]:9873")
    return address


Duration = Annotated[float, BeforeValidator(seconds)]
Namespaces = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_items), AfterValidator(_namespaces)]
Count = Annotated[int, BeforeValidator(_count)]
LabelKey = Annotated[str, AfterValidator(_label_key)]
Address = Annotated[str, AfterValidator(_address)]
LabelKeys = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_items), AfterValidator(_label_keys)]
Pattern = Annotated[str, AfterValidator(_pattern)]
Levels = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_items), AfterValidator(_levels)]
