"""All scores together, of the arrays that a backbone gives."""

import subprocess
import sys

import numpy as np
import pytest

from graft.transferability import all_scores, h_score, knn_accuracy, leep, logme, nce, transrate
from graft.transferability.scores import NAMES


def test_each_is_what_its_own_function_gives(example) -> None:
    found = all_scores(example.features.astype(np.float32), example.labels, example.probabilities)
    assert tuple(found) == NAMES
    features, labels, theta = example
    expected = {
        "knn": knn_accuracy(features, labels),
        "logme": logme(features, labels),
        "h_score": h_score(features, labels),
        "leep": leep(theta, labels),
        "nce": nce(theta.argmax(1), labels),
        "transrate": transrate(features, labels),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_without_a_source_head_two_are_left_open(example) -> None:
    found = all_scores(example.features, example.labels)
    assert [name for name, value in found.items() if value is None] == ["leep", "nce"]


@pytest.mark.parametrize("name", ["h_score", "leep", "logme", "nce", "transrate"])
def test_a_name_is_the_function_though_a_module_bears_it_too(name) -> None:
    """Whichever of both is imported first."""
    code = (
        f"import graft.transferability.{name}, graft.transferability as t\n"
        f"from graft.transferability.{name} import {name} as function\n"
        f"assert t.{name} is function and callable(function)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_to_import_them_costs_no_scipy() -> None:
    code = (
        "import sys\nfrom graft.transferability import all_scores\n"
        "sys.exit(bool({'scipy', 'sklearn', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
