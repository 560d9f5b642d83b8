"""Copies stay together in every command that draws a split, and crossval leaves a drawn test set out."""

import json
import shutil
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from graft.cli.console import run
from graft.data.pictures import with_copies_known
from graft.runs import RunFolder
from graft.runs.files import read_csv
from graft.training import solved_run

SHORT = ["trainer=cpu", "trainer.max_epochs=1", "logger=none", "data.batch_size=8"]


@pytest.fixture
def copied(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The photos in one folder a class, five of each class twice."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    root = shutil.copytree(photos, tmp_path / "copied")
    for folder in root.iterdir():
        for index in range(5):
            shutil.copy(folder / f"{index:02d}.png", folder / f"copy-{index}.png")
    return root


def words(root: Path) -> list[str]:
    return ["data=image_folder", f"data.root={root}", "data.keep_copies_together=true"]


def parted(rows: Iterable[dict[str, str]]) -> int:
    """How many pictures are in two of train, val and test."""
    sides = defaultdict(set)
    for row in rows:
        if row["split"] != "unused":
            sides[row["sha256"]].add(row["split"])
    assert len(sides) > 20
    return sum(len(found) > 1 for found in sides.values())


def test_a_run_keeps_copies_together_records_it_and_goes_on_with_it(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["train", *words(copied)[:2], *SHORT, "hydra.run.dir=apart"]) == 0
    assert parted(read_csv(Path("apart/split.csv"))) > 0
    assert run(["train", *words(copied), *SHORT, "scheduler=constant", "hydra.run.dir=run"]) == 0
    said = capsys.readouterr().out
    assert "30 images are copies, of 15 pictures; no split that is drawn parts them" in said
    assert "copies kept together, data.split_seed=0" in said
    rows = read_csv(Path("run/split.csv"))
    assert parted(rows) == 0
    assert RunFolder("run").read_config()["data"]["keep_copies_together"] is True
    assert run(["train", "resume=run", "data.keep_copies_together=false"]) == 2
    assert "data.keep_copies_together cannot change in a run that goes on" in capsys.readouterr().err
    assert run(["train", "resume=run", "trainer.max_epochs=2"]) == 0
    assert read_csv(Path("run/split.csv")) == rows
    assert run(["evaluate", "run=run", "hydra.run.dir=again"]) == 0
    tested = {row["path"] for row in read_csv(Path("again/predictions.csv"))}
    assert tested == {row["name"] for row in rows if row["split"] == "test"}


def test_a_solved_heads_folds_part_no_copies(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    inner = solved_run.solve

    def solve(*args: Any, **how: Any) -> Any:
        given.append(how["groups"])
        return inner(*args, **how)

    monkeypatch.setattr(solved_run, "solve", solve)
    assert run(["train", *words(copied), "trainer=cpu", "freeze=frozen", "data.val_fraction=0"]) == 0
    (groups,) = given
    assert 0 < len(groups) - len(set(groups)) <= 15


def test_leaks_of_own_parts_are_said_by_every_command_that_opens_them(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in list(copied.iterdir()):
        for path in list(folder.iterdir()):
            part = "test" if path.name in ("copy-0.png", "copy-1.png", "08.png", "09.png") else "train"
            target = copied / part / folder.name / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
        folder.rmdir()
    assert run(["train", *words(copied), *SHORT, "hydra.run.dir=run"]) == 0
    assert capsys.readouterr().out.count("warning: 6 images of test have copies in train") == 1
    assert len(read_csv(Path("run/predictions.csv"))) == 12
    assert run(["inspect", *words(copied), "hydra.run.dir=looked"]) == 0
    found = json.loads(Path("looked/inspect.json").read_text())
    assert found["leaks"]
    assert found["splits"] == {"train": 31, "val": 8, "test": 12, "unused": 0}
    splits = {row["path"]: row["split"] for row in read_csv(Path("looked/images.csv"))}
    assert splits == {row["name"]: row["split"] for row in read_csv(Path("run/split.csv"))}


def test_backbones_are_ranked_on_one_image_of_each_picture(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ranked = ["rank", *words(copied), "backbones=[simple_cnn]", "weights.simple_cnn=null", "accelerator=cpu"]
    assert run([*ranked, "hydra.run.dir=ranked"]) == 0
    said = capsys.readouterr().out
    spared = int(said.partition("train and val, without ")[2].partition(" copies")[0])
    assert 5 < spared <= 15
    assert f"ranked on {int(said.partition('ranked on ')[2].partition(' ')[0])} images" in said


def test_folds_keep_copies_together_and_leave_the_test_set_of_its_own_seed_out_of_all_repeats(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [*words(copied), *SHORT, "freeze=frozen", "data.split_seed=2", "data.test_seed=2"]
    assert run(["train", *words(copied), *SHORT, "data.split_seed=2", "hydra.run.dir=run"]) == 0
    held_out = {row["name"] for row in read_csv(Path("run/split.csv")) if row["split"] == "test"}
    capsys.readouterr()
    assert run(["crossval", *asked, "folds=2", "repeats=2", "hydra.run.dir=out"]) == 0
    rule = f"{51 - len(held_out)} images in 2 folds, the test set of {len(held_out)} images"
    assert f"{rule} of data.test_seed=2 left out (stratified, copies kept together" in capsys.readouterr().out
    assert rule in Path("out/crossval.md").read_text()
    for fold in Path("out").glob("repeat-*-fold-*"):
        rows = read_csv(fold / "split.csv")
        assert {row["name"] for row in rows if row["split"] == "unused"} == held_out
        assert parted(rows) == 0
    configs = [RunFolder(f"out/repeat-{repeat}-fold-1").read_config()["data"] for repeat in (1, 2)]
    assert [(config["split_seed"], config["test_seed"]) for config in configs] == [(2, 2), (3, 2)]
    predicted = read_csv(Path("out/predictions.csv"))
    assert len(predicted) == 2 * (51 - len(held_out))
    assert not held_out & {row["path"] for row in predicted}


def test_nobody_looks_for_copies_who_does_not_ask(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: Any, **how: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(f"{with_copies_known.__module__}.with_copies_known", never)
    assert run(["train", *words(copied)[:2], *SHORT, "hydra.run.dir=run"]) == 0


def test_a_wrong_word_is_one_line(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", *words(copied)[:2], "data.keep_copies_together=exat"]) == 2
    assert "did you mean exact?" in capsys.readouterr().err
    assert run(["evaluate", "run=x", *words(copied)]) == 2
    assert "data.keep_copies_together does nothing in graft evaluate" in capsys.readouterr().err
