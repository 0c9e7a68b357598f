"""The page at /: what this is, where its pages are and how its watches do. No script, nothing loaded from elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from html import escape

from aiohttp import web

from exporter import __version__
from exporter.vitals import WatchVitals, WebVitals

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>pod-exporter</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 44rem; margin: 2rem auto; padding: 0 1rem }}
:root {{ color-scheme: light dark }}
td, th {{ text-align: left; padding: .2rem 1.5rem .2rem 0 }}
</style>
</head>
<body>
<h1>pod-exporter {version}</h1>
<p>Remembers what happened to Kubernetes pods and tells Prometheus.</p>
<ul>
<li><a href="/metrics">/metrics</a>: what Prometheus scrapes; ?name[]=family for one family</li>
<li><a href="/livez">/livez</a>: does the process turn</li>
<li><a href="/readyz">/readyz</a>: does it know the cluster: {state}</li>
</ul>
<h2>Watches</h2>
<table>
<tr><th>Resource</th><th>State</th><th>Last contact</th></tr>
{watches}</table>
<p>Last complete scrape: {scraped}.</p>
</body>
</html>
"""


class LandingPage:
    """Handler of /."""

    def __init__(self, unready: Callable[[], str], watches: Iterable[WatchVitals], vitals: WebVitals) -> None:
        self._unready = unready
        self._watches = watches
        self._vitals = vitals

    async def get(self, _: web.Request) -> web.Response:
        """Write the page."""
        now = time.time()
        text = _PAGE.format(
            version=escape(__version__),
            state=escape(self._unready() or "yes"),
            watches="".join(_row(watch, now) for watch in self._watches),
            scraped=_ago(self._vitals.scraped_at, now),
        )
        return web.Response(text=text, content_type="text/html")


def _row(watch: WatchVitals, now: float) -> str:
    contact = min(watch.last_contact.values(), default=0.0)
    cells = "".join(f"<td>{escape(cell)}</td>" for cell in (watch.resource, _state(watch), _ago(contact, now)))
    return f"<tr>{cells}</tr>\n"


def _state(watch: WatchVitals) -> str:
    if not watch.enabled:
        return "off: the API server does not permit it"
    return "synced" if watch.synced else "waiting for a complete list"


def _ago(then: float, now: float) -> str:
    return f"{max(0.0, now - then):.0f} s ago" if then else "none yet"
