"""Differences are paired by seed and tested as scipy does; images are compared by path."""

import pytest
from scipy import stats

from graft.reporting.groups import rank
from graft.reporting.pairs import Difference, corrected, difference, images, mcnemar, recalls
from graft.runs.records import find_runs

FROZEN, FULL = [0.7, 0.72, 0.8], [0.6, 0.65, 0.67]


def groups(path):
    return rank(find_runs(str(path))[0], "val/accuracy").groups


def test_the_interval_and_the_p_value_are_the_paired_t_tests(sweep):
    full, frozen = groups(sweep)
    found = difference(full, frozen, "test/accuracy")
    known = stats.ttest_rel(FULL, FROZEN)
    low, high = known.confidence_interval(0.95)
    assert found is not None
    assert (found.n, found.mean) == (
        3,
        pytest.approx(known.statistic * (high - low) / 2 / stats.t.ppf(0.975, 2)),
    )
    assert (found.low, found.high, found.p) == pytest.approx((low, high, known.pvalue))
    assert found.clear == (not low <= 0 <= high)


def test_pairs_are_made_by_seed_not_by_place(sweep, make_run):
    # Frozen without seed 0: only seeds 1 and 2 are pairs.
    (sweep / "a0/status.json").write_text('{"status": "failed", "started": "x"}')
    full, frozen = groups(sweep)
    found = difference(full, frozen, "test/accuracy")
    assert found is not None
    assert found.n == 2
    assert found.mean == pytest.approx((0.65 - 0.72 + 0.67 - 0.8) / 2)


def test_one_pair_has_no_interval_and_no_seed_no_difference(make_run, tmp_path):
    metrics = {"val/accuracy": 0.9, "test/accuracy": 0.5}
    make_run("runs/a", ["freeze=full", "seed=0"], metrics)
    make_run("runs/b", ["freeze=frozen", "seed=0"], {"val/accuracy": 0.5, "test/accuracy": 0.25})
    make_run("runs/c", ["freeze=bias_only", "seed=1"], {"val/accuracy": 0.1, "test/accuracy": 0.25})
    full, frozen, other = groups(tmp_path / "runs")
    found = difference(full, frozen, "test/accuracy")
    assert found == Difference("freeze=full", "freeze=frozen", 1, 0.25)
    assert not found.clear
    assert difference(full, other, "test/accuracy") is None


def test_pairs_that_differ_equally_say_nothing_of_their_spread(make_run, tmp_path):
    for seed, (one, other) in enumerate([(0.95, 0.92), (0.957, 0.927)]):
        make_run(f"runs/a{seed}", ["freeze=full", f"seed={seed}"], {"val/accuracy": 1, "test/accuracy": one})
        make_run(
            f"runs/b{seed}", ["freeze=frozen", f"seed={seed}"], {"val/accuracy": 0, "test/accuracy": other}
        )
    found = difference(*groups(tmp_path / "runs"), "test/accuracy")
    assert found is not None
    assert (found.n, found.low, found.p, found.clear) == (2, None, None, False)
    assert found.mean == pytest.approx(0.03)


def test_holms_correction():
    # Holm (1979): sorted p times m, m − 1, …, never falling.
    found = corrected([Difference("a", "b", 3, 0, 0, 0, p) for p in (0.03, 0.01, 0.04)])
    assert [item.holm for item in found] == pytest.approx([0.06, 0.03, 0.06])
    assert corrected([Difference("a", "b", 1, 0)])[0].holm is None


@pytest.mark.parametrize(("only_first", "only_second"), [(0, 0), (0, 9), (5, 5), (2, 10), (40, 10)])
def test_mcnemar_is_the_exact_binomial(only_first, only_second):
    n = only_first + only_second
    tail = stats.binom.cdf(min(only_first, only_second), n, 0.5) if n else 1.0
    assert mcnemar(only_first, only_second) == pytest.approx(min(1.0, 2 * tail))


def test_images_are_counted_run_by_run(sweep):
    full, frozen = groups(sweep)
    found, reason = images(full, frozen)
    assert (len(found), reason) == (3, "")
    one = found[0]
    # Of twelve both have 9 right and the first wrong; frozen alone has 1 and 4.
    assert (one.both, one.only_first, one.only_second, one.neither) == (9, 0, 2, 1)
    assert one.p == 0.5
    rows = recalls(found)
    assert [(name, count) for name, count, _, _ in rows] == [("ant", 4), ("bee", 4), ("cat", 4)]
    assert [row[2:] for row in rows] == [(0.5, 0.75), (0.75, 1.0), (1.0, 1.0)]


@pytest.mark.parametrize("change", ["path", "label"])
def test_runs_with_other_images_are_not_compared_by_image(sweep, change):
    for seed in range(3):
        file = sweep / f"a{seed}/predictions.csv"
        old, new = ("00.png", "99.png") if change == "path" else ("bee,ant", "bee,cat")
        file.write_text(file.read_text().replace(old, new, 1))
    assert images(*groups(sweep)) == ([], "other test images")


def test_the_order_of_the_images_does_not_matter(sweep):
    file = sweep / "a0/predictions.csv"
    head, *rows = file.read_text().splitlines()
    expected = images(*groups(sweep))[0][0].only_second
    file.write_text("\n".join([head, *reversed(rows)]) + "\n")
    assert images(*groups(sweep))[0][0].only_second == expected
