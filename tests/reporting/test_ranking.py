"""The table, the page and the figure say what the rows hold."""

import io

from graft.reporting import ranking
from graft.reporting.console import PlainConsole

SCORES = {
    "probe": 0.9,
    "knn": 0.8,
    "logme": 0.1,
    "h_score": 0.7,
    "leep": None,
    "nce": None,
    "transrate": 12.0,
}
COSTS = {"features": 8, "parameters": 1_234_567, "gmacs": 0.7321, "images_per_second": 50.0}
DONE = {"place": 1, "backbone": "net$1", "weights": "w", **SCORES, **COSTS, "reason": None}
SECOND = {
    **DONE,
    "place": 2,
    "backbone": "small [x]",
    "probe": 0.5,
    "gmacs": 0.001,
    "images_per_second": 5000.0,
}
FAILED = {
    "place": None,
    "backbone": "big|one",
    "weights": "w",
    **dict.fromkeys(SCORES),
    "reason": "out of [memory]",
}
ROWS = [DONE, SECOND, FAILED]
AGREEMENT = [{"score": "h_score", "weighted_tau": 0.5, "spearman": -0.25, "backbones": 4}]


def printed(rows, correlations=()) -> str:
    text = io.StringIO()
    ranking.show(rows, correlations, PlainConsole(file=text, width=160))
    return text.getvalue()


def test_the_terminal_shows_the_ranking_the_failures_and_the_agreement() -> None:
    text = printed(ROWS, AGREEMENT)
    assert text.index("net$1") < text.index("small [x]") < text.index("not ranked: big|one: out of [memory]")
    assert "1,234,567" in text
    assert "LEEP" not in text
    assert text.splitlines()[-1].split() == ["H-score", "0.500", "-0.250", "4"]
    assert "agreement" not in printed(ROWS)


def test_all_numbers_are_whole_in_80_columns() -> None:
    long = {
        **DONE,
        "backbone": "squeezenet1_0 (squeezenet1_0.pth)",
        "leep": -0.123,
        "nce": -0.083,
        "transrate": 722.29,
    }
    text = io.StringIO()
    ranking.show([{**long, "fine_tuned": 0.891}], [], PlainConsole(file=text, width=80))
    assert "…" not in text.getvalue()
    for number in ("0.900", "-0.123", "-0.083", "722.29", "0.891", "1,234,567", "0.732", "50"):
        assert number in text.getvalue().split()


def test_the_page_is_markdown_with_a_cell_for_each_column() -> None:
    text = ranking.page(ROWS, AGREEMENT, "9 images of 2 classes")
    assert text.startswith("# Backbones ranked on 9 images of 2 classes\n")
    table = [line for line in text.splitlines() if line.startswith("| ")]
    assert table[0].count("|") == table[1].count("|") == table[2].count("|")
    assert r"- big\|one: out of \[memory\]" in text
    assert "| H-score | 0.500 | -0.250 | 4 |" in text


def test_what_is_not_known_is_an_empty_cell() -> None:
    known = ranking.page([{**DONE, "leep": -0.5}, SECOND], [], "x")
    row = next(line for line in known.splitlines() if "small" in line)
    headings = next(line for line in known.splitlines() if line.startswith("| backbone"))
    cells = dict(zip(headings.split(" | "), row.split(" | "), strict=True))
    assert cells["LEEP"].strip() == ""
    csv = ranking.csv_rows([DONE, FAILED])
    assert (csv[0]["leep"], csv[0]["gmacs"], csv[1]["probe"], csv[1]["reason"]) == (
        "",
        "0.7321",
        "",
        "out of [memory]",
    )


def test_the_figure_has_a_point_a_backbone_on_each_side_and_its_finding_above() -> None:
    figure = ranking.figure(ROWS, 100, 0.6)
    assert figure._suptitle is not None
    assert figure._suptitle.get_text() == r"net\$1 has the best linear probe, 0.900, at 0.732 GMACs"
    left, right = figure.axes
    for axes, costs in ((left, [0.7321, 0.001]), (right, [20.0, 0.2])):
        points = [container.lines[0] for container in axes.containers]
        assert [float(point.get_xdata()[0]) for point in points] == costs
        assert [float(point.get_ydata()[0]) for point in points] == [0.9, 0.5]
        assert len({point.get_marker() for point in points}) == 2
        assert axes.get_xlabel()
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert set(named) == {r"net\$1", "small [x]", "share of the largest class"}
    figure.canvas.draw()
    # Far below all points it is left out.
    far = ranking.figure([{**SECOND, "probe": 0.97}, {**DONE, "probe": 0.96}], 1000, 0.1)
    assert len(far.legends[0].get_texts()) == 2
    assert far.axes[0].get_ylim()[0] > 0.9
