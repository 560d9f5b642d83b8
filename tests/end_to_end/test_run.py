"""A run leaves a complete folder, from which alone it can be tested again and used, with the same numbers."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from sklearn.metrics import roc_auc_score
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import graft
from graft.cli.console import run
from graft.commands.train import run as train_as_recorded
from graft.configuration.run_config import RunConfig
from graft.errors import GraftError
from graft.runs import RunFolder
from graft.runs.files import read_csv

# The last columns of what is predicted.
KNOWN = ("known", "none_of_these", "set")


def test_the_folder_is_complete(trained: Path) -> None:
    names = {path.relative_to(trained).as_posix() for path in trained.rglob("*") if path.is_file()}
    assert names >= {
        *("config.yaml", "overrides.yaml", "status.json", "environment.json", "split.csv", "freeze.csv"),
        *("train.log", "metrics.json", "metrics.csv", "predictions.csv", "per_class.csv"),
        *("figures/confusion_matrix.png", "figures/learning_curves.png", "figures/training_images.png"),
        *("figures/precision_recall.png", "figures/reliability.png"),
        *("checkpoints/best.ckpt", "checkpoints/last.ckpt"),
        *("model/model.safetensors", "model/model.yaml", "model/README.md"),
    }
    assert not [name for name in names if ".part" in name or ".hydra" in name]
    assert RunFolder.open(trained).status()["status"] == "finished"


def test_the_saved_configuration_is_resolved_and_composes_the_same_run(trained: Path) -> None:
    text = (trained / "config.yaml").read_text()
    assert "${" not in text
    config = yaml.safe_load(text)
    assert config["trainer"]["max_epochs"] == 2
    assert config["name"] == "simple_cnn-full"
    environment = json.loads((trained / "environment.json").read_text())
    assert environment["packages"]["torch"].startswith(torch.__version__.split("+")[0])
    assert environment["data"]["class_names"] == ["blue", "green", "red"]
    assert len(environment["data"]["fingerprint"]) == 64


def test_metrics_agree_with_the_predictions(trained: Path) -> None:
    metrics = RunFolder.open(trained).metrics
    rows = read_csv(trained / "predictions.csv")
    split = read_csv(trained / "split.csv")
    tested = [row["name"] for row in split if row["split"] == "test"]
    assert [row["path"] for row in rows] == tested
    right = sum(row["predicted"] == row["label"] for row in rows)
    assert metrics["test/accuracy"] == right / len(rows)
    low, high = metrics["test/accuracy_ci"]
    assert 0 <= low <= metrics["test/accuracy"] <= high <= 1
    true = [row["label"] for row in rows]
    p = [[float(row[f"p_{name}"]) for name in ("blue", "green", "red")] for row in rows]
    assert metrics["test/auroc"] == pytest.approx(roc_auc_score(true, p, multi_class="ovr"))
    assert metrics["test/log_loss"] == pytest.approx(metrics["test/loss"], rel=1e-5)
    for row in read_csv(trained / "per_class.csv"):
        hits = sum(row["class"] == label == one["predicted"] for label, one in zip(true, rows, strict=True))
        assert float(row["recall"]) == pytest.approx(hits / int(row["support"]))
    for row in rows:
        shares = {name: float(row[f"p_{name}"]) for name in ("blue", "green", "red")}
        assert sum(shares.values()) == pytest.approx(1, abs=1e-5)
        assert max(shares, key=shares.__getitem__) == row["predicted"]
    epochs = read_csv(trained / "metrics.csv")
    assert [row["epoch"] for row in epochs] == ["0", "1"]
    best = min(epochs, key=lambda row: float(row["val/loss"]))
    assert metrics["val/loss"] == float(best["val/loss"])
    assert metrics["epoch"] == int(best["epoch"])


def test_checkpoints_hold_plain_values_only(trained: Path) -> None:
    for name in ("best", "last"):
        checkpoint = torch.load(trained / "checkpoints" / f"{name}.ckpt", weights_only=True)
        assert checkpoint["state_dict"]


def test_tensorboard_shows_what_is_promised(trained: Path) -> None:
    board = EventAccumulator(str(trained / "tensorboard"), size_guidance={"images": 0}).Reload()
    scalars = set(board.Tags()["scalars"])
    assert scalars >= {
        *("train/loss", "train/penalty", "train/accuracy", "val/loss", "val/accuracy", "val/precision_macro"),
        *("val/recall_macro", "val/f1_macro", "trainable_parameters", "test/accuracy", "final/test_accuracy"),
    }
    assert {tag for tag in scalars if tag.startswith("lr-AdamW/")} >= {"lr-AdamW/backbone", "lr-AdamW/head"}
    assert set(board.Tags()["images"]) >= {"training images", "confusion matrix"}
    files = list((trained / "tensorboard").iterdir())
    plugins = {
        plugin for file in files if "events" in file.name
        for plugin in EventAccumulator(str(file)).Reload().PluginAssets.__self__.summary_metadata
    }  # fmt: skip
    assert "_hparams_/session_start_info" in plugins


def test_evaluation_repeats_the_numbers_to_the_last_digit(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["evaluate", f"run={trained}", "accelerator=cpu", "hydra.run.dir=again"]) == 0
    again = json.loads((tmp_path / "again/metrics.json").read_text())
    reported = RunFolder.open(trained).metrics
    tested = ("test/", "seen/")
    assert again == {key: value for key, value in reported.items() if key.startswith(tested)}
    assert (tmp_path / "again/predictions.csv").read_text() == (trained / "predictions.csv").read_text()


def test_a_run_teaches_and_starts_another_which_is_tested_on_the_way_back(
    trained: Path,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    data = ["data=image_folder", f"data.root={photos}", "data.batch_size=8", "trainer=cpu", "logger=none"]
    words = [f"backbone.weights={trained}", f"distill.teacher={trained}", "mix=both", "callbacks=ema"]
    folder = graft.train([*data, *words, "trainer.max_epochs=2", "hydra.run.dir=run"])
    assert "train/loss" in read_csv(folder.epochs)[0]
    assert "train/accuracy" not in read_csv(folder.epochs)[0]
    found = {}
    for alpha in ("null", "0", "0.5", "1"):
        evaluated = ["evaluate", "run=run", "accelerator=cpu", f"wise_ft.alpha={alpha}"]
        assert run([*evaluated, f"hydra.run.dir=at{alpha}"]) == 0
        found[alpha] = (tmp_path / f"at{alpha}" / "predictions.csv").read_text()
    assert found["1"] == found["null"] == folder.predictions.read_text()
    assert len(set(found.values())) == 3
    assert json.loads((tmp_path / "at0.5/metrics.json").read_text())["wise_ft/alpha"] == 0.5
    capsys.readouterr()
    assert run(["evaluate", f"run={trained}", "wise_ft.alpha=0.5"]) == 2
    error = capsys.readouterr().err
    assert "was trained from scratch" in error
    assert error.count("\n") == 1


def test_mixed_weights_have_their_own_statistics(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["data=image_folder", f"data.root={photos}", "data.batch_size=8", "trainer=cpu", "logger=none"]
    words += ["backbone=mobilenet_v3_small", "backbone.image_size=32", "trainer.max_epochs=1", "test=false"]
    # By default the statistics of a network with weights stay, and are the source's.
    words += ["freeze.norm=train"]
    graft.train([*words, "backbone.weights=null", "hydra.run.dir=source"])
    graft.train([*words, "backbone.weights=source", "hydra.run.dir=tuned"])
    capsys.readouterr()
    said = []
    # The run's own images; images of another place; and where the run's own are gone.
    away = tmp_path / "away"
    shutil.copytree(photos, away)
    for index, more in enumerate(([], ["data=image_folder", f"data.root={away}"])):
        command = ["evaluate", "run=tuned", "accelerator=cpu", "wise_ft.alpha=0.5", *more]
        assert run([*command, f"hydra.run.dir=at{index}"]) == 0
        said.append(capsys.readouterr().out)
    assert all("statistics are taken anew, from 22 training images" in text for text in said)
    ends = [
        ["evaluate", "run=tuned", "accelerator=cpu", f"wise_ft.alpha={alpha}", f"hydra.run.dir=end{alpha}"]
        for alpha in (0, 1)
    ]
    assert [run(command) for command in ends] == [0, 0]
    assert "anew" not in capsys.readouterr().out


def test_a_bundle_is_tested_on_other_images_whole(
    trained: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bundle = trained / "model"
    assert run(["evaluate", f"run={bundle}"]) == 2
    words = [f"run={bundle}", "data=image_folder", f"data.root={photos}", "hydra.run.dir=other"]
    # Those that it was trained on, or that chose its weights, are no test, unless they are asked for.
    assert run(["evaluate", *words]) == 0
    assert len(read_csv(tmp_path / "other/predictions.csv")) == len(read_csv(trained / "predictions.csv"))
    assert run(["evaluate", *words[:-1], "split=all", "hydra.run.dir=whole"]) == 0
    assert len(read_csv(tmp_path / "whole/predictions.csv")) == 36


def test_the_runs_own_images_are_not_tested_whole_when_named_again(
    trained: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [f"run={trained}", "data=image_folder", f"data.root={photos}", "hydra.run.dir=other"]
    assert run(["evaluate", *words]) == 0
    assert len(read_csv(tmp_path / "other/predictions.csv")) == len(read_csv(trained / "predictions.csv"))


def test_predictions_name_the_unreadable_and_go_on(
    trained: Path,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for name in ("red", "blue"):
        (mixed / f"{name}.png").write_bytes((photos / name / "00.png").read_bytes())
    (mixed / "broken.png").write_bytes(b"not an image")
    assert run(["predict", f"run={trained}", f"source={mixed}", "hydra.run.dir=out"]) == 0
    out = capsys.readouterr().out
    assert "broken.png" in out
    assert "2 images predicted, 1 unreadable" in out
    rows = read_csv(tmp_path / "out/predictions.csv")
    assert [Path(row["path"]).name for row in rows] == ["blue.png", "red.png"]
    assert list(rows[0]) == ["path", "predicted", "p_blue", "p_green", "p_red", *KNOWN]
    assert run(["predict", f"run={trained}", f"source={mixed}/r*.png", "top_k=2", "hydra.run.dir=top"]) == 0
    rows = read_csv(tmp_path / "top/predictions.csv")
    assert list(rows[0]) == ["path", "predicted", "class_1", "p_1", "class_2", "p_2", *KNOWN]


def test_predictions_say_what_was_left_out_and_fail_where_nothing_can_be_read(
    trained: Path,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for name in ("broken.png", "._x.jpg", "notes.txt"):
        (mixed / name).write_bytes(b"not an image")
    words = ["predict", f"run={trained}", "source=mixed"]
    assert run([*words, "hydra.run.dir=none"]) == 2
    out, err = capsys.readouterr()
    assert "broken.png: cannot be read as an image" in out
    assert "source=mixed: none of 1 images could be read" in err
    assert not (tmp_path / "none/predictions.csv").exists()
    (mixed / "red").write_bytes((photos / "red" / "00.png").read_bytes())
    assert run([*words, "hydra.run.dir=out"]) == 0
    out = capsys.readouterr().out
    assert "left out: 1 file that is no image that Pillow decodes (.txt 1), such as notes.txt" in out
    assert "left out: 1 hidden or system file or folder, such as ._x.jpg" in out
    assert "1 images predicted, 1 unreadable" in out


def test_predictions_of_12_bits_are_those_of_the_same_picture_in_8(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    deep = np.random.default_rng(0).integers(0, 4096, (2, 40, 40)).astype(np.uint16)
    # A dark picture stays one: both have one black and one white.
    deep[1] //= 4
    for name, pixels in (("deep", deep), ("plain", np.rint(deep * (255 / 4095)).astype(np.uint8))):
        Path(name).mkdir()
        for index, values in enumerate(pixels):
            Image.fromarray(values).save(f"{name}/{index}.png")
        assert run(["predict", f"run={trained}", f"source={name}", f"hydra.run.dir={name}-out"]) == 0
    assert "0 is taken as black, 4095 as white" in capsys.readouterr().out
    rows = [read_csv(tmp_path / f"{name}-out/predictions.csv") for name in ("deep", "plain")]
    for one, other in zip(*rows, strict=True):
        assert {**one, "path": ""} == {**other, "path": ""}


def test_predictions_are_those_that_the_run_reported(
    trained: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    reported = read_csv(trained / "predictions.csv")
    for row in reported:
        copy = tmp_path / "test" / row["path"]
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((photos / row["path"]).read_bytes())
    assert run(["predict", f"run={trained}", "source=test", "hydra.run.dir=out"]) == 0
    for before, now in zip(reported, read_csv(tmp_path / "out/predictions.csv"), strict=True):
        assert now["path"] == f"test/{before['path']}"
        # As text: to the last digit.
        assert {key: now[key] for key in now if key not in ("path", *KNOWN)} == {
            key: before[key] for key in before if key not in ("path", "label")
        }


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("cc"), reason="torch.compile needs a C compiler")
@pytest.mark.parametrize(
    "words", [["compile=true"], ["compile=true", "trainer.precision=bf16-mixed", "channels_last=true"]]
)
def test_a_compiled_run_is_tested_again_with_the_same_digits(
    words: list[str], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = [
        "data=image_folder",
        f"data.root={photos}",
        "data.batch_size=8",
        "trainer.max_epochs=2",
        "trainer=cpu",
    ]
    folder = graft.train([*data, *words, "hydra.run.dir=run", "logger=none"])
    assert run(["evaluate", "run=run", "hydra.run.dir=again"]) == 0
    assert (tmp_path / "again/predictions.csv").read_text() == folder.predictions.read_text()


def test_the_record_holds_in_any_working_folder(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here/photos").symlink_to(photos)
    monkeypatch.chdir(tmp_path / "here")
    words = ["data=image_folder", "data.root=photos", "debug=one_batch", "logger=none", "trainer=cpu"]
    assert run(["train", *words, "hydra.run.dir=run"]) == 0
    monkeypatch.chdir(tmp_path)
    assert run(["evaluate", "run=here/run", "hydra.run.dir=again"]) == 0


def test_the_same_words_give_the_same_weights(trained: Path, photos: Path, tmp_path: Path) -> None:
    words = [
        "data=image_folder",
        f"data.root={photos}",
        "data.batch_size=8",
        "trainer.max_epochs=2",
        "trainer=cpu",
    ]
    again = graft.train([*words, f"hydra.run.dir={tmp_path}/again", "logger=none", "callbacks=checkpoint"])
    other = graft.train(
        [*words, f"hydra.run.dir={tmp_path}/other", "logger=none", "seed=1", "callbacks=checkpoint"]
    )
    first, same, different = (
        (path / "model/model.safetensors").read_bytes() for path in (trained, again.path, other.path)
    )
    assert first == same
    assert first != different


def test_a_run_s_own_configuration_gives_the_same_bits(trained: Path, tmp_path: Path) -> None:
    """What `config.yaml` holds is all that a run depends on beside the images."""
    before = RunFolder.open(trained)
    after = train_as_recorded(RunConfig.of(before.read_config()), tmp_path / "again", [])
    for name in ("config.yaml", "split.csv", "freeze.csv", "metrics.csv", "predictions.csv", "per_class.csv"):
        assert (after.path / name).read_bytes() == (trained / name).read_bytes(), name
    for name in ("model.safetensors", "model.yaml"):
        assert (after.path / "model" / name).read_bytes() == (trained / "model" / name).read_bytes(), name
    first, second = ({**folder.metrics, "seconds": 0} for folder in (before, after))
    assert first == second


def test_without_validation_the_last_weights_are_tested(photos: Path, tmp_path: Path) -> None:
    words = ["data=image_folder", f"data.root={photos}", "data.val_fraction=0", "trainer.max_epochs=2"]
    words.append("callbacks.last.seconds=0")
    folder = graft.train([*words, f"hydra.run.dir={tmp_path}/run"])
    assert folder.metrics["epoch"] == 1
    assert not [key for key in folder.metrics if key.startswith("val/")]
    assert {path.name for path in folder.checkpoints.glob("*.ckpt")} == {"last.ckpt", "previous.ckpt"}
    assert graft.load(folder.path).predict(photos / "red/00.png")[0].label in ("red", "green", "blue")


def test_a_sweep_gives_each_job_its_folder(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["data=image_folder", f"data.root={photos}", "trainer.max_epochs=1", "freeze=frozen,full"]
    # The middle seed of the second strategy cannot be had; the others go on.
    sweep = ["backbone.image_size=32,8", "logger=none"]
    assert run(["train", "-m", *words, *sweep, "hydra.sweep.dir=sweep"]) == 1
    captured = capsys.readouterr()
    assert "image_size" in captured.err
    folders = sorted(path.name for path in (tmp_path / "sweep").iterdir() if path.is_dir())
    assert folders == [
        f"{number}-simple_cnn-{freeze}" for number, freeze in enumerate(("frozen", "frozen", "full", "full"))
    ]
    statuses = [RunFolder.open(tmp_path / "sweep" / name).status() for name in folders]
    assert sorted(status["status"] for status in statuses) == ["failed"] * 2 + ["finished"] * 2


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["data.root=nowhere"], "nowhere"),
        (["data.root={photos}", "data.shots=50"], "class blue"),
        (["data.root={photos}", "backbone.weights=missing.pth"], "missing.pth"),
        (["data.root={photos}", "backbone=resnet18", "backbone.weights=IMAGENET1K_V9"], "IMAGENET1K_V1"),
        (["data.root={photos}", "loss.class_weights=[1,2]"], "3 classes"),
        (["data.root={photos}", "callbacks=early_stopping", "data.val_fraction=0"], "val/loss"),
        (["data.root={photos}", "hydra.run.dir=/proc/none/run"], "hydra.run.dir"),
        *(
            []
            if torch.cuda.is_available()
            else [(["trainer.precision=16-mixed", "data.root={photos}"], "bf16-mixed")]
        ),
        *([] if torch.cuda.is_available() else [(["data.root={photos}", "trainer=gpu"], "no such device")]),
    ],
)
def test_what_cannot_start_leaves_no_folder(
    words: list[str],
    answer: str,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [word.format(photos=photos) for word in words]
    assert run(["train", "data=image_folder", *words]) == 2
    captured = capsys.readouterr()
    assert answer in captured.err
    assert len(captured.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("preset", ["fraction", "one_batch", "overfit", "profile"])
def test_a_preset_works_on_few_images(
    preset: str, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["data=image_folder", f"data.root={photos}", f"debug={preset}", "logger=none", "trainer=cpu"]
    assert run(["train", *words, f"hydra.run.dir={tmp_path}/run"]) == 0
    assert capsys.readouterr().err == ""


def test_a_taken_folder_is_refused(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (trained / "config.yaml").read_bytes()
    assert run(["train", f"hydra.run.dir={trained}"]) == 2
    assert "already holds a run" in capsys.readouterr().err
    assert (trained / "config.yaml").read_bytes() == before


@pytest.mark.parametrize("workers", [0, 2])
def test_an_undecodable_image_fails_the_run_by_name(
    workers: int,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("red", "green"):
        (tmp_path / "p" / name).mkdir(parents=True)
        for file in (photos / name).iterdir():
            (tmp_path / "p" / name / file.name).write_bytes(file.read_bytes())
        (tmp_path / "p" / name / "bad.png").write_bytes(b"\x89PNG nothing")
    words = ["data=image_folder", "data.root=p", f"data.num_workers={workers}", "trainer.max_epochs=1"]
    assert run(["train", *words, "hydra.run.dir=run"]) == 2
    err = capsys.readouterr().err
    assert "bad.png" in err
    assert len(err.splitlines()) == 1
    status = RunFolder(tmp_path / "run").status()
    assert status["status"] == "failed"
    assert "bad.png" in status["reason"]
    with pytest.raises(GraftError, match="left no model"):
        graft.load(tmp_path / "run")


@pytest.mark.parametrize(
    ("number", "code", "reason"),
    [
        (signal.SIGINT, 130, "Ctrl-C"),
        pytest.param(signal.SIGTERM, 143, "SIGTERM", marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_run_says_so(number: int, code: int, reason: str, tmp_path: Path) -> None:
    words = [
        "data=digits",
        "trainer.max_epochs=500",
        "trainer=cpu",
        f"hydra.run.dir={tmp_path}/run",
        "logger=none",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "graft", "train", *words],
        cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not (tmp_path / "run/metrics.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "Traceback" not in err
    status = RunFolder(tmp_path / "run").status()
    assert (status["status"], status["reason"]) == ("interrupted", reason)
