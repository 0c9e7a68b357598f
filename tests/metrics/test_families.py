from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.lifecycle.observations import PhaseChanged
from exporter.metrics.families import CounterFamily, GaugeFamily, RowFamily, escape, header

SECONDS = CounterFamily("pod_x_seconds_total", PhaseChanged, "Time.", "from=before to=after", amount="seconds")
COUNT = CounterFamily("pod_x_total", PhaseChanged, "Things.", "phase=after")
STAMP = RowFamily("pod_x_timestamp_seconds", "pod", "When.")
SIZE = GaugeFamily("pod_x_bytes", "Size.")
INFO = RowFamily("pod_x_info", "pod", "What.")


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("plain", "plain"),
        ("", ""),
        ('say "x"', r"say \"x\""),
        (r"C:\n", r"C:\\n"),
        ("two\nlines", r"two\nlines"),
        ('\\"\n', r"\\\"\n"),
        (137, "137"),
        ("ö{},=\t\r\u2028", "ö{},=\t\r\u2028"),
    ],
)
def test_a_label_value_is_escaped_as_both_formats_want_it(text: object, escaped: str) -> None:
    assert escape(text) == escaped


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_what_was_escaped_is_read_back_unchanged_by_both_official_parsers(text: str) -> None:
    line = f'# TYPE x gauge\nx{{a="{escape(text)}",b="c"}} 1\n'
    for families in (parse_text(line), parse_openmetrics(line + "# EOF\n")):
        assert [s.labels for family in families for s in family.samples] == [{"a": text, "b": "c"}]


@pytest.mark.parametrize(
    ("family", "text"),
    [
        (COUNT, "# HELP pod_x_total Things.\n# TYPE pod_x_total counter\n"),
        (SECONDS, "# HELP pod_x_seconds_total Time.\n# TYPE pod_x_seconds_total counter\n"),
        (STAMP, "# HELP pod_x_timestamp_seconds When.\n# TYPE pod_x_timestamp_seconds gauge\n"),
        (SIZE, "# HELP pod_x_bytes Size.\n# TYPE pod_x_bytes gauge\n"),
        (INFO, "# HELP pod_x_info What.\n# TYPE pod_x_info gauge\n"),
    ],
)
def test_a_text_header_has_the_whole_name_and_no_unit(family: RowFamily, text: str) -> None:
    assert header(family, openmetrics=False).decode() == text


@pytest.mark.parametrize(
    ("family", "text"),
    [
        (COUNT, "# HELP pod_x Things.\n# TYPE pod_x counter\n"),
        (SECONDS, "# HELP pod_x_seconds Time.\n# TYPE pod_x_seconds counter\n# UNIT pod_x_seconds seconds\n"),
        (
            STAMP,
            """# HELP pod_x_timestamp_seconds When.
# TYPE pod_x_timestamp_seconds gauge
# UNIT pod_x_timestamp_seconds seconds
""",
        ),
        (SIZE, "# HELP pod_x_bytes Size.\n# TYPE pod_x_bytes gauge\n# UNIT pod_x_bytes bytes\n"),
        (INFO, "# HELP pod_x_info What.\n# TYPE pod_x_info gauge\n"),
    ],
)
def test_an_openmetrics_header_has_no_total_and_the_unit_that_the_name_ends_in(family: RowFamily, text: str) -> None:
    assert header(family, openmetrics=True).decode() == text


def test_label_names_stand_before_the_equals_sign() -> None:
    assert SECONDS.label_names == ("from", "to")
    assert COUNT._replace(labels="container reason").label_names == ("container", "reason")
    assert COUNT._replace(labels="").label_names == ()
