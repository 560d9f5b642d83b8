"""Several ways over the same seeds: the numbers in table, rows and figure are those given."""

import io

from rich.console import Console

from graft.reporting import seed_figure, seed_rows, seed_table

FOUND = {"frozen": [0.5, 0.7, 0.9], "full": [0.8, 0.8, 0.8]}


def test_the_table_has_mean_deviation_and_median():
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(seed_table("title", FOUND))
    text = console.export_text()
    assert "0.700 ± 0.200" in text
    assert "0.800 ± 0.000" in text
    assert "0.500  0.700  0.900" in text


def test_a_row_for_each_way_and_seed():
    rows = seed_rows([3, 4, 5], FOUND)
    assert len(rows) == 6
    assert rows[1] == {"way": "frozen", "seed": 4, "test/accuracy": 0.7}


def test_the_figure_draws_means_and_seeds():
    axes = seed_figure("title", FOUND).axes[0]
    assert [round(bar.get_height(), 6) for bar in axes.patches] == [0.7, 0.8]
    assert [list(line.get_ydata()) for line in axes.lines] == list(FOUND.values())
    assert axes.get_title() == "title"
