"""The product without a network: what reaches it, what it shows, and what it never lets out."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from exporter import logs
from exporter.core import Core
from exporter.lifecycle.observations import ContainerRestarted, Observation, PhaseChanged
from exporter.objects import Applied, Change, Deleted, Event, Job, Listed, Pod, ReplicaSet, Unreadable

NOW = 1795381600.0
CREATED = "2026-11-22T21:06:00Z"
"""40 seconds before NOW."""
CANARY = "CANARY"
Json = dict[str, Any]


def at(seconds: float) -> str:
    """The API's form of NOW + seconds."""
    minutes, rest = divmod(40 + int(seconds), 60)
    return f"2026-11-22T21:{6 + minutes:02d}:{rest:02d}Z"


def pod(name: str = "web-1", **more: Any) -> Json:
    """A running pod of a StatefulSet."""
    return {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": f"uid-{name}",
            "creationTimestamp": CREATED,
            "ownerReferences": [{"kind": "StatefulSet", "name": "web", "uid": "o1", "controller": True}],
        }
        | more.get("metadata", {}),
        "spec": {"nodeName": "n1", "containers": [{"name": "main"}]} | more.get("spec", {}),
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": at(-30)}],
            "containerStatuses": [status()],
        }
        | more.get("status", {}),
    }


def status(restarts: int = 0, reason: str = "Error", **more: Any) -> Json:
    ended = {"exitCode": 1, "reason": reason, "finishedAt": at(-5), "containerID": f"c{restarts - 1}"}
    return {
        "name": "main",
        "ready": True,
        "restartCount": restarts,
        "containerID": f"c{restarts}",
        "state": {"running": {"startedAt": at(-35 if restarts == 0 else -4)}},
        "lastState": {"terminated": ended} if restarts else {},
    } | more


def owned(name: str = "web-abc-1", owner: str = "rs1") -> Json:
    """A pod of a ReplicaSet."""
    references = [{"kind": "ReplicaSet", "name": "web-abc", "uid": owner, "controller": True}]
    return pod(name, metadata={"ownerReferences": references, "labels": {"pod-template-hash": "abc"}})


def replicaset(uid: str = "rs1", deployment: str = "web") -> Applied[ReplicaSet]:
    references = [{"kind": "Deployment", "name": deployment, "uid": "d1", "controller": True}]
    metadata = {"name": "web-abc", "namespace": "shop", "uid": uid, "ownerReferences": references}
    return Applied(msgspec.convert({"metadata": metadata}, ReplicaSet))


def decoded(json: Json) -> Pod:
    return msgspec.json.decode(msgspec.json.encode(json), type=Pod)


def applied(json: Json, *, listed: bool = False) -> Applied[Pod]:
    return Applied(decoded(json), listed)


def poison(json: Json) -> Applied[Pod]:
    """A pod of which no row can be made: half a character in its node's name."""
    good = decoded(json)
    assert good.spec is not None
    return Applied(msgspec.structs.replace(good, spec=msgspec.structs.replace(good.spec, node_name="\ud800")))


def begun(*changes: Change, **settings: Any) -> Core:
    """A core whose first list was empty and made long ago: all pods are new."""
    core = Core(**({"birth_hold": 0} | settings))
    core.apply(Listed(Pod, "", frozenset(), NOW - 3600), NOW - 3600)
    for change in changes:
        core.apply(change, NOW)
    return core


def text(core: Core, now: float = NOW, *names: str) -> str:
    return b"".join(core.exposition(now, openmetrics=True, names=frozenset(names))).decode()


def series(core: Core, family: str, now: float = NOW) -> dict[str, float]:
    """Values of a family by its own labels."""
    left_out = ("namespace", "workload_kind", "container_type")
    samples = [s for f in text_string_to_metric_families(text(core, now, family)) for s in f.samples]
    found = {" ".join(v for k, v in sorted(s.labels.items()) if k not in left_out): s.value for s in samples}
    assert len(found) == len(samples)
    return found


def product(core: Core) -> str:
    """All that is told about pods and workloads."""
    return text(core).partition("# HELP pod_exporter_")[0]


def delays(core: Core) -> list[int]:
    return core.vitals.core.delays["pods"].counts


class TestChanges:
    def test_a_new_pod_has_a_row_an_account_and_its_past_counted(self) -> None:
        core = begun(applied(pod(status={"containerStatuses": [status(2)]})))
        assert series(core, "pod_workload_pods") == {"Running web": 1}
        assert series(core, "pod_ready") == {"web-1": 1}
        assert sum(series(core, "pod_container_restarts_total").values()) == 2

    def test_a_baseline_pod_has_a_row_and_an_account_but_no_past(self) -> None:
        core = Core(birth_hold=0)
        core.apply(applied(pod(status={"containerStatuses": [status(5)]}), listed=True), NOW)
        core.apply(Listed(Pod, "", frozenset({"uid-web-1"}), NOW), NOW)
        assert series(core, "pod_container_status_restarts") == {"main web-1": 5}
        assert sum(series(core, "pod_container_restarts_total").values()) == 0
        assert series(core, "pod_phase_transitions_total") == {}
        core.apply(applied(pod(status={"containerStatuses": [status(6, "OOMKilled")]})), NOW)
        assert series(core, "pod_container_restarts_total")["main OOMKilled web"] == 1

    def test_a_deleted_pod_loses_its_row_and_keeps_its_account(self) -> None:
        core = begun(applied(pod()))
        core.apply(Deleted(decoded(pod(metadata={"deletionTimestamp": at(0)}))), NOW)
        assert series(core, "pod_ready") == {}
        assert series(core, "pod_workload_pods") == {"Running web": 0}
        assert series(core, "pod_phase_transitions_total")["Terminating Deleted web"] == 1

    def test_a_kubelet_counts_for_the_pods_of_its_own_node_only(self) -> None:
        core = begun(applied(pod(spec={"containers": [{"name": "main", "livenessProbe": {}}]})))
        for node, failed in (("n2", 5), ("n1", 3)):
            core.probes(node, [("uid-web-1", "main", "liveness", failed)], NOW, first=False)
        assert series(core, "pod_container_probe_failures_total") == {"main failed liveness web": 3}
        assert core.vitals.core.faults["lifecycle"] == 0

    def test_a_pod_that_left_the_view_takes_its_row_along_and_nothing_is_counted(self) -> None:
        core = begun(applied(pod()))
        counted = sum(core.vitals.core.observations.values())
        core.apply(Deleted(decoded(pod())), NOW)
        assert series(core, "pod_ready") == {}
        assert series(core, "pod_workload_ready_pods") == {"web": 0}
        assert sum(core.vitals.core.observations.values()) == counted

    def test_a_pod_that_a_list_no_longer_has_is_an_unobserved_deletion(self) -> None:
        core = begun(applied(pod("web-1")), applied(pod("web-2")))
        core.apply(Listed(Pod, "", frozenset({"uid-web-2"}), NOW + 60), NOW + 60)
        assert series(core, "pod_ready", NOW + 60) == {"web-2": 1}
        assert series(core, "pod_exporter_unobserved_deletions_total") == {"": 1}

    def test_the_list_of_one_namespace_says_nothing_of_another(self) -> None:
        core = begun(applied(pod()))
        core.apply(Listed(Pod, "other", frozenset(), NOW), NOW)
        assert series(core, "pod_ready") == {"web-1": 1}

    def test_a_name_that_passes_to_another_uid_has_one_row_and_the_first_ones_end_is_counted(self) -> None:
        core = begun(applied(pod()), applied(pod(metadata={"uid": "second"})))
        (line,) = [line for line in text(core).splitlines() if line.startswith("pod_info{")]
        assert line == (
            'pod_info{namespace="shop",pod="web-1",uid="second",node="n1",workload_kind="StatefulSet",'
            'workload="web",qos_class="",priority_class="",service_account=""} 1'
        )
        assert series(core, "pod_workload_pods") == {"Running web": 1}
        assert series(core, "pod_phase_transitions_total")["Running Deleted web"] == 1

    def test_the_same_state_again_counts_nothing(self) -> None:
        core = begun(applied(pod(status={"containerStatuses": [status(1)]})))
        before = text(core)
        core.apply(applied(pod(status={"containerStatuses": [status(1)]}), listed=True), NOW + 5)
        assert [line for line in text(core).splitlines() if line.startswith("pod_") and "series" not in line] == [
            line for line in before.splitlines() if line.startswith("pod_") and "series" not in line
        ]


class TestOwners:
    def test_a_pod_whose_owner_is_known_is_its_deployments(self) -> None:
        core = begun(replicaset(deployment="front"), applied(owned()))
        assert series(core, "pod_workload_pods") == {"Running front": 1}

    def test_a_pod_waits_for_its_owner_and_is_told_when_it_comes(self) -> None:
        core = begun(applied(owned()))
        [key] = core.undecided
        assert (core.waits([key]), series(core, "pod_workload_pods"), series(core, "pod_ready")) == (True, {}, {})
        core.apply(replicaset(deployment="front"), NOW + 1)
        assert (core.waits([key]), core.undecided) == (False, set())
        assert series(core, "pod_workload_pods", NOW + 1) == {"Running front": 1}
        assert series(core, "pod_phase_transitions_total", NOW + 1) == {"None Running front": 1}

    def test_after_two_seconds_the_names_decide(self) -> None:
        core = begun(applied(owned()))
        core.elapse(NOW + 1.9)
        assert len(core.undecided) == 1
        core.elapse(NOW + 2)
        assert core.undecided == set()
        assert series(core, "pod_workload_pods", NOW + 2) == {"Running web": 1}

    def test_what_happens_during_the_wait_is_counted_once(self) -> None:
        seen: list[Observation] = []
        core = begun(applied(owned()), listener=seen.append)
        grown = owned()
        grown["status"]["containerStatuses"] = [status(1, "OOMKilled")]
        core.apply(applied(grown), NOW + 1)
        assert seen == []
        core.elapse(NOW + 2)
        assert [o.reason for o in seen if isinstance(o, ContainerRestarted)] == ["OOMKilled"]
        assert all(o.pod.workload is not None for o in seen)

    def test_a_list_forgets_the_owners_that_are_gone(self) -> None:
        core = begun(replicaset("rs1"), replicaset("rs2"))
        core.apply(Applied(msgspec.convert({"metadata": {"uid": "j1", "namespace": "shop"}}, Job)), NOW)
        core.apply(Listed(ReplicaSet, "", frozenset({"rs2"}), NOW), NOW)
        found = series(core, "pod_exporter_objects")
        assert found == {"pods": 0, "replicasets": 1, "jobs": 1}

    def test_a_deleted_owner_is_forgotten(self) -> None:
        gone = replicaset()
        core = begun(gone, Deleted(gone.object))
        assert series(core, "pod_exporter_objects")["replicasets"] == 0

    def test_an_owner_that_may_not_be_read_is_asked_by_a_label(self) -> None:
        core = begun(applied(pod(metadata={"labels": {"team": "blue"}})), workload_label="team")
        assert series(core, "pod_workload_pods") == {"Running blue": 1}


class TestTime:
    def test_an_account_closes_when_its_retention_is_over(self) -> None:
        core = begun(applied(pod()), retention=900)
        core.apply(Deleted(decoded(pod(metadata={"deletionTimestamp": at(0)}))), NOW)
        core.elapse(NOW + 899)
        assert series(core, "pod_workload_pods")
        core.elapse(NOW + 900)
        assert series(core, "pod_workload_pods") == {}
        assert series(core, "pod_exporter_workloads") == {"": 0}

    def test_the_memory_of_a_pod_that_is_gone_is_dropped(self) -> None:
        core = begun(applied(pod()))
        core.apply(Deleted(decoded(pod(metadata={"deletionTimestamp": at(0)}))), NOW)
        assert len(list(core.tracker.records())) == 1
        core.elapse(NOW + 3600)
        assert list(core.tracker.records()) == []

    def test_counters_are_held_at_zero_for_the_birth_hold(self) -> None:
        core = begun(applied(pod()), birth_hold=130)
        assert series(core, "pod_phase_transitions_total", NOW + 129) == {"None Running web": 0}
        assert series(core, "pod_phase_transitions_total", NOW + 130) == {"None Running web": 1}

    def test_the_hold_of_a_pod_that_waited_for_its_owner_begins_when_it_is_told(self) -> None:
        core = begun(applied(owned()), birth_hold=10)
        core.elapse(NOW + 2)
        assert series(core, "pod_phase_transitions_total", NOW + 11.9) == {"None Running web": 0}
        assert series(core, "pod_phase_transitions_total", NOW + 12) == {"None Running web": 1}

    @pytest.mark.parametrize("step", [-3600, 3600])
    def test_a_step_of_the_clock_neither_hides_what_was_shown_nor_shows_what_is_held(self, step: int) -> None:
        core = begun(applied(pod()), birth_hold=130)
        assert series(core, "pod_phase_transitions_total", NOW + 140) == {"None Running web": 1}
        core.apply(applied(pod(status={"containerStatuses": [status(1, "Odd")]})), NOW + 140)
        core.stepped(step)
        now = NOW + 140 + step
        core.apply(applied(pod(status={"containerStatuses": [status(2, "Odd")]})), now)
        assert series(core, "pod_phase_transitions_total", now) == {"None Running web": 1}
        assert series(core, "pod_container_restarts_total", now + 129)["main Odd web"] == 0
        assert series(core, "pod_container_restarts_total", now + 130)["main Odd web"] == 2
        assert series(core, "pod_exporter_clock_steps_total") == {"back": step < 0, "forward": step > 0}

    @pytest.mark.parametrize("step", [-3600, 3600])
    def test_a_step_of_the_clock_closes_no_account_early_or_late(self, step: int) -> None:
        core = begun(applied(pod()), retention=900)
        core.apply(Deleted(decoded(pod(metadata={"deletionTimestamp": at(0)}))), NOW)
        core.stepped(step)
        core.elapse(NOW + 899 + step)
        assert series(core, "pod_workload_pods")
        core.elapse(NOW + 900 + step)
        assert series(core, "pod_workload_pods") == {}

    @pytest.mark.parametrize("step", [-3600, 3600])
    def test_a_step_of_the_clock_makes_no_pod_wait_longer_or_shorter_for_its_owner(self, step: int) -> None:
        core = begun(applied(owned()))
        core.stepped(step)
        core.elapse(NOW + 1.9 + step)
        assert series(core, "pod_info", NOW + step) == {}
        core.elapse(NOW + 2 + step)
        assert series(core, "pod_info", NOW + step) != {}

    def test_a_pod_that_went_in_a_state_that_cannot_be_read_is_gone(self) -> None:
        core = begun(applied(pod()))
        core.apply(Unreadable(Pod, "uid-web-1"), NOW)
        assert series(core, "pod_info") == {}
        assert series(core, "pod_exporter_unobserved_deletions_total") == {"": 1}

    def test_a_get_changes_nothing_for_the_next_one(self) -> None:
        core = begun(applied(pod()), birth_hold=130)
        alone = begun(applied(pod()), birth_hold=130)
        for now in (NOW, NOW + 60, NOW + 129):
            product(core)
            text(core, now)
        assert product(core) == product(alone)


class TestDelays:
    def test_a_new_pod_is_late_by_its_newest_time(self) -> None:
        core = begun(applied(pod()))
        assert core.vitals.core.delays["pods"].total == 30

    def test_of_a_baseline_nothing_is_late(self) -> None:
        core = Core()
        core.apply(applied(pod(), listed=True), NOW)
        core.apply(Listed(Pod, "", frozenset({"uid-web-1"}), NOW), NOW)
        assert sum(delays(core)) == 0

    def test_an_update_is_late_by_the_newest_time_that_it_brings(self) -> None:
        core = begun(applied(pod()))
        core.apply(applied(pod(status={"containerStatuses": [status(1)]})), NOW)
        assert core.vitals.core.delays["pods"].total == 30 + 4

    def test_an_update_without_a_newer_time_says_nothing(self) -> None:
        core = begun(applied(pod()))
        core.apply(applied(pod(spec={"priorityClassName": "high"})), NOW + 100)
        assert sum(delays(core)) == 1

    def test_a_time_of_the_future_is_no_delay(self) -> None:
        core = begun()
        core.apply(applied(pod()), NOW - 50)
        assert (core.vitals.core.delays["pods"].total, delays(core)[0]) == (0, 1)

    def test_a_pod_that_waits_for_its_owner_is_late_from_when_it_was_seen(self) -> None:
        core = begun(applied(owned()))
        core.elapse(NOW + 2)
        assert (core.vitals.core.delays["pods"].total, sum(delays(core))) == (30, 1)

    def test_a_series_of_events_is_written_late_by_design_and_says_nothing(self) -> None:
        core = begun(applied(pod()))
        core.apply(Listed(Event, "", frozenset(), NOW - 3600), NOW - 3600)
        about = {"kind": "Pod", "namespace": "shop", "name": "web-1", "uid": "uid-web-1"}
        event = {"metadata": {"name": "web-1.1", "namespace": "shop"}, "involvedObject": about, "type": "Warning"}
        for more in ({"eventTime": at(-1)}, {"eventTime": at(-1), "series": {"count": 5}}):
            core.apply(Applied(msgspec.convert(event | {"reason": "FailedScheduling"} | more, Event)), NOW + 1800)
        assert series(core, "pod_events_total", NOW + 1800) == {"Warning FailedScheduling web": 5}
        assert sum(core.vitals.core.delays["events"].counts) == 1

    def test_a_deletion_says_nothing(self) -> None:
        core = begun(applied(pod()))
        core.apply(Deleted(decoded(pod(metadata={"deletionTimestamp": at(100)}))), NOW + 200)
        assert sum(delays(core)) == 1


class TestOwnNumbers:
    def test_every_observation_is_counted_by_its_kind(self) -> None:
        seen: list[Observation] = []
        core = begun(applied(pod(status={"containerStatuses": [status(2)]})), listener=seen.append)
        found = {k: n for k, n in series(core, "pod_exporter_observations_total").items() if n}
        assert found == {kind: sum(type(o).__name__ == kind for o in seen) for kind in found}
        assert sum(found.values()) == len(seen)

    def test_restarts_without_a_trace_bound_the_truth(self) -> None:
        core = begun(applied(pod(status={"containerStatuses": [status(3)]})))
        assert series(core, "pod_exporter_unobserved_restarts_total") == {"": 2}

    def test_a_restart_count_that_falls_is_counted(self) -> None:
        core = begun(*(applied(pod(status={"containerStatuses": [status(n)]})) for n in (3, 0)))
        assert series(core, "pod_exporter_restart_count_resets_total") == {"": 1}

    def test_an_inferred_cause_is_counted(self) -> None:
        probed = {"containers": [{"name": "main", "livenessProbe": {}}]}
        core = begun(applied(pod(spec=probed)))
        core.apply(applied(pod(spec=probed, status={"containerStatuses": [status(1)]})), NOW)
        assert series(core, "pod_exporter_inferred_causes_total") == {"LivenessProbe": 1, "StartupProbe": 0}

    def test_no_cause_is_inferred_from_what_a_list_shows(self) -> None:
        probed = {"containers": [{"name": "main", "livenessProbe": {}}]}
        core = begun(applied(pod(spec=probed)))
        core.apply(applied(pod(spec=probed, status={"containerStatuses": [status(1)]}), listed=True), NOW)
        assert series(core, "pod_exporter_inferred_causes_total") == {"LivenessProbe": 0, "StartupProbe": 0}

    def test_a_duration_that_cannot_be_is_counted_as_clamped(self) -> None:
        core = begun(applied(pod(status={"phase": "Unknown"})))
        core.apply(applied(pod(metadata={"deletionTimestamp": at(-100), "deletionGracePeriodSeconds": 30})), NOW)
        assert series(core, "pod_exporter_clamped_durations_total") == {
            "pod_phase_seconds_total": 1,
            "pod_startup_stage_seconds_total": 0,
        }

    def test_the_number_of_series_is_that_of_the_lines(self) -> None:
        core = begun(*(applied(pod(f"web-{i}")) for i in range(3)))
        lines = [line for line in product(core).splitlines() if not line.startswith("#")]
        rows = sum('pod="' in line for line in lines)
        assert series(core, "pod_exporter_series") == {"rows": rows, "ledger": len(lines) - rows}


def test_many_deletions_at_once_are_told_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporter.core.SLICE", 0.0)
    core = Core(birth_hold=0)
    core.apply(Listed(Pod, "", frozenset(), NOW), NOW)
    for i in range(3):
        core.apply(applied(pod(metadata={"name": f"web-{i}", "uid": f"u{i}"})), NOW)
    core.apply(Listed(Pod, "", frozenset(), NOW), NOW + 1)
    assert core.vitals.core.unobserved_deletions == 1
    assert [core.elapse(NOW + 1), core.elapse(NOW + 1)] == [True, False]
    assert core.vitals.core.unobserved_deletions == 3


class TestBlastDoor:
    def test_an_object_that_breaks_a_rule_is_counted_and_others_go_on(self) -> None:
        core = begun(poison(pod("bad")), applied(pod("good")))
        assert series(core, "pod_exporter_faults_total") == {"lifecycle": 1, "listener": 0}
        assert series(core, "pod_ready") == {"good": 1}
        assert len(list(core.tracker.records())) == 1

    def test_the_old_state_stays_whole_and_the_next_good_update_counts_once(self) -> None:
        seen: list[Observation] = []
        core = begun(applied(pod()), listener=seen.append)
        before, told, records = product(core), list(seen), list(core.tracker.records())
        late = delays(core).copy()
        for _ in range(3):
            core.apply(poison(pod(status={"containerStatuses": [status(1)], "phase": "Failed"})), NOW)
        assert (product(core), seen, list(core.tracker.records()), delays(core)) == (before, told, records, late)
        assert core.vitals.core.faults["lifecycle"] == 3
        core.apply(applied(pod(status={"containerStatuses": [status(1)]})), NOW)
        assert series(core, "pod_container_restarts_total")["main Error web"] == 1
        assert series(core, "pod_workload_pods") == {"Running web": 1}

    def test_a_pod_that_was_odd_once_is_new_when_it_is_good(self) -> None:
        core = begun(poison(pod()), applied(pod()))
        assert series(core, "pod_phase_transitions_total") == {"None Running web": 1}

    def test_even_an_odd_pod_can_be_deleted(self) -> None:
        core = begun(applied(pod()))
        gone = poison(pod(metadata={"deletionTimestamp": at(0)}))
        core.apply(gone, NOW)
        core.apply(Deleted(gone.object), NOW)
        assert series(core, "pod_ready") == {}
        assert series(core, "pod_workload_pods")["Running web"] == 0

    def test_an_odd_pod_among_those_that_wait_does_not_keep_the_others(self) -> None:
        core = begun(poison(owned("bad")), applied(owned("good")))
        core.elapse(NOW + 2)
        core.elapse(NOW + 4)
        assert series(core, "pod_ready", NOW + 4) == {"good": 1}
        assert core.vitals.core.faults["lifecycle"] >= 1

    def test_a_list_goes_on_past_what_cannot_be_taken_away(self, monkeypatch: pytest.MonkeyPatch) -> None:
        core = begun(applied(pod("a")), applied(pod("b")))
        vanished = core.tracker.vanished

        def odd(key: str, now: float) -> None:
            if key == "uid-a":
                raise KeyError(key)
            vanished(key, now)

        monkeypatch.setattr(core.tracker, "vanished", odd)
        core.apply(Listed(Pod, "", frozenset(), NOW), NOW)
        assert series(core, "pod_ready") == {"a": 1}

    def test_a_list_that_breaks_a_rule_does_not_raise(self, monkeypatch: pytest.MonkeyPatch) -> None:
        core = begun()
        monkeypatch.setattr(core.tracker, "missing", None)
        core.apply(Listed(Pod, "", frozenset(), NOW), NOW)
        assert core.vitals.core.faults["lifecycle"] == 1

    def test_faults_are_logged_once_a_minute_with_where_but_not_what(self) -> None:
        core = begun()
        with capture_logs() as lines:
            for i in range(5):
                core.apply(poison(pod(f"bad-{i}", metadata={"labels": {"token": CANARY}})), NOW)
        (line,) = lines
        assert line["error"] == "UnicodeEncodeError"
        assert line["where"][0].startswith("exporter.core:")
        assert set(line) == {"event", "log_level", "error", "where"}
        assert "bad-" not in str(line)
        assert core.vitals.core.faults["lifecycle"] == 5


class TestListener:
    def test_it_sees_each_observation_once_in_the_order_in_which_they_happened(self) -> None:
        seen: list[Observation] = []
        core = begun(applied(pod()), listener=seen.append)
        for restarts in (1, 1, 2):
            core.apply(applied(pod(status={"containerStatuses": [status(restarts)]})), NOW)
        assert sum(isinstance(o, PhaseChanged) for o in seen) == 1
        assert [type(o).__name__ for o in seen if "Container" in type(o).__name__][1:] == [
            "ContainerTerminated", "ContainerRestarted",
            "ContainerTerminated", "ContainerRestarted",
        ]  # fmt: skip

    def test_its_faults_are_counted_apart_and_nothing_is_counted_twice(self) -> None:
        def fails(observation: Observation) -> None:
            raise ValueError(CANARY, observation)

        with capture_logs() as lines:
            core = begun(applied(pod()), listener=fails)
            core.apply(applied(pod(status={"containerStatuses": [status(1)]})), NOW)
            core.apply(applied(pod(status={"containerStatuses": [status(1)]})), NOW)
        assert series(core, "pod_container_restarts_total")["main Error web"] == 1
        assert series(core, "pod_phase_transitions_total") == {"None Running web": 1}
        found = series(core, "pod_exporter_faults_total")
        assert found == {"lifecycle": 0, "listener": sum(core.vitals.core.observations.values())}
        assert len(lines) == 1
        assert CANARY not in str(lines)


def planted(node: Any, path: str = "") -> Any:
    """The same JSON with a canary beside every field that is declared, at every depth, and in the API's own places."""
    if isinstance(node, list):
        return [planted(one, f"{path}[]") for one in node]
    if not isinstance(node, dict) or path.endswith(("labels", "requests", "limits", "overhead")):
        return node
    secret = f"{CANARY}{path}"
    strange: Json = {
        "message": secret, "command": [secret], "args": [secret], "workingDir": secret, "undeclared": {"deep": secret},
        "env": [{"name": secret, "value": secret, "valueFrom": {"secretKeyRef": {"name": secret, "key": secret}}}],
        "envFrom": [{"secretRef": {"name": secret}}], "volumes": [{"name": secret, "secret": {"secretName": secret}}],
        "volumeMounts": [{"name": secret, "mountPath": secret}], "managedFields": [{"manager": secret}],
        "imagePullSecrets": [{"name": secret}], "hostAliases": [{"ip": secret}], "hostname": secret,
        "lifecycle": {"preStop": {"exec": {"command": [secret]}}}, "securityContext": {"runAsUserName": secret},
        "nodeSelector": {secret: secret}, "tolerations": [{"key": secret}], "finalizers": [secret], "podIP": secret,
        "httpHeaders": [{"name": "Authorization", "value": secret}], "allocatedResourcesStatus": [{"name": secret}],
    }  # fmt: skip
    return {key: value for key, value in strange.items() if key not in node} | {
        key: planted(value, f"{path}.{key}") for key, value in node.items()
    }


def full(name: str, restarts: int) -> Json:
    """A pod with every kind of container, probe, condition and end that is declared."""
    probe = {"httpGet": {"path": f"/{CANARY}", "port": 80}, "exec": {"command": [CANARY]}, "grpc": {"service": CANARY}}
    part = {
        "livenessProbe": probe, "readinessProbe": probe, "startupProbe": probe, "image": "registry.example.org/app:1",
        "restartPolicyRules": [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}],
        "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2"}},
    }  # fmt: skip
    waiting = status(restarts, state={"waiting": {"reason": "CrashLoopBackOff"}}, ready=False)
    failed = {"exitCode": 1, "reason": "Error", "signal": 0, "finishedAt": at(-9), "containerID": "d0"}
    json = pod(
        name,
        metadata={"generateName": "web-", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": CANARY}},
        spec={
            "serviceAccountName": "robot",
            "priorityClassName": "high",
            "containers": [{"name": "main"} | part],
            "initContainers": [{"name": "proxy", "restartPolicy": "Always"} | part],
            "ephemeralContainers": [{"name": "debug"}],
            "readinessGates": [{"conditionType": "example.org/ready"}],
        },
        status={
            "qosClass": "Burstable",
            "conditions": [
                {"type": kind, "status": "False", "reason": "ContainersNotReady", "lastTransitionTime": at(-8)}
                for kind in ("PodScheduled", "Initialized", "Ready", "ContainersReady", "example.org/ready")
            ],
            "containerStatuses": [waiting],
            "initContainerStatuses": [status(restarts) | {"name": "proxy"}],
            "ephemeralContainerStatuses": [{"name": "debug", "state": {"terminated": failed}}],
        },
    )
    planted_json: Json = planted(json)
    return planted_json


class TestSecrets:
    @pytest.fixture
    def written(self) -> Iterator[io.StringIO]:
        """All log lines, as the process writes them."""
        root = logging.getLogger()
        handlers, level = root.handlers[:], root.level
        stream = io.StringIO()
        logs.configure("debug", "json", stream)
        yield stream
        logging.captureWarnings(capture=False)
        root.handlers[:] = handlers
        root.setLevel(level)

    @pytest.fixture
    def changes(self) -> list[Change]:
        pods = [full("web-1", restarts) for restarts in (0, 1, 2)]
        ended = full("web-1", 2)
        ended["metadata"]["deletionTimestamp"] = at(0)
        odd = [poison(json) for json in (full("web-2", 0), full("web-1", 3))]
        return [*map(applied, pods), *odd, applied(full("web-3", 1)), Deleted(decoded(ended))]

    def test_what_is_not_declared_reaches_neither_metrics_nor_records_nor_logs(
        self, written: io.StringIO, changes: list[Change]
    ) -> None:
        seen: list[Observation] = []
        observed = logs.ObservationLog[Observation]("all", lambda _: True)

        def listener(observation: Observation) -> None:
            seen.append(observation)
            observed(observation)
            raise ValueError(repr(changes))

        core = begun(listener=listener)
        said = []
        for change in changes:
            core.apply(change, NOW)
            said += [text(core), repr(list(core.tracker.records())), repr(vars(core.tracker))]
        core.elapse(NOW + 2)
        said += [text(core), repr(seen), repr(core._rows.snapshot()), repr(core.vitals), written.getvalue()]
        assert not [one[max(0, one.find(CANARY) - 200) :][:300] for one in said if CANARY in one]
        assert core.vitals.core.faults["lifecycle"] == 2
        assert len(seen) > 5
        assert '"logger":"observation"' in written.getvalue()
        assert "an object could not be handled" in written.getvalue()

    def test_the_canaries_were_really_there(self) -> None:
        assert msgspec.json.encode(full("web-1", 1)).count(CANARY.encode()) > 200
