"""Events: occurrences by growth, whatever the recorder and the API did to them; kills in every order of the streams."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from msgspec.msgpack import encode
from msgspec.structs import replace

from exporter.lifecycle import events
from exporter.lifecycle.early import MOST as MOST_EARLY
from exporter.lifecycle.early import PATIENCE
from exporter.lifecycle.observations import (
    ContainerRestarted,
    EventOccurred,
    ImagePulled,
    Observation,
    ProbeFailed,
)
from exporter.objects import ContainerSpec, ContainerStatus, Event, Handler, Listed, Probe
from tests.lifecycle.builders import (
    BOTH_PROBES,
    LIVENESS,
    PLAIN,
    T0,
    Witness,
    backs_off,
    ended,
    event,
    of,
    pod,
    runs,
    status,
    words,
)

LIVE = "Container main failed liveness probe, will be restarted"
START = "Container main failed startup probe, will be restarted"
SANDBOX = "Pod sandbox changed, it will be killed and re-created."


def counts(seen: list[Observation]) -> list[int]:
    return [o.count for o in of(seen, EventOccurred)]


def watching(*shown: ContainerStatus, spec: ContainerSpec = PLAIN, wait: float = 0, normal: bool = False) -> Witness:
    witness = Witness(wait=wait, normal_events=normal)
    for one in shown or (runs(0, "a"),):
        witness.apply(pod(one, specs=(spec,)))
    witness.seen.clear()
    return witness


def unhealthy(text: str = "Liveness probe failed: ", **more: object) -> Event:
    return event("Unhealthy", text, **more)  # type: ignore[arg-type]


def killing(message: str = LIVE, *, at: float = 40, name: str = "web-0.kill", **more: object) -> Event:
    return event("Killing", message, began=at, kind="Normal", name=name, **more)  # type: ignore[arg-type]


# occurrences


def test_an_event_counts_by_growth() -> None:
    witness = watching()
    seen = [witness.hear(unhealthy(count=n)) for n in (1, 2, 2, 7, 3)]
    assert [counts(one) for one in seen] == [[1], [1], [], [5], []]
    assert {(o.event_type, o.reason) for one in seen for o in of(one, EventOccurred)} == {("Warning", "Unhealthy")}


def test_a_series_counts_alike() -> None:
    witness = watching()
    seen = [witness.hear(event("FailedScheduling", "0/1", series=n, container="")) for n in (0, 2, 9)]
    assert [counts(one) for one in seen] == [[1], [1], [7]]


def test_an_event_made_again_after_its_time_goes_on_from_the_count_it_had() -> None:
    """The recorder creates it under its old name, with the count that it has in its cache; it has a new uid."""
    witness = watching()
    witness.hear(unhealthy(count=3))
    again = replace(unhealthy(count=4), metadata=replace(unhealthy().metadata, uid="another"))
    assert counts(witness.hear(again)) == [1]


def test_events_of_a_static_pod_outlive_its_picture_in_the_api() -> None:
    witness = Witness()
    witness.apply(pod(runs(0, "a"), uid="one", mirror="hash"))
    about = replace(unhealthy(count=100, began=5).involved_object, uid="hash")
    witness.hear(replace(unhealthy(count=100, began=5), involved_object=about))
    witness.delete(pod(runs(0, "a"), uid="one", mirror="hash", deleted=80))
    witness.apply(pod(runs(0, "a"), uid="two", mirror="hash", created=85))
    assert counts(witness.hear(replace(unhealthy(count=101, began=5), involved_object=about))) == [1]


def test_a_new_event_that_was_dropped_at_first_counts_in_full() -> None:
    assert counts(watching().hear(unhealthy(count=9, began=20))) == [9]


def test_events_of_the_first_list_are_the_base_of_what_grows() -> None:
    witness = watching()
    assert counts(witness.hear(unhealthy(count=9, began=-50), listed=True)) == []
    witness.tracker.events_listed(Listed(Event, "", frozenset(), T0))
    assert counts(witness.hear(unhealthy(count=11, began=-50))) == [2]


def test_an_older_event_that_the_first_list_did_not_have_counts_once() -> None:
    witness = watching()
    witness.tracker.events_listed(Listed(Event, "", frozenset(), T0))
    assert counts(witness.hear(unhealthy(count=9, began=-50))) == [1]
    assert counts(witness.hear(unhealthy("x", name="web-0.2", count=9, began=-50), listed=True)) == [1]


def test_an_event_that_began_after_the_pods_were_listed_counts_even_in_the_first_list() -> None:
    """Events are listed after pods: what happened in between is no past."""
    assert counts(watching().hear(unhealthy(count=2, began=1), listed=True)) == [2]


def test_what_began_just_before_us_or_in_our_first_second_is_no_news_in_the_first_list() -> None:
    """The server's Date and an Event's times are whole seconds: which came first is not known, so it is not counted."""
    witness = watching()
    assert counts(witness.hear(unhealthy(count=2, began=0), listed=True)) == []
    assert counts(witness.hear(unhealthy(count=2, began=-1, name="web-0.2"), listed=True)) == []


def test_a_relist_tells_nothing_twice() -> None:
    witness = watching()
    witness.hear(unhealthy(count=4))
    assert witness.hear(unhealthy(count=4), listed=True) == []


def test_normal_events_are_counted_if_asked_for() -> None:
    started = event("Started", "Container started", kind="Normal")
    assert watching().hear(started) == []
    assert counts(watching(normal=True).hear(started)) == [1]


def test_an_event_about_something_else_tells_nothing() -> None:
    assert watching().hear(event("NodeNotReady", of="Node")) == []


def test_of_more_events_than_are_remembered_none_counts_twice() -> None:
    witness = watching()
    many = [unhealthy(name=f"web-0.{i}", began=30 + i, count=2) for i in range(events.MOST + 20)]
    assert sum(sum(counts(witness.hear(one))) for one in many) == 2 * len(many)
    assert len(witness.record().heard) == events.MOST
    assert sum(sum(counts(witness.hear(one))) for one in many[-events.MOST :]) == 0
    forgotten = many[0]
    assert counts(witness.hear(forgotten)) == [1], "what was forgotten counts once, never in full"


# whose Event it is


def test_an_event_may_come_before_its_pod() -> None:
    witness = Witness()
    assert witness.hear(unhealthy(count=3)) == []
    witness.apply(pod(runs(0, "a")))
    assert counts(witness.seen) == [3]


def test_an_event_of_a_pod_that_never_comes_is_counted_as_lost() -> None:
    witness = Witness()
    witness.hear(unhealthy())
    assert witness.tracker.early.lost == 0
    witness.elapse(60 + PATIENCE)
    assert witness.tracker.early.lost == 1
    witness.apply(pod(runs(0, "a")), now=200)
    assert counts(witness.seen) == []


def test_events_that_wait_are_bounded() -> None:
    witness = Witness()
    for i in range(MOST_EARLY + 5):
        witness.hear(unhealthy(pod=f"p-{i}", uid=f"u-{i}"))
    assert witness.tracker.early.lost == 5


def test_an_event_of_the_first_list_without_a_pod_is_history_not_a_loss() -> None:
    witness = Witness()
    witness.hear(unhealthy(uid="long-gone", began=-500), listed=True)
    witness.elapse(60 + PATIENCE)
    assert witness.tracker.early.lost == 0


def test_an_event_of_an_earlier_pod_of_the_same_name_is_not_this_ones() -> None:
    witness = watching()
    assert witness.hear(unhealthy(uid="uid-before")) == []


def test_an_event_without_uid_is_found_by_name() -> None:
    seen = watching().hear(event("TaintManagerEviction", "Marking for deletion", uid="", container="", kind="Warning"))
    assert counts(seen) == [1]


def test_an_event_of_a_static_pod_names_the_hash_of_its_config() -> None:
    witness = Witness()
    witness.apply(pod(runs(0, "a"), mirror="c0ffee"))
    assert counts(witness.hear(unhealthy(uid="c0ffee"))) == [1]
    assert counts(witness.hear(unhealthy(uid="other", name="web-0.2"))) == []
    assert counts(witness.hear(unhealthy(uid="uid-0", name="web-0.3"))) == [1], "a controller goes by the API's uid"


@pytest.mark.parametrize("claimed", [{"name": "web-1"}, {"namespace": "bank"}])
def test_an_event_that_names_another_pods_uid_is_nobodys(claimed: dict[str, Any]) -> None:
    """The API server holds an Event to its own namespace, but not to the pods in it."""
    witness = watching(spec=LIVENESS)
    subject = replace(unhealthy().involved_object, **claimed)
    assert witness.hear(replace(unhealthy(), involved_object=subject)) == []
    witness.elapse(60 + PATIENCE)
    assert witness.tracker.early.lost == 1


@pytest.mark.parametrize("claimed", [{"name": "web-1"}, {"namespace": "bank"}])
def test_an_event_that_names_another_static_pods_hash_is_nobodys(claimed: dict[str, Any]) -> None:
    witness = Witness()
    witness.apply(pod(runs(0, "a"), mirror="c0ffee"))
    witness.apply(pod(runs(0, "b"), uid="uid-1", mirror="other", **claimed))
    subject = replace(unhealthy(uid="c0ffee").involved_object, **claimed)
    assert witness.hear(replace(unhealthy(), involved_object=subject)) == []


def test_an_event_of_a_pod_that_has_just_gone_counts() -> None:
    witness = watching()
    witness.delete(pod(runs(0, "a"), deleted=70))
    assert counts(witness.hear(unhealthy(count=2), now=95)) == [2]
    assert counts(witness.hear(unhealthy(count=3), now=96)) == [1]


# probes and pulls


@pytest.mark.parametrize(
    ("text", "probe", "outcome"),
    [
        ("Readiness probe failed: HTTP probe failed with statuscode: 503", "readiness", "failed"),
        ("Startup probe failed: ", "startup", "failed"),
        ("Liveness probe errored and resulted in unknown state: rpc error", "liveness", "errored"),
        ("Liveness probe errored: rpc error", "liveness", "errored"),
    ],
)
def test_a_probe_failure_has_probe_and_outcome(text: str, probe: str, outcome: str) -> None:
    (failed,) = of(watching().hear(unhealthy(text, count=3)), ProbeFailed)
    assert (failed.container, failed.probe, failed.outcome, failed.counted) == ("main", probe, outcome, 3)


def test_a_warning_of_a_probe_is_no_failure() -> None:
    seen = watching().hear(event("ProbeWarning", "Liveness probe warning: redirect"))
    assert of(seen, ProbeFailed) == []
    assert counts(seen) == [1]


def test_an_event_for_several_is_given_to_the_only_container_that_has_such_a_probe() -> None:
    combined = unhealthy("(combined from similar events): Liveness probe failed: x", container="wrong", count=4)
    (failed,) = of(watching(spec=LIVENESS).hear(combined), ProbeFailed)
    assert (failed.container, failed.counted) == ("main", 4)


def test_an_event_for_several_containers_names_none() -> None:
    witness = Witness()
    other = replace(LIVENESS, name="other")
    witness.apply(pod(runs(0, "a"), specs=(LIVENESS, other)))
    combined = unhealthy("(combined from similar events): Liveness probe failed: x", count=4)
    (failed,) = of(witness.hear(combined), ProbeFailed)
    assert (failed.container, failed.container_type, failed.counted) == ("", "", 4)


def test_a_container_that_the_pod_does_not_have_makes_no_series() -> None:
    witness = watching(spec=LIVENESS)
    (failed,) = of(witness.hear(unhealthy(container="forged", count=4)), ProbeFailed)
    assert (failed.container, failed.container_type, failed.counted) == ("", "", 4)
    present = event("Pulled", 'image "x" already present', kind="Normal", container="forged", name="web-0.2")
    (pulled,) = of(witness.hear(present), ImagePulled)
    assert (pulled.container, pulled.container_type) == ("", "")


@pytest.mark.parametrize(
    ("probe", "cause"), [(Probe(exec=Handler()), "exec_exit"), (Probe(tcp_socket=Handler()), "connection_refused")]
)
def test_the_output_of_a_command_is_its_own_text(probe: Probe, cause: str) -> None:
    witness = watching(spec=ContainerSpec("main", liveness_probe=probe))
    (failed,) = of(witness.hear(unhealthy("Liveness probe failed: connection refused")), ProbeFailed)
    assert failed.cause == cause


def test_a_command_that_takes_too_long_is_the_kubelets_word() -> None:
    witness = watching(spec=ContainerSpec("main", liveness_probe=Probe(exec=Handler())))
    text = 'Liveness probe failed: command timed out: "sh -c x" timed out after 1s'
    assert [o.cause for o in of(witness.hear(unhealthy(text)), ProbeFailed)] == ["timeout"]


def test_a_pull_has_result_registry_and_duration() -> None:
    text = 'Successfully pulled image "ghcr.io/acme/llm:7" in 1m2.5s (1m3s including waiting). Image size: 5 bytes.'
    (pulled,) = of(watching().hear(event("Pulled", text, kind="Normal")), ImagePulled)
    assert (pulled.container, pulled.result, pulled.registry, pulled.seconds) == ("main", "pulled", "ghcr.io", 62.5)


def test_a_present_image_was_not_pulled() -> None:
    text = 'Container image "nginx:1" already present on machine and can be accessed by the pod'
    (pulled,) = of(watching().hear(event("Pulled", text, kind="Normal", count=3)), ImagePulled)
    assert (pulled.result, pulled.count, pulled.seconds, pulled.registry) == ("present", 3, None, "")


# kills


def killed(n: int, cid: str, code: int, *, finished: float = 41, new: str = "") -> ContainerStatus:
    """In one update: instance n has ended and the next one runs."""
    return runs(n + 1, new or f"{cid}-next", ended(code, cid=cid, finished=finished))


@pytest.mark.parametrize("code", [0, 1, 137, 143])
@pytest.mark.parametrize("text", [LIVE, START])
def test_a_kill_that_was_heard_before_names_the_cause(code: int, text: str) -> None:
    witness = watching(spec=BOTH_PROBES, wait=3)
    witness.hear(killing(text))
    cause = "LivenessProbe" if text == LIVE else "StartupProbe"
    assert witness.apply(pod(killed(0, "a", code), specs=(BOTH_PROBES,))) == [
        f"main terminated {cause} {code}",
        f"main restarted {cause}",
    ]


def test_a_kill_that_is_heard_later_settles_what_waits_for_it() -> None:
    witness = watching(spec=BOTH_PROBES, wait=3)
    assert witness.apply(pod(killed(0, "a", 137), specs=(BOTH_PROBES,))) == []
    seen = witness.hear(killing(START), now=61)
    assert words(seen) == ["main terminated StartupProbe 137", "main restarted StartupProbe"]
    assert witness.elapse(70) == []


def test_without_the_event_the_path_is_believed_after_the_wait() -> None:
    witness = watching(spec=BOTH_PROBES, wait=3)
    witness.apply(pod(killed(0, "a", 137), specs=(BOTH_PROBES,)))
    assert witness.elapse(62) == []
    assert witness.elapse(63) == ["main terminated LivenessProbe 137", "main restarted LivenessProbe (inferred)"]


@pytest.mark.parametrize("step", [-3600, 3600])
def test_a_step_of_the_clock_moves_the_wait_for_the_event(step: int) -> None:
    witness = watching(spec=BOTH_PROBES, wait=3)
    witness.apply(pod(killed(0, "a", 137), specs=(BOTH_PROBES,)))
    witness.tracker.stepped(step)
    assert witness.elapse(62.9 + step) == []
    assert witness.elapse(63 + step) == [
        "main terminated LivenessProbe 137",
        "main restarted LivenessProbe (inferred)",
    ]


def test_an_end_by_itself_never_waits() -> None:
    witness = watching(spec=LIVENESS, wait=3)
    assert witness.apply(pod(status(0, "a", ended(1, cid="a")), specs=(LIVENESS,))) == ["main terminated Error 1"]


def test_a_kill_without_restart_is_known_by_its_event() -> None:
    """restartPolicy Never: the end shows in state.terminated, so there is no path."""
    witness = watching(spec=LIVENESS, wait=3)
    witness.hear(killing("Container main failed liveness probe"))
    end = status(0, "a", ended(137, cid="a", finished=70))
    assert witness.apply(pod(end, specs=(LIVENESS,), policy="Never")) == ["main terminated LivenessProbe 137"]


def test_a_kill_heard_during_back_off_names_the_restart_that_follows() -> None:
    witness = watching(spec=PLAIN, wait=3)
    witness.apply(pod(status(0, "a", ended(137, cid="a", finished=41))))
    witness.hear(killing("FailedPostStartHook"))
    witness.apply(pod(backs_off(0, ended(137, cid="a", finished=41))))
    assert witness.apply(pod(killed(0, "a", 137))) == ["main restarted PostStartHook"]


def test_a_late_kill_never_blames_the_next_end() -> None:
    witness = watching(spec=LIVENESS, wait=3)
    witness.apply(pod(killed(0, "a", 137), specs=(LIVENESS,)))
    witness.elapse(63)
    witness.hear(killing(at=40), now=64)
    crash = status(1, "a-next", ended(1, cid="a-next", finished=80))
    assert witness.apply(pod(crash, specs=(LIVENESS,)), now=81) == ["main terminated Error 1"]


def test_a_kill_explains_one_end_only() -> None:
    witness = watching(spec=LIVENESS, wait=3)
    witness.hear(killing(at=40))
    witness.apply(pod(killed(0, "a", 137, new="b"), specs=(LIVENESS,)))
    crash = status(1, "b", ended(1, cid="b", finished=43))
    assert witness.apply(pod(crash, specs=(LIVENESS,)), now=62) == ["main terminated Error 1"]


def test_an_end_long_after_the_grace_period_is_not_the_kills() -> None:
    witness = watching(spec=LIVENESS, wait=3)
    witness.hear(killing(at=40))
    crash = status(0, "a", ended(1, cid="a", finished=40 + 30 + 11))
    assert witness.apply(pod(crash, specs=(LIVENESS,)), now=90) == ["main terminated Error 1"]


def test_a_probes_own_grace_period_may_be_longer() -> None:
    spec = ContainerSpec("main", liveness_probe=Probe(termination_grace_period_seconds=120))
    witness = watching(spec=spec, wait=3)
    witness.hear(killing(at=40))
    crash = status(0, "a", ended(137, cid="a", finished=150))
    assert witness.apply(pod(crash, specs=(spec,)), now=151) == ["main terminated LivenessProbe 137"]


def test_what_the_api_says_comes_before_any_kill() -> None:
    witness = watching(spec=LIVENESS, wait=3)
    witness.hear(killing(at=40))
    oom = status(0, "a", ended(137, "OOMKilled", cid="a", finished=41))
    assert witness.apply(pod(oom, specs=(LIVENESS,))) == ["main terminated OOMKilled 137"]


def test_a_kill_of_another_container_is_not_this_ones() -> None:
    witness = watching(spec=PLAIN, wait=3)
    witness.hear(killing(container="other"))
    assert witness.apply(pod(status(0, "a", ended(1, cid="a", finished=41)))) == ["main terminated Error 1"]


def test_stopping_a_container_is_no_cause() -> None:
    witness = watching(wait=3)
    witness.hear(killing("Stopping container main"))
    assert witness.apply(pod(status(0, "a", ended(1, cid="a", finished=41)))) == ["main terminated Error 1"]


def test_a_changed_sandbox_explains_the_ends_of_all_containers() -> None:
    witness = watching(wait=3)
    witness.hear(event("SandboxChanged", SANDBOX, began=40, kind="Normal", container="", name="web-0.sandbox"))
    seen = witness.apply(pod(killed(0, "a", 137, finished=39)))
    assert seen == ["main terminated PodSandboxChanged 137", "main restarted PodSandboxChanged"]


def test_a_changed_sandbox_explains_no_end_of_what_came_with_the_new_one() -> None:
    witness = watching(wait=3)
    witness.hear(event("SandboxChanged", SANDBOX, began=40, kind="Normal", container="", name="web-0.sandbox"))
    witness.apply(pod(killed(0, "a", 137, finished=41, new="b")))
    soon_after = status(1, "b", ended(3, cid="b", started=42, finished=44))
    assert witness.apply(pod(soon_after)) == ["main terminated Error 3"]


def test_a_sandbox_event_that_comes_late_explains_no_end_of_what_came_with_the_new_one() -> None:
    witness = watching(wait=3)
    witness.apply(pod(status(0, "a", ended(3, cid="a", started=40, finished=44))))
    witness.hear(event("SandboxChanged", SANDBOX, began=40, kind="Normal", container="", name="web-0.sandbox"))
    assert witness.apply(pod(runs(1, "b", ended(3, cid="a", started=40, finished=44)))) == ["main restarted Error"]


def test_the_sandbox_of_a_pod_that_stops_is_no_cause() -> None:
    witness = watching(wait=3)
    witness.hear(event("SandboxChanged", SANDBOX, began=40, kind="Normal", container=""))
    stopped = pod(status(0, "a", ended(137, cid="a", finished=41)), deleted=39)
    assert "main terminated PodStopped 137" in witness.apply(stopped)


def test_a_second_kill_of_the_same_event_counts_anew() -> None:
    witness = watching(spec=LIVENESS, wait=3)
    witness.hear(killing(at=40))
    witness.apply(pod(killed(0, "a", 0, new="b"), specs=(LIVENESS,)))
    witness.hear(replace(killing(at=40, last=80), count=2), now=81)
    assert witness.apply(pod(killed(1, "b", 0, finished=81, new="c"), specs=(LIVENESS,)), now=82) == [
        "main terminated LivenessProbe 0",
        "main restarted LivenessProbe",
    ]


def test_a_pod_that_goes_while_an_end_waits_tells_it_by_its_path() -> None:
    witness = watching(spec=LIVENESS, wait=3)
    after = pod(killed(0, "a", 137), specs=(LIVENESS,))
    witness.apply(after)
    gone = witness.delete(pod(killed(0, "a", 137), specs=(LIVENESS,), deleted=61))
    assert gone[1:3] == ["main terminated LivenessProbe 137", "main restarted LivenessProbe (inferred)"]


def test_a_pod_that_leaves_our_view_while_an_end_waits_tells_it_too() -> None:
    witness = watching(spec=LIVENESS, wait=3)
    after = pod(killed(0, "a", 137), specs=(LIVENESS,))
    witness.apply(after)
    assert "main restarted LivenessProbe (inferred)" in witness.delete(after)


def test_a_restart_that_waited_keeps_the_pod_among_the_unhealthy() -> None:
    witness = watching(spec=LIVENESS, wait=3)
    witness.apply(pod(killed(0, "a", 137), specs=(LIVENESS,)))
    witness.elapse(63)
    assert witness.record().quiet_at == T0 + 63 + 600


STEPS = ("event", "replaced", "wait")


@pytest.mark.parametrize("code", [0, 137])
@pytest.mark.parametrize("order", [*permutations(STEPS)])
def test_in_every_order_of_the_streams_there_is_one_restart_of_that_cause(order: tuple[str, ...], code: int) -> None:
    witness = watching(spec=LIVENESS, wait=3)
    now = 60.0
    for step in order:
        now += 1
        if step == "event":
            witness.hear(killing(at=40), now=now)
        elif step == "replaced":
            witness.apply(pod(killed(0, "a", code), specs=(LIVENESS,)), now=now)
        else:
            now += 5
            witness.elapse(now)
    witness.elapse(now + 10)
    restarts = of(witness.seen, ContainerRestarted)
    assert [o.reason for o in restarts] == ["LivenessProbe"]
    assert restarts[0].inferred == (order == ("replaced", "wait", "event")), "it came after the wait was over"


def test_a_kill_may_overtake_the_first_status_of_its_container() -> None:
    witness = Witness(wait=3)
    witness.apply(pod(specs=(LIVENESS,), phase="Pending"))
    witness.hear(killing(at=40))
    witness.apply(pod(runs(0, "a"), specs=(LIVENESS,)))
    seen = witness.apply(pod(killed(0, "a", 0), specs=(LIVENESS,)))
    assert seen == ["main terminated LivenessProbe 0", "main restarted LivenessProbe"]


def test_a_killed_sidecar_is_told_like_any_container() -> None:
    spec = ContainerSpec("proxy", restart_policy="Always", liveness_probe=Probe())
    witness = Witness(wait=3)
    shown = replace(runs(0, "a"), name="proxy")
    witness.apply(pod(runs(0, "m"), inits=(spec,), init_statuses=(shown,)))
    text = "Init container proxy failed liveness probe"
    witness.hear(killing(text, container="proxy", path="spec.initContainers"))
    after = replace(killed(0, "a", 137), name="proxy")
    seen = witness.apply(pod(runs(0, "m"), inits=(spec,), init_statuses=(after,)))
    assert seen == ["proxy terminated LivenessProbe 137", "proxy restarted LivenessProbe"]


# the kubelet's own counters


def read(witness: Witness, total: int, *, first: bool = False, now: float = 60) -> list[int]:
    before = len(witness.seen)
    witness.tracker.probe_failures("node-1", "uid-0", "main", "liveness", total, T0 + now, first=first)
    return [o.counted for o in of(witness.seen[before:], ProbeFailed)]


def test_the_kubelets_totals_count_by_growth_and_through_a_reset() -> None:
    witness = watching(spec=LIVENESS)
    assert [read(witness, total) for total in (3, 3, 5, 2, 2)] == [[3], [], [2], [2], []]


def test_what_both_sources_tell_counts_once() -> None:
    witness = watching(spec=LIVENESS)
    assert [o.counted for o in of(witness.hear(unhealthy(count=2)), ProbeFailed)] == [2]
    assert read(witness, 5) == [3]
    assert [o.counted for o in of(witness.hear(unhealthy(count=4)), ProbeFailed)] == [0]
    assert [o.counted for o in of(witness.hear(unhealthy(count=6)), ProbeFailed)] == [1]
    assert read(witness, 6) == []


def test_a_baseline_pods_first_total_is_its_base() -> None:
    witness = Witness(baseline=False)
    witness.apply(pod(runs(5, "a"), specs=(LIVENESS,), created=-900))
    witness.relist("uid-0", now=0)
    assert read(witness, 40, first=True) == []
    assert read(witness, 42) == [2]


def test_a_failure_that_a_later_read_shows_first_is_new() -> None:
    """The kubelet has no series before the first failure."""
    witness = Witness(baseline=False)
    witness.apply(pod(runs(5, "a"), specs=(LIVENESS,), created=-900))
    witness.relist("uid-0", now=0)
    assert read(witness, 2, first=False) == [2]


def test_a_kubelet_is_not_heard_about_the_pods_of_other_nodes() -> None:
    witness = watching(spec=LIVENESS)
    witness.tracker.probe_failures("node-2", "uid-0", "main", "liveness", 7, T0, first=False)
    assert witness.seen == []
    assert read(witness, 3) == [3]


def test_a_total_that_comes_before_its_pods_binding_is_told_by_the_next_read() -> None:
    witness = Witness()
    witness.apply(pod(node="", phase="Pending", specs=(LIVENESS,)))
    assert read(witness, 2, first=True) == []
    witness.apply(pod(runs(0, "a"), specs=(LIVENESS,)))
    assert read(witness, 3) == [3]


def test_a_kubelet_that_makes_up_numbers_makes_none_that_a_checkpoint_cannot_hold() -> None:
    witness = watching(spec=LIVENESS)
    for _ in range(3000):
        read(witness, 2**53)
        read(witness, 0)
    assert encode(witness.record())
    assert witness.container().failures[0].untold == 0


def test_a_kubelet_calls_a_static_pod_by_the_hash_of_its_config() -> None:
    """And nobody else's pod, be it one that bears the same annotation."""
    witness = Witness()
    witness.apply(pod(runs(0, "a"), specs=(LIVENESS,), uid="one", mirror="hash"))
    witness.apply(pod(runs(0, "f"), specs=(LIVENESS,), uid="forged", mirror="hash", name="forged"))
    for now, total in ((60, 3), (90, 5)):
        witness.tracker.probe_failures("node-1", "hash", "main", "liveness", total, T0 + now, first=False)
        if now == 60:
            witness.delete(pod(runs(0, "a"), uid="one", mirror="hash", deleted=80))
            witness.apply(pod(runs(0, "a"), specs=(LIVENESS,), uid="two", mirror="hash", created=85))
    told = of(witness.seen, ProbeFailed)
    assert [(o.pod.name, o.pod.uid, o.counted) for o in told] == [("web-0", "one", 3), ("web-0", "two", 2)]


def test_totals_of_pods_or_containers_that_are_not_there_change_nothing() -> None:
    witness = watching()
    witness.tracker.probe_failures("node-1", "nobody", "main", "liveness", 3, T0, first=False)
    witness.tracker.probe_failures("node-1", "uid-0", "nobody", "liveness", 3, T0, first=False)
    assert witness.seen == []
