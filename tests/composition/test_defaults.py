"""What depends on where a network comes from: its rates, and what its norm layers do where it trains."""

import re
from collections.abc import Sequence
from typing import Any

import pytest

from graft.composition.composing import compose
from graft.configuration.schema import get
from graft.errors import GraftError

STRATEGIES = ("full", "last_k", "gradual", "freeze_unfreeze", "lp_ft")
OWN = ["backbone=simple_cnn", "backbone.weights=source.pth"]


def said(words: Sequence[str], *keys: str) -> list[Any]:
    config, _ = compose("train", ["data=digits", *words])
    return [get(config, key) for key in keys]


@pytest.mark.parametrize("backbone", ["resnet18", "efficientnet_lite0", "squeezenet1_0", "vit_b_16"])
@pytest.mark.parametrize("freeze", STRATEGIES)
def test_the_statistics_of_a_library_s_network_stay(backbone: str, freeze: str) -> None:
    words = [f"backbone={backbone}", f"freeze={freeze}"]
    assert said(words, "freeze.norm") == ["affine"]
    assert said([*words, "backbone.weights=null"], "freeze.norm") == [None]
    assert said([*words, "regularizer=stochnorm"], "freeze.norm") == [None]
    assert said([*words, "freeze.norm=train"], "freeze.norm") == ["train"]


@pytest.mark.parametrize("word", ["adapt=adabn", "adapt=dann adapt.norm=separate"])
def test_where_the_target_has_statistics_of_its_own_the_source_learns_some(word: str) -> None:
    words = ["backbone=resnet18", "freeze=full", "data@target=glyphs"]
    assert said([*words, *word.split()], "freeze.norm") == [None]
    for other in (["adapt=dann"], ["adapt=none", "adapt.norm=separate"]):
        assert said([*words, *other], "freeze.norm") == ["affine"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["freeze=full", "freeze.norm=affine"], "freeze.norm=affine holds still; give freeze.norm=train"),
        (["freeze=bias_only"], "freeze.norm=affine holds still; give freeze.norm=train"),
        (["freeze=frozen"], "freeze=frozen holds still; give freeze.norm=statistics"),
        (["freeze=lora"], "freeze=lora holds still; leave adapt.norm out"),
        (["freeze=frozen", "freeze.norm=statistics"], None),
        (["freeze=norm_only", "freeze.norm=train"], None),
    ],
)
def test_statistics_are_kept_apart_where_they_move(given: list[str], said: str | None) -> None:
    words = ["data=digits", "backbone=resnet18", "data@target=glyphs", "adapt=dann", "adapt.norm=separate"]
    if said is None:
        compose("train", [*words, *given])
        return
    with pytest.raises(GraftError, match=re.escape(f"adapt.norm=separate keeps statistics that {said}")):
        compose("train", [*words, *given])


@pytest.mark.parametrize("freeze", STRATEGIES)
def test_those_of_other_networks_move(freeze: str) -> None:
    assert said([*OWN, f"freeze={freeze}"], "freeze.norm") == [None]


def test_libraries_networks_learn_slower_than_others() -> None:
    rates = ("optimizer.lr", "optimizer.head_lr")
    assert said(["backbone=resnet18", "freeze=full"], *rates) == [1e-4, 3e-3]
    timm = ["backbone=timm", "backbone.name=mobilevit_s", "freeze=full"]
    assert said(timm, *rates) == [1e-4, 3e-3]
    assert said([*timm, "backbone.weights=null"], *rates) == [5e-4, 5e-4]
    assert said([*OWN, "freeze=full"], *rates) == [3e-4, 1e-2]


def test_stochnorm_on_statistics_that_stay_is_refused() -> None:
    with pytest.raises(GraftError, match=r"stochnorm mixes statistics that freeze\.norm=affine holds still"):
        compose("train", ["data=digits", "backbone=resnet18", "regularizer=stochnorm", "freeze.norm=affine"])
