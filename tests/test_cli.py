from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from exporter import __version__
from exporter.cli import demo, main
from exporter.errors import AccessError, SettingsError
from exporter.settings import Kube, Ledger, Settings

COMMAND = [sys.executable, "-m", "exporter"]
ROOT = Path(__file__).parent.parent


class App:
    """What stands in for the daemon: notes the settings, then ends as it was told."""

    def __init__(self) -> None:
        self.settings: list[Settings] = []
        self.outcome: int | Exception = 0

    def run(self, settings: Settings) -> int:
        self.settings.append(settings)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> App:
    app = App()
    monkeypatch.setattr("exporter.app.run", app.run)
    return app


@pytest.mark.parametrize("words", [["run", "--log.level=debug"], ["--log.level=debug"]])
def test_run_is_the_command_when_none_is_named(words: list[str], app: App) -> None:
    assert main(words) == 0
    assert app.settings[0].log.level == "debug"


def test_without_arguments_the_words_of_the_process_count(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["pod-exporter", "--log.level=error"])
    assert main() == 0
    assert app.settings[0].log.level == "error"


def test_the_exit_code_is_the_daemons(app: App) -> None:
    app.outcome = 1
    assert main([]) == 1


@pytest.mark.parametrize("command", ["run", "demo", "check-config"])
def test_bad_settings_end_every_command_with_2_and_a_line_for_each_mistake(
    command: str, app: App, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--log.level=loud", "--x"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "pod-exporter: --x: no such setting",
        "pod-exporter: --log.level: should be 'debug', 'info', 'warning' or 'error'",
    ]
    assert app.settings == []


def test_an_error_of_the_daemon_is_one_line_and_exit_code_1(app: App, capsys: pytest.CaptureFixture[str]) -> None:
    app.outcome = AccessError("kubeconfig: not found")
    assert main([]) == 1
    assert capsys.readouterr().err == "pod-exporter: kubeconfig: not found\n"


def test_a_bug_is_not_hidden(app: App) -> None:
    app.outcome = ValueError("bug")
    with pytest.raises(ValueError, match="bug"):
        main([])


def test_check_config_says_that_good_settings_can_be_used(capsys: pytest.CaptureFixture[str], app: App) -> None:
    assert main(["check-config", "--web.listen-address=:1"]) == 0
    assert capsys.readouterr().out == "the settings can be used\n"
    assert app.settings == []


def test_an_unknown_command_is_exit_code_2_with_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dmeo"]) == 2
    assert capsys.readouterr().err == (
        "pod-exporter: no such command; did you mean demo?; "
        "commands are run, demo, check-config, healthcheck, metrics\n"
    )


def test_version_and_help_go_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"pod-exporter {__version__}\n"
    assert main(["run", "--help"]) == 0
    told = capsys.readouterr().out
    assert all(word in told for word in ("demo", "check-config", "--web.listen-address=text (:9873)"))


class Answer(BaseHTTPRequestHandler):
    """Answers /livez with the status that its server holds."""

    def do_GET(self) -> None:
        self.send_response(self.server.status if self.path == "/livez" else 404)  # type: ignore[attr-defined]
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that http.server calls it by
        pass


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_healthcheck_asks_livez_of_the_address_that_it_serves(
    status: int, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        server.status = status  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        assert main(["healthcheck", f"--web.listen-address=:{server.server_port}"]) == code
        thread.join()
    assert capsys.readouterr().err == ("" if code == 0 else "pod-exporter: /livez answers 503\n")


def test_healthcheck_without_anybody_there_is_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert main(["healthcheck", f"--web.listen-address=localhost:{port}"]) == 1
    assert capsys.readouterr().err == f"pod-exporter: no answer on port {port}: ConnectionRefusedError\n"
    assert main(["healthcheck", "--web.listen-address=:0"]) == 1


def test_a_process_that_only_checks_imports_neither_server_nor_client() -> None:
    code = "import sys; from exporter.cli import main; main(['check-config']); print('aiohttp' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize(
    ("words", "lasting", "left"),
    [
        ([], None, []),
        (["--for=60s", "--log.level=info"], 60.0, ["--log.level=info"]),
        (["--log.level", "info", "--for", "1m30s"], 90.0, ["--log.level", "info"]),
    ],
)
def test_demo_takes_its_own_flag_from_the_settings(words: Sequence[str], lasting: float, left: list[str]) -> None:
    assert demo._lasting(words) == (lasting, left)


@pytest.mark.parametrize("words", [["--for"], ["--for=soon"], ["--for", "60"]])
def test_demo_says_what_is_wrong_with_its_own_flag(words: list[str]) -> None:
    with pytest.raises(SettingsError, match=r"^--for: should be a duration such as 130s, 2m or 1h30m$"):
        demo._lasting(words)


def test_demo_shortens_the_birth_hold_only_if_it_was_not_given() -> None:
    given = Settings(ledger=Ledger(birth_hold=0.0))
    assert demo._adapted(Settings(), Path("k")).ledger.birth_hold == 10
    assert demo._adapted(given, Path("k")).ledger.birth_hold == 0


def test_demo_never_looks_at_a_real_cluster() -> None:
    adapted = demo._adapted(Settings(kube=Kube(kubeconfig=Path("/real"), context="real")), Path("simulated"))
    assert (adapted.kube.kubeconfig, adapted.kube.context) == (Path("simulated"), None)


def test_the_table_sets_counts_beside_the_truth() -> None:
    web, job = ("shop", "Deployment", "web", "main", "container"), ("etl", "Job", "load", "main", "init")
    counted: demo.Restarts = {(*web, "OOMKilled"): 2, (*job, "Error"): 1}
    truth: demo.Restarts = {(*web, "OOMKilled"): 3}
    assert demo.table(counted, truth) == (
        "\n"
        "namespace  workload        container  cause of restart  counted  true\n"
        "shop       Deployment/web  main       OOMKilled               2     3\n"
        "etl        Job/load        main       Error                   1     0\n"
        "                                      all                     3     3\n"
        "\n"
    )


def test_demo_counts_what_a_scrape_of_itself_says() -> None:
    exposition = (
        "# TYPE pod_container_restarts_total counter\n"
        'pod_container_restarts_total{namespace="shop",workload_kind="Deployment",workload="web",container="main",'
        'container_type="container",reason="Error"} 4\n'
        'pod_container_restarts_total{namespace="shop",workload_kind="Deployment",workload="web",container="main",'
        'container_type="container",reason="OOMKilled"} 0\n'
    )
    assert dict(demo._restarts(exposition)) == {("shop", "Deployment", "web", "main", "container", "Error"): 4}


def start_demo(*flags: str) -> subprocess.Popen[str]:
    environment = os.environ | {"http_proxy": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1"}
    return subprocess.Popen(
        [*COMMAND, "demo", "--ledger.birth-hold=0", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment,
    )


def test_demo_runs_for_the_time_that_was_asked_and_ends_with_a_table() -> None:
    out, err = (process := start_demo("--for=3s", "--web.listen-address=127.0.0.1:0")).communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    assert re.search(r"page     http://127\.0\.0\.1:\d+/\n", out)
    counted, true = re.findall(r" all +(\d+) +(\d+)\n", out)[-1]
    assert int(true) > 0
    assert abs(int(counted) - int(true)) <= 1


def test_demo_ends_in_order_at_an_interrupt() -> None:
    process = start_demo("--web.listen-address=127.0.0.1:0")
    assert process.stdout is not None
    assert "simulated cluster" in process.stdout.readline()
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (0, "")
    assert "cause of restart" in out


@pytest.mark.parametrize("command", ["run", "demo"])
def test_a_taken_port_is_one_line_and_exit_code_1(command: str, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(demo._kubeconfig("http://127.0.0.1:1"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        flags = [f"--web.listen-address={address}", f"--kube.kubeconfig={kubeconfig}"]
        done = subprocess.run(
            [*COMMAND, command, *flags], capture_output=True, text=True, check=False, cwd=ROOT, timeout=20
        )
    assert done.returncode == 1
    assert done.stderr == (
        f"pod-exporter: cannot listen on {address}: Address already in use; choose another --web.listen-address\n"
    )


def test_check_config_knows_which_histograms_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-config", "--metrics.histogram-level=pod_startup_duration_seconds=off"]) == 0
    assert main(["check-config", "--metrics.histogram-level=pod_restarts=off"]) == 2
    assert "no histogram pod_restarts" in capsys.readouterr().err
