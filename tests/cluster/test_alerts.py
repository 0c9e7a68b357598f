"""The alerts in Prometheus' own test runner: for each a history in which it fires and one in which nothing does."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from tests.cluster.image import ROOT
from tests.cluster.series import TAKEN, Captured
from tools.alerts import ALERTS

pytestmark = pytest.mark.cluster
RULES = sorted((ROOT / "alerts").glob("*.yaml"))
WEB = 'namespace="shop",workload_kind="Deployment",workload="web"'
MAIN = f'{WEB},container="main",container_type="container"'
TRAIN = 'namespace="llm",workload_kind="PyTorchJob",workload="train",container="worker",container_type="container"'
EXPORTER = {
    'pod_exporter_build_info{instance="x"}': "1x200",
    'pod_exporter_synced{instance="x",resource="pods"}': "1x200",
    'pod_exporter_watch_last_contact_timestamp_seconds{instance="x",resource="pods"}': "0+60x200",
}
"""A healthy exporter: every history has one unless it is about that."""
OOM = f'pod_container_terminations_total{{{MAIN},reason="OOMKilled",exit_code="137"}}'
LIVENESS = f'pod_container_restarts_total{{{MAIN},reason="LivenessProbe"}}'
RUNNING, READY = f'pod_workload_pods{{{WEB},phase="Running"}}', f"pod_workload_ready_pods{{{WEB}}}"
LOST = f"pod_workload_unready_since_timestamp_seconds{{{WEB}}}"
LOOPING = f"pod_workload_crash_looping_containers{{{MAIN}}}"
HEALTHY = {RUNNING: "4x200", READY: "4x200"}


def starting(stage: str) -> str:
    return f'pod_workload_starting_since_timestamp_seconds{{{WEB},stage="{stage}"}}'


def waiting(reason: str) -> str:
    return f'pod_workload_waiting_containers{{{WEB},container="main",reason="{reason}"}}'


def disruption(reason: str, resource: str = "") -> str:
    return f'pod_disruptions_total{{{WEB},reason="{reason}",resource="{resource}"}}'


def failures(probe: str) -> str:
    return f'pod_container_probe_failures_total{{{MAIN},probe="{probe}",outcome="failed"}}'


def period(probe: str) -> str:
    return f'pod_container_probe_period_seconds{{{MAIN},probe="{probe}"}}'


def delay(le: str) -> str:
    return f'pod_exporter_event_delay_seconds_bucket{{instance="x",resource="pods",le="{le}"}}'


NODE_A, NODE_B = (f'pod_node_container_restarts_total{{node="{name}",reason="Error"}}' for name in "ab")
LOSSES = f'pod_container_readiness_losses_total{{{MAIN},cause="%s"}}'
CRASHES = f'pod_container_restarts_total{{{MAIN},reason="Error"}}'
WRITES = 'pod_exporter_checkpoint_writes_total{instance="x",result="%s"}'
SIX_AN_HOUR = "0x9 1x9 2x9 3x9 4x9 5x9 6x9 7x9 8x9 9x9 10x9"
UNSCHEDULABLE = f'pod_workload_unschedulable_pods{{{WEB},cause="%s"}}'

FIRING = [
    ("PodWorkloadDown: none ready", {RUNNING: "4x60", READY: "0x60", LOST: "1x60"}, 9, "PodWorkloadDown"),
    (
        "PodWorkloadDown: ready one minute in four",
        {RUNNING: "1x60", READY: " ".join(["0", "0", "0", "1"] * 15), LOST: "1x60"},
        14,
        "PodWorkloadDown",
    ),
    ("PodWorkloadDegraded: half of it", {RUNNING: "4x60", READY: "2x60"}, 30, "PodWorkloadDegraded"),
    ("PodContainerCrashLooping", {**HEALTHY, LOOPING: "1x60"}, 20, "PodContainerCrashLooping"),
    ("PodStartupStuck: readiness", {starting("readiness"): "0x60"}, 40, "PodStartupStuck"),
    ("PodStartupStuck: init", {starting("init"): "0x200"}, 130, "PodStartupStuck"),
    (
        "PodUnschedulable: the cause changes",
        {
            UNSCHEDULABLE % "taint": "1x9 0x50",
            UNSCHEDULABLE % "insufficient_cpu": "0x9 1x50",
            starting("scheduling"): "0x60",
        },
        20,
        "PodUnschedulable",
    ),
    (
        "PodImagePullFailing: the reason alternates",
        {waiting("ErrImagePull"): " ".join(["1", "0"] * 20), waiting("ImagePullBackOff"): " ".join(["0", "1"] * 20)},
        15,
        "PodImagePullFailing",
    ),
    (
        "PodContainerCannotStart: seen between retries",
        {waiting("CreateContainerConfigError"): " ".join(["1", "0", "0"] * 20)},
        20,
        "PodContainerCannotStart",
    ),
    ("PodContainerOOMKilled: the very first", {**HEALTHY, OOM: "0x5 1x60"}, 10, "PodContainerOOMKilled"),
    (
        "PodContainerOOMKilledRepeatedly",
        {**HEALTHY, OOM: "0 0 0 1 2 3x60"},
        10,
        "PodContainerOOMKilled PodContainerOOMKilledRepeatedly",
    ),
    ("PodProbeKills: the second", {**HEALTHY, LIVENESS: "0 0 0 1 2x60"}, 10, "PodProbeKills"),
    ("PodProbeKills: of a job's pod that is gone", {LIVENESS: "0 0 0 1 2x60"}, 10, "PodProbeKills"),
    (
        "PodProbeKills: in one pod of ten",
        {RUNNING: "300x60", READY: "300x60", LIVENESS: "0x5 30x60"},
        10,
        "PodProbeKills",
    ),
    (
        "PodContainerRestartsHigh",
        {RUNNING: "1x200", READY: "1x200", CRASHES: SIX_AN_HOUR},
        100,
        "PodContainerRestartsHigh",
    ),
    (
        "PodReadinessFlapping",
        {RUNNING: "1x200", READY: "1x200", LOSSES % "container": "0+0.25x100"},
        50,
        "PodReadinessFlapping",
    ),
    (
        "PodProbeFailingOften: two of six",
        {RUNNING: "1x200", READY: "1x200", failures("liveness"): "0+2x100", period("liveness"): "10x100"},
        50,
        "PodProbeFailingOften",
    ),
    ("PodEvicted", {disruption("NodePressureEviction", "memory"): "0x3 1x60"}, 10, "PodEvicted"),
    ("PodDisruptionStorm", {disruption("DeletionByTaintManager"): "0x3 30x60"}, 8, "PodDisruptionStorm"),
    (
        "PodStuckTerminating",
        {f"pod_workload_termination_deadline_timestamp_seconds{{{WEB}}}": "0x60"},
        20,
        "PodStuckTerminating",
    ),
    ("PodNodeRestartHotspot", {NODE_A: "0+1x100", NODE_B: "0+0.2x100"}, 70, "PodNodeRestartHotspot"),
    (
        "PodTrainingWorkerRestarted",
        {f'pod_container_restarts_total{{{TRAIN},reason="Error"}}': "0x3 1x60"},
        10,
        "PodTrainingWorkerRestarted",
    ),
    ("PodExporterDown", {'pod_exporter_build_info{instance="x"}': "1x5 stale"}, 20, "PodExporterDown"),
    (
        "PodExporterDownFleet",
        {'pod_exporter_build_info{instance="y",cluster="b"}': "1x5 stale"},
        180,
        "PodExporterDownFleet",
    ),
    (
        "PodExporterStale: never complete",
        {'pod_exporter_synced{instance="x",resource="pods"}': "0x60"},
        10,
        "PodExporterStale",
    ),
    (
        "PodExporterStale: silent",
        {'pod_exporter_watch_last_contact_timestamp_seconds{instance="x",resource="pods"}': "0x60"},
        25,
        "PodExporterStale",
    ),
    (
        "PodExporterForbidden: every ten minutes",
        {'pod_exporter_watch_restarts_total{instance="x",resource="events",reason="forbidden"}': "0x1 1x9 2x9 3x9"},
        25,
        "PodExporterForbidden",
    ),
    (
        "PodExporterLagging",
        {delay("30.0"): "0x60", delay("60.0"): "0+1x60", delay("+Inf"): "0+1x60"},
        30,
        "PodExporterLagging",
    ),
    (
        "PodExporterCheckpointFailing: since the start",
        {WRITES % "failed": "0+1x60", WRITES % "ok": "0x60"},
        20,
        "PodExporterCheckpointFailing",
    ),
    (
        "PodExporterCheckpointFailing: the disk is full by now",
        {WRITES % "failed": "0x20 0+1x60", WRITES % "ok": "0+1x20 20x60"},
        60,
        "PodExporterCheckpointFailing",
    ),
    (
        "PodExporterCountsDegraded: unreadable",
        {'pod_exporter_decode_errors_total{instance="x",resource="pods"}': "0x3 1x60"},
        10,
        "PodExporterCountsDegraded",
    ),
    (
        "PodExporterCountsDegraded: folded",
        {'pod_exporter_label_overflow_total{instance="x",family="pod_events_total",label="reason"}': "0x3 1x60"},
        10,
        "PodExporterCountsDegraded",
    ),
]
SILENT = [
    ("PodWorkloadDown: all well", HEALTHY, 60),
    (
        "PodWorkloadDown PodWorkloadDegraded PodStartupStuck: a model server loads for 20 minutes",
        {RUNNING: "2x60", READY: "0x20 2x60", starting("start"): "1x20 stale"},
        25,
    ),
    ("PodStartupStuck: a model is downloaded for an hour", {starting("init"): "0x100"}, 60),
    ("PodWorkloadDegraded: a rollout of five minutes", {RUNNING: "4x60", READY: "4x10 2x5 4x40"}, 30),
    ("PodWorkloadDown PodWorkloadDegraded: scaled to 0", {RUNNING: "4x10 0x60", READY: "4x10 0x60"}, 40),
    ("PodWorkloadDown: a job's pods are never ready for long", {RUNNING.replace("Deployment", "Job"): "4x60"}, 40),
    (
        "PodWorkloadDown PodWorkloadDegraded: the second step of a task runs, the first has ended",
        {
            series.replace("Deployment", "TaskRun"): values
            for series, values in ((RUNNING, "1x60"), (READY, "0x60"), (LOST, "1x60"))
        },
        40,
    ),
    (
        "PodWorkloadDegraded: a queue holds half of the pods back",
        {
            RUNNING: "2x60",
            READY: "2x60",
            RUNNING.replace("Running", "Pending"): "2x60",
            UNSCHEDULABLE % "gated": "2x60",
            starting("gated"): "1x60",
        },
        40,
    ),
    ("PodContainerCrashLooping: healed in time", {**HEALTHY, LOOPING: "1x12 0x60"}, 30),
    ("PodUnschedulable: gated", {UNSCHEDULABLE % "gated": "1x60", starting("gated"): "0x60"}, 40),
    (
        "PodUnschedulable: there is always one that waits, each for three minutes",
        {
            UNSCHEDULABLE % "insufficient_cpu": "1x60",
            starting("scheduling"): " ".join(f"{at}x2" for at in range(0, 3600, 180)),
        },
        50,
    ),
    ("PodImagePullFailing: another reason", {waiting("CrashLoopBackOff"): "1x60"}, 40),
    ("PodContainerCannotStart: healed", {waiting("CreateContainerConfigError"): "1x3 0x60"}, 20),
    ("PodContainerOOMKilled: an hour later", {**HEALTHY, OOM: "0x5 1x100"}, 80),
    ("PodContainerOOMKilledRepeatedly: none", {**HEALTHY, OOM: "5x100"}, 60),
    ("PodProbeKills: one", {**HEALTHY, LIVENESS: "0x5 1x60"}, 20),
    ("PodProbeKills: two of three hundred pods", {RUNNING: "300x60", READY: "300x60", LIVENESS: "0x5 2x60"}, 20),
    ("PodContainerRestartsHigh: four of four pods in an hour", {**HEALTHY, CRASHES: "0x5 1x10 2x10 3x10 4x60"}, 60),
    (
        "PodContainerRestartsHigh: six of six pods at once",
        {RUNNING: "6x99", READY: "6x99", CRASHES: "0x5 2 4 6x90"},
        50,
    ),
    ("PodReadinessFlapping: the node's fault", {**HEALTHY, LOSSES % "node": "0+1x100"}, 60),
    (
        "PodProbeFailingOften: a startup probe",
        {**HEALTHY, failures("startup"): "0+6x100", period("startup"): "10x100"},
        60,
    ),
    ("PodEvicted: by the eviction API", {disruption("EvictionByEvictionAPI"): "0x3 5x60"}, 10),
    ("PodDisruptionStorm: ten", {disruption("DeletionByTaintManager"): "0x3 10x60"}, 8),
    (
        "PodDisruptionStorm: nodes are taken away",
        {disruption("DeletionByPodGC").replace("Deployment", "DaemonSet"): "0x3 30x60"},
        8,
    ),
    (
        "PodStuckTerminating: a grace period of an hour",
        {f"pod_workload_termination_deadline_timestamp_seconds{{{WEB}}}": "3600x60"},
        50,
    ),
    ("PodNodeRestartHotspot: it boots once", {NODE_A: "0x5 40x90", NODE_B: "0+0.01x99"}, 30),
    ("PodNodeRestartHotspot: both nodes alike", {NODE_A: "0+1x100", NODE_B: "0+1x100"}, 60),
    ("PodTrainingWorkerRestarted: not a training job", {**HEALTHY, CRASHES: "0x3 1x60"}, 10),
    ("PodExporterDown: an upgrade of two minutes", {'pod_exporter_build_info{instance="x"}': "1x5 stale _x2 1x60"}, 20),
    ("PodExporterDownFleet: both there", {'pod_exporter_build_info{instance="y",cluster="b"}': "1x60"}, 20),
    (
        "PodExporterStale: quiet for ten minutes",
        {'pod_exporter_watch_last_contact_timestamp_seconds{instance="x",resource="pods"}': "0x10 600x10 1200x10"},
        29,
    ),
    (
        "PodExporterForbidden: ends of watches",
        {'pod_exporter_watch_restarts_total{instance="x",resource="events",reason="end"}': "0+1x60"},
        30,
    ),
    (
        "PodExporterLagging: within a second",
        {delay("1.0"): "0+1x60", delay("30.0"): "0+1x60", delay("+Inf"): "0+1x60"},
        30,
    ),
    ("PodExporterCheckpointFailing: one in ten", {WRITES % "failed": "0x5 1x10 2x10", WRITES % "ok": "0+1x60"}, 25),
    ("PodExporterCheckpointFailing: none at all", {WRITES % "failed": "0x60", WRITES % "ok": "0x60"}, 40),
    (
        "PodExporterCountsDegraded: nothing lost",
        {'pod_exporter_decode_errors_total{instance="x",resource="pods"}': "0x60"},
        30,
    ),
]
CASES = [(name, series, at, set(firing.split())) for name, series, at, firing in FIRING]
CASES += [(name, series, at, set()) for name, series, at in SILENT]


def outcome(
    series: Mapping[str, str], at: int, firing: set[str], folder: Path, interval: str = "1m", of: str = ".+"
) -> str:
    """What promtool says of the history after so many minutes, "" if of the alerts `of` just these fire."""
    expected = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(firing)]
    query = f'group by (alertname) (ALERTS{{alertstate="firing", alertname=~"{of}"}})'
    test = {
        "interval": interval,
        "input_series": [{"series": name, "values": values} for name, values in (EXPORTER | dict(series)).items()],
        "promql_expr_test": [{"expr": query, "eval_time": f"{at}m", "exp_samples": expected}],
    }
    content = {"rule_files": [str(path) for path in RULES], "evaluation_interval": "1m", "tests": [test]}
    file = folder / "test.yaml"
    file.write_text(yaml.safe_dump(content))
    done = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize(("name", "series", "at", "firing"), CASES, ids=[case[0] for case in CASES])
def test_just_these_alerts_fire(
    name: str, series: Mapping[str, str], at: int, firing: set[str], tmp_path: Path
) -> None:
    assert outcome(series, at, firing, tmp_path) == ""


CAPTURED: Captured = json.loads((ROOT / "tests/recorded/troubles/series.json").read_text())
"""Of the real node, a value every five seconds: reasons that alternate, restarts between back-offs, a rollout."""


@pytest.mark.parametrize("name", TAKEN)
def test_series_of_the_real_node_make_their_alert_fire_and_a_rollout_none(name: str, tmp_path: Path) -> None:
    """Played as often as the alert waits; counters that begin anew are what a restarted exporter would show."""
    played = {series: " ".join([values] * 4) for series, values in CAPTURED[name].items()}
    minutes = 4 * len(next(iter(CAPTURED[name].values())).split()) * 5 // 60
    firing = {name} - {"PodWorkloadDegraded"}
    assert len(played) >= 1
    assert outcome(played, minutes - 1, firing, tmp_path, "5s", name) == ""


def test_every_alert_has_a_firing_and_a_silent_history() -> None:
    names = {alert.name for alert in ALERTS}
    assert {word for _, _, _, firing in FIRING for word in firing.split()} == names
    assert {word.rstrip(":") for name, _, _ in SILENT for word in name.split(": ")[0].split()} == names


def test_a_wrong_expectation_is_found(tmp_path: Path) -> None:
    assert outcome(HEALTHY, 60, {"PodWorkloadDown"}, tmp_path) != ""


def test_promtool_finds_nothing_in_the_rules() -> None:
    command = ["promtool", "check", "rules", "--lint=all", "--lint-fatal", *map(str, RULES)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
