"""The quick start shows what it promises: a network from drawn digits gives handwritten ones a head start."""

import csv
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_quick_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(ROOT / "experiments/quickstart/run.py"), run_name="__main__")
    out = capsys.readouterr().out
    for way in ("from scratch", "frozen", "fine-tuned"):
        assert way in out
    folder = next((tmp_path / "outputs/quickstart").iterdir())
    assert (folder / "quickstart.png").stat().st_size > 5000
    assert f"tensorboard --logdir {folder.relative_to(tmp_path)}" in out
    # A table's title is as wide as the table, and goes on in the next line.
    gain = float(" ".join(out.split()).rsplit("fine-tuning gains ", 1)[1].split()[0])
    assert gain > 0.02
    with (folder / "fine-tuned-seed0/split.csv").open() as file:
        used = [row["split"] for row in csv.DictReader(file)]
    assert used.count("train") == 50
