"""R9: image pulls that failed, from the waiting reason; Events of reason Failed mix pull, create and back-off."""

from __future__ import annotations

import re

from exporter.lifecycle.bounded import READ

PULL_FAILURES = frozenset(
    (
        "ErrImagePull",
        "ErrImageNeverPull",
        "InvalidImageName",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    )
)
BACK_OFF = "ImagePullBackOff"
CAUSES = ("auth", "not_found", "rate_limit", "network", "other")
_PATTERNS = (
    ("rate_limit", re.compile(r"toomanyrequests|too many requests|rate limit|\b429\b", re.IGNORECASE)),
    (
        "auth",
        re.compile(
            r"unauthorized|authentication|authorization|no basic auth|denied|forbidden|\b40[13]\b", re.IGNORECASE
        ),
    ),
    ("not_found", re.compile(r"not found|manifest unknown|name unknown|does not exist|\b404\b", re.IGNORECASE)),
    (
        "network",
        re.compile(
            r"dial tcp|connection refused|connection reset|no such host|i/o timeout|timeout|timed out|\bEOF\b"
            r"|tls:|x509|network is unreachable|no route to host|\b50[0234]\b|RegistryUnavailable",
            re.IGNORECASE,
        ),
    ),
)


def failure(reason: str, message: str, *, failed_before: bool) -> str:
    """The cause of the pull failure that a new waiting reason tells of, "" if it tells of none.

    `failed_before`: the failure behind an ImagePullBackOff was seen already.
    """
    if reason in PULL_FAILURES or (reason == BACK_OFF and not failed_before):
        return cause_of(reason, message)
    return ""


def cause_of(reason: str, message: str) -> str:
    """auth, not_found, rate_limit, network or other."""
    if reason == "ErrImageNeverPull":
        return "not_found"
    if reason == "RegistryUnavailable":
        return "network"
    message = message[:READ]
    return next((cause for cause, pattern in _PATTERNS if pattern.search(message)), "other")
