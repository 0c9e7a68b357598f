from __future__ import annotations

import os
from pathlib import Path

import pytest

from exporter.errors import SettingsError
from exporter.settings import Ledger, Settings, Web, load
from exporter.settings.forms import duration, seconds

SECRET = "s3cr3t-v4lue"


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.upper().startswith("POD_EXPORTER_"):
            monkeypatch.delenv(name)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "pod-exporter.yaml"


def mistakes(*flags: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(flags)
    return str(caught.value).splitlines()


def test_without_any_source_the_defaults_hold() -> None:
    settings = load([])
    assert settings.web.endpoint == (None, 9873)
    assert (settings.kube.kubeconfig, settings.kube.context, settings.kube.namespaces) == (None, None, ())
    assert (settings.ledger.birth_hold, settings.ledger.retention) == (130.0, 900.0)
    assert (settings.log.level, settings.log.format, settings.log.observations) == ("info", "auto", "none")


@pytest.mark.parametrize("flags", [["--log.level", "debug"], ["--log.level=debug"]])
def test_a_flag_takes_its_value_from_the_next_word_or_after_an_equals_sign(flags: list[str]) -> None:
    assert load(flags).log.level == "debug"


@pytest.mark.parametrize(
    ("flags", "on"),
    [(["--kubelet.probes"], True), (["--kubelet.probes=true"], True), (["--kubelet.probes=false"], False), ([], False)],
)
def test_a_switch_needs_no_value(flags: list[str], *, on: bool) -> None:
    settings = load([*flags, "--log.level=debug"])
    assert (settings.kubelet.probes, settings.log.level) == (on, "debug")


def test_flags_win_over_variables_and_variables_over_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("log: {level: error, format: json, observations: all}\nledger: {retention: 1h}\n")
    monkeypatch.setenv("POD_EXPORTER_LOG__LEVEL", "warning")
    monkeypatch.setenv("POD_EXPORTER_LOG__FORMAT", "console")
    settings = load([f"--config={file}", "--log.level=debug"])
    assert settings.log.level == "debug"
    assert settings.log.format == "console"
    assert settings.log.observations == "all"
    assert settings.ledger.retention == 3600


def test_the_file_can_be_named_by_a_variable(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("kube:\n  workload_label: app.kubernetes.io/name\n")
    monkeypatch.setenv("POD_EXPORTER_CONFIG", str(file))
    assert load([]).kube.workload_label == "app.kubernetes.io/name"


def test_keys_without_a_value_and_empty_variables_are_not_given(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("web:\nkube:\n  context:\nlog: {level: debug}\n")
    monkeypatch.setenv("POD_EXPORTER_LOG__LEVEL", "")
    settings = load([f"--config={file}"])
    assert settings.kube.context is None
    assert settings.log.level == "debug"


def test_a_number_in_the_file_is_read_like_the_text_of_a_flag(file: Path) -> None:
    file.write_text("kube: {context: 5}")
    assert load([f"--config={file}"]).kube.context == "5"


def test_an_empty_file_changes_nothing(file: Path) -> None:
    file.write_text("")
    assert load([f"--config={file}"]).web == Web()


@pytest.mark.parametrize("text", ["a,b", "a, b", " a b,", "a,b,a"])
def test_namespaces_are_a_list_with_commas(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load([f"--kube.namespaces={text}"]).kube.namespaces == ("a", "b")
    monkeypatch.setenv("POD_EXPORTER_KUBE__NAMESPACES", text)
    assert load([]).kube.namespaces == ("a", "b")


def test_namespaces_are_a_list_in_the_file(file: Path) -> None:
    file.write_text("kube: {namespaces: [a, b]}")
    assert load([f"--config={file}"]).kube.namespaces == ("a", "b")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("130s", 130), ("2m", 120), ("1h30m", 5400), ("1.5h", 5400), ("500ms", 0.5), ("1d", 86400), ("0", 0), ("0s", 0)],
)
def test_durations_are_read_as_go_writes_them(text: str, expected: float, file: Path) -> None:
    retention = "--ledger.retention=2d"
    assert load([f"--ledger.birth-hold={text}", retention]).ledger.birth_hold == expected
    file.write_text(f"ledger: {{birth_hold: {text}}}")
    assert load([f"--config={file}", retention]).ledger.birth_hold == expected


@pytest.mark.parametrize("text", ["130", "1.5", "-5s", "5 s", "s", "5w", "1h-3m", "٣s", "inf", "", "true"])
def test_a_duration_without_a_unit_or_sense_is_a_mistake(text: str, file: Path) -> None:
    sentence = "should be a duration such as 130s, 2m or 1h30m"
    assert mistakes(f"--ledger.birth-hold={text}") == [f"--ledger.birth-hold: {sentence}"]
    file.write_text(f"ledger: {{birth_hold: {text or chr(39) * 2}}}")
    assert mistakes(f"--config={file}") == [f"ledger.birth_hold (in the file of --config): {sentence}"]


@pytest.mark.parametrize("value", [0.0, 0.5, 10.0, 130.0, 900.0, 5400.0, 7200.0, 86400.0])
def test_a_written_duration_reads_back_as_the_same(value: float) -> None:
    assert seconds(duration(value)) == value


def test_seconds_can_be_given_as_floats_by_code() -> None:
    assert Ledger(birth_hold=10.0).birth_hold == 10.0


@pytest.mark.parametrize(
    ("address", "endpoint"),
    [
        (":9873", (None, 9873)),
        (":0", (None, 0)),
        ("127.0.0.1:9873", ("127.0.0.1", 9873)),
        ("[::1]:9873", ("::1", 9873)),
        ("[fe80::1%eth0]:80", ("fe80::1%eth0", 80)),
        ("localhost:1", ("localhost", 1)),
    ],
)
def test_an_address_has_a_host_and_a_port(address: str, endpoint: tuple[str | None, int]) -> None:
    assert load([f"--web.listen-address={address}"]).web.endpoint == endpoint


@pytest.mark.parametrize(
    "address", ["9873", "", ":", "localhost", "::1:9873", "[::1]", ":65536", ":-1", "a b:1", ":1x"]
)
def test_an_address_without_a_port_or_sense_is_a_mistake(address: str) -> None:
    assert mistakes(f"--web.listen-address={address}") == [
        "--web.listen-address: should be host:port, such as :9873, 127.0.0.1:9873 or [::1]:9873"
    ]


@pytest.mark.parametrize("flags", [["--ledger.retention=0"], ["--ledger.retention=1m"], ["--ledger.birth-hold=20m"]])
def test_a_workloads_series_may_not_go_before_they_show_their_value(flags: list[str]) -> None:
    assert mistakes(*flags) == [
        "--ledger.retention: should be more than 0 and at least as long as ledger.birth-hold",
    ]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--log.levle=debug"], "--log.levle: no such setting; did you mean --log.level?"),
        (["--listen-address", ":1"], "--listen-address: no such setting; did you mean --web.listen-address?"),
        (["--web.listen_address=:1"], "--web.listen_address: no such setting; did you mean --web.listen-address?"),
        (["--web={}"], "--web: no such setting"),
        (["--qqqqqqq"], "--qqqqqqq: no such setting"),
        (["--log.level"], "--log.level: needs a value"),
        (["--log.level", "--log.format=json"], "--log.level: needs a value"),
        (["--log.level=info", "--log.level", "debug"], "--log.level: given twice"),
        (["--log.level=loud"], "--log.level: should be 'debug', 'info', 'warning' or 'error'"),
        (["--kube.namespaces=A_b"], "--kube.namespaces: should be names of namespaces, separated by commas"),
        (["--kube.workload-label=a b"], "--kube.workload-label: should be the key of a label, such as app."),
        (["--kubelet.probes=maybe"], "--kubelet.probes: should be true or false"),
        (["--kubelet.probes", "true"], "argument 2 is no flag; settings are given like"),
        (["-v"], "argument 1 is no flag; settings are given like --web.listen-address=:9873"),
        (["--log.level=info", "x"], "argument 2 is no flag; settings are given like --web.listen-address=:9873"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line_that_names_the_flag(flags: list[str], said: str) -> None:
    [line] = mistakes(*flags)
    assert line.startswith(said)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("LOG__LEVEL", "loud", "should be 'debug', 'info', 'warning' or 'error'"),
        ("LOG__LEVLE", "info", "no such setting; did you mean POD_EXPORTER_LOG__LEVEL?"),
        ("WEB_LISTEN_ADDRESS", ":1", "no such setting; did you mean POD_EXPORTER_WEB__LISTEN_ADDRESS?"),
        ("WEB", "{", "no such setting"),
        ("PORT", "9873", "no such setting; did you mean POD_EXPORTER_PODS?"),
        ("LEDGER__RETENTION", "soon", "should be a duration such as 130s, 2m or 1h30m"),
    ],
)
def test_a_mistake_in_the_environment_is_one_line_that_names_the_variable(
    variable: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"POD_EXPORTER_{variable}", value)
    assert mistakes() == [f"POD_EXPORTER_{variable}: {said}"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("web: {listen_adress: ':1'}", "web.listen_adress (IN): no such setting; did you mean web.listen_address?"),
        ("web: {listen-address: ':1'}", "web.listen-address (IN): no such setting; did you mean web.listen_address?"),
        ("webb: {}", "webb (IN): no such setting"),
        ("1: x", "1 (IN): no such setting"),
        ("web: x", "web (IN): should be a group of settings"),
        ("web: {listen_address: {a: b}}", "web.listen_address (IN): should be a valid string"),
        ("log: {level: loud}", "log.level (IN): should be 'debug', 'info', 'warning' or 'error'"),
        ("config: other.yaml", "config (IN): cannot name another file"),
        ("- a", "the file of --config should hold settings as keys and values"),
        ("a: [b\nc: d", "the file of --config is not YAML, see line 2"),
        ("a: \x00", "the file of --config is not YAML"),
    ],
)
def test_a_mistake_in_the_file_is_one_line_that_names_the_key(content: str, said: str, file: Path) -> None:
    file.write_text(content)
    assert mistakes(f"--config={file}") == [said.replace("(IN)", "(in the file of --config)")]


def test_an_empty_variable_is_not_blamed_for_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("log: {level: loud}")
    monkeypatch.setenv("POD_EXPORTER_LOG__LEVEL", "")
    [line] = mistakes(f"--config={file}")
    assert line.startswith("log.level (in the file of --config): should be")


def test_a_file_that_cannot_be_read_is_a_mistake(tmp_path: Path) -> None:
    assert mistakes(f"--config={tmp_path}/none") == ["the file of --config cannot be read: No such file or directory"]
    assert mistakes(f"--config={tmp_path}") == ["the file of --config cannot be read: Is a directory"]


def test_all_mistakes_are_told_at_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("log: {format: xml}")
    monkeypatch.setenv("POD_EXPORTER_LEDGER__RETENTION", "x")
    monkeypatch.setenv("POD_EXPORTER_NOTHING", "x")
    assert [line.split(":")[0] for line in mistakes(f"--config={file}", "--log.level=loud", "--no")] == [
        "--no",
        "POD_EXPORTER_NOTHING",
        "POD_EXPORTER_LEDGER__RETENTION",
        "--log.level",
        "log.format (in the file of --config)",
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "tcp://10.0.0.7:9873"),
        ("PORT_9873_TCP", "tcp://10.0.0.7:9873"),
        ("PORT_9873_TCP_ADDR", "10.0.0.7"),
        ("PORT_9873_TCP_PORT", "9873"),
        ("PORT_9873_TCP_PROTO", "tcp"),
        ("SERVICE_HOST", "10.0.0.7"),
        ("SERVICE_PORT", "9873"),
        ("SERVICE_PORT_HTTP_METRICS", "9873"),
        ("CANARY_SERVICE_HOST", "10.0.0.7"),
        ("CANARY_PORT", "udp://10.0.0.7:9873"),
    ],
)
def test_variables_that_the_kubelet_makes_for_a_service_of_our_name_are_no_settings(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"POD_EXPORTER_{name}", value)
    load([])


def test_no_message_holds_a_value_wherever_it_was_given(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flags = ["--web.listen-address", "--ledger.birth-hold", "--log.level", "--kube.workload-label", "--kube.namespaces"]
    told = mistakes(*(f"{flag}={SECRET}_ +" for flag in flags), f"--token={SECRET}", SECRET, f"-p={SECRET}")
    for name in ("LOG__FORMAT", "LEDGER__RETENTION", "WEB", "TOKEN"):
        monkeypatch.setenv(f"POD_EXPORTER_{name}", SECRET)
    for content in (f"log: {{level: {SECRET}}}", f"web: {SECRET}", f"{{{SECRET}: [", f"- {SECRET}"):
        file.write_text(content)
        told += mistakes(f"--config={file}")
    told += mistakes(f"--config=/{SECRET}")
    assert len(told) == 18
    assert not [line for line in told if SECRET in line]


def test_settings_cannot_be_changed() -> None:
    settings = Settings()
    with pytest.raises(ValueError, match="frozen"):
        settings.web.listen_address = ":1"
