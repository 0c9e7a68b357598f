"""Free text of the API on its way into records: bounded, and one copy of each."""

from __future__ import annotations

from sys import intern

LIMIT = 128
"""Characters of a reason, cause or condition that are kept; names of objects are never cut."""
LONGEST_NAME = 253
"""Characters of the longest name that an object can have (RFC 1123 subdomain); references to owners are not checked."""
READ = 2**14
"""Characters of a message that are read: more than a probe's output has (10 KB), and a few milliseconds of work.

The API takes messages of more than a megabyte, from whoever may write Events.
"""


def bounded(text: str) -> str:
    """Free text, cut at `LIMIT` and interned: reasons are few and every pod has some."""
    return intern(text[:LIMIT])


def shared(text: str) -> str:
    """A name that many pods share, such as an image's: one copy of it, never cut."""
    return intern(text)
