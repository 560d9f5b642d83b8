"""Each score is its paper's formula, sets are never empty, and the file needs nothing but numpy."""

import ast
import inspect

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis as distance
from scipy.special import logsumexp

from graft.evaluation import none_of_these as module
from graft.evaluation.none_of_these import (
    energy,
    judge,
    label_oddness,
    label_sets,
    mahalanobis,
    max_softmax,
    nearest,
    softmax,
)

LOGITS = np.random.default_rng(0).normal(0, 3, (50, 4))
SETTINGS = {"neighbours": 2, "temperature": 2.0, "threshold": -0.5, "limit": 0.7}


def test_energy_is_the_logarithm_of_the_sum_of_powers():
    assert energy([[0, 0], [1000, 0]]) == pytest.approx([np.log(2), 1000])
    assert energy(LOGITS) == pytest.approx(logsumexp(LOGITS, axis=1))


def test_the_distance_is_to_the_kth_of_features_of_length_1():
    bank = [[1, 0], [0, 2], [-3, 0], [5, 5]]
    given = [[4, 0], [0, 0.1]]
    assert nearest(given, bank, 1) == pytest.approx([0, 0])
    near = np.sqrt(2 - np.sqrt(2))
    assert nearest(given, bank, 2) == pytest.approx([-near, -near])
    assert nearest(given, bank, 4) == pytest.approx([-2, -np.sqrt(2)])
    # No more than there are.
    assert nearest(given, bank, 9) == pytest.approx([-2, -np.sqrt(2)])


def test_many_samples_are_judged_as_each_alone(monkeypatch):
    rows, bank = np.random.default_rng(1).normal(size=(25, 6)), np.random.default_rng(2).normal(size=(9, 6))
    monkeypatch.setattr(module, "AT_A_TIME", 4)
    assert nearest(rows, bank, 3) == pytest.approx([nearest(row[None], bank, 3)[0] for row in rows])


def test_mahalanobis_is_to_the_nearest_mean_by_one_covariance():
    draw = np.random.default_rng(0)
    rows, means = draw.normal(size=(20, 3)), draw.normal(size=(2, 3))
    square = draw.normal(size=(3, 3))
    inverse = np.linalg.inv(square @ square.T)
    whitening = np.linalg.cholesky(inverse)
    expected = [-min(distance(row, mean, inverse) ** 2 for mean in means) for row in rows]
    assert mahalanobis(rows, means @ whitening, whitening) == pytest.approx(expected)


def test_the_largest_probability_is_a_score():
    assert max_softmax([[0, 0, 0, 0], [np.log(3), 0, -np.inf, -np.inf]]) == pytest.approx([0.25, 0.75])
    assert softmax([[2 * np.log(3), 0]], 2)[0] == pytest.approx([0.75, 0.25])


def test_sets_hold_the_most_probable_label_and_those_that_are_not_too_odd():
    p = [[0.6, 0.3, 0.1], [0.2, 0.4, 0.4], [0.02, 0.95, 0.03]]
    assert label_oddness(p).tolist() == [[0, 0.7, 0.9], [0.8, 0, 0.6], [0.98, 0, 0.97]]
    assert label_sets(p, 0).tolist() == [[True, False, False], [False, True, False], [False, True, False]]
    assert label_sets(p, 0.7).tolist() == [[True, True, False], [False, True, True], [False, True, False]]
    assert label_sets(p, 1).all()


@pytest.mark.parametrize("score", ["energy", "knn", "mahalanobis"])
def test_a_sample_is_judged_by_the_score_of_the_settings(score):
    draw = np.random.default_rng(3)
    features = draw.normal(size=(50, 3))
    arrays = {"bank": draw.normal(size=(8, 3)), "means": draw.normal(size=(2, 3)), "whitening": np.eye(3)}
    expected = {
        "energy": energy(LOGITS),
        "knn": nearest(features, arrays["bank"], 2),
        "mahalanobis": mahalanobis(features, arrays["means"], arrays["whitening"]),
    }
    known, none, sets = judge(features, LOGITS, {**SETTINGS, "score": score}, arrays)
    assert known.tolist() == expected[score].tolist()
    assert none.tolist() == (expected[score] < -0.5).tolist()
    assert sets.tolist() == label_sets(softmax(LOGITS, 2), 0.7).tolist()
    untold = judge(features, LOGITS, {**SETTINGS, "score": score, "threshold": None}, arrays)[1]
    assert untold is None


def test_a_score_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="no score odin"):
        judge(LOGITS, LOGITS, {**SETTINGS, "score": "odin"}, {})


def test_the_file_goes_along_with_an_exported_model_as_it_stands():
    text = inspect.getsource(module)
    found = {
        name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names])
    }
    assert found == {"collections.abc", "typing", "numpy", "numpy.typing"}
    names = {"__name__": "elsewhere"}
    exec(compile(text, "predict.py", "exec"), names)
    known, _, _ = names["judge"](LOGITS, LOGITS, {**SETTINGS, "score": "energy"}, {})
    assert known.tolist() == energy(LOGITS).tolist()
