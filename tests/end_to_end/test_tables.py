"""Rows of a table go the way of images: frozen, cached, resumed, in folds, ranked, inspected, predicted."""

import json
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
from graft.backbones.columns import Columns
from graft.cli.console import run
from graft.data.cache_location import cache_folder
from graft.errors import GraftError
from graft.ranking import costs
from graft.runs import RunFolder
from graft.runs.files import read_csv, write_csv

NETWORK = ("backbone=table_mlp", "backbone.width=8", "backbone.blocks=2")
SHORT = ("trainer=cpu", "logger=none", "trainer.max_epochs=2", "data.batch_size=8", "data.num_workers=0")


def rows_of(labels: tuple[str, str], shift: float = 0) -> list[dict[str, object]]:
    """70 rows of two classes that numbers and a category tell apart, some cells blank."""
    rng = np.random.default_rng(0)
    return [
        {
            "mass": "" if place % 11 == 0 else round(rng.normal(3 * (place % 2)), 3) + shift,
            "town": ["ulm", "bonn", "NA"][rng.integers(3)]
            if rng.random() < 0.7
            else ["ulm", "bonn"][place % 2],
            "height": round(rng.normal(), 3),
            "label": labels[place % 2],
        }
        for place in range(70)
    ]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("table") / "table.csv"
    write_csv(path, rows_of(("no", "yes")))
    return path


@pytest.fixture(scope="module")
def train(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., RunFolder]:
    folder = tmp_path_factory.mktemp("runs")

    def train(name: str, *more: str) -> RunFolder:
        words = ("data=table_csv", f"data.file={table}", *NETWORK, *SHORT)
        return graft.train([*words, *more, f"hydra.run.dir={folder / name}"])

    return train


@pytest.fixture(scope="module")
def whole(train: Callable[..., RunFolder]) -> RunFolder:
    return train("whole")


def weights(folder: RunFolder) -> dict[str, bytes]:
    return {
        key: value.numpy().tobytes() for key, value in load_file(folder.bundle / "model.safetensors").items()
    }


def columns_of(path: Path | str) -> Columns:
    found = graft.load(path).preprocessing
    assert isinstance(found, Columns)
    return found


def test_a_run_knows_its_columns_by_its_training_rows(whole: RunFolder, table: Path) -> None:
    split = {row["name"]: row["split"] for row in read_csv(whole.split)}
    there = [
        float(row["mass"])
        for line, row in enumerate(read_csv(table), 2)
        if split[f"line {line}"] == "train" and row["mass"]
    ]
    recorded = columns_of(whole.path)
    mass, height = recorded.numbers
    assert (mass.column, height.column) == ("mass", "height")
    expected = [float(found(there)) for found in (np.mean, np.std, np.median)]
    assert [mass.mean, mass.std, mass.median] == expected
    assert recorded.categories[0].values == (None, "bonn", "ulm")
    assert (whole.path / "figures" / "training_images.png").is_file()


def test_stored_features_are_as_good_as_rows(train: Callable[..., RunFolder], whole: RunFolder) -> None:
    start = f"backbone.weights={whole.path}"
    for name, words in {
        "frozen": ["freeze=frozen", "optimizer=adamw", start],
        # Adam makes steps of rounding errors, in what the next norm takes away.
        "last": ["freeze=last_k", "freeze.k=1", "optimizer=sgd", start],
    }.items():
        on, off = (train(f"{name}-{how}", *words, f"cache.features={how}") for how in ("on", "off"))
        ours, theirs = (load_file(found.bundle / "model.safetensors") for found in (on, off))
        # As of images: other rows in a batch change the last bits of a product of matrices.
        assert all(torch.allclose(ours[key], theirs[key], atol=1e-5) for key in theirs), name
        assert [row["predicted"] for row in read_csv(on.predictions)] == [
            row["predicted"] for row in read_csv(off.predictions)
        ]
    assert any(cache_folder().joinpath("features").iterdir())


def test_a_run_that_was_cut_ends_as_the_whole_one(
    train: Callable[..., RunFolder], whole: RunFolder, cut_at: Callable[[int], AbstractContextManager[None]]
) -> None:
    with cut_at(7):
        train("cut", "callbacks.last.minutes=0.0")
    path = whole.path.with_name("cut")
    graft.train([f"resume={path}"])
    cut = RunFolder.open(path)
    assert weights(cut) == weights(whole)
    assert cut.predictions.read_text() == whole.predictions.read_text()


def test_another_task_starts_from_it_on_the_same_columns_alone(
    train: Callable[..., RunFolder], whole: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.csv"
    write_csv(other, rows_of(("calm", "loud"), shift=50))
    start = (f"data.file={other}", f"backbone.weights={whole.path}", "freeze=frozen")
    started = train("other", *start)
    # Its own rows are 50 away; the scale is the source's.
    assert graft.load(started.path).preprocessing == graft.load(whole.path).preprocessing
    write_csv(other, [{"mas": 1.0, **row} for row in rows_of(("calm", "loud"))])
    assert "was trained without mas" in (train("more", *start), capsys.readouterr().out)[1]
    write_csv(
        other,
        [{key.replace("mass", "mas"): value for key, value in row.items()} for row in rows_of(("a", "b"))],
    )
    with pytest.raises(
        GraftError, match=r"other columns: data lacks mass, and has mas beside; did you mean mas\?"
    ):
        train("fewer", *start)


def test_folds_rank_inspect_and_evaluate(
    whole: RunFolder, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(costs, "SECONDS", 0)
    data = ["data=table_csv", f"data.file={table}"]
    assert run(["crossval", *data, *NETWORK, *SHORT, "freeze=full", "folds=3", "hydra.run.dir=cv"]) == 0
    means = {columns_of(f"cv/fold-{fold}").numbers[0].mean for fold in (1, 2, 3)}
    # Each fold has its own rows to learn the columns from.
    assert len(means) == 3
    assert (
        run(
            [
                "rank",
                *data,
                f"weights.table_mlp=[{whole.path}]",
                "backbones=[table_mlp]",
                "accelerator=cpu",
                "hydra.run.dir=rank",
            ]
        )
        == 0
    )
    assert read_csv(Path("rank/rank.csv"))[0]["reason"] == ""
    assert run(["inspect", *data, "hydra.run.dir=inspect"]) == 0
    assert read_csv(Path("inspect/images.csv"))[0]["blanks"] in ("1", "2")
    assert "columns: 2 of numbers, 1 of categories" in Path("inspect/inspect.md").read_text()
    assert run(["evaluate", f"run={whole.path}", "accelerator=cpu", "hydra.run.dir=again"]) == 0
    assert Path("again/predictions.csv").read_text() == whole.predictions.read_text()
    asked = [f"run={whole.path}", f"source={table}", "accelerator=cpu"]
    assert run(["predict", *asked, "hydra.run.dir=said"]) == 0
    said = {row["path"]: row for row in read_csv(Path("said/predictions.csv"))}
    assert len(said) == 70
    for row in read_csv(whole.predictions):
        assert said[row["path"]]["predicted"] == row["predicted"]
        assert float(said[row["path"]]["p_yes"]) == pytest.approx(float(row["p_yes"]), abs=1e-6)
    assert (
        json.loads(Path("again/metrics.json").read_text())["test/accuracy"] == whole.metrics["test/accuracy"]
    )


def test_a_bundle_predicts_rows_in_a_fresh_process(whole: RunFolder, table: Path, tmp_path: Path) -> None:
    code = (
        "import sys, graft, graft.sources\n"
        "names, table, _ = graft.sources.find_rows(sys.argv[2], {})\n"
        "rows = [dict(zip(table, cells)) for cells in zip(*table.values())]\n"
        "for name, said in zip(names, graft.load(sys.argv[1]).predict(rows)):\n"
        "    print(name, said.label, repr(said.probability), sep=',')\n"
    )
    copy = tmp_path / "rows.csv"
    write_csv(copy, [{key: row[key] for key in row if key != "label"} for row in read_csv(table)])
    ended = subprocess.run(
        [sys.executable, "-c", code, whole.bundle, copy], capture_output=True, text=True, check=True
    )
    said = {
        name: (label, float(p)) for name, label, p in (line.split(",") for line in ended.stdout.splitlines())
    }
    assert len(said) == 70
    for row in read_csv(whole.predictions):
        label, probability = said[row["path"]]
        assert label == row["predicted"]
        assert probability == pytest.approx(max(float(row["p_no"]), float(row["p_yes"])), abs=1e-6)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data=digits", "backbone=table_mlp"], "backbone: table_mlp takes rows, and data has none"),
        (["backbone=simple_cnn"], "it takes images, and data has rows; give backbone=table_mlp"),
        (["mix=mixup"], "mix: it blends images, and data has rows; give mix=none"),
        (["augment=light"], "augment.crop_scale=[0.5, 1.0] alters images, and data has rows"),
        (
            ["data.label=lable"],
            "no column lable (data.label); the columns are mass, town, height, label; did you mean",
        ),
        (["data.file=tabel.csv"], "data.file=tabel.csv: there is no such file"),
    ],
)
def test_what_does_not_go_together_is_one_line(
    table: Path, words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["data=table_csv", f"data.file={table}"] if "data=digits" not in words else []
    network = [] if "backbone=simple_cnn" in words else ["backbone=table_mlp"]
    assert run(["train", *given, *network, *words, f"hydra.run.dir={tmp_path / 'run'}"]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not (tmp_path / "run").exists()
