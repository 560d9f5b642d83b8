"""`optimizer=lbfgs` is scikit-learn's logistic regression on the features, and a run like any other."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import graft
from graft.cli import run
from graft.errors import GraftError
from graft.runs import RunFolder
from graft.runs.files import read_csv

DECAY = 1e-3


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backbone that knows digits a little."""
    path = tmp_path_factory.mktemp("source") / "run"
    words = ["data=glyphs", "data.size=400", "trainer.max_epochs=2", "trainer=cpu", "logger=none"]
    return graft.train([*words, f"hydra.run.dir={path}"]).path


@pytest.fixture
def solve(source: Path, tmp_path: Path) -> Any:
    def solve(*words: str) -> RunFolder:
        shared = ["data=digits", "data.fraction=0.5", f"backbone.weights={source}", "freeze=frozen"]
        shared += ["optimizer=lbfgs", f"optimizer.weight_decay={DECAY}", "trainer=cpu", "logger=none"]
        return graft.train([*shared, *words, f"hydra.run.dir={tmp_path / 'run'}"])

    return solve


@pytest.mark.parametrize("standardize", [False, True])
def test_it_is_scikit_learns(standardize: bool, solve: Any, tmp_path: Path) -> None:
    done = solve("head.normalize=false", f"head.standardize={standardize}".lower())
    folder = tmp_path / "features"
    assert run(["extract", f"run={done.path}", f"hydra.run.dir={folder}", "accelerator=cpu"]) == 0
    features = load_file(folder / "features.safetensors")["features"].numpy()
    rows = read_csv(folder / "features.csv")
    splits = np.array([row["split"] for row in rows])
    labels = np.array([int(row["label"]) for row in rows])
    if standardize:
        features = StandardScaler().fit(features[splits == "train"]).transform(features)
    train = features[splits == "train"], labels[splits == "train"]
    reference = LogisticRegression(C=1 / (len(train[0]) * DECAY), tol=1e-6, max_iter=10_000).fit(*train)
    state = load_file(done.bundle / "model.safetensors")
    weights = state["head.1.weight" if standardize else "head.0.weight"].numpy()
    np.testing.assert_allclose(weights, reference.coef_, atol=0.02 * np.abs(reference.coef_).max())
    for split, key in (("val", "val/accuracy"), ("test", "test/accuracy")):
        theirs = reference.score(features[splits == split], labels[splits == split])
        assert done.metrics[key] == pytest.approx(theirs, abs=0.003)
    (row,) = read_csv(done.epochs)
    # What the last look saw, not the mean of all looks.
    assert float(row["train/accuracy"]) == pytest.approx(reference.score(*train), abs=0.003)


def test_what_it_leaves_is_a_model_like_any(solve: Any, tmp_path: Path) -> None:
    done = solve("head.standardize=true")
    assert done.metrics["epoch"] == 0
    state = load_file(done.bundle / "model.safetensors")
    assert not torch.equal(state["head.1.mean"], torch.zeros(84))
    words = [f"run={done.path}", "accelerator=cpu", f"hydra.run.dir={tmp_path / 'again'}"]
    assert run(["evaluate", *words]) == 0
    assert (tmp_path / "again/predictions.csv").read_text() == done.predictions.read_text()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["freeze=last_k"], "the backbone must be frozen whole"),
        (["freeze=lp_ft", "freeze.epochs=1", "trainer.max_epochs=2"], "the backbone must be frozen whole"),
        (["head=mlp"], "dropout in the head makes another problem"),
        (["trainer.precision=bf16-mixed"], "is too coarse"),
        (["trainer.gradient_clip_val=1.0"], "bends the gradient"),
        (["augment=light", "cache.views=2"], "cache.views makes another problem"),
        (["mix=mixup"], "mix blends the images"),
    ],
    ids=" ".join,
)
def test_where_it_cannot_solve(words: list[str], why: str, solve: Any, tmp_path: Path) -> None:
    with pytest.raises(GraftError, match=f"^optimizer=lbfgs is not possible: .*{why}"):
        solve(*words)
    assert not (tmp_path / "run").exists()


def test_standardizing_wants_a_frozen_backbone(solve: Any) -> None:
    with pytest.raises(
        GraftError, match=r"^head.standardize=true is not possible: head.standardize wants one"
    ):
        solve("optimizer=adamw", "freeze=last_k", "head.standardize=true")
