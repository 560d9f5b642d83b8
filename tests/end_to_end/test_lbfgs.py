"""The bare `freeze=frozen` is a logistic regression on the features, and a run like any other."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import graft
from graft.cli.console import run
from graft.configuration.run_config import RunConfig
from graft.errors import GraftError
from graft.features.store import FeatureStore
from graft.objective import solving
from graft.runs import RunFolder
from graft.runs.files import read_csv


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backbone that knows digits a little."""
    path = tmp_path_factory.mktemp("source") / "run"
    words = ["data=glyphs", "data.size=400", "trainer.max_epochs=2", "trainer=cpu", "logger=none"]
    return graft.train([*words, f"hydra.run.dir={path}"]).path


@pytest.fixture(scope="module")
def words(source: Path) -> list[str]:
    shared = ["data=digits", "data.fraction=0.5", f"backbone.weights={source}", "freeze=frozen"]
    return [*shared, "trainer=cpu", "logger=none"]


@pytest.fixture
def solve(words: list[str], tmp_path: Path) -> Any:
    def solve(*more: str, name: str = "run") -> RunFolder:
        return graft.train([*words, *more, f"hydra.run.dir={tmp_path / name}"])

    return solve


@pytest.fixture(scope="module")
def bare(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """What the bare command leaves."""
    return graft.train([*words, f"hydra.run.dir={tmp_path_factory.mktemp('bare') / 'run'}"])


def test_it_is_scikit_learns_at_the_penalty_that_validates_best(bare: RunFolder, tmp_path: Path) -> None:
    folder = tmp_path / "features"
    assert run(["extract", f"run={bare.path}", f"hydra.run.dir={folder}", "accelerator=cpu"]) == 0
    features = load_file(folder / "features.safetensors")["features"]
    features = torch.nn.functional.layer_norm(features, features.shape[1:]).numpy()
    rows = read_csv(folder / "features.csv")
    splits = np.array([row["split"] for row in rows])
    labels = np.array([int(row["label"]) for row in rows])
    state = load_file(bare.bundle / "model.safetensors")
    scaler = StandardScaler().fit(features[splits == "train"])
    np.testing.assert_allclose(state["head.1.mean"], scaler.mean_, atol=1e-5)
    # Drawn together by ten images of the median variance.
    count, variances = (splits == "train").sum(), scaler.var_
    median = np.quantile(variances[variances > 1e-12], 0.5, method="lower")
    together = np.where(variances > 1e-12, (count * variances + 10 * median) / (count + 10), 1)
    np.testing.assert_allclose(state["head.1.deviation"], together**0.5, rtol=1e-4)
    features = (features - state["head.1.mean"].numpy()) / state["head.1.deviation"].numpy()
    train = features[splits == "train"], labels[splits == "train"]
    penalty = bare.metrics["penalty"]
    reference = LogisticRegression(C=1 / (len(train[0]) * penalty), tol=1e-6, max_iter=10_000).fit(*train)
    weights = state["head.2.weight"].numpy()
    np.testing.assert_allclose(weights, reference.coef_, atol=0.01 * np.abs(reference.coef_).max())
    for split, key in (("val", "val/accuracy"), ("test", "test/accuracy")):
        theirs = reference.score(features[splits == split], labels[splits == split])
        assert bare.metrics[key] == pytest.approx(theirs, abs=0.003)
    path = {float(row["penalty"]): float(row["val/loss"]) for row in read_csv(bare.penalties)}
    assert path[penalty] == pytest.approx(bare.metrics["val/loss"], abs=1e-5)
    assert path[penalty] <= min(path.values()) + 0.01
    (row,) = read_csv(bare.epochs)
    assert float(row["train/accuracy"]) == pytest.approx(reference.score(*train), abs=0.003)


def test_what_it_leaves_is_a_run_like_any(bare: RunFolder, tmp_path: Path) -> None:
    assert bare.penalties_figure.is_file()
    assert not bare.curves_figure.exists()
    assert bare.metrics["epoch"] == 0
    assert bare.read_config()["optimizer"]["_target_"] == "graft.optim.LBFGS"
    again = [f"run={bare.path}", "accelerator=cpu", f"hydra.run.dir={tmp_path / 'again'}"]
    assert run(["evaluate", *again]) == 0
    assert (tmp_path / "again/predictions.csv").read_text() == bare.predictions.read_text()


def test_seed_batches_and_threads_do_not_matter(bare: RunFolder, solve: Any) -> None:
    other = solve("seed=7", "optimizer=lbfgs")
    assert other.predictions.read_text() == bare.predictions.read_text()


def test_a_recorded_configuration_trains_to_the_same_again(bare: RunFolder, tmp_path: Path) -> None:
    from graft.commands import train

    config = {**bare.read_config(), "resume": None, "trust": []}
    again = train.run(RunConfig.of(config), tmp_path / "run", [])
    assert again.predictions.read_text() == bare.predictions.read_text()


def test_what_the_store_cannot_keep_is_computed_for_now(
    bare: RunFolder, solve: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = solve("cache.max_bytes=10", f"cache.dir={bare.path.parent / 'small'}", name="small")
    assert "cache: not used: " in capsys.readouterr().out

    def full(*_: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FeatureStore, "get_or_compute", full)
    failing = solve(f"cache.dir={bare.path.parent / 'failing'}", name="failing")
    assert "cannot be used (No space left on device)" in capsys.readouterr().out
    off = solve("optimizer=lbfgs", "cache.features=off", name="off")
    for other in (small, failing, off):
        for row, expected in zip(read_csv(other.predictions), read_csv(bare.predictions), strict=True):
            assert row["predicted"] == expected["predicted"]
            assert float(row["p_3"]) == pytest.approx(float(expected["p_3"]), abs=1e-5)


def test_stopped_it_begins_anew(
    bare: RunFolder, solve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []

    def stop(*_: Any) -> Any:
        looks.append(1)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(solving, "_judged", stop)
        with pytest.raises(KeyboardInterrupt):
            solve()
    folder = RunFolder(tmp_path / "run")
    assert folder.status()["status"] == "interrupted"
    graft.train([f"resume={folder.path}"])
    assert folder.status()["status"] == "finished"
    assert folder.predictions.read_text() == bare.predictions.read_text()


def test_without_validation_images_it_crosses_the_training_images(
    solve: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Fewer penalties, to save time: each is solved six times.
    monkeypatch.setattr(solving, "PENALTIES", solving.PENALTIES[4:8])
    done = solve("data.val_fraction=0")
    assert "chosen by cross-validation of the training images in 5 folds" in capsys.readouterr().out
    assert "val/loss" not in done.metrics
    assert len(read_csv(done.penalties)) == len(solving.PENALTIES)


def test_what_trains_says_why(solve: Any, capsys: pytest.CaptureFixture[str]) -> None:
    done = solve("trainer.max_epochs=1")
    out = capsys.readouterr().out
    assert "the head is trained, not solved, because of trainer.max_epochs" in out
    assert "the head is trained" in done.log.read_text()
    assert "penalty" not in done.metrics


@pytest.mark.parametrize("words_", [["freeze=last_k"], ["freeze=lp_ft", "freeze.epochs=1"]], ids=" ".join)
def test_where_it_cannot_solve(words_: list[str], solve: Any, tmp_path: Path) -> None:
    with pytest.raises(GraftError, match=r"^optimizer=lbfgs is not possible: the backbone must be frozen"):
        solve("optimizer=lbfgs", *words_)
    assert not (tmp_path / "run").exists()


def test_standardizing_wants_a_frozen_backbone(solve: Any) -> None:
    with pytest.raises(
        GraftError, match=r"^head.standardize=true is not possible: head.standardize wants one"
    ):
        solve("optimizer=adamw", "freeze=last_k", "head.standardize=true")
