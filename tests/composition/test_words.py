"""Where a key holds a path or a name, what was typed is its text, however Hydra or YAML would read it."""

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from graft import GraftError, train
from graft.cli.console import run
from graft.composition.composing import compose
from graft.composition.words import made_ready, quoted
from graft.configuration.schema import get


def read(word: str, command: str = "train") -> object:
    (ready,) = made_ready(command, [word])
    return OverridesParser.create().parse_override(ready).value()


NUMBERS = "2024 007 1e3 0x10 1_000 1.10 .5 -1 nan inf true TRUE no yes 2024-11-26 12:30"
UNREADABLE = [
    "~/photos",
    "/a b(1)=c",
    "it's",
    'a"b(',
    "a[1]/*.png",
    "dir\udce9",
    "a\\b(",
    "(\\",
    'a\\"b(',
    "a,b(c",
]


@pytest.mark.parametrize("typed", [*NUMBERS.split(), *UNREADABLE])
def test_what_was_typed_is_the_text(typed: str) -> None:
    assert read(f"data.root={typed}") == typed
    assert read(f"+data.root={typed}") == typed


KEYS = (
    "data.root data.file backbone.name backbone.weights distill.teacher cache.dir resume sweep.resume run"
    " runs source name hydra.run.dir hydra.sweep.dir weights.resnet18 experiment backbone data"
)


@pytest.mark.parametrize("key", KEYS.split())
def test_of_every_key_of_a_path_or_a_name(key: str) -> None:
    assert read(f"{key}=1e3") == "1e3"


def test_in_lists_and_sweeps() -> None:
    assert read("runs=[2024, 007,1e3, a b]") == ["2024", "007", "1e3", "a b"]
    assert read("backbones=[1_0,resnet18]") == ["1_0", "resnet18"]
    assert read("weights.resnet18=[2024,null]") == ["2024", None]
    assert made_ready("train", ["data.root=2024,1e3,a b"]) == ['data.root="2024","1e3",a b']


def test_null_is_none_and_quotes_are_not_doubled() -> None:
    assert read("backbone.weights=null") is None
    assert made_ready("train", ["data.root='2024'", 'name="1"']) == ["data.root='2024'", 'name="1"']


@pytest.mark.parametrize(
    "word", ["seed=1e3", "optimizer.lr=1e-3", "cache.features=off", "--cfg", "~optimizer", "foo"]
)
def test_other_words_stay_as_they_are(word: str) -> None:
    assert made_ready("train", [word]) == [word]


@pytest.mark.parametrize("value", ["C:\\x y\\", 'a"b', '\\"', "a\\b", "", "it's"])
def test_a_quoted_word_reads_back(value: str) -> None:
    assert OverridesParser.create().parse_override(quoted("resume", value)).value() == value


@pytest.mark.parametrize(
    ("command", "words", "key", "value"),
    [
        ("train", ["data=image_folder", "data.root=007"], "data.root", "007"),
        ("train", ["name=123"], "name", "123"),
        ("train", ["resume=1e3"], "resume", "1e3"),
        ("predict", ["run=2024", "source=2024"], "source", "2024"),
        ("compare", ["runs=[2024,2025]"], "runs", ["2024", "2025"]),
        ("rank", ["data=digits", "weights.simple_cnn=2024"], "weights.simple_cnn", "2024"),
        ("crossval", ["data=image_folder", "data.root=1_000"], "data.root", "1_000"),
    ],
)
def test_in_every_command(command: str, words: list[str], key: str, value: object) -> None:
    assert get(compose(command, words)[0], key) == value


def test_a_folder_with_a_number_for_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (
        ["predict", "run=2024", "source=2024"],
        ["train", "data=image_folder", "data.root=2024"],
        ["train", "resume=2024"],
        ["compare", "runs=[2024,2025]"],
    ):
        assert run(words) == 2
        assert "=2024: there is no such folder: " in capsys.readouterr().err
    assert run(["train", "data=image_folder", "data.root=null"]) == 2
    assert capsys.readouterr().err == "graft: data.root=null is wrong: it must be a path\n"


def test_a_number_in_a_file_is_asked_to_be_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own/data").mkdir(parents=True)
    text = "defaults:\n  - _loading\n  - _self_\n_target_: graft.sources.image_folder\nroot: "
    (tmp_path / "own/data/mine.yaml").write_text(f"{text}0123\n")
    assert run(["train", "--config-dir=own", "data=mine"]) == 2
    expected = "data.root=83 is wrong: it must be a path or a name, or null; YAML reads 83 as no text, so"
    assert expected in capsys.readouterr().err
    (tmp_path / "own/data/mine.yaml").write_text(f"{text}'0123'\n")
    with pytest.raises(GraftError, match=r"data\.root=0123: there is no such folder"):
        train(["hydra.searchpath=[file://own]", "data=mine"])
