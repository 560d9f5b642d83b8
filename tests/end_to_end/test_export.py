"""`graft export` leaves files that answer as `graft predict` does without Graft, or leaves nothing."""

import csv
import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from graft.backbones.words import TextPreprocessing
from graft.cli.console import run
from graft.deploy import export as making
from graft.deploy import files, gate
from graft.deploy.closed import modules_of
from graft.deploy.images import spaced
from graft.deploy.timed_engine import script_engine
from graft.errors import GraftError
from graft.models import load_bundle
from graft.runs.files import read_csv

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def calibrated(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run on photos, with a temperature."""
    path = tmp_path_factory.mktemp("calibrated") / "run"
    shutil.copytree(trained, path)
    described = path / "model" / "model.yaml"
    text = described.read_text(encoding="utf-8")
    assert "temperature: 1.0" in text
    described.write_text(text.replace("temperature: 1.0", "temperature: 0.7"), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def exported(calibrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its export, in floats and in 8 bits."""
    path = tmp_path_factory.mktemp("exported") / "export"
    assert run(["export", f"run={calibrated}", "int8=static", f"hydra.run.dir={path}"]) == 0
    return path


def predicted(folder: Path, *words: str) -> list[dict[str, str]]:
    """What the script of an export prints."""
    done = subprocess.run(
        [sys.executable, "-I", str(folder / "predict.py"), *words], capture_output=True, check=True
    )
    return list(csv.DictReader(done.stdout.decode().splitlines()))


def refused(words: list[str], path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line of a refused export, which has left nothing."""
    assert run(["export", *words, f"hydra.run.dir={path}"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert not path.exists()
    return error


def test_it_prints_what_graft_predicts(calibrated: Path, exported: Path, tmp_path: Path) -> None:
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    stream = np.random.default_rng(3)
    # Of more than 8 bits, with a palette, with opacity, rotated by its EXIF.
    Image.fromarray(stream.integers(0, 4096, (40, 31), dtype=np.uint16)).save(mixed / "deep.png")
    colours = Image.fromarray(stream.integers(0, 256, (33, 50, 3), dtype=np.uint8))
    colours.quantize(16).save(mixed / "palette.gif")
    colours.convert("RGBA").save(mixed / "opaque.png")
    colours.save(mixed / "photo.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0")
    (mixed / "broken.jpg").write_bytes(b"nothing")
    (mixed / "notes.txt").write_text("no image")
    words = [f"run={calibrated}", f"source={mixed}", f"hydra.run.dir={tmp_path / 'said'}"]
    assert run(["predict", *words]) == 0
    with (tmp_path / "said" / "predictions.csv").open(newline="") as file:
        ours = list(csv.DictReader(file))
    its = predicted(exported, "--model", "model.onnx", str(mixed))
    assert [list(row) for row in its] == [list(row) for row in ours]
    assert len(its) == 4
    for mine, other in zip(ours, its, strict=True):
        assert (mine["path"], mine["predicted"]) == (other["path"], other["predicted"])
        assert (mine["none_of_these"], mine["set"]) == (other["none_of_these"], other["set"])
        for column in list(mine)[2:-2]:
            if mine[column] or other[column]:
                assert float(mine[column]) == pytest.approx(float(other[column]), rel=1e-4, abs=1e-6)


def test_what_latency_times_of_an_export_is_all_that_it_says(exported: Path, tmp_path: Path) -> None:
    stream = np.random.default_rng(5)
    images = [tmp_path / f"{index}.png" for index in range(2)]
    for path in images:
        Image.fromarray(stream.integers(0, 256, (20, 20, 3), dtype=np.uint8)).save(path)
    np.save(tmp_path / "inputs.npy", np.zeros((1, 3, 32, 32), np.float32))
    job = {"folder": str(exported), "threads": 1, "inputs": str(tmp_path / "inputs.npy")}
    for model in ("model.onnx", "model.int8.onnx"):
        engine = script_engine({**job, "model": model, "samples": [str(path) for path in images]})
        assert engine.whole is not None
        rows = engine.whole(2)()
        said = predicted(exported, "--model", model, *map(str, images))
        assert isinstance(rows, list)
        assert [{key: str(value) for key, value in row.items()} for row in rows] == said
        assert all(row["known"] for row in said)


def test_latency_leaves_nothing_in_the_folder(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    np.save(tmp_path / "inputs.npy", np.zeros((1, 3, 32, 32), np.float32))
    folder = tmp_path / "export"
    folder.mkdir()
    names = {"model.json", "model.onnx", "predict.py"} | {path.name for path in exported.glob("known.npz")}
    for name in names:
        shutil.copy(exported / name, folder)
    job = {"folder": str(folder), "threads": 1, "inputs": str(tmp_path / "inputs.npy")}
    script_engine({**job, "model": "model.onnx", "samples": []})
    assert {path.name for path in folder.iterdir()} == names


def test_the_folder_tells_what_it_holds(exported: Path) -> None:
    names = {path.name for path in exported.iterdir()}
    files = {"check.json", "model.json", "model.onnx", "model.int8.onnx", "predict.py"}
    assert names - {"known.npz"} == files
    card = json.loads((exported / "model.json").read_text())
    assert card["class_names"] == ["blue", "green", "red"]
    assert (card["temperature"], card["model"], card["int8"]) == (0.7, "model.int8.onnx", "static")
    check = json.loads((exported / "check.json").read_text())
    assert check["images"] == 36
    assert set(check["largest_difference_of_a_logit"]) == {"1", "5", "32"}
    assert max(check["largest_difference_of_a_logit"].values()) <= 1e-4
    assert check["int8"]["images"] > 0
    assert check["int8"]["interval"][0] <= check["int8"]["fall"] <= check["int8"]["interval"][1]
    assert check["bytes"]["model.int8.onnx"] == (exported / "model.int8.onnx").stat().st_size


def test_the_network_tells_how_it_is_used_and_nothing_of_where_it_was_made(exported: Path) -> None:
    model = onnx.load(exported / "model.onnx")
    told = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    assert told["class_names"] == ["blue", "green", "red"]
    assert told["preprocessing"]["crop"] == 32
    assert told["temperature"] == 0.7
    assert [value.name for value in model.graph.output] == ["logits", "features"]
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert not {"Dropout"} & {node.op_type for node in model.graph.node}
    assert os.fsencode(Path(files.__file__).parents[2]) not in model.SerializeToString()
    quantized = onnx.load(exported / "model.int8.onnx")
    scales = [value for value in quantized.graph.initializer if value.name.endswith("weight_scale")]
    # One a channel, not one a layer.
    assert any(value.dims and value.dims[0] > 1 for value in scales)
    assert "QuantizeLinear" in {node.op_type for node in quantized.graph.node}


def test_each_network_has_what_it_is_judged_by(calibrated: Path, exported: Path) -> None:
    card = json.loads((exported / "model.json").read_text())
    assert list(card["known"]) == ["model.onnx", "model.int8.onnx"]
    validated = [row for row in read_csv(calibrated / "split.csv") if row["split"] == "val"]
    assert card["known"]["model.int8.onnx"]["samples"] == len(validated)
    model = onnx.load(exported / "model.int8.onnx")
    assert {entry.key: json.loads(entry.value) for entry in model.metadata_props} == card


def test_the_export_of_a_wrong_resize_does_not_pass(
    calibrated: Path, exported: Path, photos: Path, tmp_path
) -> None:
    wrong = tmp_path / "wrong"
    shutil.copytree(exported, wrong)
    known = gate.reference(load_bundle(calibrated), sorted(map(str, photos.rglob("*.png"))))
    card = json.loads((wrong / "model.json").read_text())
    for change in ({"interpolation": "bicubic"}, {"resize": 34}):
        changed = {**card, "model": "model.onnx", "preprocessing": {**card["preprocessing"], **change}}
        (wrong / "model.json").write_text(json.dumps(changed))
        with pytest.raises(GraftError, match=r"refused: at batch size 1 of .*apart, not 0\.0001 at most"):
            gate.pass_gate(wrong, "onnx", known)


def test_a_batch_size_that_is_fixed_leaves_nothing(calibrated, tmp_path, capsys, monkeypatch) -> None:
    inner = torch.export.export
    monkeypatch.setattr(
        torch.export, "export", lambda network, images, dynamic_shapes, strict: inner(network, images)
    )
    told = refused([f"run={calibrated}"], tmp_path / "export", capsys)
    assert "predict.py at batch size 1: " in told


def test_where_no_graph_fits_any_batch_nothing_is_left(calibrated, tmp_path, capsys, monkeypatch) -> None:
    def export(*given: object, **settings: object) -> None:
        raise ValueError("batch was specialized\nto 2")

    monkeypatch.setattr(torch.export, "export", export)
    told = refused([f"run={calibrated}"], tmp_path / "export", capsys)
    assert "torch makes no graph of it for any batch (batch was specialized)" in told


def test_without_images_there_is_no_check_and_no_export(calibrated, tmp_path, capsys) -> None:
    (tmp_path / "empty").mkdir()
    bundle, path = f"run={calibrated / 'model'}", tmp_path / "export"
    assert "is a bundle, which has no images to check" in refused([bundle], path, capsys)
    assert "there are no images" in refused([bundle, f"source={tmp_path / 'empty'}"], path, capsys)
    (tmp_path / "empty" / "broken.png").write_bytes(b"nothing")
    assert "none of the 1 images" in refused([bundle, f"source={tmp_path / 'empty'}"], path, capsys)


def test_what_cannot_be_is_refused_in_a_line(calibrated, tmp_path, capsys, monkeypatch) -> None:
    own, path = f"run={calibrated}", tmp_path / "export"
    assert "has convolutions, such as backbone.stages" in refused([own, "int8=dynamic"], path, capsys)
    told = refused([own, "format=torch_export", "int8=static"], path, capsys)
    assert "int8=static is for format=onnx, not format=torch_export" in told
    monkeypatch.setattr(files, "find_spec", lambda name: None if name == "onnxscript" else object())
    assert "needs onnxscript: pip install 'graft-transfer[onnx]'" in refused([own], path, capsys)
    monkeypatch.undo()
    monkeypatch.setattr(files, "MOST_BYTES", 1)
    assert "and such a file holds 2; format=torch_export takes it" in refused([own], path, capsys)
    # What was refused took the empty folders above along.
    (tmp_path / "full").mkdir(parents=True)
    (tmp_path / "full" / "mine.txt").write_text("mine")
    assert run(["export", own, f"hydra.run.dir={tmp_path / 'full'}"]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]


def test_another_kind_is_refused_before_any_work(calibrated, tmp_path, capsys, monkeypatch) -> None:
    texts = tmp_path / "texts"
    shutil.copytree(calibrated / "model", texts)
    described = yaml.safe_load((texts / "model.yaml").read_text())
    described["preprocessing"] = TextPreprocessing("words", ("a", "b"), 9).to_dict()
    (texts / "model.yaml").write_text(yaml.safe_dump(described))
    monkeypatch.setattr(making, "export", None)
    told = refused([f"run={texts}"], tmp_path / "export", capsys)
    assert "takes texts; only models of images can be exported yet" in told


@pytest.mark.slow
def test_images_that_are_no_files_are_checked_as_files(tmp_path: Path, capsys) -> None:
    words = ["data=digits", "data.fraction=0.05", "trainer.max_epochs=1", "trainer=cpu", "logger=none"]
    # Adapters, which an export has in its weights.
    words += ["freeze=lora", "freeze.r=2"]
    assert run(["train", *words, f"hydra.run.dir={tmp_path / 'run'}"]) == 0
    assert run(["export", f"run={tmp_path / 'run'}", f"hydra.run.dir={tmp_path / 'export'}"]) == 0
    assert "256 images at batch sizes 1, 5, 32: every top-1 as the run's" in capsys.readouterr().out


def test_the_images_that_are_compared_are_spread_and_the_others_follow() -> None:
    assert spaced(range(10), 3) == [0, 3, 6, 1, 2, 4, 5, 7, 8, 9]
    assert spaced("abc", 5) == ["a", "b", "c"]


@pytest.mark.slow
def test_it_runs_in_a_new_environment(exported: Path, photos: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env")
    site = next((tmp_path / "env").glob("lib/*/site-packages"))
    # As installed, but from no network: the packages that it names and what these need, and nothing else.
    for name in modules_of(["onnxruntime", "numpy", "pillow"]):
        for found in (path for folder in sys.path for path in Path(folder).glob(f"{name}*")):
            if found.name.split(".")[0] == name and not (site / found.name).exists():
                (site / found.name).symlink_to(found)
    python, words = tmp_path / "env" / "bin" / "python", [exported / "predict.py", photos]
    for absent in ("torch", "graft"):
        assert subprocess.run([python, "-I", "-c", f"import {absent}"], capture_output=True).returncode
    done = subprocess.run([python, "-I", *words], capture_output=True, check=True)
    assert list(csv.DictReader(done.stdout.decode().splitlines())) == predicted(exported, str(photos))


@pytest.mark.slow
def test_torchs_own_format_passes_without_graft(calibrated: Path, photos: Path, tmp_path: Path) -> None:
    path = tmp_path / "export"
    assert run(["export", f"run={calibrated}", "format=torch_export", f"hydra.run.dir={path}"]) == 0
    names = {file.name for file in path.iterdir()}
    assert names - {"known.npz"} == {"check.json", "model.json", "model.pt2", "predict.py"}
    assert len(predicted(path, str(photos))) == 36
