"""True courses, delivered well and badly: what is told of them is the truth, and never more (R7, R8, R13-R18)."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from exporter.objects import Pod
from tests.lifecycle.builders import Witness
from tests.lifecycle.courses import CALM, Course, Fact, courses, facts

PROFILE = settings(
    max_examples=200, deadline=None, phases=set(Phase) - {Phase.explain}, suppress_health_check=[HealthCheck.too_slow]
)
SEEDS = st.integers(0, 2**32)


def tell(course: Course, witness: Witness, first: int = 0, *, late: int = 0, last: int | None = None) -> None:
    """A watch that misses nothing, `late` seconds behind; time passes in between."""
    for now, pod in course.shots[first:last]:
        witness.elapse(now + late)
        witness.apply(pod, now=now + late)
    finish(course, witness, late=late)


def finish(course: Course, witness: Witness, *, late: int = 0) -> None:
    if course.gone_at is not None:
        witness.delete(course.shots[-1][1], now=course.gone_at + late)
    witness.elapse(course.now + late)


def true(course: Course, after: int = -1) -> list[Fact]:
    """All that is true, or what only updates behind this one show."""
    return [fact for shown, fact in course.truth if shown > after]


def by_kind(found: list[Fact]) -> dict[str, list[Fact]]:
    """The facts of each kind in their order; kinds wait for different things, so they may overtake each other."""
    kinds: dict[str, list[Fact]] = {}
    for fact in found:
        kinds.setdefault(f"{fact[0]} {fact[1]}" if fact[0] == "condition" else fact[0], []).append(fact)
    return kinds


def kinds(found: list[Fact]) -> Counter[Fact]:
    """How often each kind, lengths and stages left out: they are what a gap stretches."""
    return Counter((fact[0], *(part for part in fact[1:] if isinstance(part, str))) for fact in found)


def backs_off(pod: Pod) -> bool:
    state = pod.status.container_statuses[0].state if pod.status and pod.status.container_statuses else None
    return state is not None and state.waiting is not None


@PROFILE
@given(courses())
def test_a_complete_watch_tells_the_truth(course: Course) -> None:
    witness = Witness()
    tell(course, witness)
    assert by_kind(facts(witness.seen)) == by_kind(true(course))


@PROFILE
@given(courses(), st.integers(1, 4))
def test_a_watch_that_is_late_tells_the_same(course: Course, late: int) -> None:
    """Lengths are the API's, not the receiver's, but for those that no field of the API ends."""
    assume(not course.close)  # the receiver's clock ends crash loops
    witness = Witness()
    tell(course, witness, late=late)
    measured = ("started", "terminated", "loop ended")
    told, truth = facts(witness.seen), true(course)
    assert kinds(told) == kinds(truth)
    assert by_kind([f for f in told if f[0] not in measured]) == by_kind([f for f in truth if f[0] not in measured])
    for kind in measured:
        lengths = zip((f[1] for f in told if f[0] == kind), (f[1] for f in truth if f[0] == kind), strict=True)
        assert all(true_length <= length <= true_length + late for length, true_length in lengths)


@PROFILE
@given(courses())
def test_the_same_update_twice_tells_nothing_more(course: Course) -> None:
    witness = Witness()
    for now, pod in course.shots:
        witness.elapse(now)
        witness.apply(pod, now=now)
        known, record = len(witness.seen), witness.record()
        for gap in (False, True):
            witness.apply(pod, now=now, gap=gap)
            witness.relist("uid-0", now=now)
        assert witness.seen[known:] == []
        assert witness.record() == record
    finish(course, witness)
    known = len(witness.seen)
    witness.apply(course.shots[-1][1], now=course.now)
    if course.gone_at is not None:
        witness.delete(course.shots[-1][1], now=course.now)
    assert witness.seen[known:] == []
    assert by_kind(facts(witness.seen)) == by_kind(true(course))


@PROFILE
@given(courses(), SEEDS)
def test_a_relist_that_missed_nothing_tells_the_same_as_the_watch(course: Course, seed: int) -> None:
    watched, relisted, random = Witness(), Witness(), Random(seed)
    tell(course, watched)
    for now, pod in course.shots:
        relisted.elapse(now)
        gap = random.random() < 0.5
        relisted.apply(pod, now=now, gap=gap)
        if gap:
            assert relisted.relist("uid-0", now=now) == []
    finish(course, relisted)
    assert facts(relisted.seen) == facts(watched.seen)


@PROFILE
@given(courses(), SEEDS)
def test_what_was_missed_is_never_made_up(course: Course, seed: int) -> None:
    """Coalesced updates may hide what passed between two of them, or make one length of two; nothing is invented."""
    witness, random = Witness(), Random(seed)
    share = random.random()
    kept = [n for n in range(len(course.shots)) if random.random() < share] or [len(course.shots) - 1]
    for n in kept:
        now, pod = course.shots[n]
        witness.elapse(now)
        witness.apply(pod, now=now, gap=n - 1 not in kept)
    # Who hears of no crash for ten minutes takes a loop for over, and the next back-off for another one.
    slack = Counter({"loop began": course.now // CALM, "loop ended": course.now // CALM})
    if course.gone_at is not None and any(course.shots[n][1].metadata.deletion_timestamp for n in kept):
        witness.delete(course.shots[-1][1], now=course.gone_at)
    elif course.gone_at is not None:
        witness.relist(now=course.gone_at)  # its time counts as the pod's end, which may make it old enough
        slack["start failed"] += 1
    witness.elapse(course.now)
    told, truth = facts(witness.seen), true(course)
    more = kinds(told) - kinds(truth)
    caused = {"condition", "regained", "start failed"}
    assert {kind for kind, *_ in more} <= {*caused, *slack}, "a cause may have changed meanwhile"
    assert Counter(f[0] for f in told) <= Counter(f[0] for f in truth) + slack
    assert Counter(f[1:3] for f in told if f[0] == "condition") <= Counter(f[1:3] for f in truth if f[0] == "condition")
    assert sum(f[2] for f in told if f[0] == "regained") <= course.now


@PROFILE
@given(courses(), st.data())
def test_of_a_baseline_only_what_follows_is_told(course: Course, data: st.DataObject) -> None:
    seen = [n for n, (_, pod) in enumerate(course.shots) if pod.metadata.deletion_grace_period_seconds != 0]
    first = data.draw(st.sampled_from(seen), "first")  # who first sees the final deletion cannot tell when it was asked
    witness = Witness(baseline=False)
    now, pod = course.shots[first]
    witness.apply(pod, now=now, gap=True)
    witness.relist("uid-0", now=now)
    assert facts(witness.seen) == []
    tell(course, witness, first + 1)
    told, truth = facts(witness.seen), true(course, first)
    looping = sum({"loop began": 1, "loop ended": -1}.get(fact[0], 0) for shown, fact in course.truth if shown <= first)
    unseen = Counter({("loop began",): 1}) if looping and not backs_off(pod) else Counter()  # it shows when it does
    assert kinds(told) <= kinds(truth) + unseen
    for kind in ("condition", "readiness lost", "disrupted", "unscheduled", "grace exceeded", "terminated"):
        assert by_kind(told).get(kind) == by_kind(truth).get(kind)
