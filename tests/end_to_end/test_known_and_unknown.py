"""What a run leaves can say that a sample is none of its classes: in predict, in evaluate, from Python."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import graft
from graft.cli.console import run
from graft.data import split_from_rows
from graft.evaluation.knowing import limit_of, threshold_of
from graft.evaluation.none_of_these import softmax
from graft.models import load_bundle
from graft.objective.folding import folds_of
from graft.objective.solving import Labelled, logits_by_folds
from graft.runs import RunFolder
from graft.runs.files import read_csv
from graft.sources import digits

QUIET = ["trainer=cpu", "logger=none"]
DIGITS = ["data=digits", "data.fraction=0.3", "data.batch_size=64", "trainer.max_epochs=3", *QUIET]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A network that is trained on digits."""
    return graft.train([*DIGITS, f"hydra.run.dir={tmp_path_factory.mktemp('plain')}/run"])


@pytest.fixture(scope="module")
def strange(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of no digit: noise; and a file that is no image."""
    folder = tmp_path_factory.mktemp("strange")
    noise = np.random.default_rng(0)
    for index in range(12):
        Image.fromarray(noise.integers(0, 256, (8, 8), dtype=np.uint8)).save(folder / f"{index:02d}.png")
    (folder / "broken.png").write_bytes(b"no image")
    return folder


def answers_of(path: Path, split: str) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """Features, logits and labels of a run's split, by its bundle."""
    bundle, data = load_bundle(path), digits()
    places = split_from_rows(read_csv(RunFolder(path).split), data)[split]
    transform: Any = bundle.transform
    given = torch.stack([transform(data.samples[int(place)]) for place in places])
    with torch.inference_mode():
        features = bundle.backbone(given)
        return features, bundle.head(features), data.samples.labels[places]


def test_threshold_and_limit_are_those_of_validation(plain: RunFolder) -> None:
    known = load_bundle(plain.path).known
    assert known is not None
    features, logits, labels = answers_of(plain.path, "val")
    settings = known.settings
    assert (settings.score, settings.judged_by, settings.samples) == ("knn", "validation", len(labels))
    expected = threshold_of(known.scores(features, logits).numpy())
    assert settings.threshold == pytest.approx(expected, abs=1e-5)
    assert settings.limit == pytest.approx(limit_of(softmax(logits.numpy()), labels), abs=1e-5)
    train, _, of_train = answers_of(plain.path, "train")
    assert len(known.arrays["bank"]) == len(of_train)
    # The samples that it learnt from, as it sees them when it is asked.
    own = known.arrays["bank"] @ torch.nn.functional.normalize(train.double()).numpy().T
    assert own.max(0) == pytest.approx(1, abs=1e-3)


def test_the_test_says_how_often_sets_hold_the_label(plain: RunFolder, tmp_path: Path) -> None:
    features, logits, labels = answers_of(plain.path, "test")
    known = load_bundle(plain.path).known
    assert known is not None
    _, none, sets = known.judge(features, logits)
    assert none is not None
    metrics = plain.metrics
    assert metrics["test/set_coverage"] == sets[np.arange(len(labels)), labels].mean()
    assert metrics["test/set_size"] == sets.sum(1).mean() >= 1
    assert metrics["test/passed"] == 1 - none.mean()
    assert run(["evaluate", f"run={plain.path}", "accelerator=cpu", f"hydra.run.dir={tmp_path}/again"]) == 0
    again = RunFolder(tmp_path / "again").metrics
    assert {key: value for key, value in again.items() if key.startswith("test/")} == {
        key: value for key, value in metrics.items() if key.startswith("test/")
    }


@pytest.mark.parametrize("word", ["top_k=null", "top_k=2"])
def test_predict_writes_three_further_columns(
    plain: RunFolder,
    strange: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    word: str,
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    words = ["predict", f"run={plain.path}", f"source={strange}", "accelerator=cpu", word]
    assert run([*words, f"hydra.run.dir={tmp_path}/out"]) == 0
    rows = read_csv(tmp_path / "out" / "predictions.csv")
    columns = list(rows[0])
    assert columns[-3:] == ["known", "none_of_these", "set"]
    assert columns[:2] == ["path", "predicted"]
    said = load_bundle(plain.path).predict([row["path"] for row in rows])
    for row, prediction in zip(rows, said, strict=True):
        assert float(row["known"]) == pytest.approx(prediction.known, abs=1e-5)
        assert row["none_of_these"] == ("true" if prediction.none_of_these else "false")
        assert prediction.set is not None
        assert row["set"].split("|") == list(prediction.set)
    none = sum(row["none_of_these"] == "true" for row in rows)
    told = capsys.readouterr().out
    assert f"{none} of 12 images are none of these classes, as far as the model can tell" in told
    # The table shows a probability, not a score.
    first = next(line for line in told.splitlines() if "00.png" in line)
    assert float(first.split()[-1]) == pytest.approx(max(said[0].probabilities.values()), abs=1e-3)


def test_evaluate_tells_known_from_unknown(
    plain: RunFolder, strange: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", f"run={plain.path}", f"unknown={strange}", "accelerator=cpu"]
    assert run([*words, f"hydra.run.dir={tmp_path}/out"]) == 0
    metrics = RunFolder(tmp_path / "out").metrics
    unknown = np.array([float(row["known"]) for row in read_csv(tmp_path / "out" / "unknown.csv")])
    known = load_bundle(plain.path).known
    assert known is not None
    tested = known.scores(*answers_of(plain.path, "test")[:2]).numpy()
    higher = (tested[:, None] > unknown).mean()
    assert metrics["unknown/auroc"] == pytest.approx(higher, abs=1e-3)
    assert metrics["unknown/told"] == (unknown < known.settings.threshold).mean()
    assert metrics["unknown/fpr95"] == pytest.approx((unknown >= np.quantile(tested, 0.05)).mean(), abs=0.1)
    assert metrics["unknown/samples"] == 12
    told = capsys.readouterr().out
    assert "unknown: 12 images of none of the classes, 1 unreadable" in told
    assert "unknown/auroc" in told


def test_what_cannot_be_told_is_refused_in_one_line(
    plain: RunFolder, strange: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    wrong = {
        f"unknown={strange}x": "unknown=",
        f"unknown={tmp_path}/empty": f"unknown={tmp_path}/empty: there are no images",
    }
    for word, line in wrong.items():
        assert (
            run(["evaluate", f"run={plain.path}", word, "accelerator=cpu", f"hydra.run.dir={tmp_path}/a"])
            == 2
        )
        assert line in capsys.readouterr().err
    without = graft.train(
        [*DIGITS, "trainer.max_epochs=1", "known=null", f"hydra.run.dir={tmp_path}/without"]
    )
    assert load_bundle(without.path).known is None
    assert not any("set_" in key or "passed" in key for key in without.metrics)
    words = ["evaluate", f"run={without.path}", f"unknown={strange}", f"hydra.run.dir={tmp_path}/b"]
    assert run([*words, "accelerator=cpu"]) == 2
    assert "the model cannot tell" in capsys.readouterr().err
    assert run(["predict", f"run={without.path}", f"source={strange}", f"hydra.run.dir={tmp_path}/c"]) == 0
    rows = read_csv(tmp_path / "c" / "predictions.csv")
    assert {(row["known"], row["none_of_these"], row["set"]) for row in rows} == {("", "", "")}
    assert "none of these classes" not in capsys.readouterr().out


def test_a_run_is_the_same_with_it_and_without(plain: RunFolder, tmp_path: Path) -> None:
    without = graft.train([*DIGITS, "known=null", f"hydra.run.dir={tmp_path}/run"])
    mine, other = ((folder.bundle / "model.safetensors").read_bytes() for folder in (plain, without))
    assert mine == other
    assert plain.predictions.read_text() == without.predictions.read_text()


def test_what_nothing_validates_says_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], plain: RunFolder
) -> None:
    words = [*DIGITS, "trainer.max_epochs=1", "data.val_fraction=0", f"hydra.run.dir={tmp_path}/run"]
    assert load_bundle(graft.train(words).path).known is None
    said = capsys.readouterr()
    assert "none of these: the model cannot tell, since nothing validates" in said.out + said.err


def test_a_solved_head_without_validation_is_judged_by_folds(plain: RunFolder, tmp_path: Path) -> None:
    words = ["data=digits", "data.fraction=0.2", "data.val_fraction=0", "freeze=frozen", "optimizer=lbfgs"]
    weights = [f"backbone.weights={plain.path}", "optimizer.weight_decay=0.1"]
    folder = graft.train([*words, *weights, *QUIET, f"hydra.run.dir={tmp_path}/run"])
    known = load_bundle(folder.path).known
    assert known is not None
    _, _, labels = answers_of(folder.path, "train")
    assert (known.settings.judged_by, known.settings.samples) == ("cross-validation", len(labels))
    assert folder.metrics["test/set_coverage"] > 0.85
    assert 0.85 < folder.metrics["test/passed"] <= 1


def test_no_fold_s_head_has_seen_what_it_judges() -> None:
    """Noise in more dimensions than samples: a head knows by heart what it learnt from."""
    from graft.models import linear
    from graft.optim import LBFGS
    from graft.tasks import SingleLabel

    features = torch.randn(60, 200, generator=torch.Generator().manual_seed(0))
    labels = np.arange(60) % 2
    head = linear(200, 2, standardize=True)
    before = {key: value.clone() for key, value in head.state_dict().items()}
    train = Labelled(features, torch.from_numpy(labels))
    folds = folds_of(labels, None, 0)
    logits = logits_by_folds(head, LBFGS(), train, 0.01, folds, task=SingleLabel(["a", "b"]))
    assert (logits.argmax(1).numpy() == labels).mean() < 0.75
    assert all(torch.equal(before[key], value) for key, value in head.state_dict().items())
