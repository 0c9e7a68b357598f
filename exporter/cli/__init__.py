"""Commands and exit codes: 0 done, 1 failed, 2 the settings cannot be used. Messages go to stderr, a line each."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from exporter import __version__
from exporter.errors import ExporterError, SettingsError
from exporter.settings import load
from exporter.settings.reference import nearest, usage

_HELP = """\
pod-exporter: remembers what happened to Kubernetes pods and tells Prometheus.

  pod-exporter [run] [settings]    watch a cluster and serve /metrics
  pod-exporter demo [--for=60s] [settings]
                                   the same with a simulated cluster: nothing else is needed
  pod-exporter check-config [settings]
                                   check the settings only: exit code 0, or 2 with a line for each mistake
  pod-exporter healthcheck [settings]
                                   ask the running exporter's /livez: exit code 0 if it lives, else 1
  pod-exporter metrics             print what every family means, as Markdown
  pod-exporter --version | --help

Settings (each also as an environment variable or in the file of --config, see docs/configuration.md):
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that `argv` (sys.argv without the program) begins with and give the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if {"--help", "-h"} & set(words):
        sys.stdout.write(_HELP + usage())
        return 0
    if "--version" in words:
        sys.stdout.write(f"pod-exporter {__version__}\n")
        return 0
    name = words.pop(0) if words and not words[0].startswith("-") else "run"
    if name not in _COMMANDS:
        return _fail(f"no such command{nearest(name, _COMMANDS)}; commands are {', '.join(_COMMANDS)}", 2)
    try:
        return _COMMANDS[name](words)
    except SettingsError as error:
        return _fail(str(error), 2)
    except ExporterError as error:
        return _fail(str(error), 1)


def _run(words: Sequence[str]) -> int:
    settings = load(words)
    from exporter import app  # noqa: PLC0415 - 100 MB of imports that the other commands do without

    return app.run(settings)


def _demo(words: Sequence[str]) -> int:
    from exporter.cli import demo  # noqa: PLC0415 - as above

    return demo.run(words)


def _metrics(words: Sequence[str]) -> int:
    if words:
        return _fail("metrics takes no settings", 2)
    from exporter.metrics.reference import markdown  # noqa: PLC0415 - as above

    sys.stdout.write(markdown())
    return 0


def _check_config(words: Sequence[str]) -> int:
    settings = load(words)
    from exporter.metrics.ledger import levels_of  # noqa: PLC0415 - as above

    levels_of(settings.metrics.histogram_level)
    sys.stdout.write("the settings can be used\n")
    return 0


def _healthcheck(words: Sequence[str]) -> int:
    settings = load(words)
    from exporter.cli.healthcheck import check  # noqa: PLC0415 - as above

    check(settings.web)
    return 0


def _fail(message: str, code: int) -> int:
    for line in message.splitlines():
        sys.stderr.write(f"pod-exporter: {line}\n")
    return code


_COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "run": _run,
    "demo": _demo,
    "check-config": _check_config,
    "healthcheck": _healthcheck,
    "metrics": _metrics,
}
