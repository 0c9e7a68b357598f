"""Free text of the API on its way into records: bounded, and one copy of each."""

from __future__ import annotations

from sys import intern

LIMIT = 128
"""Characters of a reason, cause or condition that are kept; names are never cut."""


def bounded(text: str) -> str:
    """Free text, cut at `LIMIT` and interned: reasons are few and every pod has some."""
    return intern(text[:LIMIT])


def shared(text: str) -> str:
    """A name that many pods share, such as an image's: one copy of it, never cut."""
    return intern(text)
