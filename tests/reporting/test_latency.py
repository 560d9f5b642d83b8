"""The table, the page and the figure of latencies say what the rows hold."""

import io

import pytest

from graft.reporting import latency
from graft.reporting.console import PlainConsole

TIMES = {
    f"{what}_p{share}_ms": factor * value
    for what, factor in (("network", 1), ("whole", 2))
    for share, value in ((50, 12.345), (95, 20.0), (99, 123.4))
}
REACHED = {"accuracy": 0.9, "accuracy_low": 0.85, "accuracy_high": 0.94, "accuracy_of": "test"}
DONE = {
    "run": "net$1",
    "engine": "torch",
    "batch": 1,
    **TIMES,
    "images_per_second": 81.0,
    "memory_bytes": 812_000_000,
    "file_bytes": 3_210_000,
    **REACHED,
    "reason": None,
}
MANY = {**DONE, "batch": 8, "whole_p50_ms": None}
FAST = {**DONE, "engine": "onnx", "network_p50_ms": 4.0, "whole_p50_ms": 11.0}
WORSE = {**FAST, "run": "other", "network_p50_ms": 6.0, "accuracy": 0.7, "accuracy_low": None}
QUICK = {**WORSE, "engine": "int8", "network_p50_ms": 1.5, "accuracy_of": "val"}
FAILED = {"run": "other", "engine": "compile", "reason": "no compiler [gcc]"}
ROWS = [DONE, MANY, FAST, WORSE, QUICK, FAILED]


def test_the_terminal_shows_each_run_in_80_columns() -> None:
    text = io.StringIO()
    latency.show(ROWS, ["machine: one core"], PlainConsole(file=text, width=80))
    said = text.getvalue()
    assert "…" not in said
    for word in ("12.3", "24.7", "123", "247", "812", "3.21", "0.900", "(0.850", "81", "val"):
        assert word in said.split(), word
    assert "not measured: other, compile: no compiler [gcc]" in said
    assert said.splitlines()[-1] == "machine: one core"


def test_the_page_is_markdown_with_a_cell_for_each_column() -> None:
    text = latency.page(ROWS, ["machine: one *core*"])
    table = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(table) == 2 + 5
    assert len({line.count("|") for line in table}) == 1
    assert r"- other, compile: no compiler \[gcc\]" in text
    assert r"machine: one \*core\*" in text


def test_what_is_not_known_is_an_empty_cell_of_the_csv() -> None:
    rows = latency.csv_rows([MANY, FAILED])
    assert (rows[0]["network_p50_ms"], rows[0]["whole_p50_ms"], rows[0]["reason"]) == ("12.345", "", "")
    assert rows[1]["network_p50_ms"] == ""


@pytest.mark.parametrize(
    ("points", "on"),
    [
        ([], []),
        ([(5, 0.9)], [0]),
        ([(5, 0.9), (4, 0.9), (3, 0.7), (6, 0.95)], [2, 1, 3]),
        # As fast and less accurate, and equal in both.
        ([(5, 0.8), (5, 0.9), (5, 0.9)], [1]),
    ],
)
def test_the_front_is_what_none_beats_in_both(points, on) -> None:
    assert latency.front(points) == on


def test_the_figure_has_a_point_an_engine_of_one_image_and_the_front() -> None:
    figure = latency.figure(ROWS)
    assert figure._suptitle is not None
    said = figure._suptitle.get_text()
    assert said == (
        r"net\$1 (onnx) has the highest accuracy, 0.900, in 4 ms; other (int8) takes 1.5 ms at 0.700"
    )
    left, right = figure.axes
    assert [float(point.lines[0].get_xdata()[0]) for point in left.containers] == [12.345, 4.0, 6.0, 1.5]
    drawn = left.lines[0]
    assert drawn.get_drawstyle() == "steps-post"
    assert list(drawn.get_xdata()) == [1.5, 4.0]
    assert list(drawn.get_ydata()) == [0.7, 0.9]
    assert [float(point.lines[0].get_xdata()[0]) for point in right.containers] == [24.69, 11.0, 11.0, 11.0]
    named = {text.get_text() for text in figure.legends[0].get_texts()}
    assert {r"net\$1", "other", "torch", "onnx", "int8"} < named
    figure.canvas.draw()


def test_where_no_accuracy_is_known_the_figure_says_so() -> None:
    figure = latency.figure([{**DONE, "accuracy": None}])
    assert figure._suptitle is not None
    assert "no accuracy is known" in figure._suptitle.get_text()
    figure.canvas.draw()
