"""What an advice asks for holds in any working folder, for its trainings and a start that goes on."""

from pathlib import Path

import pytest

from graft.composition.advice_words import holding_anywhere
from graft.composition.composing import compose
from graft.configuration.schema import Plain, get

OWN = {
    "backbone/mine.yaml": "_target_: mypkg.mine\nwidth: 6\n",
    "data/mine.yaml": "defaults: [_loading, _self_]\n_target_: mypkg.data\nfolder: photos\nsort: name\n",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a few things in it."""
    for name in ("photos", "my conf/backbone", "my conf/data"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("labels.csv", "a.pth", "b.pth"):
        (tmp_path / name).touch()
    for name, text in OWN.items():
        (tmp_path / "my conf" / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def held(*words: str) -> tuple[Plain, list[str]]:
    config, hydra_cfg = compose("advise", words)
    return holding_anywhere(config, words, hydra_cfg)


def test_paths_become_absolute_in_words_and_configuration(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ["weights.simple_cnn=a.pth", "weights.squeezenet1_0=[b.pth, null]", "+weights.resnet18=DEFAULT"]
    config, words = held("data=csv", "data.file=labels.csv", "data.root=photos", *given, "minutes=3")
    assert get(config, "data.file") == str(folder / "labels.csv")
    assert config["weights"] == {
        "simple_cnn": str(folder / "a.pth"),
        "squeezenet1_0": [str(folder / "b.pth"), None],
        "resnet18": "DEFAULT",
    }
    assert words[0] == "data=csv"
    assert words[-2:] == ["+weights.resnet18=DEFAULT", "minutes=3"]
    # From elsewhere they mean the same, and nothing is left to be made absolute.
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    again, same = held(*words)
    assert {**again, "options": None} == {**config, "options": None}
    assert same == words


def test_weights_in_one_word_become_absolute_too(folder: Path) -> None:
    _, words = held("data=digits", "weights={simple_cnn: a.pth, resnet18: DEFAULT}")
    assert compose("advise", words)[0]["weights"] == {
        "simple_cnn": str(folder / "a.pth"),
        "resnet18": "DEFAULT",
    }


def test_a_folder_of_ones_own_options_is_a_word_and_what_they_name_is_absolute(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("data=mine", "backbones=[mine]")
    _, words = held(*asked, f'hydra.searchpath=["file://{folder}/my conf"]')
    _, relative = held(*asked, 'hydra.searchpath=["file://my conf"]')
    assert relative == words
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    config = compose("advise", words)[0]
    assert config["options"]["mine"]["width"] == 6
    assert config["data"]["folder"] == str(folder / "photos")
    assert config["data"]["sort"] == "name"


def test_words_without_paths_stay_as_they_are() -> None:
    words = ["data=digits", "data.split_seed=3", "backbones=[resnet18]", "++weights.resnet18=null", "seed=1"]
    assert held(*words)[1] == words
