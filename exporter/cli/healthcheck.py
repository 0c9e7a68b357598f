"""`healthcheck`: asks the exporter on this machine whether it lives, for container engines without HTTP probes."""

from __future__ import annotations

import http.client

from exporter.errors import ExporterError
from exporter.settings import Web

TIMEOUT = 4.0
"""Seconds; engines give up after five."""
_EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 - compared with, not bound to


def check(web: Web) -> None:
    """Ask /livez of the address that the settings name; raise ExporterError unless it answers 200."""
    host, port = web.endpoint
    if not port:
        raise ExporterError("web.listen-address says any free port, so there is none to ask")
    connection = http.client.HTTPConnection("127.0.0.1" if (host or "") in _EVERYWHERE else host or "", port, TIMEOUT)
    try:
        connection.request("GET", "/livez")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise ExporterError(f"no answer on port {port}: {type(error).__name__}") from None
    finally:
        connection.close()
    if status != http.HTTPStatus.OK:
        raise ExporterError(f"/livez answers {status}")
