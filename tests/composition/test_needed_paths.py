"""A wrong path costs no more than a wrong word: one line, status 2, nothing left, no torch."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from graft import GraftError, load, train
from graft.cli.console import run
from graft.composition.needed_paths import check_paths

IMAGES = "data=image_folder"
MANIFEST = "data=csv"
# In a folder with a folder `photos` and a file `notes`.
WRONG = [
    (
        ["train", IMAGES, "data.root=fotos"],
        "data.root=fotos: there is no such folder: {0} has no fotos; did you mean photos?",
    ),
    (["train", IMAGES, "data.root=notes"], "data.root=notes: is a file, not a folder"),
    (["train", IMAGES, "data.root=null"], "data.root=null is wrong: it must be a path"),
    (
        ["train", MANIFEST, "data.file=note"],
        "data.file=note: there is no such file: {0} has no note; did you mean notes?",
    ),
    (["train", MANIFEST, "data.file=photos"], "data.file=photos: is a folder, not a file"),
    (["train", MANIFEST, "data.file=null"], "data.file=null is wrong: it must be a path"),
    (["train", MANIFEST, "data.file=notes", "data.root=fotos"], "data.root=fotos: there is no such folder: "),
    (["train", "data=cifar10", "data.root=notes"], "data.root=notes: it is a file, not a folder"),
    (
        ["train", "data=cifar10", "data.root=fotos", "data.download=false"],
        "data.root=fotos: there is no such folder",
    ),
    (
        ["train", "backbone=resnet18", "backbone.weights=note"],
        "backbone.weights=note: there is no such file or folder: ",
    ),
    (
        ["train", "backbone.weights=sub/x.pth"],
        "backbone.weights=sub/x.pth: there is no such file or folder: {0} has no sub",
    ),
    (["train", "backbone.weights=photos"], "backbone.weights=photos: the folder holds no bundle"),
    (
        ["train", "distill.teacher=fotos"],
        "distill.teacher=fotos: there is no such folder: {0} has no fotos; did you mean photos?",
    ),
    (["train", "distill.teacher=photos"], "distill.teacher=photos is neither a run folder nor a bundle"),
    (
        ["train", "resume=fotos"],
        "resume=fotos: there is no such folder: {0} has no fotos; did you mean photos?",
    ),
    (["train", "resume=photos"], "resume=photos is no run folder"),
    (["train", "cache.dir=notes"], "cache.dir=notes: it is a file, not a folder"),
    (["train", "hydra.run.dir=notes"], "notes cannot be made (File exists)"),
    (
        ["train", "--config-dir=fotos"],
        "--config-dir=fotos: there is no such folder: {0} has no fotos; did you mean photos?",
    ),
    (
        ["train", "hydra.searchpath=[file://fotos]"],
        "hydra.searchpath=fotos: there is no such folder: {0} has no fotos",
    ),
    (
        ["train", "-m", IMAGES, "data.root=fotos", "seed=0,1"],
        "job 0 (seed=0): data.root=fotos: there is no such folder",
    ),
    (
        ["train", "-m", "sweep.resume=fotos", "seed=0,1"],
        "sweep.resume=fotos: there is no such folder: {0} has no fotos",
    ),
    (["crossval", IMAGES, "data.root=fotos"], "data.root=fotos: there is no such folder"),
    (["crossval", "resume=fotos"], "resume=fotos: there is no such folder"),
    (["evaluate", "run=fotos"], "run=fotos: there is no such folder: {0} has no fotos; did you mean photos?"),
    (["evaluate", "run=photos"], "run=photos is neither a run folder nor a bundle"),
    (["evaluate", "run=null"], "run=null is wrong: it must be a path"),
    (["predict", "run=fotos", "source=x"], "run=fotos: there is no such folder"),
    (["extract", "run=fotos"], "run=fotos: there is no such folder"),
    (
        ["extract", "data=digits", "backbone=resnet18", "backbone.weights=x.pth"],
        "backbone.weights=x.pth: there is no such file",
    ),
    (["inspect", IMAGES, "data.root=fotos"], "data.root=fotos: there is no such folder"),
    (["rank", IMAGES, "data.root=fotos"], "data.root=fotos: there is no such folder"),
    (
        ["rank", "data=digits", "weights.resnet18=x.pth"],
        "weights.resnet18=x.pth: there is no such file or folder",
    ),
    (
        ["rank", "data=digits", "weights.resnet18=[null,x.pth]"],
        "weights.resnet18=x.pth: there is no such file or folder",
    ),
    (
        ["rank", "data=digits", "runs=fotos"],
        "runs=fotos: there is no such folder: {0} has no fotos; did you mean photos?",
    ),
    (["rank", "data=digits", "runs=photos"], "runs=photos: no run is there"),
    (["compare", "runs=photos"], "runs=photos: no run is there"),
    (
        ["cache", "list", "dir=fotos"],
        "dir=fotos: there is no such folder: {0} has no fotos; did you mean photos?",
    ),
]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "notes").touch()
    return tmp_path


# In one process that has imported nothing: the answer to each, and what they have imported together.
ANSWERED = """
import contextlib, io, json, os, sys
from graft import GraftError, load, train
from graft.cli.console import run
answers = []
for words in json.loads(sys.argv[1]):
    sys.argv = ["graft", *words]
    with contextlib.redirect_stderr(io.StringIO()) as err, contextlib.redirect_stdout(io.StringIO()):
        status = run(words)
    answers.append([status, err.getvalue(), sorted(os.listdir()), os.listdir("photos")])
for call in (lambda: load("fotos"), lambda: train(["data=image_folder", "data.root=fotos"]),
             lambda: train(["hydra.run.dir=notes/run"])):
    try:
        call()
        sys.exit("no error")
    except GraftError:
        pass
slow = {"torch", "torchvision", "pytorch_lightning", "scipy", "sklearn", "matplotlib"}
print(json.dumps([answers, sorted(slow & set(sys.modules))]))
"""


@dataclass(frozen=True)
class Answers:
    """What a process said to all of `WRONG`.

    Attributes:
        folder: where it ran.
        each: status, stderr, and what lay in the folder and in its `photos` afterwards.
        heavy: slow packages that it imported.
    """

    folder: Path
    each: list[tuple[int, str, list[str], list[str]]]
    heavy: list[str]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    folder = tmp_path_factory.mktemp("here")
    (folder / "photos").mkdir()
    (folder / "notes").touch()
    command = [sys.executable, "-c", ANSWERED, json.dumps([words for words, _ in WRONG])]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return Answers(folder, *json.loads(done.stdout))


@pytest.mark.parametrize("place", range(len(WRONG)), ids=[" ".join(words) for words, _ in WRONG])
def test_a_wrong_path(place: int, answers: Answers) -> None:
    status, err, names, photos = answers.each[place]
    assert status == 2
    (line,) = err.splitlines()
    assert WRONG[place][1].format(answers.folder) in line
    assert (names, photos) == (["notes", "photos"], [])


def test_it_costs_no_torch(answers: Answers) -> None:
    assert answers.heavy == []


def test_images_to_predict(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for source, answer in (
        ("fotos", "source=fotos: there is no such file or folder: "),
        ("fotos/*.jpg", "source=fotos/*.jpg: nothing matches"),
        ("null", "source=null is wrong: it must be a path"),
    ):
        assert run(["predict", f"run={trained}", f"source={source}"]) == 2
        assert answer in capsys.readouterr().err


def test_from_python() -> None:
    with pytest.raises(GraftError, match=r"did you mean photos\?"):
        train([IMAGES, "data.root=fotos"])
    with pytest.raises(GraftError, match=r"run=fotos: there is no such folder: .*; did you mean photos\?"):
        load("fotos")
    with pytest.raises(GraftError, match=r"hydra\.run\.dir=notes/run: .*notes is a file, not a folder"):
        train(["hydra.run.dir=notes/run"])


def test_what_will_be_made_may_be_absent() -> None:
    config = {
        "data": {
            "_target_": "graft.sources.torchvision_data",
            "name": "cifar10",
            "root": "new",
            "download": True,
        },
        "backbone": {"_target_": "graft.backbones.torchvision_backbone", "weights": "IMAGENET1K_V1"},
        "cache": {"dir": "new/cache"},
        "distill": {"teacher": None},
    }
    check_paths(config, "train")


def test_what_a_part_of_ones_own_does_with_its_keys_is_its_own() -> None:
    config = {
        "data": {"_target_": "mypkg.album", "root": "fotos"},
        "backbone": {"_target_": "mypkg.network", "weights": "the-hub/of-mine"},
    }
    check_paths(config, "train")
