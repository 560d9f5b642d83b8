"""`graft extract` writes what a backbone gives for images; `graft cache` shows and removes what is kept."""

import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import graft
from graft.cli.console import run
from graft.commands import extract
from graft.errors import GraftError
from graft.features import sample_features, whole_backbone
from graft.runs.files import read_csv


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAFT_CACHE_DIR", str(tmp_path / "cache"))


def extracted(tmp_path: Path, *words: str) -> tuple[torch.Tensor, list[dict[str, str]]]:
    folder = tmp_path / "out"
    assert run(["extract", *words, "accelerator=cpu", f"hydra.run.dir={folder}"]) == 0
    features, rows = load_file(folder / "features.safetensors")["features"], read_csv(folder / "features.csv")
    for name in ("features.safetensors", "features.csv"):
        (folder / name).unlink()
    assert len(features) == len(rows)
    return features, rows


def test_a_runs_features_give_its_predictions(trained: Path, tmp_path: Path) -> None:
    features, rows = extracted(tmp_path, f"run={trained}")
    split = {row["name"]: (row["split"], row["label"]) for row in read_csv(trained / "split.csv")}
    assert {row["path"]: (row["split"], row["label"]) for row in rows} == split
    bundle = graft.load(trained)
    with torch.no_grad():
        said = torch.softmax(bundle.model.get_submodule("head")(features), 1)
    for row in read_csv(trained / "predictions.csv"):
        ours = said[[found["path"] for found in rows].index(row["path"])]
        theirs = [float(row[f"p_{name}"]) for name in bundle.class_names]
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_splits_precision_and_types(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, rows = extracted(tmp_path, f"run={trained}")
    capsys.readouterr()
    val, val_rows = extracted(tmp_path, f"run={trained}", "split=val")
    # All of them were there.
    assert "computing" not in capsys.readouterr().out
    assert {row["split"] for row in val_rows} == {"val"}
    assert torch.equal(val, whole[[row["split"] == "val" for row in rows]])
    fast, _ = extracted(tmp_path, f"run={trained}", "precision=fast")
    assert (whole.dtype, fast.dtype) == (torch.float32, torch.float32)
    assert 0 < (fast - whole).norm() / whole.norm() < 0.03


def test_a_backbone_by_name(photos: Path, trained: Path, tmp_path: Path) -> None:
    words = ["backbone=simple_cnn", f"backbone.weights={trained}", "data=image_folder", f"data.root={photos}"]
    features, rows = extracted(tmp_path, *words, "data.val_fraction=0.5", "batch_size=5")
    assert features.shape == (36, 84)
    assert sum(row["split"] == "val" for row in rows) == 14
    by_run, _ = extracted(tmp_path, f"run={trained}")
    torch.testing.assert_close(features, by_run)


def test_what_comes_out_of_a_stage(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, rows = extracted(tmp_path, f"run={trained}")
    maps, named = extracted(tmp_path, f"run={trained}", "stage=conv2")
    assert "36 images, 16 × 5 × 5 values each" in capsys.readouterr().out
    assert (maps.shape, named) == ((36, 16, 5, 5), rows)
    bundle = graft.load(trained)
    with torch.no_grad():
        torch.testing.assert_close(bundle.backbone(maps, start=2), whole)
    # Larger than what is made of it, so it stands in the file alone.
    again, _ = extracted(tmp_path, f"run={trained}", "stage=conv2")
    assert "computing" in capsys.readouterr().out
    assert torch.equal(maps, again)
    means, _ = extracted(tmp_path, f"run={trained}", "stage=conv2", "pool=mean")
    torch.testing.assert_close(means, maps.mean((2, 3)))
    # What is small is kept, and read a few images at a time.
    monkeypatch.setattr(whole_backbone, "AT_ONCE", 5 * 16 * 4)
    capsys.readouterr()
    again, _ = extracted(tmp_path, f"run={trained}", "stage=conv2", "pool=mean")
    assert "computing" not in capsys.readouterr().out
    assert torch.equal(means, again)
    last, _ = extracted(tmp_path, f"run={trained}", "stage=dense2", "pool=mean")
    assert torch.equal(last, whole)
    fast, _ = extracted(tmp_path, f"run={trained}", "stage=conv2", "pool=mean", "precision=fast")
    assert 0 < (fast - means).norm() / means.norm() < 0.03
    wrong = ["extract", f"run={trained}", "stage=conv3", f"hydra.run.dir={tmp_path / 'none'}"]
    assert run(wrong) == 2
    assert "it has conv1, conv2, dense1, dense2; did you mean conv2?" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("kept", [True, False])
def test_what_is_held_of_many_images_is_what_is_held_of_few(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    """Every batch of features that is alive at a time is counted, with the cache and without."""
    alive: list[weakref.ref[torch.Tensor]] = []
    most = {}
    write = extract.write_tensor

    def write_tensor(path, name, count, batches, about):
        def watched():
            for batch in batches:
                alive.append(weakref.ref(batch))
                most[count] = max(
                    most.get(count, 0), sum(len(b) for ref in alive if (b := ref()) is not None)
                )
                yield batch

        return write(path, name, count, watched(), about)

    monkeypatch.setattr(extract, "write_tensor", write_tensor)
    monkeypatch.setattr(whole_backbone, "AT_ONCE", 4 * 84 * 4)
    more = ["batch_size=4", *([] if kept else ["cache.max_bytes=10"])]
    extracted(tmp_path, f"run={trained}", "split=val", *more)
    extracted(tmp_path, f"run={trained}", *more)
    assert most.keys() == {len(read_split(trained, "val")), 36}
    assert max(most.values()) <= 12


def read_split(folder: Path, split: str) -> list[dict[str, str]]:
    return [row for row in read_csv(folder / "split.csv") if row["split"] == split]


def test_training_and_extracting_share(
    photos: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"backbone.weights={trained}", "data=image_folder", f"data.root={photos}"]
    extracted(tmp_path, "backbone=simple_cnn", *words)
    capsys.readouterr()
    more = ["freeze=frozen", "trainer=cpu", "logger=none", "trainer.max_epochs=1"]
    graft.train([*words, *more, f"hydra.run.dir={tmp_path / 'run'}"])
    assert "all stored already" in capsys.readouterr().out


def test_what_does_not_fit_is_computed_all_the_same(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features, _ = extracted(tmp_path, f"run={trained}", "cache.max_bytes=10")
    assert "cache: not used: 12.1 kB are more than cache.max_bytes=10" in capsys.readouterr().out
    again, _ = extracted(tmp_path, f"run={trained}")
    assert torch.equal(features, again)


def test_a_bundle_wants_data(trained: Path, tmp_path: Path) -> None:
    assert run(["extract", f"run={trained / 'model'}", f"hydra.run.dir={tmp_path / 'none'}"]) == 2
    assert not (tmp_path / "none").exists()


def test_entries_are_listed_and_removed(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    extracted(tmp_path, f"run={trained}")
    extracted(tmp_path, f"run={trained}", "precision=fast")
    capsys.readouterr()
    assert run(["cache", "list"]) == 0
    out = capsys.readouterr().out
    assert out.count("simple_cnn") == 2
    assert "fast" in out
    assert "2 entries, " in out
    key = next(line.split()[0] for line in out.splitlines() if "fast" in line)
    assert run(["cache", "prune", key]) == 0
    assert "removed 1 of 1" in capsys.readouterr().out
    assert run(["cache", "list"]) == 0
    assert "fast" not in capsys.readouterr().out
    assert run(["cache", "prune", "older_than=1"]) == 0
    assert "removed 0 of 0" in capsys.readouterr().out
    (tmp_path / "elsewhere").mkdir()
    assert run(["cache", "prune", "all", f"dir={tmp_path / 'elsewhere'}"]) == 0
    assert run(["cache", "prune", "all", f"dir={tmp_path / 'nowhere'}"]) == 2
    assert run(["cache", "prune", "all"]) == 0
    assert "removed 1 of 1" in capsys.readouterr().out
    assert run(["cache", "list"]) == 0
    assert "0 entries, 0 B" in capsys.readouterr().out


def test_an_interrupted_extraction_leaves_nothing(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def extract(*args: object) -> None:
        raise GraftError("data: stopped")

    monkeypatch.setattr(sample_features, "extract", extract)
    assert run(["extract", f"run={trained}", f"hydra.run.dir={tmp_path / 'none'}"]) == 2
    assert not (tmp_path / "none").exists()
