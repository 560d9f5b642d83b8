"""Texts from a CSV to a model, a transfer and predictions: what is said of images holds for texts."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import graft
from graft.cli.console import run
from graft.ranking import costs
from graft.runs import RunFolder
from graft.runs.files import read_csv, write_csv

SMALL = ["backbone.embedding=8", "backbone.channels=6", "backbone.widths=[2,3]", "trainer=cpu", "logger=none"]


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache and a working folder of a test's own; costs are measured in a moment."""
    monkeypatch.setenv("GRAFT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(costs, "SECONDS", 0)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty short texts of two classes, told apart by one word, some with words that occur once."""
    stream = np.random.default_rng(0)
    rows = []
    for index in range(40):
        words = [*stream.choice(["the", "film", "was", "a", "story"], 4), f"once{index}"]
        words.insert(int(stream.integers(4)), ("good", "awful")[index % 2])
        rows.append({"text": " ".join(words), "label": ("pos", "neg")[index % 2]})
    path = tmp_path_factory.mktemp("texts") / "reviews.csv"
    write_csv(path, rows)
    return path


@pytest.fixture
def words(reviews: Path) -> list[str]:
    return ["data=text_csv", f"data.file={reviews}", "data.batch_size=8", "backbone=text_cnn", *SMALL]


def weights(folder: RunFolder) -> dict[str, torch.Tensor]:
    return load_file(folder.bundle / "model.safetensors")


def assert_equal(one: RunFolder, other: RunFolder) -> None:
    mine, theirs = weights(one), weights(other)
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[key], theirs[key]) for key in mine)
    assert one.predictions.read_bytes() == other.predictions.read_bytes()


@pytest.fixture
def source(words: list[str], tmp_path: Path) -> RunFolder:
    """A run that learns all of it."""
    more = ["freeze=full", "augment=words", "trainer.max_epochs=20", "optimizer.lr=0.02"]
    return graft.train([*words, *more, f"hydra.run.dir={tmp_path / 'source'}"])


def test_a_run_its_bundle_and_its_predictions(source: RunFolder, reviews: Path, tmp_path: Path) -> None:
    assert source.metrics["test/accuracy"] == 1
    model = graft.load(source.path)
    assert [said.label for said in model.predict(["a good story", "awful"])] == ["pos", "neg"]
    train = {row["name"] for row in read_csv(source.split) if row["split"] == "train"}
    lines = reviews.read_text().splitlines()
    once = {word for place, line in enumerate(lines, 1) for word in line.split() if f"line {place}" in train}
    assert set(model.preprocessing.vocabulary) <= {word.partition(",")[0] for word in once}
    assert not any(word.startswith("once") for word in model.preprocessing.vocabulary)
    # The same answers to the same texts, wherever they are asked for.
    assert run(["evaluate", f"run={source.path}", "hydra.run.dir=again"]) == 0
    tested = {row["path"]: row["p_pos"] for row in read_csv(tmp_path / "again/predictions.csv")}
    assert tested == {row["path"]: row["p_pos"] for row in read_csv(source.predictions)}
    assert run(["predict", f"run={source.path}", f"source={reviews}", "hydra.run.dir=said"]) == 0
    said = read_csv(tmp_path / "said/predictions.csv")
    assert list(said[0]) == ["path", "predicted", "p_neg", "p_pos", "known", "none_of_these", "set"]
    assert len(said) == 40
    predicted = {row["path"]: float(row["p_pos"]) for row in said}
    assert all(predicted[name] == pytest.approx(float(tested[name]), abs=1e-6) for name in tested)
    (tmp_path / "new.txt").write_text("good\nan awful one\n")
    assert run(["predict", f"run={source.bundle}", "source=new.txt", "hydra.run.dir=new"]) == 0
    assert [row["predicted"] for row in read_csv(tmp_path / "new/predictions.csv")] == ["pos", "neg"]


def test_a_network_goes_to_another_task_and_a_fresh_process(source: RunFolder, tmp_path: Path) -> None:
    rows = [{"text": f"{word} thing", "label": word[0]} for word in ("good", "awful") for _ in range(12)]
    write_csv(tmp_path / "other.csv", rows)
    other = ["data=text_csv", "data.file=other.csv", "backbone=text_cnn", f"backbone.weights={source.path}"]
    target = graft.train([*other, *SMALL[3:], "freeze=frozen", "hydra.run.dir=target"])
    before, after = weights(source), weights(target)
    backbone = [key for key in before if key.startswith("backbone.")]
    assert backbone
    assert all(torch.equal(before[key], after[key]) for key in backbone)
    assert (
        graft.load(target.path).preprocessing.vocabulary == graft.load(source.path).preprocessing.vocabulary
    )
    assert target.metrics["test/accuracy"] == 1
    (tmp_path / "other.csv").unlink()
    code = f"import graft; print(graft.load({str(target.path)!r}).predict(['good thing'])[0].label)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == "g"


def test_a_network_of_images_is_refused_and_the_other_way_round(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["train", *words[:3], "backbone=simple_cnn"]) == 2
    assert "it takes images, and data has texts; give backbone=text_cnn" in capsys.readouterr().err
    assert run(["train", "data=digits", "backbone=text_cnn"]) == 2
    assert "text_cnn takes texts, and data has none" in capsys.readouterr().err
    assert run(["train", *words, "augment=light"]) == 2
    assert "alters images, and data has texts" in capsys.readouterr().err


@pytest.mark.parametrize("freeze", [["freeze=frozen", "optimizer=adamw"], ["freeze=last_k", "freeze.k=1"]])
def test_the_feature_cache_changes_nothing(words: list[str], freeze: list[str]) -> None:
    kept, without = (
        graft.train(
            [*words, *freeze, "trainer.max_epochs=2", f"cache.features={how}", f"hydra.run.dir={how}"]
        )
        for how in ("on", "off")
    )
    mine, theirs = weights(kept), weights(without)
    for key, value in mine.items():
        # Convolutions round by the size of a batch.
        torch.testing.assert_close(value, theirs[key], rtol=0, atol=1e-5, msg=key)
    said = [[row["predicted"] for row in read_csv(folder.predictions)] for folder in (kept, without)]
    assert said[0] == said[1]


def test_a_run_that_was_cut_goes_on_to_the_same_bits(
    words: list[str], cut_at: Callable[[int], AbstractContextManager[None]]
) -> None:
    more = ["freeze=full", "augment=words", "trainer.max_epochs=3", "callbacks.last.minutes=0"]
    whole = graft.train([*words, *more, "hydra.run.dir=whole"])
    with cut_at(5):
        graft.train([*words, *more, "hydra.run.dir=cut"])
    assert_equal(graft.train(["resume=cut"]), whole)


def test_folds_ranks_features_and_an_inspection(source: RunFolder, words: list[str], tmp_path: Path) -> None:
    assert run(["crossval", *words, "freeze=frozen", "folds=2", "hydra.run.dir=folds"]) == 0
    assert read_csv(tmp_path / "folds/crossval.csv")[0]["folds"] == "2"
    ranked = [*words[:3], "backbones=[text_cnn]", f"weights.text_cnn=[null,{source.path}]"]
    assert run(["rank", *ranked, "accelerator=cpu", "hydra.run.dir=rank"]) == 0
    rows = read_csv(tmp_path / "rank/rank.csv")
    assert [row["reason"] for row in rows] == ["", ""]
    assert {row["backbone"] for row in rows} == {"text_cnn (source)", "text_cnn (untrained)"}
    extract = ["extract", *words[:4], *SMALL[:3], "accelerator=cpu", "hydra.run.dir=features"]
    assert run(extract) == 0
    assert load_file(tmp_path / "features/features.safetensors")["features"].shape == (40, 12)
    assert run(["inspect", *words[:2], "hydra.run.dir=look"]) == 0
    assert {"words", "characters"} <= set(read_csv(tmp_path / "look/images.csv")[0])
