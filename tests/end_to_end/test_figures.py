"""The figures that commands leave are drawn, and by one function."""

import re
from pathlib import Path

import pytest
from PIL import Image

import graft
from graft.cli.console import run

SOURCE = Path(graft.__file__).parent
SHORT = ["trainer=cpu", "calibrate=true"]


def figures(folder: Path) -> set[str]:
    """Names of the figures in a run's folder, which must all be large enough to show something."""
    paths = sorted(folder.glob("figures/*.png"))
    for path in paths:
        with Image.open(path) as image:
            assert min(image.size) > 150, path
            assert len(image.convert("RGB").getcolors(1 << 24)) > 10, path
    return {path.stem for path in paths}


TESTED = {"confusion_matrix", "precision_recall", "reliability", "mistakes"}


@pytest.mark.figures
def test_every_figure_of_a_run_is_drawn(photos: Path, tmp_path: Path) -> None:
    words = ["data=image_folder", f"data.root={photos}", "optimizer.lr=1e-9", "trainer.max_epochs=1", *SHORT]
    folder = graft.train([*words, f"hydra.run.dir={tmp_path}/run"]).path
    assert figures(folder) == {*TESTED, "learning_curves", "training_images"}


@pytest.mark.figures
def test_every_figure_of_a_cross_validation_is_drawn(photos: Path, tmp_path: Path) -> None:
    words = ["data=image_folder", f"data.root={photos}", "freeze=frozen", "optimizer=lbfgs", *SHORT]
    assert run(["crossval", *words, "folds=2", f"hydra.run.dir={tmp_path}/all"]) == 0
    assert figures(tmp_path / "all") == TESTED - {"mistakes"}
    assert figures(tmp_path / "all/fold-1") >= {"confusion_matrix", "penalties"}


def test_one_function_draws_every_figure() -> None:
    drawing = re.compile(r"\.savefig\(|\.add_figure\(|print_png\(")
    assert [
        path.relative_to(SOURCE).as_posix()
        for path in sorted(SOURCE.rglob("*.py"))
        if drawing.search(path.read_text().replace("tensorboard.add_figure(", ""))
    ] == ["runs/files.py"]
