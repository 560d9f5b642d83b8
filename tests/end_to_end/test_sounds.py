"""Sounds go through every command as images do: the kind is known to nobody on the way."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

import graft
from graft.backbones import at_hand
from graft.cli.console import run
from graft.ranking import costs
from graft.runs import RunFolder
from graft.runs.files import read_csv

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")

SHORT = ["trainer=cpu", "logger=none", "trainer.max_epochs=2", "data.batch_size=8", "data.num_workers=0"]


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Low, middle and high tones in noise; every fourth in stereo at 96 kHz."""
    root = tmp_path_factory.mktemp("sounds")
    rng = np.random.default_rng(0)
    for name, hertz in (("high", 3000), ("low", 300), ("middle", 1000)):
        (root / name).mkdir()
        for index in range(8):
            rate = 96_000 if index % 4 == 0 else 8000
            times = np.arange(int(rate * rng.uniform(0.1, 0.3))) / rate
            samples = np.sin(2 * np.pi * hertz * times) * 0.3 + rng.normal(0, 0.02, len(times))
            stereo = np.stack([samples, samples], 1) if index % 4 == 0 else samples
            soundfile.write(root / name / f"{index}.wav", stereo, rate)
    return root


@pytest.fixture(scope="module")
def words(sounds: Path) -> list[str]:
    return ["data=audio_folder", f"data.root={sounds}", *SHORT]


@pytest.fixture(scope="module")
def learnt(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    path = tmp_path_factory.mktemp("runs") / "run"
    more = ["freeze=full", "augment=audio", "optimizer.lr=0.003", "trainer.max_epochs=6"]
    return graft.train([*words, *more, f"hydra.run.dir={path}"])


def test_training_learns_and_a_fresh_process_predicts_without_the_data(
    learnt: RunFolder, sounds: Path, tmp_path: Path
) -> None:
    assert learnt.metrics["test/accuracy"] >= 0.8
    shutil.copytree(learnt.bundle, tmp_path / "bundle")
    file = next(iter(sorted(sounds.rglob("*.wav"))))
    shutil.copy(file, tmp_path / "one.wav")
    code = "import graft; print(graft.load('bundle').predict('one.wav')[0].label)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() in ("high", "low", "middle")


def test_predicting_is_testing(learnt: RunFolder, sounds: Path, tmp_path: Path) -> None:
    (tmp_path / "sounds").mkdir()
    tested = read_csv(learnt.predictions)
    for row in tested:
        shutil.copy(sounds / row["path"], tmp_path / "sounds" / row["path"].replace("/", "-"))
    (tmp_path / "sounds" / "bad.wav").write_bytes(b"no sound")
    soundfile.write(tmp_path / "sounds" / "empty.wav", np.zeros(0), 8000)
    out = tmp_path / "out"
    words = [f"run={learnt.path}", f"source={tmp_path / 'sounds'}", "accelerator=cpu", "num_workers=0"]
    assert run(["predict", *words, f"hydra.run.dir={out}"]) == 0
    predicted = {Path(row["path"]).name: row for row in read_csv(out / "predictions.csv")}
    assert len(predicted) == len(tested)
    for row in tested:
        other = predicted[row["path"].replace("/", "-")]
        for key in ("predicted", "p_high", "p_low", "p_middle"):
            assert row[key] == other[key] or float(row[key]) == pytest.approx(float(other[key]), abs=1e-6)


def test_evaluating_gives_the_same(learnt: RunFolder, tmp_path: Path) -> None:
    words = [f"run={learnt.path}", "accelerator=cpu", f"hydra.run.dir={tmp_path / 'again'}"]
    assert run(["evaluate", *words]) == 0
    assert (tmp_path / "again/predictions.csv").read_text() == learnt.predictions.read_text()


def test_a_model_refuses_other_samples_and_other_pictures_of_them(
    learnt: RunFolder,
    tree: Callable[..., Path],
    sounds: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    images = tree({"high": 2, "low": 2})
    for data, said in (
        (["data=image_folder", f"data.root={images}"], "data: it has images, and the model takes sounds"),
        (["data=audio_folder", f"data.root={sounds}", "data.mels=40"], "leave out what data says of that"),
    ):
        bundle = [f"run={learnt.bundle}", "accelerator=cpu", f"hydra.run.dir={tmp_path / data[0][5:]}"]
        assert run(["evaluate", *bundle, *data]) == 2
        assert said in capsys.readouterr().err


def test_the_cache_and_workers_change_nothing(words: list[str], tmp_path: Path) -> None:
    runs = {
        name: graft.train([*words, "freeze=last_k", "freeze.k=1", *more, f"hydra.run.dir={tmp_path / name}"])
        for name, more in {
            "on": ["cache.features=on"],
            "off": ["cache.features=off", "data.cache_images=off", "data.num_workers=1"],
        }.items()
    }
    assert runs["on"].predictions.read_text() == runs["off"].predictions.read_text()
    ours, theirs = (load_file(found.bundle / "model.safetensors") for found in runs.values())
    assert all((value == theirs[key]).all() for key, value in ours.items())


@pytest.fixture
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Costs are measured in a moment, and no weights are at hand."""
    monkeypatch.setattr(costs, "SECONDS", 0)
    monkeypatch.setattr(at_hand, "packaged_file", lambda name: None)
    monkeypatch.setenv("GRAFT_WEIGHTS_DIR", "nowhere")


def test_a_run_that_was_cut_goes_on_to_the_same_bits(
    words: list[str], tmp_path: Path, cut_at: Callable[[int], AbstractContextManager[None]]
) -> None:
    how = [*words, "freeze=full", "augment=audio", "callbacks.last.minutes=0.0"]
    whole = graft.train([*how, f"hydra.run.dir={tmp_path / 'whole'}"])
    with cut_at(3):
        graft.train([*how, f"hydra.run.dir={tmp_path / 'cut'}"])
    graft.train([f"resume={tmp_path / 'cut'}"])
    resumed = RunFolder.open(tmp_path / "cut")
    assert resumed.predictions.read_text() == whole.predictions.read_text()
    ours, theirs = (load_file(found.bundle / "model.safetensors") for found in (whole, resumed))
    assert all((value == theirs[key]).all() for key, value in ours.items())


@pytest.mark.usefixtures("_alone")
def test_folds_ranks_and_features(words: list[str], sounds: Path, learnt: RunFolder, tmp_path: Path) -> None:
    assert run(["crossval", *words, "freeze=frozen", "folds=2", f"hydra.run.dir={tmp_path / 'cross'}"]) == 0
    assert len(read_csv(tmp_path / "cross" / "predictions.csv")) == 24
    data = words[:2]
    ranks = ["rank", *data, f"weights.simple_cnn=[null,{learnt.path}]", "accelerator=cpu"]
    assert run([*ranks, f"hydra.run.dir={tmp_path / 'rank'}"]) == 0
    assert len(read_csv(tmp_path / "rank" / "rank.csv")) == 2
    extract = ["extract", f"run={learnt.path}", "accelerator=cpu", f"hydra.run.dir={tmp_path / 'features'}"]
    assert run(extract) == 0
    assert load_file(tmp_path / "features" / "features.safetensors")["features"].shape == (24, 84)


@pytest.mark.figures
def test_inspecting_tells_what_is_wrong_with_sounds(
    sounds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "sounds"
    shutil.copytree(sounds, root)
    shutil.copy(root / "low" / "1.wav", root / "low" / "copy.wav")
    soundfile.write(root / "low" / "silent.wav", np.zeros(4000), 8000)
    (root / "low" / "bad.wav").write_bytes(b"no sound")
    data = ["data=audio_folder", f"data.root={root}"]
    assert run(["inspect", *data, f"hydra.run.dir={tmp_path / 'out'}"]) == 0
    said = capsys.readouterr().out
    for part in ("samples a second: 8,000", "1 sound is silent", "another rate than the 8,000 Hz", "bad.wav"):
        assert part in said
    rows = read_csv(tmp_path / "out" / "images.csv")
    assert {"seconds", "rate", "channels", "peak", "clipped"} < set(rows[0])
    assert (tmp_path / "out" / "sheet.png").stat().st_size > 10_000
    assert len(read_csv(tmp_path / "out" / "copies.csv")) == 2


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["augment=light"], "alters images, and data has sounds"),
        (["data.mels=500"], "data.mels=500"),
        (["data.seconds=0"], "data.seconds=0"),
    ],
)
def test_what_cannot_be_is_one_line(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    assert run(["train", *words, *more, f"hydra.run.dir={tmp_path / 'run'}"]) == 2
    line = capsys.readouterr().err
    assert said in line
    assert line.count("\n") == 1
