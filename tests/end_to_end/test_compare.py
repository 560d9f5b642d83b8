"""`graft compare` and a sweep's end, as they are typed."""

import subprocess
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from graft.cli.console import run
from graft.runs.files import read_csv


@pytest.fixture(scope="module")
def swept(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep over two strategies and two seeds, and a rate at which the loss is no number."""
    folder = tmp_path_factory.mktemp("swept") / "sweep"
    words = ["data=image_folder", f"data.root={photos}", "data.batch_size=8", "trainer.max_epochs=2"]
    grid = ["freeze=last_k,full", "seed=0,1", "optimizer.lr=1e-3,1e30"]
    assert run(["train", "-m", *words, *grid, "trainer=cpu", f"hydra.sweep.dir={folder}"]) == 1
    return folder


def test_a_sweep_ends_with_its_summary(swept: Path) -> None:
    rows = read_csv(swept / "summary.csv")
    assert [(row["n"], row["unfinished"]) for row in rows] == [("2", "0")] * 2 + [("0", "2")] * 2
    assert {row["freeze"] for row in rows} == {"last_k", "full"}
    assert float(rows[0]["val/accuracy"]) >= float(rows[1]["val/accuracy"])
    page = (swept / "summary.md").read_text()
    assert page.count("the training loss became nan") == 4
    assert (swept / "summary.png").is_file()


def test_the_hparams_of_a_sweep_are_what_was_swept_and_the_final_metrics(swept: Path) -> None:
    job = next(swept.glob("0-*"))
    events = EventAccumulator(str(job / "tensorboard")).Reload()

    def content(tag: str) -> HParamsPluginData:
        return HParamsPluginData.FromString(events.SummaryMetadata(tag).plugin_data.content)

    shown = content("_hparams_/session_start_info").session_start_info.hparams
    values = {key: getattr(value, value.WhichOneof("kind")) for key, value in shown.items()}
    assert values == {"freeze": "last_k", "seed": 0, "optimizer.lr": 0.001}
    metrics = {info.name.tag for info in content("_hparams_/experiment").experiment.metric_infos}
    assert metrics == {"final/val_loss", "final/val_accuracy", "final/test_accuracy", "final/test_f1_macro"}


@pytest.mark.figures
def test_compare_writes_what_it_promises(
    swept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    words = [f"runs=[{swept},{tmp_path / 'empty'}]", f"hydra.run.dir={tmp_path / 'out'}"]
    assert run(["compare", *words]) == 0
    out = capsys.readouterr().out
    assert out.strip().endswith("out/compare.md")
    assert "skipped: " in out
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names >= {"compare.md", "compare.csv", "runs.csv", "differences.csv", "images.csv", "classes.csv"}
    assert names >= {"bars.png", "curves.png", "costs.png"}
    assert min(path.stat().st_size for path in (tmp_path / "out").glob("*.png")) > 5000
    page = (tmp_path / "out/compare.md").read_text()
    assert "2 pairs hardly know their own spread" in page
    assert len(read_csv(tmp_path / "out/runs.csv")) == 8
    tested = len(read_csv(next(swept.glob("0-*/predictions.csv"))))
    for row in read_csv(tmp_path / "out/images.csv"):
        assert sum(int(row[key]) for key in ("both", "only_first", "only_second", "neither")) == tested
    disagreements = tmp_path / "out/disagreements.csv"
    rows = read_csv(disagreements) if disagreements.is_file() else []
    assert all(row["first_predicted"] != row["second_predicted"] for row in rows)


def test_compare_imports_no_torch(swept: Path, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom graft.cli.console import run\n"
        f"status = run(['compare', 'runs={swept}', 'hydra.run.dir={tmp_path / 'out'}'])\n"
        "heavy = {'torch', 'torchvision', 'pytorch_lightning', 'sklearn'} & set(sys.modules)\n"
        "sys.exit(status or ', '.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_where_no_run_is_finished_nothing_is_written(
    swept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    failed = next(path.parent for path in swept.glob("*/status.json") if '"failed"' in path.read_text())
    assert run(["compare", f"runs={failed}", "hydra.run.dir=out"]) == 2
    error = capsys.readouterr().err
    assert "is finished" in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
