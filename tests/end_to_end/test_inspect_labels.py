"""`graft inspect … backbone=…` says which labels look wrong, and looks at no test image for that."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from graft.cli.console import run
from graft.data import sample_data
from graft.inspection import asking as labels
from graft.inspection import suspects
from graft.runs.files import read_csv

EXPECTED = {"inspect.md", "inspect.json", "images.csv", "classes.csv", "sheet.png", "suspects.csv"}


@pytest.fixture
def flipped(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Write `labels.csv` of the photos, a fourth of which test; returns two others with wrong labels."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    wrong = ["red/01.png", "blue/06.png"]
    with Path("labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "split"])
        for index, path in enumerate(sorted(photos.rglob("*.png"))):
            name = path.relative_to(photos).as_posix()
            label = "green" if name in wrong else path.parent.name
            writer.writerow([name, label, "test" if index % 4 == 3 else "train"])
    return wrong


def inspected(photos: Path, *words: str, status: int = 0, out: str = "out") -> None:
    data = ["data=csv", "data.file=labels.csv", f"data.root={photos}", "data.num_workers=0"]
    assert run(["inspect", *data, *words, f"hydra.run.dir={out}"]) == status


@pytest.mark.figures
def test_wrong_labels_come_first_and_test_images_are_not_judged(
    photos: Path, flipped: list[str], trained: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    read: list[str] = []
    inner, judge = sample_data.Samples.read, labels.features_of

    def watched(self, index, at_least=None):
        read.append(self.names[index])
        return inner(self, index, at_least)

    def features_of(*given, **settings):
        # Only from here on: every image is looked at before.
        with monkeypatch.context() as patch:
            patch.setattr(sample_data.Samples, "read", watched)
            return judge(*given, **settings)

    monkeypatch.setattr(labels, "features_of", features_of)
    words = ["backbone=simple_cnn", f"backbone.weights={trained}", "accelerator=cpu", "cache.dir=cache"]
    inspected(photos, *words)
    said = capsys.readouterr().out
    assert "labels are judged by simple_cnn on train and val, never test" in said
    assert "of 27 labels of train and val look wrong to simple_cnn" in said
    rows = read_csv(Path("out/suspects.csv"))
    assert len(rows) == 27
    assert {row["path"] for row in rows[:2]} == set(flipped)
    assert {row["label"] for row in rows[:2]} == {"green"}
    assert {row["suggested"] for row in rows[:2]} == {"red", "blue"}
    assert {row["split"] for row in rows} == {"train", "val"}
    assert set(read) == {row["path"] for row in rows}
    assert EXPECTED | {"suspects.png", "confused.csv"} == {path.name for path in Path("out").iterdir()}
    assert Path("out/suspects.png").stat().st_size > 5000
    found = json.loads(Path("out/inspect.json").read_text())["labels"]
    assert (found["backbone"], found["judged"], found["suspect"] >= 2) == ("simple_cnn", 27, True)
    page = Path("out/inspect.md").read_text()
    assert "## Suspect labels" in page
    assert "![suspects](suspects.png)" in page
    # The features are there for the next time.
    inspected(photos, *words, out="again")
    assert "all stored already" in capsys.readouterr().out


def test_an_image_that_cannot_be_read_is_not_judged(photos: Path, flipped: list[str], capsys) -> None:
    with Path("labels.csv").open("a") as file:
        file.write(f"{Path('damaged.png').absolute()},red,train\n")
    Path("damaged.png").write_bytes(b"")
    inspected(photos, "backbone=simple_cnn", "accelerator=cpu")
    assert len(read_csv(Path("out/suspects.csv"))) == 27
    assert "damaged.png" in capsys.readouterr().out


def test_without_a_backbone_neither_torch_nor_cleanlab_is_imported(photos: Path, flipped: list[str]) -> None:
    code = f"""
import sys
from graft.cli.console import run
run(["inspect", "data=csv", "data.file=labels.csv", {f"data.root={photos}"!r}, "hydra.run.dir=out"])
sys.exit(" ".join({{"torch", "cleanlab"}} & set(sys.modules)) or 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stderr.strip(), done.returncode) == ("", 0)
    assert Path("out/inspect.md").is_file()


def test_without_a_backbone_what_belongs_to_one_is_refused(photos: Path, flipped: list[str], capsys) -> None:
    inspected(photos)
    assert not Path("out/suspects.csv").exists()
    for word in ("accelerator=cpu", "cache.dir=cache", "data.batch_size=4"):
        inspected(photos, word, status=2)
        key = word.partition("=")[0]
        assert capsys.readouterr().err == f"graft: {key} does nothing in graft inspect without backbone=…\n"
    inspected(photos, "backbone=simple_cnn", "backbone.weights=nowhere", status=2, out="other")
    assert "backbone.weights=nowhere" in capsys.readouterr().err


def test_without_cleanlab_it_is_said_how_to_get_it(
    photos: Path, flipped: list[str], monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setattr(suspects, "find_spec", lambda name: None)
    inspected(photos, "backbone=simple_cnn", status=2)
    said = "graft: to weigh labels needs cleanlab: pip install 'graft-transfer[labels]'\n"
    assert capsys.readouterr().err == said
    inspected(photos)
