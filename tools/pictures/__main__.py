"""`python -m tools.pictures`: run the demo for some minutes and draw docs/pictures from what Prometheus saw of it."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.pictures.demo import scraped
from tools.pictures.gallery import PICTURES, view
from tools.pictures.page import picture
from tools.pictures.source import COARSE, PictureError, Prometheus

FOLDER = Path(__file__).parent.parent.parent / "docs/pictures"


def main() -> int:
    """Draw; the exit code."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the demo and its Prometheus end in their blocks
    try:
        with _source(arguments) as prometheus:
            _draw(arguments, prometheus)
    except PictureError as error:
        sys.stderr.write(f"pictures: {error}\n")
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.pictures", description=__doc__)
    parser.add_argument("--minutes", type=int, default=6, help="of the demo to show; it runs that long first")
    parser.add_argument(
        "--prometheus", metavar="HOST:PORT", help="one that scrapes the demo already; nothing is started"
    )
    parser.add_argument("--into", type=Path, default=FOLDER, help="folder of the pictures")
    parser.add_argument("--only", nargs="*", choices=[one.name for one in PICTURES], help="names of pictures")
    return parser.parse_args()


@contextmanager
def _source(arguments: argparse.Namespace) -> Iterator[Prometheus]:
    if arguments.prometheus:
        yield Prometheus(arguments.prometheus)
        return
    with tempfile.TemporaryDirectory(prefix="pod-exporter-pictures-") as folder, scraped(Path(folder)) as prometheus:
        sys.stderr.write(f"the demo runs for {arguments.minutes} minutes …\n")
        time.sleep(arguments.minutes * 60 + COARSE)
        yield prometheus


def _draw(arguments: argparse.Namespace, prometheus: Prometheus) -> None:
    arguments.into.mkdir(parents=True, exist_ok=True)
    end = int(time.time())
    for one in PICTURES:
        if not arguments.only or one.name in arguments.only:
            seen = view(one, arguments.minutes, end, prometheus)
            path = arguments.into / f"{one.name}.svg"
            path.write_text(picture(one.dashboard, seen, prometheus))
            sys.stderr.write(f"{path}: {path.stat().st_size / 1000:.0f} kB\n")


sys.exit(main())
