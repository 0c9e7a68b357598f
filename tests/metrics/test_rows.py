from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.lifecycle.observations import ContainerType
from exporter.lifecycle.records import Container, Ending, Record
from exporter.metrics.catalogue import ROWS
from exporter.metrics.families import RowFamily
from exporter.metrics.rows import Rows, compile_row

MakeRecord: TypeAlias = Callable[..., Record]
MakeContainer: TypeAlias = Callable[..., Container]
NASTY, ESCAPED = 'a"b\\c\nd', r"a\"b\\c\nd"


def text(record: Record, family: str) -> str:
    index = [f.name for f in ROWS].index(family)
    return Rows(ROWS).render(record)[index].decode()


def ending(**more: str | float | None) -> Ending:
    fields = {"instance": 0, "id": "x", "reason": "Error", "exit_code": "1", "finished": 5.0, "cause": "Error"}
    return Ending(**(fields | more))  # type: ignore[arg-type]


def test_pod_info_tells_where_a_pod_runs_and_what_it_belongs_to(record: MakeRecord) -> None:
    pod = record(
        uid="u1", node="n1", qos_class="Burstable", priority_class="high", service_account="robot", kind="StatefulSet"
    )
    assert text(pod, "pod_info") == (
        'pod_info{namespace="shop",pod="web-1",uid="u1",node="n1",workload_kind="StatefulSet",workload="web"'
        ',qos_class="Burstable",priority_class="high",service_account="robot"} 1\n'
    )


@pytest.mark.parametrize("phase", ["Pending", "ContainerCreating", "Running", "Succeeded", "Terminating"])
def test_pod_status_tells_the_phase(record: MakeRecord, phase: str) -> None:
    assert (
        text(record(phase=phase), "pod_status")
        == f'pod_status{{namespace="shop",pod="web-1",phase="{phase}",status=""}} 1\n'
    )


@pytest.mark.parametrize(("ready", "number"), [(True, 1), (False, 0)])
def test_pod_ready_is_one_or_zero(record: MakeRecord, ready: bool, number: int) -> None:
    assert text(record(ready=ready), "pod_ready") == f'pod_ready{{namespace="shop",pod="web-1"}} {number}\n'


def test_pod_container_status_has_one_line_for_each_container(record: MakeRecord, container: MakeContainer) -> None:
    main = container(state="running")
    setup = container("setup", type="init", state="terminated", reason="Completed")
    assert text(record(containers=(setup, main)), "pod_container_status") == (
        'pod_container_status{namespace="shop",pod="web-1",container="setup",container_type="init"'
        ',state="terminated",reason="Completed"} 1\n'
        'pod_container_status{namespace="shop",pod="web-1",container="main",container_type="container"'
        ',state="running",reason=""} 1\n'
    )


@pytest.mark.parametrize("kind", ["container", "init", "sidecar", "ephemeral"])
def test_pod_container_status_restarts_is_the_kubelets_count(
    record: MakeRecord, container: MakeContainer, kind: ContainerType
) -> None:
    assert text(record(containers=(container(type=kind, restarts=7, counted=3),)), "pod_container_status_restarts") == (
        f'pod_container_status_restarts{{namespace="shop",pod="web-1",container="main",container_type="{kind}"}} 7\n'
    )


def test_pod_container_last_termination_info_tells_the_cause_of_the_newest_end(
    record: MakeRecord, container: MakeContainer
) -> None:
    killed = container(ending=ending(reason="Error", cause="LivenessProbe", exit_code="137"))
    assert text(record(containers=(container("other"), killed)), "pod_container_last_termination_info") == (
        'pod_container_last_termination_info{namespace="shop",pod="web-1",container="main",container_type="container"'
        ',workload_kind="Deployment",workload="web",reason="LivenessProbe",exit_code="137"} 1\n'
    )


def test_a_container_that_never_ended_has_no_last_termination(record: MakeRecord, container: MakeContainer) -> None:
    assert text(record(containers=(container(),)), "pod_container_last_termination_info") == ""


def test_a_pod_without_containers_has_only_its_own_lines(record: MakeRecord) -> None:
    assert [chunk.count(b"\n") for chunk in Rows(ROWS).render(record())] == [1, 1, 1, 1] + [0] * 12


def test_every_free_text_of_a_row_is_escaped(record: MakeRecord, container: MakeContainer) -> None:
    part = container(
        NASTY,
        image=NASTY,
        image_id=NASTY,
        state="waiting",
        reason=NASTY,
        ending=ending(cause=NASTY, exit_code=NASTY, reason="never shown"),
    )
    pod = record(
        NASTY, uid=NASTY, namespace=NASTY, kind=NASTY, of=NASTY, phase=NASTY, node=NASTY, qos_class=NASTY,
        priority_class=NASTY, service_account=NASTY, status=NASTY, containers=(part,),
    )  # fmt: skip
    info = tuple(family for family in ROWS if not family.value)
    whole = b"".join(Rows(info).render(pod)).decode()
    assert whole.count("\n") == len(info)
    assert whole.replace(ESCAPED, "").count("\\") == 0
    fixed = {'container_type="container"', 'state="waiting"'}
    values = [label for line in whole.splitlines() for label in line[line.index("{") + 1 : -3].split(",")]
    assert all(label.endswith(f'="{ESCAPED}"') for label in values if label not in fixed)


@pytest.mark.parametrize(
    ("family", "lines"),
    [
        (RowFamily("x", "pod", "X.", value="undecided"), ""),
        (RowFamily("x", "pod", "X.", value="since"), 'x{namespace="shop",pod="web-1"} 100\n'),
        (RowFamily("x", "container", "X.", value="ending"), ""),
        (RowFamily("x", "ending", "X.", value="finished"), ""),
    ],
)
def test_a_value_of_none_gives_no_line(
    record: MakeRecord, container: MakeContainer, family: RowFamily, lines: str
) -> None:
    bare = container(ending=ending(finished=None)) if family.scope == "ending" else container()
    assert compile_row([family])(record(containers=(bare,))) == (lines.encode(),)


@pytest.mark.parametrize(("value", "number"), [(1795381600.0, "1795381600"), (0.25, "0.25"), (0.0, "0"), (-3.0, "-3")])
def test_a_whole_number_is_written_without_a_point(record: MakeRecord, value: float, number: str) -> None:
    (chunk,) = compile_row([RowFamily("x", "pod", "X.", value="since")])(record(since=value))
    assert chunk.decode().split()[-1] == number


def test_a_new_row_replaces_the_old_one(record: MakeRecord) -> None:
    rows = Rows(ROWS)
    for pod in (record(phase="Pending"), record(phase="Running")):
        rows.put(pod, rows.render(pod))
    assert rows.snapshot() == [rows.render(record(phase="Running"))]


def test_pods_of_one_name_in_two_namespaces_have_a_row_each(record: MakeRecord) -> None:
    rows = Rows(ROWS)
    for namespace in ("a", "b"):
        pod = record(namespace=namespace)
        rows.put(pod, rows.render(pod))
    assert len(rows.snapshot()) == 2


def test_a_name_that_passes_to_another_pod_has_only_the_new_ones_row(record: MakeRecord) -> None:
    rows = Rows(ROWS)
    first, second = record(uid="u1", node="n1"), record(uid="u2", node="n2")
    rows.put(first, rows.render(first))
    rows.put(second, rows.render(second))
    rows.drop(first)
    assert rows.snapshot() == [rows.render(second)]
    rows.drop(second)
    assert rows.snapshot() == []
    assert rows.series == 0


def test_dropping_a_pod_that_has_no_row_changes_nothing(record: MakeRecord) -> None:
    rows = Rows(ROWS)
    rows.drop(record())
    assert (rows.snapshot(), rows.series) == ([], 0)


def test_a_snapshot_stays_as_it_was(record: MakeRecord) -> None:
    rows = Rows(ROWS)
    rows.put(record(), rows.render(record()))
    before = rows.snapshot()
    rows.drop(record())
    assert len(before) == 1


CHANGES = st.tuples(
    st.booleans(), st.sampled_from(["a", "b", "c"]), st.sampled_from(["u1", "u2"]), st.integers(0, 3), st.booleans()
)


@given(st.lists(CHANGES, max_size=40))
def test_the_number_of_series_is_right_after_any_puts_and_drops(
    record: MakeRecord, container: MakeContainer, changes: list[tuple[bool, str, str, int, bool]]
) -> None:
    rows, expected = Rows(ROWS), dict[str, tuple[str, int]]()
    for put, name, uid, number, ended in changes:
        parts = tuple(container(f"c{i}", ending=ending() if ended else None) for i in range(number))
        pod = record(name, uid=uid, containers=parts)
        if put:
            rows.put(pod, rows.render(pod))
            expected[name] = uid, 4 + number * (4 + ended * 2)
        else:
            rows.drop(pod)
            if name in expected and expected[name][0] == uid:
                del expected[name]
        assert rows.series == sum(lines for _, lines in expected.values())
        assert rows.series == sum(chunk.count(b"\n") for row in rows.snapshot() for chunk in row)
    assert len(rows.snapshot()) == len(expected)
