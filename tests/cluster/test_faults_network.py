"""The network between exporter and API server fails, while pods restart and are warned about.

After each fault every count is the truth with its cause, nothing of it is left behind, and the exporter's own metrics
tell what happened. Limits are small (`hasty.py`), so that what takes minutes is seen in seconds.
"""

from __future__ import annotations

import subprocess
import time
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Literal

import pytest

from tests.cluster.exporter_process import COMMAND
from tests.cluster.followed import Followed
from tests.cluster.scene import LONG, NAMES, Scene

pytestmark = pytest.mark.cluster
LIFE = 1.5
"""Seconds that life goes on before a fault and after it."""


def test_a_fleet_at_rest_and_alive_is_counted_exactly(followed: Followed) -> None:
    with followed.fleet.living(NAMES):
        time.sleep(LIFE)
    assert followed.truth().restarts.total() > len(NAMES)
    assert followed.truth().events.total() > 0
    followed.without_loss()


@pytest.mark.parametrize("how", ["RST", "FIN"])
def test_connections_that_are_cut_are_followed_by_others(
    followed: Followed, scene: Scene, how: Literal["RST", "FIN"]
) -> None:
    with followed.fleet.living(NAMES):
        for _ in range(5):
            time.sleep(LIFE / 5)
            scene.proxy.cut(how)
        time.sleep(LIFE)
    followed.is_told("watch_restarts_total", reason="connection", resource="pods")
    followed.without_loss()


def test_a_cut_in_the_middle_of_a_line_tells_half_a_line_to_nobody(followed: Followed, scene: Scene) -> None:
    """A line of 300 KB comes in some 20 TLS records; what was cut is told again by the next watch."""
    draw = Random(7)
    with followed.fleet.living(NAMES):
        for n in range(5):
            scene.proxy.cut_after(draw.randrange(40_000, 250_000), "FIN")
            followed.fleet.create(f"large-{n}", annotations={"example.com/filler": "x" * 200_000})
            time.sleep(0.3)
    followed.is_told("watch_restarts_total", reason="connection", resource="pods")
    followed.without_loss()


def test_cuts_at_any_byte_lose_nothing(followed: Followed, scene: Scene) -> None:
    draw = Random(11)
    with followed.fleet.living(NAMES):
        for _ in range(25):
            scene.proxy.cut_after(draw.choice((1, 5, 100, 3000, 20_000)), draw.choice(("FIN", "RST")))
            time.sleep(0.15)
    followed.without_loss()


def test_a_stall_without_a_close_is_noticed(followed: Followed, scene: Scene) -> None:
    """New connections stall too, in the middle of their TLS handshake."""
    with followed.fleet.living(NAMES):
        time.sleep(LIFE)
        scene.proxy.behave("stall")
        followed.is_told("watch_restarts_total", reason="silence", resource="pods")
        followed.is_told("watch_restarts_total", reason="connection", resource="pods")
        assert followed.exporter.readiness() == 200
        scene.proxy.behave("pass")
        time.sleep(LIFE)
    followed.without_loss()


def test_a_half_open_connection_is_noticed(followed: Followed, scene: Scene) -> None:
    """What stood goes on standing and hears nothing any more, not even of its end; only new connections are well."""
    with followed.fleet.living(NAMES):
        time.sleep(LIFE)
        scene.proxy.behave("lose")
        time.sleep(0.5)
        scene.proxy.behave("pass")
        followed.is_told("watch_restarts_total", reason="silence", resource="pods")
        followed.is_told("watch_restarts_total", reason="silence", resource="events")
        time.sleep(LIFE)
    followed.without_loss()


def test_an_api_server_that_refuses_connections_is_asked_again(followed: Followed, scene: Scene) -> None:
    with followed.fleet.living(NAMES):
        scene.proxy.refuse()
        scene.proxy.cut("FIN")
        time.sleep(4)
        attempts = followed.told("watch_restarts_total", reason="connection", resource="pods")
        assert 2 <= attempts <= 40, "neither given up nor in a frenzy"
        assert followed.exporter.readiness() == 200
        scene.proxy.listen()
        time.sleep(LIFE)
    followed.without_loss()


def test_a_slow_network_makes_counts_late_but_not_wrong(followed: Followed, scene: Scene) -> None:
    """Well below the second in which, by the small limits, a quiet watch of Events renews its version."""
    with followed.fleet.living(NAMES):
        scene.proxy.behave("pass", 0.15)
        time.sleep(6)
        scene.proxy.behave("pass")
    followed.without_loss()


def test_a_pod_that_came_and_one_that_went_while_nothing_was_heard_are_counted(
    followed: Followed, scene: Scene
) -> None:
    fleet = followed.fleet
    fleet.create("passing-0")
    followed.has_all()
    scene.proxy.refuse()
    scene.proxy.cut("RST")
    fleet.delete("passing-0")
    fleet.create("passing-1")
    fleet.restart("passing-1", "OOMKilled", 137)
    scene.proxy.listen()
    followed.without_loss()


@pytest.mark.skipif(not LONG, reason="takes four minutes by the real limits: POD_EXPORTER_LONG=1")
def test_packets_that_vanish_are_noticed_by_the_real_limits(followed: Followed, folder: Path, scene: Scene) -> None:
    """The kernel's own keepalive gives a dead peer up after 90 s, long before the stream's limit of 150 s."""
    with closing(scene.start_exporter(folder, name="patient", command=COMMAND)) as patient:
        real = scene.follow(patient)
        with packets_dropped(scene.proxy.port):
            real.is_told("watch_restarts_total", 130, resource="pods")
            followed.fleet.restart("web-0", "OOMKilled", 137)
        real.has_all(120)
        assert real.told("relists_total") == 0
        real.is_as_before()


class packets_dropped:  # noqa: N801 - reads as a statement
    """Everything to and from a port of the loopback is dropped without a word."""

    def __init__(self, port: int) -> None:
        self._rules = [
            ["INPUT", "-i", "lo", "-p", "tcp", way, str(port), "-j", "DROP"] for way in ("--dport", "--sport")
        ]

    def __enter__(self) -> None:
        for rule in self._rules:
            subprocess.run(["iptables", "--insert", *rule], check=True)

    def __exit__(self, *_: object) -> None:
        for rule in self._rules:
            subprocess.run(["iptables", "--delete", *rule], check=True)
