"""The tree of errors. A message says what was tried, what happened and what to do; it never quotes a value."""


class ExporterError(Exception):
    """Root of all errors that this program raises on purpose."""


class SettingsError(ExporterError):
    """The settings cannot be used; one line per mistake. The command ends with exit code 2."""


class AccessError(ExporterError):
    """No usable credentials for the API server."""


class ApiError(ExporterError):
    """The API server refused a request or ended a stream.

    `status` is the HTTP status or the code of an ERROR event's Status object, `retry_after` the pause in seconds
    that the server asked for, 0 if none.
    """

    def __init__(self, message: str, status: int, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class StreamError(ExporterError):
    """A watch broke: cut, silent for too long, or not in the form that the protocol promises."""
