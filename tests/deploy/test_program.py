"""The command line of an export says what it can of all files, in the bytes of `graft predict`."""

import csv
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from graft.data.levels import AS_DECLARED, Levels
from graft.deploy.program import levels_in, main
from graft.evaluation.none_of_these import softmax

PREPROCESSING = {
    "resize": 8,
    "crop": 8,
    "interpolation": "bilinear",
    "mean": [0.5, 0.5, 0.5],
    "std": [0.5, 0.5, 0.5],
    "colour": "RGB",
    "squash": False,
}
CARD = {
    "model": "model.onnx",
    "class_names": ["dark", "light, or so"],
    "temperature": 2.0,
    "preprocessing": PREPROCESSING,
    "levels": None,
    "known": {},
    "batch_size": 2,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a model, with images beside it: four that can be read and one that cannot."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.json").write_text(json.dumps(CARD))
    (tmp_path / "photos").mkdir()
    for place, grey in enumerate((0, 80, 160, 255)):
        Image.new("L", (9, 12), grey).save(tmp_path / "photos" / f"{place}.png")
    (tmp_path / "photos" / "1a.png").write_bytes(b"no image")
    return tmp_path / "model"


class Engine:
    """Logits are minus and plus the mean of an image; remembers what it was asked."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, file: Path, threads: int):
        self.file, self.threads = file, threads

        def run(images):
            self.batches.append(len(images))
            mean = images.mean((1, 2, 3))
            return np.stack([-mean, mean], 1), images.reshape(len(images), -1)[:, :5]

        return run


def test_one_file_that_cannot_be_read_stops_no_other(folder, capsys, monkeypatch) -> None:
    monkeypatch.chdir(folder.parent)
    engine = Engine()
    assert main(engine, folder, ["photos"]) == 0
    said = capsys.readouterr()
    assert engine.batches == [2, 1, 1]
    assert (engine.file, engine.threads) == (folder / "model.onnx", 0)
    assert said.out.splitlines()[0] == 'path,predicted,p_dark,"p_light, or so",known,none_of_these,set'
    assert [line.split(",")[0] for line in said.out.splitlines()[1:]] == [f"photos/{i}.png" for i in range(4)]
    assert said.err.startswith("unreadable: photos/1a.png: cannot be read as an image")
    # The logits of black are 1 and -1; at temperature 2 one is e times as likely.
    assert float(said.out.splitlines()[1].split(",")[2]) == pytest.approx(np.e / (1 + np.e), abs=1e-15)


def test_the_most_probable_classes_and_the_batch_size_are_the_callers(folder, capsys, tmp_path) -> None:
    engine, photos = Engine(), [str(folder.parent / "photos" / name) for name in ("3.png", "0.png")]
    arrays = tmp_path / "said.npz"
    words = ["--top-k", "1", "--batch-size", "1", "--threads", "3", "--model", "other.onnx"]
    assert main(engine, folder, [*photos, *words, "--arrays", str(arrays)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "path,predicted,class_1,p_1,known,none_of_these,set"
    assert [line.split(",")[0] for line in lines[1:]] == photos
    assert (engine.file.name, engine.threads, engine.batches) == ("other.onnx", 3, [1, 1])
    with np.load(arrays) as held:
        assert held["names"].tolist() == photos
        assert held["logits"].tolist() == [[-1, 1], [1, -1]]
        assert held["features"].shape == (2, 5)


def test_what_is_known_is_said_of_each_image(folder, capsys) -> None:
    known = {"score": "knn", "neighbours": 1, "temperature": 2.0, "threshold": -0.5, "limit": 0.5}
    (folder / "model.json").write_text(json.dumps({**CARD, "known": {"model.onnx": known}}))
    # Features of images as light as white.
    np.savez(folder / "known.npz", bank=np.ones((3, 5), np.float32))
    assert main(Engine(), folder, [str(folder.parent / "photos")]) == 0
    rows = list(csv.reader(capsys.readouterr().out.splitlines()[1:]))
    assert [row[-2] for row in rows] == ["true", "true", "false", "false"]
    assert [float(row[-3]) for row in rows] == pytest.approx([-2, -2, 0, 0], abs=1e-6)
    assert rows[0][-1] == "dark"


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (["photos/1a.png"], "predict.py: none of 1 images could be read"),
        (["fotos"], "predict.py: source=fotos: there is no such file or folder"),
    ],
)
def test_nothing_to_predict_is_said_in_one_line(folder, capsys, monkeypatch, words, wrong) -> None:
    monkeypatch.chdir(folder.parent)
    assert main(Engine(), folder, words) == 2
    assert capsys.readouterr().err.splitlines()[-1] == wrong


def test_a_wrong_count_is_refused(folder, capsys) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(Engine(), folder, ["photos", "--top-k", "0"])
    assert "0 is wrong: it must be a whole number >= 1" in capsys.readouterr().err


def test_a_name_that_is_not_utf8_comes_out_as_it_is(folder, monkeypatch) -> None:
    name = str(folder.parent / "photos" / "caf\udce9.png")
    Image.new("L", (9, 9), 7).save(folder.parent / "named.png")
    (folder.parent / "named.png").rename(name)
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding="ascii"))
    assert main(Engine(), folder, [name]) == 0
    sys.stdout.flush()
    assert b"caf\xe9.png,dark" in written.getvalue()


def test_levels_without_an_end_are_read_back() -> None:
    card = {"levels": {"whole": [0, None], "float": [0.25, 0.5]}}
    assert levels_in(card) == {"whole": AS_DECLARED, "float": Levels(0.25, 0.5)}
    assert levels_in({"levels": None}) is None


def test_probabilities_of_large_logits_are_numbers() -> None:
    found = softmax(np.array([[1e4, 0.0], [-1e4, -1e4]], np.float32), 1.0)
    assert found.tolist() == [[1.0, 0.0], [0.5, 0.5]]
