"""What an older Graft recorded is completed with values that leave the run as it was."""

import copy
from typing import Any

import pytest

from graft.composition.composing import compose
from graft.configuration.older import OF_A_START, completed
from graft.configuration.schema import flatten
from graft.errors import GraftError

WORDS = {
    "plain": [],
    "much": [
        "backbone=resnet18",
        "augment=randaugment",
        "freeze=lp_ft",
        "callbacks=ema",
        "logger=csv",
        "mix=both",
    ],
    "other": [
        "optimizer=sgd",
        "scheduler=plateau",
        "regularizer=delta",
        "head=mlp",
        "logger=none",
        "trainer=cpu",
    ],
}


def recorded(words: list[str]) -> dict[str, Any]:
    config, _ = compose("train", words)
    return {key: value for key, value in config.items() if key not in OF_A_START}


def without(config: dict[str, Any], *keys: str) -> dict[str, Any]:
    config = copy.deepcopy(config)
    for key in keys:
        *above, last = key.split(".")
        node = config
        for word in above:
            node = node[word]
        del node[last]
    return config


@pytest.mark.parametrize("words", WORDS.values(), ids=list(WORDS))
def test_what_is_complete_stays_as_it_is(words: list[str]) -> None:
    config = recorded(words)
    before = copy.deepcopy(config)
    assert completed(config, "x") == config == before


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        ([], ["lr_find", "mix", "regularizer", "distill", "channels_last", "compile", "loss.class_weights"]),
        (["freeze=lp_ft"], ["freeze.patience", "freeze.head_lr_factor", "freeze.norm"]),
        (["augment=randaugment"], ["augment.policy.fill"]),
        (["augment=trivial", "augment.crop_scale=null"], ["augment.crop_scale"]),
        (["callbacks=ema"], ["callbacks.last.minutes", "callbacks.ema.decay", "callbacks.best.mode"]),
        (["trainer=cpu"], ["trainer.log_every_n_steps", "trainer.max_time"]),
        (["backbone=resnet18"], ["backbone.image_size"]),
        (["head=mlp"], ["head.hidden", "head.dropout"]),
        (["optimizer=sgd"], ["optimizer.layer_decay", "optimizer.momentum"]),
        ([], ["data.split_seed", "scheduler.restart", "logger.tensorboard.prefix"]),
        ([], ["distill.trust"]),
    ],
)
def test_what_is_missing_has_the_value_that_files_ship(words: list[str], keys: list[str]) -> None:
    config = recorded(words)
    assert completed(without(config, *keys), "x") == config


def test_the_values_that_were_recorded_stay() -> None:
    config = recorded(
        ["freeze=lp_ft", "freeze.epochs=9", "loss.label_smoothing=0.3", "head=mlp", "head.hidden=7"]
    )
    found = completed(without(config, "freeze.patience", "loss.class_weights", "head.dropout"), "x")
    assert flatten(found).items() >= flatten(without(config, "head.dropout")).items()


@pytest.mark.parametrize("key", ["optimizer.lr", "optimizer.head_lr", "trainer.max_epochs", "name"])
def test_what_follows_from_other_keys_is_not_guessed(key: str) -> None:
    with pytest.raises(GraftError, match=f"^the file has no {key}, without which this one cannot go on"):
        completed(without(recorded([]), key), "the file")


def test_what_only_some_options_of_a_target_have_is_not_asked_for() -> None:
    # convnext_tiny and resnet18 build the same, and one of them has no drop_path.
    config = without(recorded(["backbone=convnext_tiny"]), "backbone.drop_path")
    assert completed(config, "x") == config


def test_a_part_of_the_users_own_is_left_alone() -> None:
    own = {"_target_": "mypkg.EveryOther", "k": 1}
    entry = {"_target_": "mypkg.Callback"}
    config = {**recorded([]), "freeze": own, "callbacks": {"mine": entry}}
    found = completed(config, "x")
    assert (found["freeze"], found["callbacks"]) == (own, {"mine": entry})


def test_rows_of_lightnings_csv_logger_are_gone_on_with() -> None:
    config = recorded(["logger=csv"])
    entry = {**config["logger"]["csv"], "_target_": "pytorch_lightning.loggers.CSVLogger"}
    assert completed({**config, "logger": {"csv": entry}}, "x") == config
    # Without a name its files are elsewhere.
    del entry["name"]
    assert completed({**config, "logger": {"csv": entry}}, "x")["logger"] == {"csv": entry}
