"""Figures hold the numbers that they should, and stay readable with many runs and long names."""

import itertools
import math

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from graft.reporting import figures
from graft.reporting.findings import thrift, verdict
from graft.reporting.groups import rank
from graft.reporting.pairs import differences
from graft.runs.records import find_runs


def ranked(path):
    return rank(find_runs(str(path))[0], "val/accuracy")


def boxes(figure, texts):
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    return [text.get_window_extent(renderer) for text in texts if text.get_text()]


@pytest.fixture
def many(make_run, tmp_path):
    for place in range(40):
        # Forty compositions would take longer than all else here.
        changed = {
            "backbone.weights": f"/some/where/{place}/{'very-long-' * 5}.pth",
            "optimizer.lr": 1e-4 * (place + 1),
        }
        metrics = {"val/accuracy": 0.9 - place / 100, "test/accuracy": 0.8}
        make_run(f"runs/{place}", [], metrics, curve=[0.1, 0.2], changed=changed)
    return ranked(tmp_path / "runs")


def test_bars_are_the_means_best_first(sweep):
    axes = figures.bars(ranked(sweep), "the title").axes[0]
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([0.64, 0.74])
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "freeze=full optimizer.lr=0.0005",
        "freeze=frozen optimizer.lr=0.0005",
    ]
    # The best stands at the top.
    assert axes.yaxis_inverted()
    assert axes.get_xlim() == (0, 1)
    assert "test accuracy" in axes.get_xlabel()


def test_one_run_has_no_interval(make_run, tmp_path):
    make_run("runs/a", [], {"val/accuracy": 0.5, "test/accuracy": 0.5})
    axes = figures.bars(ranked(tmp_path / "runs"), "title").axes[0]
    assert "no interval" in axes.get_xlabel()
    assert not axes.containers[1:]


def test_labels_of_forty_groups_do_not_overlap(many):
    figure = figures.bars(many, "title")
    axes = figure.axes[0]
    own = boxes(figure, axes.get_yticklabels())
    assert len(own) == 40
    assert not any(one.overlaps(other) for one, other in itertools.combinations(own, 2))
    assert min(box.x0 for box in own) >= 0
    assert axes.get_window_extent().width > 300


def test_of_many_groups_the_first_are_named_and_the_rest_counted(many):
    for figure in (figures.curves(many), figures.costs(many)):
        assert figure is not None
        (legend,) = figure.legends
        texts = [text.get_text() for text in legend.get_texts()]
        assert texts[0].replace("\n", " ") == many.groups[0].label
        assert texts[-1] == f"the other {40 - len(figures.COLOURS)}"
        assert len(texts) == len(figures.COLOURS) + 1
        (box,) = boxes(figure, [legend.get_texts()[0]])
        assert box.x0 >= 0
        assert all(not box.overlaps(axes.get_window_extent()) for axes in figure.axes)


def test_curves_are_means_over_the_runs(sweep):
    figure = figures.curves(ranked(sweep))
    assert figure is not None
    lines = {str(line.get_label()).split()[0]: line for line in figure.axes[0].lines}
    assert list(lines["freeze=full"].get_ydata()) == pytest.approx([0.6, 0.9])
    # Epochs count from 1 for people.
    assert list(lines["freeze=full"].get_xdata()) == [1, 2]


def test_without_epochs_there_are_no_curves(make_run, tmp_path):
    make_run("runs/a", [], {"val/accuracy": 0.5})
    assert figures.curves(ranked(tmp_path / "runs")) is None


def test_the_title_says_which_is_best_and_whether_that_is_clear(sweep):
    ranking = ranked(sweep)
    title = verdict(ranking, differences(ranking.groups, "test/accuracy"))
    assert title.startswith("freeze=full optimizer.lr=0.0005 is best on validation")
    assert "worse than freeze=frozen" in title
    for seed, value in enumerate((0.5, 0.8, 0.62)):
        metrics = f'{{"val/accuracy": 0.1, "test/accuracy": {value}}}'
        (sweep / f"a{seed}/metrics.json").write_text(metrics)
    ranking = ranked(sweep)
    assert "no clear difference" in verdict(ranking, differences(ranking.groups, "test/accuracy"))


def test_the_cheapest_that_is_as_good_is_named(make_run, tmp_path):
    runs = {"full": [0.90, 0.94], "frozen": [0.89, 0.91], "last_k": [0.6, 0.62]}
    for (way, values), parameters in zip(runs.items(), (1000, 100, 10), strict=True):
        for seed, value in enumerate(values):
            path = make_run(f"runs/{way}{seed}", [f"freeze={way}", f"seed={seed}"])
            text = f'{{"val/accuracy": {value}, "test/accuracy": 0.5, "trainable_parameters": {parameters}}}'
            (path / "metrics.json").write_text(text)
    text = thrift(ranked(tmp_path / "runs"), "trainable_parameters", "trainable parameters")
    assert "cheapest: freeze=frozen (100 trainable parameters)" in text
    assert math.isclose(ranked(tmp_path / "runs").groups[0].spread("val/accuracy").mean, 0.92)
