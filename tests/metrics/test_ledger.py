from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from exporter.lifecycle.observations import (
    ContainerAppeared,
    ContainerRestarted,
    ContainerTerminated,
    ContainerWaiting,
    Observation,
    PhaseChanged,
    PodRef,
    RestartCountReset,
    Workload,
)
from exporter.lifecycle.records import Container, Record
from exporter.lifecycle.scheduling import Blocked
from exporter.metrics import gauges
from exporter.metrics import ledger as module
from exporter.metrics.accounts import Account
from exporter.metrics.bounds import bounds_of
from exporter.metrics.catalogue import COUNTED, COUNTERS, GAUGES, HISTOGRAMS
from exporter.metrics.ledger import Ledger

MakeRecord: TypeAlias = Callable[..., Record]
MakeContainer: TypeAlias = Callable[..., Container]
FAMILIES = [family.name for family in (*COUNTERS, *HISTOGRAMS, *GAUGES)]
WEB = Workload("shop", "Deployment", "web")
W = 'namespace="shop",workload_kind="Deployment",workload="web"'
MAIN = 'container="main",container_type="container"'


def pod_of(workload: Workload = WEB) -> PodRef:
    return PodRef(workload.namespace, "p", "u", workload)


def restarted(reason: str = "Error", *, of: Workload = WEB, container: str = "main", at: float = 0.0) -> Observation:
    return ContainerRestarted(at, pod_of(of), container, "container", reason)


def terminated(reason: str = "Error", exit_code: str = "1", container: str = "main") -> Observation:
    return ContainerTerminated(0.0, pod_of(), container, "container", reason, exit_code)


def appeared(of: Workload = WEB, container: str = "main") -> Observation:
    return ContainerAppeared(0.0, pod_of(of), container, "container", liveness=True, startup=False, readiness=False)


def chunk(ledger: Ledger, family: str, now: float) -> str:
    """A family's lines of all accounts."""
    return "".join(
        account.chunks(now)[i].decode()
        for families, accounts in ledger.tiers()
        for i, one in enumerate(families)
        if one.name == family
        for account in accounts
    )


def accounts(ledger: Ledger) -> list[Account]:
    """The accounts of workloads."""
    return ledger.tiers()[0][1]


def whole(ledger: Ledger, now: float) -> list[str]:
    return [chunk(ledger, family, now) for family in FAMILIES]


def values(text: str) -> list[float]:
    return [float(line.rpartition(" ")[2]) for line in text.splitlines()]


def shown(ledger: Ledger, family: str, now: float) -> dict[str, float]:
    """Value by label set."""
    lines = [line.rpartition(" ") for line in chunk(ledger, family, now).splitlines()]
    assert len({labels for labels, _, _ in lines}) == len(lines)
    return {labels.removeprefix(family): float(number) for labels, _, number in lines}


class TestFamilies:
    """An observation, and the text that it must give."""

    @pytest.mark.parametrize(
        ("observation", "family", "text"),
        [
            (
                PhaseChanged(0.0, pod_of(), "None", "Pending"),
                "pod_phase_transitions_total",
                f'pod_phase_transitions_total{{{W},from="None",to="Pending"}} 1\n',
            ),
            (
                PhaseChanged(0.0, pod_of(), "Pending", "Running", 12.0),
                "pod_phase_transitions_total",
                f'pod_phase_transitions_total{{{W},from="Pending",to="Running"}} 1\n',
            ),
            (
                PhaseChanged(0.0, pod_of(), "Pending", "Running", 12.25),
                "pod_phase_seconds_total",
                f'pod_phase_seconds_total{{{W},phase="Pending"}} 12.25\n',
            ),
            (
                restarted("OOMKilled"),
                "pod_container_restarts_total",
                f'pod_container_restarts_total{{{W},{MAIN},reason="OOMKilled"}} 1\n',
            ),
            (
                terminated("Error", "3"),
                "pod_container_terminations_total",
                f'pod_container_terminations_total{{{W},{MAIN},reason="Error",exit_code="3"}} 1\n',
            ),
            (
                ContainerWaiting(0.0, pod_of(), "main", "container", "CrashLoopBackOff"),
                "pod_container_waiting_total",
                f'pod_container_waiting_total{{{W},{MAIN},reason="CrashLoopBackOff"}} 1\n',
            ),
        ],
    )
    def test_an_observation_gives_its_line(self, observation: Observation, family: str, text: str) -> None:
        ledger = Ledger(0)
        ledger.add(observation, 0)
        assert chunk(ledger, family, 0) == text

    def test_a_creation_has_no_length(self) -> None:
        ledger = Ledger(0)
        ledger.add(PhaseChanged(0.0, pod_of(), "None", "Pending"), 0)
        assert chunk(ledger, "pod_phase_seconds_total", 0) == ""

    def test_a_length_of_zero_is_shown(self) -> None:
        ledger = Ledger(0)
        ledger.add(PhaseChanged(0.0, pod_of(), "Pending", "Running", 0.0), 0)
        assert values(chunk(ledger, "pod_phase_seconds_total", 0)) == [0]

    def test_lengths_add_up(self) -> None:
        ledger = Ledger(0)
        for seconds in (0.5, 2.0, 39.5):
            ledger.add(PhaseChanged(0.0, pod_of(), "Pending", "Running", seconds), 0)
        assert chunk(ledger, "pod_phase_seconds_total", 0).endswith('phase="Pending"} 42\n')

    def test_containers_of_one_name_and_several_types_are_counted_apart(self) -> None:
        ledger = Ledger(0)
        for kind in ("container", "init", "sidecar", "ephemeral"):
            ledger.add(ContainerRestarted(0.0, pod_of(), "main", kind, "Error"), 0)
        assert len(shown(ledger, "pod_container_restarts_total", 0)) == 4

    def test_an_observation_that_no_family_counts_leaves_no_series(self) -> None:
        ledger = Ledger(0)
        ledger.add(RestartCountReset(0.0, pod_of(), "main", "container"), 0)
        assert not any(whole(ledger, 0))

    def test_every_free_text_is_escaped(self) -> None:
        nasty, escaped = 'a"b\\c\nd', r"a\"b\\c\nd"
        ledger = Ledger(0)
        ledger.add(ContainerTerminated(0.0, pod_of(Workload(nasty, nasty, nasty)), nasty, "init", nasty, nasty), 0)
        assert chunk(ledger, "pod_container_terminations_total", 0) == (
            f'pod_container_terminations_total{{namespace="{escaped}",workload_kind="{escaped}",workload="{escaped}"'
            f',container="{escaped}",container_type="init",reason="{escaped}",exit_code="{escaped}"}} 1\n'
        )

    def test_workloads_that_differ_only_in_kind_are_counted_apart(self) -> None:
        ledger = Ledger(0)
        for kind in ("Deployment", "StatefulSet"):
            ledger.add(restarted(of=Workload("shop", kind, "web")), 0)
        assert list(shown(ledger, "pod_container_restarts_total", 0).values()) == [1, 1]

    def test_an_observation_without_a_workload_is_refused(self) -> None:
        with pytest.raises(AssertionError):
            Ledger().add(replace(restarted(), pod=PodRef("shop", "p", "u", None)), 0)


class TestBirthHold:
    def test_a_series_is_zero_for_the_hold_and_true_from_its_end_on(self) -> None:
        ledger = Ledger(birth_hold=130)
        ledger.add(restarted(), 1000)
        found = [values(chunk(ledger, "pod_container_restarts_total", now)) for now in (1000, 1129.9, 1130, 5000)]
        assert found == [[0], [0], [1], [1]]

    def test_all_that_happened_during_the_hold_is_shown_at_its_end(self) -> None:
        ledger = Ledger(birth_hold=130)
        for at in (1000, 1050, 1129):
            ledger.add(restarted(), at)
            assert values(chunk(ledger, "pod_container_restarts_total", at)) == [0]
        assert values(chunk(ledger, "pod_container_restarts_total", 1130)) == [3]

    def test_after_the_hold_a_change_is_shown_at_once(self) -> None:
        ledger = Ledger(birth_hold=130)
        ledger.add(restarted(), 1000)
        ledger.add(restarted(), 1200)
        assert values(chunk(ledger, "pod_container_restarts_total", 1200)) == [2]

    def test_each_series_has_a_hold_of_its_own(self) -> None:
        ledger = Ledger(birth_hold=130)
        ledger.add(restarted("Error"), 1000)
        ledger.add(restarted("OOMKilled"), 1100)
        found = [values(chunk(ledger, "pod_container_restarts_total", now)) for now in (1129, 1130, 1229, 1230)]
        assert found == [[0, 0], [1, 0], [1, 0], [1, 1]]

    def test_the_hold_begins_when_the_series_appears_however_old_its_event_is(self) -> None:
        ledger = Ledger(birth_hold=10)
        ledger.add(restarted(at=1000), 1060)  # it waited for the pod's owner
        found = [values(chunk(ledger, "pod_container_restarts_total", now)) for now in (1060, 1070)]
        assert found == [[0], [1]]

    def test_without_a_hold_a_value_is_shown_at_once(self) -> None:
        ledger = Ledger(birth_hold=0)
        ledger.add(restarted(), 1000)
        assert values(chunk(ledger, "pod_container_restarts_total", 1000)) == [1]

    def test_what_is_born_early_shows_its_first_event_without_delay(self) -> None:
        ledger = Ledger(birth_hold=130)
        ledger.add(appeared(), 1000)
        assert shown(ledger, "pod_container_restarts_total", 1000) == {
            f'{{{W},{MAIN},reason="{reason}"}}': 0 for reason in ("OOMKilled", "Error", "LivenessProbe")
        }
        ledger.add(restarted("LivenessProbe"), 2000)
        assert shown(ledger, "pod_container_restarts_total", 2000)[f'{{{W},{MAIN},reason="LivenessProbe"}}'] == 1

    def test_the_same_container_in_more_pods_begins_nothing_anew(self) -> None:
        ledger = Ledger(birth_hold=130)
        ledger.add(appeared(), 1000)
        ledger.add(restarted("Error"), 1100)
        ledger.add(appeared(), 1120)
        assert max(values(chunk(ledger, "pod_container_restarts_total", 1130))) == 1

    def test_gauges_are_never_held(self, record: MakeRecord) -> None:
        ledger = Ledger(birth_hold=130)
        ledger.track(None, record(ready=True), 1000)
        assert values(chunk(ledger, "pod_workload_pods", 1000)) == [1]
        assert values(chunk(ledger, "pod_workload_ready_pods", 1000)) == [1]

    @given(
        events=st.lists(st.tuples(st.integers(0, 300), st.sampled_from(["Error", "OOMKilled"])), max_size=20),
        scrapes=st.lists(st.integers(0, 500), max_size=20),
    )
    def test_what_a_scraper_sees_does_not_depend_on_who_scraped_before(
        self, events: list[tuple[int, str]], scrapes: list[int]
    ) -> None:
        watched, alone = Ledger(birth_hold=100), Ledger(birth_hold=100)
        pending = sorted(events)
        for now in [*sorted(scrapes), 500]:
            while pending and pending[0][0] <= now:
                at, reason = pending.pop(0)
                for ledger in (watched, alone):
                    ledger.add(restarted(reason), at)
            whole(watched, now)
        assert whole(watched, 500) == whole(watched, 500) == whole(alone, 500)


class TestBounds:
    def test_the_twenty_first_reason_is_other_and_counted_as_overflow(self) -> None:
        ledger = Ledger(0)
        for i in range(25):
            ledger.add(restarted(f"Reason{i}"), 0)
        series = shown(ledger, "pod_container_restarts_total", 0)
        assert len(series) == 21
        assert series[f'{{{W},{MAIN},reason="other"}}'] == 5
        assert ledger.overflow == {("pod_container_restarts_total", "reason"): 5}

    def test_reasons_that_are_known_stay_open_when_the_bound_is_reached(self) -> None:
        ledger = Ledger(0)
        for reason in [*(f"Reason{i}" for i in range(25)), "Reason0", "Reason19"]:
            ledger.add(restarted(reason), 0)
        ledger.add(restarted("Reason3", container="second"), 0)
        series = shown(ledger, "pod_container_restarts_total", 0)
        assert series[f'{{{W},{MAIN},reason="Reason19"}}'] == 2
        assert series[f'{{{W},container="second",container_type="container",reason="Reason3"}}'] == 1
        assert sum(ledger.overflow.values()) == 5

    def test_reasons_are_bounded_for_each_family_and_workload_apart(self) -> None:
        ledger = Ledger(0)
        for i in range(20):
            ledger.add(restarted(f"Reason{i}"), 0)
        ledger.add(terminated("New"), 0)
        ledger.add(restarted("New", of=Workload("shop", "Deployment", "second")), 0)
        assert not ledger.overflow

    def test_the_twenty_first_exit_code_of_a_container_is_other(self) -> None:
        ledger = Ledger(0)
        for code in range(25):
            ledger.add(terminated("Error", str(code)), 0)
        for code in range(20):
            ledger.add(terminated("Error", str(code + 100), container="second"), 0)
        series = shown(ledger, "pod_container_terminations_total", 0)
        assert series[f'{{{W},{MAIN},reason="Error",exit_code="other"}}'] == 5
        assert len(series) == 41
        assert ledger.overflow == {("pod_container_terminations_total", "exit_code"): 5}

    def test_the_hundred_and_first_container_of_a_type_is_other(self) -> None:
        ledger = Ledger(0)
        for i in range(105):
            ledger.add(ContainerRestarted(0.0, pod_of(), f"debugger-{i}", "ephemeral", "Error"), 0)
        for _ in range(2):
            ledger.add(restarted(), 0)  # sessions of debugging take no container's place
        series = shown(ledger, "pod_container_restarts_total", 0)
        assert series[f'{{{W},container="other",container_type="ephemeral",reason="Error"}}'] == 5
        assert series[f'{{{W},{MAIN},reason="Error"}}'] == 2
        assert len(series) == 102
        assert ledger.overflow == {("pod_container_restarts_total", "container"): 5}

    def test_containers_with_ever_new_names_take_no_more_series_and_no_more_memory(self) -> None:
        ledger, numbers = Ledger(0), []
        for i in range(600):
            ledger.add(appeared(container=f"c{i}"), 0)
            ledger.add(terminated("Error", str(i % 100), f"c{i}"), 0)
            numbers.append(ledger.series)
        (account,) = ledger._workloads.snapshot()
        assert numbers[300] == numbers[-1] < 101 * 10
        assert len(account.born) == 200
        assert sum(values(chunk(ledger, "pod_container_terminations_total", 0))) == 600

    def test_the_hundred_and_first_kind_of_a_namespace_is_other(self, record: MakeRecord) -> None:
        ledger = Ledger(0)
        for i in range(103):
            ledger.track(None, record(f"p{i}", kind=f"Kind{i}"), 0)
            ledger.add(replace(terminated(), pod=pod_of(Workload("shop", f"Kind{i}", "web")), ran=1.0), 0)
        ledger.track(None, record(namespace="second", kind="Kind102"), 0)
        family = "pod_container_run_duration_seconds"
        other = 'namespace="shop",workload_kind="other",container_type="container"'
        assert shown(ledger, family, 0)[f"_count{{{other}}}"] == 3
        assert len(ledger._namespaces) == 102
        assert ledger.overflow == {("all", "workload_kind"): 3}

    def test_two_labels_can_overflow_at_once(self) -> None:
        ledger = Ledger(0)
        for i in range(21):
            ledger.add(terminated(f"Reason{i}", str(i)), 0)
        assert f'{{{W},{MAIN},reason="other",exit_code="other"}}' in shown(
            ledger, "pod_container_terminations_total", 0
        )
        assert set(ledger.overflow.values()) == {1}

    def test_a_reason_that_is_really_called_other_shares_the_series(self) -> None:
        ledger = Ledger(0)
        for reason in ["other", *(f"Reason{i}" for i in range(21))]:
            ledger.add(restarted(reason), 0)
        series = shown(ledger, "pod_container_restarts_total", 0)
        assert series[f'{{{W},{MAIN},reason="other"}}'] == 2
        assert len(series) == 21

    def test_the_workload_past_five_hundred_is_other_and_counted_as_overflow(self, record: MakeRecord) -> None:
        ledger = Ledger(0)
        for i in range(503):
            of = Workload("shop", "Deployment", f"web-{i}")
            ledger.add(restarted(of=of), 0)
            ledger.track(None, record(of=of.name), 0)
            ledger.add(restarted(of=of), 0)
        ledger.track(None, record(namespace="second", of="web-0"), 0)
        other = 'namespace="shop",workload_kind="other",workload="other"'
        assert len(ledger) == 502
        assert shown(ledger, "pod_container_restarts_total", 0)[f'{{{other},{MAIN},reason="Error"}}'] == 6
        assert shown(ledger, "pod_workload_pods", 0)[f'{{{other},phase="Running"}}'] == 3
        assert ledger.overflow == {("all", "workload"): 3}

    def test_pods_of_a_workload_that_began_as_other_leave_from_there(
        self, record: MakeRecord, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "WORKLOADS_PER_NAMESPACE", 1)
        ledger = Ledger(0, retention=900)
        first, second = record("a-1", of="a"), record("b-1", of="b")
        ledger.track(None, first, 0)
        ledger.track(None, second, 0)
        ledger.track(first, replace(first, gone_at=10.0), 0)
        ledger.expire(1000)  # a's place is free
        ledger.track(second, replace(second, phase="Succeeded"), 1000)
        assert values(chunk(ledger, "pod_workload_pods", 1000)) == [0, 1]
        ledger.track(replace(second, phase="Succeeded"), replace(second, gone_at=1000.0), 1000)
        assert values(chunk(ledger, "pod_workload_pods", 1000)) == [0, 0]
        ledger.expire(1900)
        assert len(ledger) == 0
        ledger.track(None, second, 2000)
        assert 'workload="b"' in chunk(ledger, "pod_workload_pods", 2000)

    def test_other_takes_nobodys_place(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "WORKLOADS_PER_NAMESPACE", 2)
        ledger = Ledger(0, retention=900)
        for at, name in enumerate("abc"):
            ledger.add(restarted(of=Workload("shop", "Deployment", name)), at)
        ledger.expire(900)  # a
        for name in "de":
            ledger.add(restarted(of=Workload("shop", "Deployment", name)), 900.5)
        names = [account.name[2] for account in accounts(ledger)]
        assert sorted(names) == ["b", "d", "other"]

    def test_other_stays_until_the_last_workload_that_is_booked_there_closes(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "WORKLOADS_PER_NAMESPACE", 1)
        ledger = Ledger(0, retention=900)
        for at, name in enumerate("abc"):
            ledger.add(restarted(of=Workload("shop", "Deployment", name)), at)
        found = []
        for now in (900, 901, 902):
            ledger.expire(now)
            found.append(values(chunk(ledger, "pod_container_restarts_total", now)))
        assert found == [[2], [2], []]
        for name in "de":
            ledger.add(restarted(of=Workload("shop", "Deployment", name)), 1000)
        assert [account.name[2] for account in accounts(ledger)] == ["d", "other"]

    def test_a_workload_that_is_really_called_other_shares_that_account(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "WORKLOADS_PER_NAMESPACE", 1)
        ledger = Ledger(0)
        for name in (Workload("shop", "other", "other"), WEB, Workload("shop", "Deployment", "other")):
            ledger.add(restarted(of=name), 0)
        assert len(shown(ledger, "pod_container_restarts_total", 0)) == 2

    @given(
        observations=st.lists(
            st.one_of(
                st.builds(restarted, st.sampled_from([f"r{i}" for i in range(6)])),
                st.builds(
                    lambda name: restarted(of=Workload("shop", "Deployment", name)), st.sampled_from(list("abcdef"))
                ),
                st.builds(
                    terminated,
                    st.sampled_from([f"r{i}" for i in range(6)]),
                    st.sampled_from([str(i) for i in range(6)]),
                    st.sampled_from(["main", "second"]),
                ),
            ),
            max_size=60,
        ),
        limit=st.integers(1, 4),
    )
    def test_whatever_the_bounds_a_familys_sum_is_the_number_of_observations(
        self, observations: list[Observation], limit: int
    ) -> None:
        bounds = tuple(
            f._replace(bounds=tuple((label, limit, apart) for label, _, apart in f.bounds)) for f in COUNTERS
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "WORKLOADS_PER_NAMESPACE", limit)
            patch.setattr(module, "COUNTERS", bounds)
            ledger = Ledger(0)
            for observation in observations:
                ledger.add(observation, 0)
            expected = Counter(type(observation) for observation in observations)
            assert sum(values(chunk(ledger, "pod_container_restarts_total", 0))) == expected[ContainerRestarted]
            assert sum(values(chunk(ledger, "pod_container_terminations_total", 0))) == expected[ContainerTerminated]
            assert len(ledger) <= limit + 1
            assert ledger.series == sum(text.count("\n") for text in whole(ledger, 0))


class TestRetention:
    def test_an_account_closes_when_its_last_pod_went_so_long_ago(self, record: MakeRecord) -> None:
        ledger = Ledger(0, retention=900)
        pod = record()
        ledger.track(None, pod, 0)
        ledger.expire(100_000)
        assert len(ledger) == 1
        ledger.track(pod, replace(pod, gone_at=1300.0), 1000)
        ledger.expire(1899.9)
        assert len(ledger) == 1
        ledger.expire(1900)
        assert len(ledger) == 0
        assert ledger.series == 0

    def test_a_pod_that_comes_in_time_keeps_the_account(self, record: MakeRecord) -> None:
        ledger = Ledger(0, retention=900)
        first, second = record("web-1"), record("web-2")
        ledger.track(None, first, 0)
        ledger.add(restarted(), 0)
        ledger.track(first, replace(first, gone_at=300.0), 0)
        ledger.track(None, second, 899)
        ledger.expire(5000)
        assert values(chunk(ledger, "pod_container_restarts_total", 5000)) == [1]

    def test_one_of_two_pods_gone_closes_nothing(self, record: MakeRecord) -> None:
        ledger = Ledger(0, retention=900)
        first, second = record("web-1"), record("web-2")
        ledger.track(None, first, 0)
        ledger.track(None, second, 0)
        ledger.track(first, replace(first, gone_at=300.0), 0)
        ledger.expire(5000)
        assert values(chunk(ledger, "pod_workload_pods", 5000)) == [1]

    def test_a_workload_that_returns_starts_at_zero_anew(self, record: MakeRecord) -> None:
        ledger = Ledger(130, retention=900)
        pod = record()
        ledger.track(None, pod, 0)
        for _ in range(5):
            ledger.add(restarted(), 0)
        ledger.track(pod, replace(pod, gone_at=300.0), 0)
        ledger.expire(900)
        ledger.track(None, pod, 1000)
        ledger.add(restarted(), 1000)
        found = [values(chunk(ledger, "pod_container_restarts_total", now)) for now in (1000, 1130)]
        assert found == [[0], [1]]

    def test_a_late_observation_opens_a_closed_account_for_as_long_again(self) -> None:
        ledger = Ledger(0, retention=900)
        ledger.add(restarted(), 1000)
        assert len(ledger) == 1
        ledger.expire(1899)
        assert len(ledger) == 1
        ledger.expire(1900)
        assert len(ledger) == 0

    def test_a_late_observation_does_not_prolong_an_open_account(self, record: MakeRecord) -> None:
        ledger = Ledger(0, retention=900)
        pod = record()
        ledger.track(None, pod, 0)
        ledger.track(pod, replace(pod, gone_at=300.0), 0)
        ledger.add(restarted(), 800)
        ledger.expire(900)
        assert len(ledger) == 0

    def test_accounts_close_in_the_order_of_their_last_pods(self, record: MakeRecord) -> None:
        ledger = Ledger(0, retention=900)
        pods = [record(of=name) for name in "abc"]
        for at, pod in enumerate(pods):
            ledger.track(None, pod, at)
        for at, pod in ((10, pods[1]), (20, pods[2]), (30, pods[0])):
            ledger.track(pod, replace(pod, gone_at=at + 300.0), at)
        left = []
        for now in (910, 920, 930):
            ledger.expire(now)
            left.append(len(ledger))
        assert left == [2, 1, 0]


class TestGauges:
    def test_pods_are_counted_by_phase_and_a_phase_once_seen_stays_at_zero(self, record: MakeRecord) -> None:
        ledger = Ledger()
        pending, running = record(phase="Pending"), record(phase="Running")
        ledger.track(None, pending, 0)
        ledger.track(pending, running, 0)
        assert chunk(ledger, "pod_workload_pods", 0) == (
            f'pod_workload_pods{{{W},phase="Pending"}} 0\npod_workload_pods{{{W},phase="Running"}} 1\n'
        )

    def test_ready_pods_are_shown_from_the_first_pod_on_zero_included(self, record: MakeRecord) -> None:
        ledger = Ledger()
        pod = record(phase="Pending")
        ledger.track(None, pod, 0)
        assert chunk(ledger, "pod_workload_ready_pods", 0) == f"pod_workload_ready_pods{{{W}}} 0\n"

    def test_a_workload_of_which_no_pod_was_seen_has_no_gauges(self) -> None:
        ledger = Ledger()
        ledger.add(restarted(), 0)
        assert chunk(ledger, "pod_workload_pods", 0) + chunk(ledger, "pod_workload_ready_pods", 0) == ""

    @pytest.mark.parametrize("phase", ["Pending", "ContainerCreating", "Succeeded", "Failed", "Terminating", "Unknown"])
    def test_only_running_pods_are_ready(self, record: MakeRecord, phase: str) -> None:
        ledger = Ledger()
        ledger.track(None, record(phase=phase, ready=True), 0)
        assert values(chunk(ledger, "pod_workload_ready_pods", 0)) == [0]

    def test_the_last_pods_leaving_shows_zero_until_the_account_closes(self, record: MakeRecord) -> None:
        ledger = Ledger()
        pod = record(ready=True)
        ledger.track(None, pod, 0)
        ledger.track(pod, replace(pod, phase="Deleted", gone_at=300.0), 0)
        assert values(chunk(ledger, "pod_workload_pods", 0)) == [0]
        assert values(chunk(ledger, "pod_workload_ready_pods", 0)) == [0]

    def test_a_pod_whose_workload_is_not_known_yet_counts_nowhere(self, record: MakeRecord) -> None:
        ledger = Ledger()
        pod = record()
        unknown = replace(pod, pod=replace(pod.pod, workload=None))
        ledger.track(None, unknown, 0)
        assert len(ledger) == 0
        ledger.track(unknown, pod, 0)
        assert values(chunk(ledger, "pod_workload_pods", 0)) == [1]

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["p1", "p2", "p3", "p4"]),
                st.sampled_from(["a", "b", "c"]),
                st.sampled_from(["Pending", "Running", "Failed", "gone"]),
                st.booleans(),
                st.integers(0, 600),
            ),
            max_size=40,
        )
    )
    def test_gauges_equal_a_recount_of_the_records_after_any_history(
        self, record: MakeRecord, steps: list[tuple[str, str, str, bool, int]]
    ) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "WORKLOADS_PER_NAMESPACE", 2)
            ledger, known, now = Ledger(0, retention=900), dict[str, Record](), 0.0
            for name, of, phase, ready, wait in steps:
                now += wait
                ledger.expire(now)
                before = known.pop(name, None)
                its = before.pod.workload.name if before and before.pod.workload else of
                after = record(name, of=its, phase=phase, ready=ready, **({"gone_at": now} if phase == "gone" else {}))
                if before is None and phase == "gone":
                    continue
                ledger.track(before, after, now)
                if phase != "gone":
                    known[name] = after
            pods, ready_pods = Counter[str](), 0
            for one in known.values():
                pods[one.phase] += 1
                ready_pods += one.ready and one.phase == "Running"
            recount = Counter[str]()
            for labels, number in shown(ledger, "pod_workload_pods", now).items():
                assert number >= 0
                recount[labels.split('"')[-2]] += int(number)
            assert +recount == +pods
            assert sum(values(chunk(ledger, "pod_workload_ready_pods", now))) == ready_pods
            ledger.expire(now + 901)
            with_pods = {one.pod.workload for one in known.values()}
            assert len(ledger._workloads._booked) == len(with_pods)
            assert len(ledger) <= len(with_pods)


class TestBoundsOfGauges:
    def test_resources_of_pods_that_are_gone_leave_no_more_than_fifty_series(self, record: MakeRecord) -> None:
        ledger = Ledger()
        for i in range(20):
            amounts = tuple((f"example.com/r{i}-{k}", 1.0) for k in range(20))
            pod = record(f"p{i}", node="n1", requests=amounts, limits=(("cpu", 1.0), *amounts))
            ledger.track(None, pod, 0)
            assert sum(values(chunk(ledger, "pod_workload_resource_requests", 0))) == 20
            assert sum(values(chunk(ledger, "pod_workload_resource_limits", 0))) == 21
            ledger.track(pod, replace(pod, gone_at=300.0), 0)
        series = shown(ledger, "pod_workload_resource_requests", 0)
        assert set(series.values()) == {0}
        assert len(series) == 51
        assert f'{{{W},resource="other",unit="integer"}}' in series
        assert ledger.overflow["pod_workload_resource_requests", "resource"] == 350

    def test_units_are_not_added_to_each_other(self, record: MakeRecord) -> None:
        ledger = Ledger()
        many = tuple((f"example.com/r{k}", 1.0) for k in range(60))
        ledger.track(None, record(node="n1", requests=(*many, ("hugepages-2Mi", 2.0**21), ("memory", 2.0**30))), 0)
        series = shown(ledger, "pod_workload_resource_requests", 0)
        assert series[f'{{{W},resource="other",unit="integer"}}'] == 10
        assert series[f'{{{W},resource="other",unit="byte"}}'] == 2**21 + 2**30

    def test_the_twenty_first_cause_of_waiting_for_a_node_is_other(self, record: MakeRecord) -> None:
        ledger = Ledger()
        for i in range(25):
            blocked = Blocked(f"insufficient_example.com/r{i}", i)
            ledger.track(None, record(f"p{i}", phase="Pending", blocked=blocked), 0)
        series = shown(ledger, "pod_workload_unschedulable_pods", 0)
        assert len(series) == 21
        assert series[f'{{{W},cause="other"}}'] == 5
        assert ledger.overflow == {("pod_workload_unschedulable_pods", "cause"): 5}

    @given(
        limit=st.integers(1, 3),
        steps=st.lists(
            st.tuples(
                st.sampled_from(["p1", "p2", "p3"]),
                st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["r1", "r2", "r3", "r4"])), max_size=3),
                st.lists(st.sampled_from(["cpu", "memory", "example.com/a", "example.com/b", "other"]), unique=True),
                st.booleans(),
            ),
            max_size=20,
        ),
    )
    def test_whatever_the_bounds_a_gauges_sum_is_that_of_the_pods_and_0_when_they_are_gone(
        self,
        record: MakeRecord,
        container: MakeContainer,
        limit: int,
        steps: list[tuple[str, list[tuple[str, str]], list[str], bool]],
    ) -> None:
        low = {f.name: bounds_of(f.labels, [(label, limit, apart) for label, _, apart in f.bounds]) for f in COUNTED}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(gauges, "_BOUNDS", low)
            ledger, known = Ledger(), dict[str, Record]()
            for name, waits, resources, gone in steps:
                before = known.pop(name, None)
                parts = tuple(container(c, state="waiting", reason=reason) for c, reason in dict(waits).items())
                amounts = tuple((resource, 1.0) for resource in resources)
                after = record(name, node="n1", containers=parts, requests=amounts)
                if not gone:
                    known[name] = after
                elif before is None:
                    continue
                ledger.track(before, replace(after, gone_at=300.0) if gone else after, 0)
                waiting = sum(len(one.containers) for one in known.values())
                asked = sum(len(one.requests) for one in known.values())
                for family, expected in (
                    ("pod_workload_waiting_containers", waiting),
                    ("pod_workload_resource_requests", asked),
                ):
                    found = values(chunk(ledger, family, 0))
                    assert sum(found) == expected
                    assert all(number >= 0 for number in found)
            for one in known.values():
                ledger.track(one, replace(one, gone_at=300.0), 0)
            assert not any(values("".join(whole(ledger, 0))))
            assert len(shown(ledger, "pod_workload_waiting_containers", 0)) <= (limit + 1) ** 2


class TestRendering:
    def test_an_update_that_moves_no_pod_formats_nothing_anew(self, record: MakeRecord) -> None:
        ledger = Ledger(0)
        before, after = record(newest=1.0), record(newest=2.0)
        ledger.track(None, before, 0)
        (account,) = accounts(ledger)
        chunks = account.chunks(0)
        ledger.track(before, after, 0)
        assert account.chunks(1) is chunks


class TestSeries:
    def test_the_number_of_series_is_that_of_the_lines_and_needs_no_scrape(self, record: MakeRecord) -> None:
        ledger = Ledger(130)
        ledger.track(None, record(), 0)
        ledger.add(appeared(), 0)
        ledger.add(terminated("Error", "3"), 0)
        before = ledger.series
        assert before == sum(text.count("\n") for text in whole(ledger, 0)) == 9
        assert ledger.series == before
