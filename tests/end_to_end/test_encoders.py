"""A text encoder of transformers goes through every command as an image network does."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import graft
from graft.cli.console import run
from graft.runs import RunFolder
from graft.runs.files import read_csv

pytest.importorskip("transformers")

Train = Callable[..., RunFolder]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of its own for each test, and no hub."""
    monkeypatch.setenv("GRAFT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def words(tmp_path: Path, encoder: Callable[[str], Path]) -> list[str]:
    """The words for 60 short texts of two classes on a tiny BERT."""
    drawn = np.random.default_rng(0)
    rows = []
    for place in range(60):
        label = ("good", "bad")[place % 2]
        told = ["fine", "good"] if label == "good" else ["not", "long"]
        others = ["a", "film", ",", "and", "far", "too"]
        chosen = [str(drawn.choice(told)), *map(str, drawn.choice(others, drawn.integers(2, 9)))]
        rows.append({"text": " ".join(drawn.permutation(chosen)), "label": label})
    with (tmp_path / "texts.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["text", "label"])
        writer.writeheader()
        writer.writerows(rows)
    return [
        *("data=text_csv", f"data.file={tmp_path / 'texts.csv'}", "data.batch_size=16"),
        *("backbone=transformers", f"backbone.name={encoder('bert')}"),
        *("trainer=cpu", "logger=none", "data.num_workers=0"),
    ]


@pytest.fixture
def train(tmp_path: Path, words: list[str]) -> Train:
    def train(name: str, *more: str) -> RunFolder:
        return graft.train([*words, *more, f"hydra.run.dir={tmp_path / name}"])

    return train


def tensors(found: RunFolder) -> dict[str, torch.Tensor]:
    return load_file(found.bundle / "model.safetensors")


def assert_same(one: RunFolder, other: RunFolder) -> None:
    """The same weights and predictions, to the bit."""
    ours, theirs = tensors(one), tensors(other)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(value, theirs[key]) for key, value in ours.items())
    assert read_csv(one.predictions) == read_csv(other.predictions)


@pytest.mark.parametrize(
    "freeze", [("freeze=frozen",), ("freeze=last_k", "freeze.k=1")], ids=["frozen", "last_k"]
)
def test_stored_features_are_those_of_the_texts(train: Train, freeze: tuple[str, ...]) -> None:
    more = (*freeze, "optimizer=adamw", "trainer.max_epochs=2")
    one, other = train("on", *more), train("off", *more, "cache.features=off")
    # Texts of about one length run together, so that what is beside a text changes the last bits.
    ours, theirs = tensors(one), tensors(other)
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], atol=1e-4, rtol=1e-3, msg=name)
    said = [[row["predicted"] for row in read_csv(run.predictions)] for run in (one, other)]
    assert said[0] == said[1]


def test_a_run_goes_on_to_the_same_bits(train: Train, tmp_path: Path) -> None:
    more = ("freeze=full", "trainer.max_epochs=2", "optimizer.layer_decay=0.8")
    whole = train("whole", *more)
    with pytest.raises(SystemExit):
        train("paused", *more, "stop_after=1")
    assert_same(graft.train([f"resume={tmp_path / 'paused'}"]), whole)


@pytest.mark.parametrize("freeze", [("freeze=lora", "freeze.r=2"), ("freeze=gradual", "freeze.every=1")])
def test_strategies_know_its_stages(train: Train, freeze: tuple[str, ...]) -> None:
    found = train("run", *freeze, "trainer.max_epochs=2", "test=false")
    stages = [row["stage"] for row in read_csv(found.freeze)]
    assert stages[:3] == ["embeddings", "layer1", "layer2"]


def test_its_bundle_predicts_what_the_test_said(
    train: Train, tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    found = train("run", "freeze=frozen")
    bundle = graft.load(found.path)
    assert len(read_csv(found.predictions)) > 5
    text_of = {f"line {line}": row["text"] for line, row in enumerate(read_csv(tmp_path / "texts.csv"), 2)}
    for row in read_csv(found.predictions):
        (told,) = bundle.predict(text_of[row["path"]])
        assert told.label == row["predicted"]
        assert told.probability == pytest.approx(float(row[f"p_{told.label}"]), abs=1e-5)
    assert run(["evaluate", f"run={found.path}", f"hydra.run.dir={tmp_path / 'evaluated'}"]) == 0


def test_the_other_commands_take_it(
    tmp_path: Path, words: list[str], encoder: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    def done(command: str, *given: str) -> Path:
        folder = tmp_path / command
        assert run([command, *given, f"hydra.run.dir={folder}"]) == 0, capsys.readouterr()
        return folder

    data = [word for word in words if word.startswith("data")]
    done("crossval", *words, "freeze=frozen", "folds=2")
    ranked = read_csv(done("rank", *data, f"backbones=['hf:{encoder('bert')}']") / "rank.csv")
    assert ranked[0]["reason"] in ("", None)
    assert float(ranked[0]["probe"]) > 0.5
    done("inspect", *(word for word in data if "batch_size" not in word))


def test_another_kind_of_encoder_is_refused_in_one_line(
    words: list[str], encoder: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given: list[Any] = [*words, f"backbone.name={encoder('vit')}", f"hydra.run.dir={tmp_path / 'no'}"]
    # Written just now, by a library that tells it.
    capsys.readouterr()
    assert run(["train", *given]) == 2
    said = capsys.readouterr().err.strip()
    assert "images" in said
    assert "\n" not in said
