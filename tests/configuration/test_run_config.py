"""A run's configuration is frozen and typed, and gives back the plain values that it was made from."""

from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
import yaml

from graft.composition.composing import compose
from graft.configuration.key_table import OF_A_START
from graft.configuration.run_config import RunConfig, check_whole
from graft.configuration.schema import flatten
from graft.errors import GraftError

WORDS = {
    "plain": [],
    "much": ["backbone=resnet18", "freeze=lp_ft", "callbacks=ema", "logger=csv", "mix=both", "trust=[mypkg]"],
    "solved": ["freeze=frozen", "distill.trust=[a,b]", "loss.class_weights=balanced", "sweep.trial=x#1"],
}


def composed(words: list[str]) -> dict[str, Any]:
    return compose("train", words)[0]


@pytest.mark.parametrize("words", WORDS.values(), ids=list(WORDS))
def test_what_is_recorded_are_the_composed_values_in_their_order(words: list[str]) -> None:
    values = composed(words)
    text = yaml.safe_dump({k: v for k, v in values.items() if k not in OF_A_START}, sort_keys=False)
    config = RunConfig.of(values)
    assert yaml.safe_dump(config.recorded(), sort_keys=False) == text
    assert flatten(config.plain()).items() >= flatten(values).items()
    assert RunConfig.of(config.plain()) == config
    assert RunConfig.of(config.recorded()) == replace(config, **vars(RunConfig.of(config.recorded())))


def test_top_level_keys_of_the_users_own_are_kept() -> None:
    values = {**composed([]), "paper": {"table": 3}, "own": 1}
    config = RunConfig.of(values)
    assert config.own == {"paper": {"table": 3}, "own": 1}
    assert config.recorded()["paper"] == {"table": 3}
    assert RunConfig.of(config.plain()) == config


def test_nothing_of_it_is_changed_in_place() -> None:
    config = RunConfig.of(composed([]))
    with pytest.raises(FrozenInstanceError):
        config.seed = 1  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        config.loss.label_smoothing = 0.1  # type: ignore[misc]
    plain = config.plain()
    plain["loss"]["label_smoothing"] = 0.5
    assert config.loss.label_smoothing == 0.0


@pytest.mark.parametrize(
    "key", ["seed", "loss", "distill.trust", "cache.precision", "trainer.precision", "mix", "compile"]
)
def test_a_key_that_is_missing_is_named(key: str) -> None:
    values = composed([])
    above, _, last = key.rpartition(".")
    del (values[above] if above else values)[last]
    message = f"^old/config.yaml has no {key}, without which this version cannot go on$"
    with pytest.raises(GraftError, match=message):
        check_whole(values, "old/config.yaml")
    with pytest.raises(GraftError, match=f"^the configuration has no {key}, "):
        RunConfig.of(values)


def test_what_a_users_own_part_leaves_out_is_not_missed() -> None:
    values = composed([])
    values |= {"freeze": {"_target_": "mypkg.EveryOther"}, "data": {"_target_": "mypkg.images"}}
    del values["trainer"]["profiler"], values["test"]
    config = RunConfig.of(values)
    assert config.freeze == {"_target_": "mypkg.EveryOther"}
    assert config.test
