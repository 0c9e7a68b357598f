"""The exporter's main job: every restart counted once, under its cause, for good."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from math import ceil
from pathlib import Path

import pytest

from tests.cluster import configs, scenarios
from tests.cluster.api import Object
from tests.cluster.node import Node
from tests.cluster.scenarios import NAMESPACE, NEVER_RUNS, REASONS
from tests.cluster.scrape import OPENMETRICS, TEXT, Scrape
from tests.cluster.story import BIRTH_HOLD, SCRAPE, Outcome, Story
from tests.cluster.truth import Key, Truth, Workload, workload_of
from tools.alerts import ALERTS

pytestmark = pytest.mark.cluster
RESTARTS = "pod_container_restarts_total"
TRANSITIONS = "pod_phase_transitions_total"


@pytest.fixture(scope="module")
def story(node: Node, folder: Path) -> Iterator[Story]:
    with closing(Story(node, folder)) as story:
        story.tell()
        yield story


@pytest.fixture(scope="module")
def outcome(story: Story) -> Outcome:
    return story.outcome


def counted(scrape: Scrape, key: Key) -> float:
    """Restarts of a workload's container over all reasons."""
    workload, container = key
    return scrape.total(RESTARTS, **labels(workload), container=container)


def labels(workload: Workload) -> dict[str, str]:
    return {"namespace": NAMESPACE, "workload_kind": workload.kind, "workload": workload.name}


def mismatches(scrape: Scrape, truth: Truth) -> dict[Key, tuple[int, float]]:
    """Containers of which the exporter counted something else than the truth: (truth, counted)."""
    pairs = {key: (restarts, counted(scrape, key)) for key, restarts in truth.restarts().items()}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def test_every_restart_is_counted_once(outcome: Outcome, report: list[str]) -> None:
    starts: Counter[Key] = Counter()
    for instance, count in outcome.truth.starts.counts.items():
        starts[outcome.truth.key(instance)] += count
    report.append(f"{'container':42} {'starts':>6} {'restarts':>8} {'counted':>7} equal?")
    for key, restarts in sorted(outcome.truth.restarts().items()):
        number = counted(outcome.calm, key)
        name = f"{key[0].kind}/{key[0].name}/{key[1]}"
        report.append(f"{name:42} {starts[key]:6} {restarts:8} {number:7.0f} {'yes' if number == restarts else 'NO'}")
    assert mismatches(outcome.calm, outcome.truth) == {}


def test_no_restart_is_invented(outcome: Outcome) -> None:
    true = sum(outcome.truth.restarts().values())
    assert outcome.calm.total(RESTARTS, namespace=NAMESPACE) == true


def test_the_story_has_restarts_of_every_kind(outcome: Outcome) -> None:
    """Else the tests of causes would be empty."""
    restarted = {(key[0].name, key[1]) for key, count in outcome.truth.restarts().items() if count}
    assert restarted == REASONS.keys()


def test_counts_outlive_their_pods(outcome: Outcome) -> None:
    assert outcome.gone.select("pod_info", namespace=NAMESPACE) == []
    assert mismatches(outcome.gone, outcome.gone_truth) == {}


def test_a_late_exporter_counts_from_what_it_found(outcome: Outcome) -> None:
    baseline = outcome.baseline
    least = outcome.truth.restarts(baseline.after, baseline.gone)
    most = outcome.truth.restarts(baseline.before, baseline.gone)
    numbers = {key: counted(outcome.late_calm, key) for key in least}
    wrong = {key: (least[key], n, most[key]) for key, n in numbers.items() if not least[key] <= n <= most[key]}
    assert wrong == {}, "(least, counted, most)"
    assert sum(numbers.values()) > 50, "the late exporter has seen hardly anything"


@pytest.mark.parametrize("container", REASONS, ids="/".join)
def test_restarts_are_counted_under_their_cause(outcome: Outcome, container: tuple[str, str]) -> None:
    """Near an outage a cause may be unknown; elsewhere it must be the right one."""
    name, container_name = container
    by_reason = outcome.calm.by("reason", RESTARTS, namespace=NAMESPACE, workload=name, container=container_name)
    right = by_reason.pop(REASONS[container], 0)
    key = next(key for key in outcome.truth.restarts() if key[0].name == name and key[1] == container_name)
    unsure = outcome.truth.starts_within(key, outcome.outages)
    assert right > 0, by_reason
    if name == NEVER_RUNS:  # it writes no log, but restarts every five seconds at most
        unsure = sum(ceil((end - begin) / 5) for begin, end in outcome.outages)
    assert sum(by_reason.values()) <= unsure, by_reason


def test_the_installed_exporter_counts_the_same(outcome: Outcome) -> None:
    """The image, as the chart runs it."""
    assert mismatches(outcome.deployed, outcome.truth) == {}
    families = {sample.name for sample in outcome.calm.select_all(NAMESPACE)}
    assert families - {sample.name for sample in outcome.deployed.select_all(NAMESPACE)} == set()
    assert len(families) > 50


def test_container_types_tell_init_containers_and_sidecars(outcome: Outcome) -> None:
    types = {
        (workload, container): set(
            outcome.calm.by("container_type", RESTARTS, namespace=NAMESPACE, workload=workload, container=container)
        )
        for workload, container in (("badinit", "setup"), ("sidecar", "proxy"), ("crasher", "main"))
    }
    assert list(types.values()) == [{"init"}, {"sidecar"}, {"container"}]


def test_oom_kills_are_terminations_of_that_reason(outcome: Outcome) -> None:
    family = "pod_container_terminations_total"
    ends = outcome.calm.total(family, workload="oom", reason="OOMKilled", exit_code="137")
    assert ends == outcome.calm.total(RESTARTS, workload="oom", reason="OOMKilled")


def test_every_pod_is_created_and_deleted_once(outcome: Outcome) -> None:
    created, gone = outcome.gone_truth.created(), outcome.gone_truth.gone()
    for workload, count in created.items():
        assert outcome.gone.total(TRANSITIONS, **labels(workload), **{"from": "None"}) == count, workload
    for workload, count in gone.items():
        assert outcome.gone.total(TRANSITIONS, **labels(workload), to="Deleted") == count, workload


def test_workload_pods_are_the_pods_of_the_api(outcome: Outcome) -> None:
    true = Counter((workload_of(pod), phase_of(pod)) for pod in outcome.pods)
    shown = {
        (Workload(sample.labels["workload_kind"], sample.labels["workload"]), sample.labels["phase"]): sample.value
        for sample in outcome.calm.select("pod_workload_pods", namespace=NAMESPACE)
        if sample.value
    }
    assert shown == true


def phase_of(pod: Object) -> str:
    phase: str = pod["status"]["phase"]
    if "deletionTimestamp" in pod["metadata"] and phase not in ("Succeeded", "Failed"):
        return "Terminating"
    return "ContainerCreating" if phase == "Pending" and "nodeName" in pod["spec"] else phase


@pytest.mark.parametrize(
    ("workload", "reason"),
    [("evicted", "EvictionByEvictionAPI"), ("hoarder", "LocalStorageLimit"), ("deadline", "DeadlineExceeded")],
)
def test_disruptions_have_their_reason(outcome: Outcome, workload: str, reason: str) -> None:
    assert outcome.gone.by("reason", "pod_disruptions_total", workload=workload) == {reason: 1}


def test_a_resize_in_place_is_shown_once_it_is_granted(outcome: Outcome) -> None:
    amounts = outcome.calm.by("unit", "pod_container_resource_requests", workload="resized", resource="memory")
    assert amounts == {"byte": 24 * 2**20}


def test_a_rollout_is_counted_once(outcome: Outcome) -> None:
    rollouts = outcome.gone.by("workload", "pod_workload_rollouts_total", namespace=NAMESPACE)
    assert rollouts == {"web": 1, "rolled": 1}


def test_an_ignored_sigterm_is_a_grace_period_exceeded(outcome: Outcome) -> None:
    exceeded = outcome.gone.by("workload", "pod_grace_period_exceeded_total", namespace=NAMESPACE)
    assert exceeded["stubborn"] == 1


def test_readiness_losses_are_those_that_the_container_made(outcome: Outcome) -> None:
    """While the API server is away, one may be missed."""
    losses = outcome.calm.total("pod_container_readiness_losses_total", workload="flapper", cause="container")
    assert outcome.losses - 4 <= losses <= outcome.losses
    assert outcome.losses > 10


def test_times_without_traffic_are_those_that_the_container_made(outcome: Outcome) -> None:
    """Eight seconds each; the probe looks once a second, and the API's times are whole ones.

    Two of them are one, with the eight seconds between, if the end of the first and the begin of the second are missed.
    """
    family = "pod_unready_duration_seconds"
    episodes = outcome.calm.total(f"{family}_count", workload="flapper", cause="probe")
    seconds = outcome.calm.total(f"{family}_sum", workload="flapper", cause="probe")
    assert outcome.losses - 4 <= episodes <= outcome.losses
    assert 7 * episodes <= seconds <= 9 * episodes + 16 * (outcome.losses - episodes)


EPISODES = {"crasher": 2, "oom": 1, "completer": 1, "badinit": 1, "sidecar": 1, NEVER_RUNS: 1}


def test_a_crash_loop_is_one_episode_of_each_pod_however_often_it_restarts(outcome: Outcome) -> None:
    """None of them has run for ten minutes when all is calm."""
    begun = outcome.calm.by("workload", "pod_container_crash_loops_total", namespace=NAMESPACE)
    assert {workload: begun.get(workload) for workload in EPISODES} == EPISODES
    now = outcome.calm.by("workload", "pod_workload_crash_looping_containers", namespace=NAMESPACE)
    in_a_loop = {workload: int(now.get(workload, 0)) for workload in EPISODES if workload != NEVER_RUNS}
    assert in_a_loop == {"crasher": 2, "oom": 1, "completer": 1, "badinit": 0, "sidecar": 1}, "badinit has succeeded"


PROBED = ("hang", "polite", "slow-start", "flapper", "talker")
"""Workloads whose probes fail and whose pod lives from the beginning to the end."""
PROBE_FAILURES = "pod_container_probe_failures_total"


def true_failures(outcome: Outcome, workload: str) -> int:
    uids = {pod["metadata"]["uid"] for pod in outcome.pods if pod["metadata"]["labels"]["truth-workload"] == workload}
    return sum(count for probes in outcome.probes for (uid, *_), count in probes.items() if uid in uids)


@pytest.mark.parametrize("workload", PROBED)
def test_with_the_kubelet_as_source_probe_failures_are_exact(
    outcome: Outcome, workload: str, report: list[str]
) -> None:
    """Also over a restart of the kubelet, but for what it counted between its last read and its end (2 s)."""
    true = true_failures(outcome, workload)
    exact = outcome.exact.total(PROBE_FAILURES, workload=workload, outcome="failed")
    events = outcome.calm.total(PROBE_FAILURES, workload=workload, outcome="failed")
    report.append(
        f"probe failures of {workload:12} true {true:4} with the kubelet {exact:4.0f} by Events {events:4.0f}"
    )
    assert true - 3 <= exact <= true
    assert 0 < events <= true
    assert true > 5


def test_the_sources_of_probe_failures_are_told(outcome: Outcome) -> None:
    assert outcome.calm.by("source", "pod_exporter_probe_source") == {"events": 1}
    assert outcome.exact.by("source", "pod_exporter_probe_source") == {"events": 1, "kubelet": 1}
    reads = outcome.exact.by("result", "pod_exporter_kubelet_reads_total")
    assert reads["ok"] > 60
    assert reads["unreachable"] > 0, "the kubelet was away"


PROBE_KILLS = {
    "hang": "LivenessProbe",
    "polite": "LivenessProbe",
    "guarded": "LivenessProbe",
    "slow-start": "StartupProbe",
}


def misses(log: Path, outcome: Outcome) -> Iterator[Object]:
    """Restarts by a probe that the exporter logged under another reason, outside of outages."""
    for line in log.read_text().splitlines():
        seen = json.loads(line)
        cause = PROBE_KILLS.get(seen.get("pod.workload.name", ""))
        missed = cause and seen["message"] == "ContainerRestarted" and seen["reason"] not in (cause, "Unobserved")
        if missed and not any(begin <= seen["at"] <= end for begin, end in outcome.outages):
            yield seen


def history(raw: Path, miss: Object) -> Iterator[str]:
    """What the API showed of that container, update by update."""
    for line in raw.read_text().splitlines():
        event = json.loads(line)
        if event["object"]["metadata"].get("uid") == miss["pod.uid"]:
            for status in event["object"].get("status", {}).get("containerStatuses", ()):
                yield f"    {event['type']} {status['restartCount']} {status['state']} last {status.get('lastState')}"


def test_of_fifty_probe_kills_at_most_one_has_a_wrong_cause(story: Story, outcome: Outcome, report: list[str]) -> None:
    """Near an outage Events get lost, and nothing can tell. What two exporters missed is shown."""
    right = Counter(
        {
            workload: int(outcome.calm.total(RESTARTS, namespace=NAMESPACE, workload=workload, reason=cause))
            for workload, cause in PROBE_KILLS.items()
        }
    )
    wrong = [miss for one in (story.exporter, story.exact) for miss in misses(one.log, outcome)]
    inferred = outcome.calm.by("cause", "pod_exporter_inferred_causes_total")
    report.append(f"probe kills: right {dict(right)}, wrong outside of outages {len(wrong)}, inferred {inferred}")
    for miss in wrong:
        report.append(f"  {miss['time']} {miss['pod.name']} {miss['reason']}")
        report.extend(history(story.recorder.tape.file, miss))
    assert min(right.values()) >= (4 if configs.BACK_OFF == "5m" else 12)
    assert right.total() >= (16 if configs.BACK_OFF == "5m" else 51)
    assert len(wrong) <= right.total() / 50


def test_failed_pulls_are_counted(outcome: Outcome) -> None:
    assert outcome.calm.total("pod_container_image_pulls_total", workload="nopull", result="failed") > 0


TOLD_APART = [
    # workload, series (family, labels) that it has and that no healthy workload has
    ("crasher", "pod_container_restarts_total", {"reason": "Error"}),
    ("crasher", "pod_container_crash_loops_total", {}),
    ("oom", "pod_container_terminations_total", {"reason": "OOMKilled", "exit_code": "137"}),
    ("hang", "pod_container_restarts_total", {"reason": "LivenessProbe"}),
    ("slow-start", "pod_container_restarts_total", {"reason": "StartupProbe"}),
    ("badinit", "pod_container_restarts_total", {"container_type": "init", "reason": "Error"}),
    ("sidecar", "pod_container_restarts_total", {"container_type": "sidecar", "reason": "Error"}),
    ("badcmd", "pod_container_restarts_total", {"reason": "StartError"}),
    ("nopull", "pod_container_image_pulls_total", {"result": "failed", "cause": "network"}),
    ("flapper", "pod_container_readiness_losses_total", {"cause": "container"}),
    ("flapper", "pod_container_probe_failures_total", {"probe": "readiness", "outcome": "failed"}),
    ("talker", "pod_container_probe_failure_causes_total", {"probe": "liveness", "cause": "exec_exit"}),
    ("config-talker", "pod_events_total", {"event_type": "Warning", "reason": "Failed"}),
    ("no-secret", "pod_container_waiting_total", {"reason": "CreateContainerConfigError"}),
    ("no-secret", "pod_workload_waiting_containers", {"reason": "CreateContainerConfigError"}),
    ("llm-with-monitoring", "pod_startup_stage_seconds_total", {"stage": "init"}),
    ("nginx-pod", "pod_unmanaged", {}),
    ("flapper", "pod_unready_duration_seconds_count", {"cause": "probe"}),
    ("unschedulable", "pod_workload_unschedulable_pods", {"cause": "insufficient_cpu"}),
    ("unschedulable", "pod_scheduling_failures_total", {"cause": "insufficient_cpu"}),
    ("gated", "pod_startup_stage_seconds_total", {"stage": "gated"}),
    ("evicted", "pod_disruptions_total", {"reason": "EvictionByEvictionAPI"}),
    ("hoarder", "pod_disruptions_total", {"reason": "LocalStorageLimit", "resource": "ephemeral-storage"}),
    ("deadline", "pod_disruptions_total", {"reason": "DeadlineExceeded"}),
    ("cheap", "pod_disruptions_total", {"reason": "PreemptionByScheduler"}),
    ("stubborn", "pod_grace_period_exceeded_total", {}),
    ("slow-stop", "pod_grace_period_exceeded_total", {}),
    ("guarded", "pod_container_restarts_total", {"container_type": "sidecar", "reason": "LivenessProbe"}),
    ("resized", "pod_container_restarts_total", {"reason": "Resize"}),
    ("together", "pod_in_place_restarts_total", {}),
    ("web", "pod_workload_rollouts_total", {}),
    ("retry", "pod_container_restarts_total", {"workload_kind": "Job", "reason": "Error"}),
    ("badjob", "pod_phase_transitions_total", {"to": "Failed"}),
    ("forced", "pod_container_terminations_total", {"reason": "Unobserved"}),
]


@pytest.mark.parametrize(("workload", "family", "told_by"), TOLD_APART)
def test_every_kind_of_trouble_is_told_by_its_series(
    outcome: Outcome, workload: str, family: str, told_by: dict[str, str]
) -> None:
    ever = max(scrape.total(family, workload=workload, **told_by) for scrape in (outcome.calm, outcome.gone))
    assert ever > 0
    assert outcome.calm.total(family, workload="agent", **told_by) == 0
    assert outcome.calm.total("pod_workload_ready_pods", workload="agent") == 1


def test_stages_of_starts_add_up_to_their_duration_for_every_workload(outcome: Outcome) -> None:
    stages = outcome.gone.by("workload", "pod_startup_stage_seconds_total", namespace=NAMESPACE)
    assert stages == outcome.gone.by("workload", "pod_startup_duration_seconds_sum", namespace=NAMESPACE)
    assert min(sample.value for sample in outcome.gone.select("pod_startup_stage_seconds_total")) >= 0
    assert len(stages) > 5


def test_no_series_appears_twice(outcome: Outcome) -> None:
    assert outcome.calm.duplicates() == []
    assert outcome.text.duplicates() == []


def test_both_formats_show_the_same_series(outcome: Outcome) -> None:
    """The parsers have accepted both by now; `pod_exporter_*` may differ in what the parsers call a series."""
    series = [
        {line.rpartition(" ")[0] for line in scrape.lines() if line.startswith("pod_") and "pod_exporter" not in line}
        for scrape in (outcome.calm, outcome.text)
    ]
    assert series[0] == series[1]


def test_promtool_accepts_the_text_format(outcome: Outcome) -> None:
    command = ["promtool", "check", "metrics"]
    done = subprocess.run(command, input=outcome.text.body, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("accept", [TEXT, OPENMETRICS])
def test_the_asked_format_is_answered(story: Story, accept: str) -> None:
    assert story.exporter.get("/metrics", accept).content_type.startswith(accept.partition(";")[0])


def test_secrets_of_pods_are_shown_nowhere(story: Story, outcome: Outcome) -> None:
    places = {
        "calm": outcome.calm.body,
        "gone": outcome.gone.body,
        "text": outcome.text.body,
        "late": outcome.late_calm.body,
        "exact": outcome.exact.body,
        "deployed": outcome.deployed.body + story.deployed.log(),
        "log": "".join(one.log.read_text() for one in (story.exporter, story.late, story.exact)),
        **outcome.pages,
    }
    assert [name for name, text in places.items() if scenarios.CANARY.lower() in text.lower()] == []
    assert "talker" in outcome.calm.body


def test_no_fault_was_met(outcome: Outcome) -> None:
    """What cannot be decoded or handled is skipped and counted: on a real cluster, nothing is."""
    for family in ("pod_exporter_faults_total", "pod_exporter_decode_errors_total"):
        assert outcome.gone.total(family) == 0, family
        assert outcome.late_calm.total(family) == 0, f"{family} of the late exporter"


def test_sigterm_ends_the_exporter_within_five_seconds(story: Story) -> None:
    code, seconds = story.exporter.stop()
    assert code == 0
    assert seconds < 5


TOLERANCE = 3
"""Seconds for the clocks: kubelet, exporter and Prometheus each cut theirs."""


def logged(story: Story, workload: str, message: str, **more: str) -> list[float]:
    """When the exporter beside the installed one observed that."""
    lines = map(json.loads, story.exporter.log.read_text().splitlines())
    return [
        line["at"]
        for line in lines
        if line["message"] == message and line.get("pod.workload.name") == workload and more.items() <= line.items()
    ]


def first_true(story: Story, query: str, workload: str) -> float:
    """When Prometheus, which scrapes the installed exporter, first found the expression true of that workload."""
    assert story.prometheus is not None
    results = story.prometheus.range(query, story.told_from, story.told_from + 420)
    times = [one["values"][0][0] for one in results if one["metric"].get("workload") == workload]
    assert times, f"never true of {workload}"
    first: float = min(times)
    return first


ALERTED = [
    # alert, workload, which of which observations it is about, whether counted by a series that is born then
    ("PodContainerOOMKilled", "oom", "ContainerTerminated", {"reason": "OOMKilled"}, 0, True),
    ("PodContainerCrashLooping", "crasher", "CrashLoopBegan", {}, 0, False),
    ("PodImagePullFailing", "nopull", "ContainerWaiting", {}, 0, False),
    ("PodProbeKills", "hang", "ContainerRestarted", {"reason": "LivenessProbe"}, 1, True),
]


@pytest.mark.parametrize(("name", "workload", "message", "more", "which", "born"), ALERTED, ids=[a[0] for a in ALERTED])
def test_an_alert_turns_true_within_birth_hold_and_two_scrapes(
    story: Story, outcome: Outcome, report: list[str], name: str, workload: str, message: str, more: dict[str, str],
    which: int, *, born: bool,
) -> None:  # fmt: skip
    alert = next(alert for alert in ALERTS if alert.name == name)
    happened = sorted(logged(story, workload, message, **more))[which]
    delay = first_true(story, alert.query(), workload) - happened
    report.append(f"{name} was true {delay:.1f} s after it happened, scraped every {SCRAPE} s")
    assert delay <= (BIRTH_HOLD if born else 0) + 2 * SCRAPE + TOLERANCE


def test_a_stuck_start_is_told_within_two_scrapes_of_its_limit(story: Story, outcome: Outcome) -> None:
    alert = next(alert for alert in ALERTS if alert.name == "PodStartupStuck")
    query = alert.query({"seconds": 60, "initSeconds": 7200})
    [since] = [
        sample.value
        for sample in outcome.deployed.select("pod_workload_starting_since_timestamp_seconds", workload="config-talker")
    ]
    assert first_true(story, query, "config-talker") - since <= 60 + 2 * SCRAPE + TOLERANCE


MOST_PENDING = 60
"""Seconds for which a start may look like trouble; what such an alert waits for is 15 minutes."""


def test_rollouts_finished_jobs_and_workloads_scaled_to_0_raise_no_alert(story: Story, outcome: Outcome) -> None:
    assert story.prometheus is not None
    step = 5
    raised = story.prometheus.range("ALERTS", story.told_from, story.told_from + 420, step=step)
    seconds = Counter[tuple[str, str, str]]()
    for one in raised:
        label = one["metric"]
        seconds[label.get("workload", ""), label["alertname"], label["alertstate"]] += len(one["values"]) * step
    assert {workload for workload, _, _ in seconds} >= {"crasher", "oom", "nopull", "hang"}
    healthy = {key: n for key, n in seconds.items() if key[0] in ("web", "train", "idle", "agent", "tick")}
    assert {key for key, n in healthy.items() if key[2] == "firing" or n > MOST_PENDING} == set()
