"""True histories of pods, the statuses that a kubelet would write of them, and what is made of these.

A history knows what happened, independently of the product: each restart with its cause, each end, each phase. Each
truth is a pair: what a complete watch must tell, and what the API alone says, which is all that is left where the
path was lost.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TypeAlias

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from exporter.lifecycle.observations import Workload
from exporter.objects import ContainerSpec, ContainerState, ContainerStatus, Metadata, Pod, Probe, ReplicaSet
from tests.lifecycle.builders import (
    UNKNOWN,
    Witness,
    condition,
    ended,
    owned,
    pod,
    running,
    status,
    unknown,
    waiting,
    words,
)

NAMES = ("main", "log")
STOP = 5000.0
"""When deletion is asked for, in histories that end so; all ends by themselves are earlier."""
ENDS = ("Error", "Completed", "OOMKilled", "StartError", "LivenessProbe", "StartupProbe", UNKNOWN)
EXIT_CODES = {"Completed": 0, "OOMKilled": 137, "StartError": 128}
OWNER = ReplicaSet(
    Metadata(name="web-5d4", namespace="shop", uid="uid-of-web-5d4", owner_references=(owned("Deployment", "web"),))
)
SEEDS = st.integers(0, 2**32)
"""Orders and choices by a seed: drawing each of them costs more than all the rest."""
Truth: TypeAlias = tuple[str, str]


@dataclass
class Shown:
    """One status of a container, and how many of its restarts and ends are true by then."""

    status: ContainerStatus
    restarts: int
    ends: int
    runs: bool


@dataclass
class Life:
    """The true life of one container."""

    name: str
    shown: list[Shown] = field(default_factory=list)
    restarts: list[Truth] = field(default_factory=list)
    ends: list[Truth] = field(default_factory=list)

    def show(
        self, n: int, cid: str, state: ContainerState, last: ContainerState | None, *, started: bool = False
    ) -> None:
        shown = status(n, cid, state, last, name=self.name, ready=started, started=started)
        self.shown.append(Shown(shown, len(self.restarts), len(self.ends), state.running is not None))


@st.composite
def lives(draw: st.DrawFn, name: str, *, resets: bool) -> Life:
    """A container that starts, ends and starts again, as its kubelet writes it."""
    life = Life(name)
    kinds = draw(st.lists(st.sampled_from(ENDS), max_size=5))
    last, n, clock = None, 0, 10.0
    life.show(0, "", waiting(), None)
    for i, kind in enumerate(kinds):
        cid, clock = f"{name}-{i}", clock + 20
        if kind == "StartError":
            last = ended(128, kind, cid, started=-1_800_000_000, finished=clock)
            life.ends.append((kind, kind))
            life.show(n, cid, waiting("RunContainerError"), last)
        else:
            _run(draw, life, n, cid, clock, last, started=kind != "StartupProbe")
            last = _end(draw, life, kind, n, cid, clock, last)
        goes_on = i + 1 < len(kinds) or draw(st.booleans())
        overwritten = kinds[i + 1 : i + 2] == ["StartError"]  # it shows its own end at once
        if kind != UNKNOWN and (draw(st.booleans()) or overwritten or not goes_on):
            life.show(n, cid, waiting("CrashLoopBackOff"), last)
        if goes_on:
            life.restarts.append(_cause(kind, last))
            n = 0 if resets and kind != UNKNOWN and draw(st.integers(0, 5)) == 0 else n + 1
            if i + 1 == len(kinds):
                _run(draw, life, n, f"{name}-{i + 1}", clock + 20, last, started=True)
    return life


def _run(
    draw: st.DrawFn, life: Life, n: int, cid: str, clock: float, last: ContainerState | None, *, started: bool
) -> None:
    state = running(clock)
    life.show(n, cid, state, last)
    for noise in draw(st.lists(st.sampled_from(("no id", "no last state", "same")), max_size=2)):
        if noise == "no last state":
            life.show(n, cid, state, None)
        elif noise == "no id":
            life.show(n, "", state, last)
        life.show(n, cid, state, last)
    if started:
        life.show(n, cid, state, last, started=True)


def _end(
    draw: st.DrawFn, life: Life, kind: str, n: int, cid: str, clock: float, last: ContainerState | None
) -> ContainerState:
    """How an instance goes; gives what lastState shows of it from then on."""
    if kind == UNKNOWN:
        life.ends.append((UNKNOWN, UNKNOWN))
        life.show(n + 1, "", waiting(), unknown())
        return unknown()
    killed = kind.endswith("Probe")
    exit_code = draw(st.sampled_from((0, 137, 143))) if killed else EXIT_CODES.get(kind, 3)
    end = ended(exit_code, "OOMKilled" if kind == "OOMKilled" else "", cid, started=clock, finished=clock + 10)
    life.ends.append(_cause(kind, end))
    if not killed:  # the kubelet kills for a probe and starts again in one sync: state.terminated never shows
        life.show(n, cid, end, last)
    return end


def _cause(kind: str, end: ContainerState | None) -> Truth:
    assert end is not None
    assert end.terminated is not None
    return kind, end.terminated.reason


@dataclass
class History:
    """The true history of a pod: its updates, and by then how much of its containers' lives has been shown."""

    lives: list[Life]
    pods: list[Pod] = field(default_factory=list)
    at: list[tuple[int, ...]] = field(default_factory=list)
    phases: list[int] = field(default_factory=list)
    """How many phase changes are true by each update."""
    way: list[str] = field(default_factory=list)
    ends_by: str = "nothing"

    def truth(self, of: str, name: str) -> list[Truth]:
        life = next(life for life in self.lives if life.name == name)
        return life.restarts if of == "restarted" else life.ends

    def past(self, of: str, name: str, update: int) -> int:
        """How many of these were true by this update."""
        index = [life.name for life in self.lives].index(name)
        shown = self.at[update][index]
        if shown < 0:
            return 0
        one = self.lives[index].shown[shown]
        return one.restarts if of == "restarted" else one.ends


SPECS = tuple(ContainerSpec(name=name, liveness_probe=Probe(), startup_probe=Probe()) for name in NAMES)
SCHEDULED = (condition("PodScheduled", 2),)


@st.composite
def histories(draw: st.DrawFn, *, resets: bool = False, skew: bool = False) -> History:
    history = History([draw(lives(name, resets=resets)) for name in NAMES])
    steps = [i for i, life in enumerate(history.lives) for _ in life.shown[1:]]
    at = [0, 0]
    _add(history, (-1, -1), "Pending", phase="Pending", node="")
    _add(history, (-1, -1), "ContainerCreating", phase="Pending")
    _add(history, (0, 0), "ContainerCreating", phase="Pending")
    Random(draw(SEEDS)).shuffle(steps)
    for step in steps:
        at[step] += 1
        _add(history, (at[0], at[1]), "Running")
    history.ends_by = draw(st.sampled_from(("nothing", "deletion", "deletion while running", "list")))
    if history.ends_by.startswith("deletion"):
        _add(history, (at[0], at[1]), "Terminating", deleted=STOP)
        if history.ends_by == "deletion":
            finished = STOP + 5 + (draw(st.integers(-30, 30)) if skew else 0)
            at = [_stop(life, finished) for life in history.lives]
        _add(history, (at[0], at[1]), "Terminating", phase="Failed", deleted=STOP)
    if history.ends_by != "nothing":
        history.way.append("Deleted")
        for life in history.lives:
            if life.shown[-1].runs:
                life.ends.append(("Unobserved", "Unobserved"))
    return history


def _stop(life: Life, finished: float) -> int:
    """The kubelet stops what runs: SIGTERM, and it goes."""
    was = life.shown[-1]
    if was.runs:
        life.ends.append(("PodStopped", "Error"))
        end = ended(143, cid=was.status.container_id, finished=finished)
        life.show(was.status.restart_count, was.status.container_id, end, was.status.last_state)
    return len(life.shown) - 1


def _add(
    history: History,
    at: tuple[int, ...],
    true_phase: str,
    *,
    phase: str = "Running",
    node: str = "node-1",
    deleted: float | None = None,
) -> None:
    if not history.way or history.way[-1] != true_phase:
        history.way.append(true_phase)
    shown = [life.shown[i].status for life, i in zip(history.lives, at, strict=True) if i >= 0]
    history.pods.append(
        pod(
            *shown,
            phase=phase,
            node=node,
            specs=SPECS,
            conditions=SCHEDULED if node else (),
            deleted=deleted,
            owner=owned("ReplicaSet", "web-5d4"),
        )
    )
    history.at.append(at)
    history.phases.append(len(history.way))


def finish(witness: Witness, history: History) -> None:
    """The pod's own end, if the history has one."""
    if history.ends_by.startswith("deletion"):
        witness.delete(history.pods[-1], now=STOP + 40)
    elif history.ends_by == "list":
        witness.relist()


def some(data: st.DataObject, history: History) -> set[int]:
    """Some of the updates, by their index."""
    random = Random(data.draw(SEEDS))
    share = random.random()
    return {i for i in range(len(history.pods)) if random.random() < share}


def told(witness: Witness, verb: str, name: str) -> list[str]:
    """Reasons of all restarts or ends that were told of a container, in order."""
    return [w.split()[2] for w in words(witness.seen) if w.startswith(f"{name} {verb}")]


def way(witness: Witness) -> list[str]:
    return [w.split()[2] for w in words(witness.seen) if " -> " in w]


def witness_of(history: History, *, baseline: bool = True, owner: bool = True) -> Witness:
    witness = Witness(baseline=baseline)
    if owner:
        witness.tracker.owner(OWNER)
    return witness


PROFILE = settings(
    max_examples=200, deadline=None, phases=set(Phase) - {Phase.explain}, suppress_health_check=[HealthCheck.too_slow]
)


@PROFILE
@given(histories(resets=True, skew=True))
def test_a_complete_watch_tells_the_truth(history: History) -> None:
    witness = witness_of(history)
    for one in history.pods:
        witness.apply(one)
    finish(witness, history)
    for name in NAMES:
        for verb in ("restarted", "terminated"):
            assert told(witness, verb, name) == [true for true, _ in history.truth(verb, name)]
    assert way(witness) == history.way


@PROFILE
@given(histories(resets=True))
def test_the_same_update_twice_tells_nothing_more(history: History) -> None:
    witness = witness_of(history)
    for one in history.pods:
        witness.apply(one)
        before = witness.record()
        assert witness.apply(one) == []
        assert witness.apply(one, gap=True) == []
        assert witness.record() == before


@PROFILE
@given(histories(), st.data())
def test_what_was_missed_changes_causes_and_no_counts(history: History, data: st.DataObject) -> None:
    kept = some(data, history) | {len(history.pods) - 1}
    witness = witness_of(history)
    for i in sorted(kept):
        witness.apply(history.pods[i], gap=i - 1 not in kept)
        assert witness.relist("uid-0") == []
    finish(witness, history)
    for name in NAMES:
        restarts, true = told(witness, "restarted", name), history.truth("restarted", name)
        assert len(restarts) == len(true)
        for reason, allowed in zip(restarts, true, strict=True):
            assert reason in {*allowed, "Unobserved"}
        ends, true = told(witness, "terminated", name), history.truth("terminated", name)
        assert len(ends) <= len(true)
        assert {*ends} <= {reason for allowed in true for reason in allowed} | {"Unobserved"}
    phases = way(witness)
    assert phases == [p for p in history.way if p in phases]
    assert phases[-1] == history.way[-1]


@PROFILE
@given(histories(resets=True), st.data())
def test_a_relist_that_missed_nothing_changes_no_count(history: History, data: st.DataObject) -> None:
    relisted = some(data, history)
    witness = witness_of(history)
    for i, one in enumerate(history.pods):
        witness.apply(one, gap=i in relisted)
        if i in relisted:
            assert witness.relist("uid-0") == []
    finish(witness, history)
    for name in NAMES:
        for verb in ("restarted", "terminated"):
            reasons, true = told(witness, verb, name), history.truth(verb, name)
            assert len(reasons) == len(true)
            assert all(reason in allowed for reason, allowed in zip(reasons, true, strict=True))
    assert way(witness) == history.way


@PROFILE
@given(histories(resets=True), st.data())
def test_from_a_baseline_on_the_truth_is_told(history: History, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(history.pods) - 1), "first")
    witness = witness_of(history, baseline=False)
    assert witness.apply(history.pods[first], gap=True) == []
    assert witness.relist("uid-0") == []
    for one in history.pods[first + 1 :]:
        witness.apply(one)
    finish(witness, history)
    for name in NAMES:
        for verb in ("restarted", "terminated"):
            expected = history.truth(verb, name)[history.past(verb, name, first) :]
            reasons = told(witness, verb, name)
            assert len(reasons) == len(expected)
            if reasons and verb == "restarted":  # the end behind the first may be older than the baseline
                assert reasons.pop(0) in expected.pop(0)
            assert reasons == [true for true, _ in expected]
    assert way(witness) == history.way[history.phases[first] :]


@PROFILE
@given(histories(), st.data())
def test_when_the_owner_arrives_makes_no_difference(history: History, data: st.DataObject) -> None:
    early, late = witness_of(history), witness_of(history, owner=False)
    arrives = data.draw(st.integers(0, len(history.pods)), "arrives")
    for i, one in enumerate(history.pods):
        early.apply(one)
        if i == arrives:
            late.tracker.owner(OWNER)
        late.apply(one)
    for witness in (early, late):
        finish(witness, history)
    late.tracker.owner(OWNER)
    assert late.seen == early.seen
    assert {o.pod.workload for o in late.seen} == {Workload("shop", "Deployment", "web")}
