"""A model of the kubelet's recorder writes Events; what is counted of them equals what the API carried."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import NamedTuple

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.lifecycle.observations import EventOccurred, ProbeFailed
from exporter.objects import ContainerSpec, Event, Probe
from exporter.simulator.clock import Clock
from exporter.simulator.recorder import ALIKE, BURST, COMBINED, TTL, Recorder, Subject
from exporter.simulator.resources import EVENTS
from exporter.simulator.store import Store
from tests.lifecycle.builders import T0, Witness, pod, runs

SPECS = tuple(ContainerSpec(name, liveness_probe=Probe(), readiness_probe=Probe()) for name in ("main", "proxy"))


class Happening(NamedTuple):
    """One occurrence, so many seconds after the one before."""

    after: float
    container: str
    probe: str
    text: str


HAPPENINGS = st.lists(
    st.builds(
        Happening,
        st.sampled_from((0.0, 1.0, 10.0, 310.0, TTL + 10)),
        st.sampled_from(("main", "proxy")),
        st.sampled_from(("Liveness", "Readiness")),
        st.sampled_from(("", *(f"port {n}" for n in range(12)))),
    ),
    max_size=60,
)


class World:
    """A recorder, the API server's store, and a tracker that hears of what the store says."""

    def __init__(self, *, watched: bool = True) -> None:
        self.store, self.clock = Store(), Clock(T0 + 10)
        self.recorder = Recorder(self.store, self.clock, "kubelet", "node-1")
        self.witness = Witness()
        if watched:
            self.watch()
        self.offered = self.carried = 0

    def watch(self) -> None:
        """The pod comes into view."""
        self.witness.apply(pod(runs(0, "a"), specs=SPECS), now=10)

    def happen(self, one: Happening) -> None:
        self.clock.run_until(self.clock.now + one.after)
        subject = Subject("shop", "web-0", "uid-0", f"spec.containers{{{one.container}}}")
        self.offered += 1
        message = f"{one.probe} probe failed: {one.text}"
        self.carried += self.recorder.record(subject, "Warning", "Unhealthy", message)

    def events(self) -> list[Event]:
        """All Events that are there, as a list has them."""
        return [msgspec.json.decode(version.body, type=Event) for version in self.store.versions(EVENTS)]

    def hear(self, *, listed: bool = False) -> None:
        for event in self.events():
            self.witness.tracker.event(event, self.clock.now, listed=listed)

    @property
    def occurred(self) -> int:
        return sum(o.count for o in self.witness.seen if isinstance(o, EventOccurred))

    def failures(self) -> Counter[str]:
        counts: Counter[str] = Counter()
        for o in self.witness.seen:
            if isinstance(o, ProbeFailed):
                counts[o.container] += o.counted
        return counts


PROFILE = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@PROFILE
@given(HAPPENINGS)
def test_a_complete_watch_counts_all_that_the_api_carried(history: list[Happening]) -> None:
    world = World()
    for one in history:
        world.happen(one)
        world.hear()
    assert world.occurred == world.carried <= world.offered
    assert sum(world.failures().values()) == world.carried


@PROFILE
@given(HAPPENINGS, st.integers(0, 2**32))
def test_updates_that_were_missed_are_made_up_by_the_next_ones(history: list[Happening], seed: int) -> None:
    """Only what expired unheard is lost; without expiry, nothing is."""
    world = World()
    short = [one._replace(after=min(one.after, 10.0)) for one in history]
    for i, one in enumerate(short):
        world.happen(one)
        if seed >> (i % 32) & 1:
            world.hear(listed=True)
    world.hear()
    assert world.occurred == world.carried


@PROFILE
@given(HAPPENINGS)
def test_the_same_list_again_tells_nothing(history: list[Happening]) -> None:
    world = World()
    for one in history:
        world.happen(one)
    world.hear()
    before = world.occurred
    world.hear(listed=True)
    assert world.occurred == before


@PROFILE
@given(HAPPENINGS, st.integers(0, 2**32))
def test_events_that_come_twice_or_behind_each_other_count_once(history: list[Happening], seed: int) -> None:
    """A list may repeat what the watch has told, and an older list what has grown since."""
    world, random = World(), Random(seed)
    told: list[Event] = []
    for one in history:
        world.happen(one)
        told += world.events()
        random.shuffle(told)
        for event in [*told[:5], *world.events()]:
            world.witness.tracker.event(event, world.clock.now, listed=random.random() < 0.5)
    assert world.occurred == world.carried


@PROFILE
@given(HAPPENINGS, st.integers(0, 59))
def test_events_that_come_before_their_pod_wait_for_it(history: list[Happening], when: int) -> None:
    """The two streams keep no order between them; a minute is what an Event waits."""
    world = World(watched=False)
    quick = [one._replace(after=min(one.after, 1.0)) for one in history]
    for i, one in enumerate(quick):
        if i == when:
            world.watch()
        world.happen(one)
        world.hear()
    world.watch()
    assert world.occurred == world.carried
    assert world.witness.tracker.early.lost == 0


@PROFILE
@given(HAPPENINGS, st.integers(0, 59))
def test_a_kubelet_that_restarts_begins_new_events(history: list[Happening], when: int) -> None:
    world = World()
    for i, one in enumerate(history):
        if i == when:
            world.recorder.restart()
        world.happen(one)
        world.hear()
    assert world.occurred == world.carried


@PROFILE
@given(HAPPENINGS)
def test_a_container_is_named_only_if_it_is_known(history: list[Happening]) -> None:
    """Of Events put together the container is unknown rather than wrong: no container ever has more than happened."""
    world = World()
    true: Counter[str] = Counter()
    for one in history:
        world.happen(one)
        true[one.container] += 1
        world.hear()
    counted = world.failures()
    assert all(counted[name] <= true[name] for name in ("main", "proxy"))


def test_a_burst_passes_until_the_filter_holds_it_back() -> None:
    world = World()
    for _ in range(BURST + 10):
        world.happen(Happening(1.0, "main", "Liveness", ""))
        world.hear()
    assert world.occurred == BURST
    world.happen(Happening(300.0, "main", "Liveness", ""))
    world.hear()
    assert world.occurred == BURST + 11, "what was held back comes with the next write"


def test_similar_events_are_put_together() -> None:
    world = World()
    for n in range(ALIKE + 3):
        world.happen(Happening(1.0, "main", "Liveness", f"port {n}"))
    assert sum(event.message.startswith(COMBINED) for event in world.events()) == 1
    assert len(world.events()) == ALIKE
    world.hear()
    assert world.occurred == ALIKE + 3


def test_an_event_that_expired_comes_back_with_name_and_count() -> None:
    world = World()
    for after in (0.0, TTL + 10):
        world.happen(Happening(after, "main", "Liveness", ""))
        world.hear()
    (event,) = world.events()
    assert event.count == 2
    assert world.occurred == 2
