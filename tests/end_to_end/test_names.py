"""What people call their classes and files ends no run, and is shown as it is, as far as a console can."""

import io
import os
import sys
import traceback
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

import graft
from graft.cli.console import run
from graft.configuration.plain_text import encodable
from graft.runs import RunFolder
from graft.runs.files import read_csv

# "caf\udce9" is what Python makes of Latin-1's bytes where names are UTF-8.
CLASSES = [
    *("G2 [abc]", "G[bold]x", "中文", "a$b$", "100%", "{x}", "p|q", "_under", "=1+2", "<b>x", ":smile:"),
    *("\x1b[31mred", "caf\udce9", "two\nlines", "yes", "007"),
]


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("odd")
    for place, name in enumerate(CLASSES):
        folder = os.fsencode(root / name)
        os.mkdir(folder)  # noqa: PTH102
        for index in range(8):
            pixels = np.random.default_rng([place, index]).integers(0, 255, (16, 16, 3), np.uint8)
            with open(folder + b"/%02d[y].png" % index, "wb") as file:  # noqa: PTH123
                Image.fromarray(pixels).save(file, "png")
    return root


def cp1252(monkeypatch: pytest.MonkeyPatch) -> io.BytesIO:
    # Not a fixture: pytest takes standard output back between a fixture and its test.
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="cp1252", write_through=True))
    return written


@pytest.mark.figures
@pytest.mark.skipif(sys.platform != "linux", reason="names that are not UTF-8 are Linux's")
def test_every_command_takes_every_name(odd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        every_command(odd, tmp_path, monkeypatch)
    except Exception as error:
        # Processes of pytest cannot send each other names that are not UTF-8.
        pytest.fail(encodable("".join(traceback.format_exception(error))), pytrace=False)


def every_command(odd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    said = cp1252(monkeypatch)
    words = ["data=image_folder", f"data.root={odd}", "trainer=cpu", "backbone.image_size=16"]
    words += ["trainer.max_epochs=1", "data.shots=2", "calibrate=true", "logger=tensorboard"]
    folder: RunFolder = graft.train([*words, "hydra.run.dir=caf\udce9"])
    names = sorted(CLASSES)
    assert [row["class"] for row in read_csv(folder.classes)] == names
    assert {row["label"] for row in read_csv(folder.predictions)} == set(names)
    assert yaml.safe_load((folder.bundle / "model.yaml").read_text(encoding="utf-8"))["class_names"] == names
    assert graft.load(folder.path).class_names == names
    card = (folder.bundle / "README.md").read_text(encoding="utf-8")
    for shown in (
        r"G2 \[abc\]",
        r"a\$b\$",
        r"p\|q",
        r"\<b\>x",
        "中文",
        "caf\ufffd",
        "two lines",
        r"\\x1b\[31mred",
    ):
        assert shown in card

    assert run(["predict", "run=caf\udce9", f"source={odd}/G2 [abc]", "hydra.run.dir=p"]) == 0
    assert {Path(row["path"]).name for row in read_csv(Path("p/predictions.csv"))} == {
        f"{index:02}[y].png" for index in range(8)
    }
    assert run(["evaluate", "run=caf\udce9", "split=val", "hydra.run.dir=e"]) == 0
    assert run(["inspect", *words[:2], "hydra.run.dir=i"]) == 0
    assert run(["compare", "runs=caf\udce9", "hydra.run.dir=c"]) == 0
    page = Path("i/inspect.md").read_text(encoding="utf-8")
    assert r"| p\|q | " in page
    # In a folder with another name, TensorBoard has the classes in a figure.
    other = graft.train([*words, "hydra.run.dir=other", "backbone.weights=caf\udce9"])
    assert list((other.path / "tensorboard").iterdir())
    text = said.getvalue().decode("cp1252")
    assert "TensorBoard cannot write into a folder whose name is not UTF-8" in text
    assert "G2 [abc]/00[y].png" in text
    for shown in ("G[bold]x", ":smile:", r"\x1b[31mred", "_under", "??"):
        assert f" {shown} " in text
    assert "\x1b" not in text
