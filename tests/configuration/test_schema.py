"""A wrong value is answered by its key, the value and what is right; keys must agree with one another."""

import pytest

from graft.configuration.schema import check_together, check_values, flatten, get
from graft.errors import GraftError


def at(key, value):
    """A configuration with a value at a dotted key."""
    for word in reversed(key.split(".")):
        value = {word: value}
    return value


def test_the_answer_names_the_key_the_value_and_what_is_right():
    with pytest.raises(GraftError) as caught:
        check_values(at("data.batch_size", 0), {})
    assert str(caught.value) == "data.batch_size=0 is wrong: it must be a whole number >= 1"


@pytest.mark.parametrize(("value", "spelt"), [(None, "null"), (True, "true"), (False, "false"), (-1, "-1")])
def test_a_wrong_value_is_spelt_as_one_would_type_it(value, spelt):
    with pytest.raises(GraftError, match=rf"^data\.batch_size={spelt} is wrong"):
        check_values(at("data.batch_size", value), {})


@pytest.mark.parametrize(
    ("key", "value", "hint"),
    [
        ("loss.class_weights", "balancd", "balanced"),
        ("trainer.precision", "bf16-mixd", "bf16-mixed"),
        ("split", "tset", "test"),
        ("data.shots", "nul", "null"),
    ],
)
def test_a_mistyped_word_is_answered_with_the_nearest(key, value, hint):
    with pytest.raises(GraftError, match=rf"; did you mean {hint}\?$"):
        check_values(at(key, value), {})


@pytest.mark.parametrize(
    ("shipped", "good", "bad"),
    [
        (False, [True, False], [0, 1, "true", None]),
        (3, [0, -5, 7], [1.5, True, "3", None]),
        (0.5, [0.1, 2, -1], [True, "0.5", None]),
        ("val/loss", ["", "other"], [1, None, True]),
        (None, [None, 1, "word", [1], {"a": 1}], []),
        ("???", [1, "word", None], []),
        ("${graft.name:}", [1, "word", None], []),
    ],
)
def test_where_no_rule_stands_the_shipped_value_says_the_type(shipped, good, bad):
    for value in good:
        check_values({"own": {"key": value}}, {"own": {"key": shipped}})
    for value in bad:
        with pytest.raises(GraftError, match=r"^own\.key="):
            check_values({"own": {"key": value}}, {"own": {"key": shipped}})


def test_the_first_wrong_value_is_named():
    with pytest.raises(GraftError, match=r"^data\.batch_size=0"):
        check_values({"seed": 1, "data": {"batch_size": 0}, "optimizer": {"lr": -1}}, {})


def test_shots_and_fraction_contradict_each_other():
    with pytest.raises(GraftError, match=r"data\.shots and data\.fraction"):
        check_together({"data": {"shots": 5, "fraction": 0.5}})
    check_together({"data": {"shots": 5, "fraction": 1}})
    check_together({"data": {"shots": 5, "fraction": 1.0}})
    check_together({"data": {"shots": None, "fraction": 0.5}})
    check_together({"data": {"shots": 5}})


@pytest.mark.parametrize("precision", ["16-mixed", "16-true", 16, "16"])
def test_half_precision_needs_a_gpu(precision):
    with pytest.raises(GraftError, match="bf16-mixed"):
        check_together({"trainer": {"accelerator": "cpu", "precision": precision}})
    check_together({"trainer": {"accelerator": "gpu", "precision": precision}})


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true", "32-true", 32, "64-true"])
def test_other_precisions_need_none(precision):
    check_together({"trainer": {"accelerator": "cpu", "precision": precision}})


def test_keys_are_dotted_and_an_empty_mapping_is_a_value():
    nested = {"a": 1, "b": {"c": {"d": None}, "e": [1, {"f": 2}]}, "callbacks": {}}
    assert flatten(nested) == {"a": 1, "b.c.d": None, "b.e": [1, {"f": 2}], "callbacks": {}}
    assert flatten({}) == {}


def test_a_value_is_found_by_its_dotted_key():
    nested = {"a": {"b": {"c": 3}, "n": None}}
    assert get(nested, "a.b.c") == 3
    assert get(nested, "a.b") == {"c": 3}
    assert get(nested, "a.n") is get(nested, "a.x") is get(nested, "a.b.c.d") is get(nested, "x.y") is None


def test_mixed_images_have_no_training_accuracy_to_watch():
    watching = {"callbacks": {"stop": {"monitor": "train/accuracy"}}}
    check_together({**watching, "mix": {"_target_": "graft.data.unmixed"}})
    with pytest.raises(
        GraftError, match=r"^callbacks\.stop watches train/accuracy, which mixed .* mix=none$"
    ):
        check_together({**watching, "mix": {"_target_": "graft.data.mixup"}})
    check_together(
        {"callbacks": {"stop": {"monitor": "train/loss"}}, "mix": {"_target_": "graft.data.mixup"}}
    )


def test_an_average_needs_more_than_half_precision():
    averaged = {"callbacks": {"ema": {"_target_": "graft.training.Ema"}}}
    check_together({**averaged, "trainer": {"precision": "bf16-mixed"}})
    with pytest.raises(GraftError, match=r"^callbacks\.ema needs weights in single precision.*bf16-true$"):
        check_together({**averaged, "trainer": {"precision": "bf16-true"}})


def test_co_tuning_needs_weights():
    tuned = {"regularizer": {"_target_": "graft.objective.CoTuning"}}
    with pytest.raises(GraftError, match=r"^regularizer=co_tuning asks .* backbone\.weights=null has none"):
        check_together({**tuned, "backbone": {"weights": None}})
    check_together({**tuned, "backbone": {"weights": "IMAGENET1K_V1"}})
    # A user's own may bring them under another key.
    check_together({**tuned, "backbone": {"_target_": "mypkg.network"}})


def test_batch_statistics_of_all_gpus_would_replace_the_regularisers_layers():
    config = {
        "regularizer": {"_target_": "graft.objective.StochNorm"},
        "trainer": {"sync_batchnorm": True},
    }
    with pytest.raises(GraftError, match="does not go with regularizer=stochnorm"):
        check_together(config)
    check_together({**config, "trainer": {"sync_batchnorm": False}})
