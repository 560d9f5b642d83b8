"""Batches of one image are refused before training where BatchNorm would see one value of a channel."""

from pathlib import Path

import pytest

from graft.cli.console import run

WORDS = [
    *("train", "backbone=resnet18", "backbone.weights=null", "trainer=cpu", "logger=none", "threads=1"),
    *("debug=one_batch", "trainer.max_epochs=2", "hydra.run.dir=run", "data=image_folder"),
]


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        # 32 px leave one value a channel after five halvings.
        (["freeze=full", "backbone.image_size=32"], "freeze.norm=affine"),
        (["freeze=last_k", "freeze.k=1", "backbone.image_size=32"], "freeze.norm=affine"),
        (["freeze=freeze_unfreeze", "freeze.at=0", "backbone.image_size=32"], "layer4"),
        (["freeze=frozen", "freeze.norm=statistics", "backbone.image_size=32"], "freeze.norm=frozen"),
    ],
)
def test_one_image_a_batch_is_refused_with_what_to_type(
    words: list[str], answer: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """It was: Expected more than 1 value per channel when training, exit status 1."""
    monkeypatch.chdir(tmp_path)
    assert run([*WORDS, f"data.root={photos}", "data.batch_size=1", *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith("graft: data.batch_size=1: of a single image BatchNorm in layer4.")
    assert "give data.batch_size=2 or more, or freeze.norm=" in error
    assert answer in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["freeze=full", "backbone.image_size=32", "freeze.norm=affine", "data.batch_size=1"],
        ["freeze=frozen", "backbone.image_size=32", "data.batch_size=1"],
        pytest.param(["freeze=full", "backbone.image_size=64", "data.batch_size=1"], marks=pytest.mark.slow),
        pytest.param(["freeze=full", "backbone.image_size=32", "data.batch_size=2"], marks=pytest.mark.slow),
    ],
)
def test_what_works_is_let_be(
    words: list[str], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run([*WORDS, f"data.root={photos}", *words]) == 0
