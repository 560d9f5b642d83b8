"""8 bits are left only where validation images are told as well as in floats."""

import numpy as np
import pytest
import torch
from torch import nn

from graft.deploy.closed import Said
from graft.deploy.gate import Reference
from graft.deploy.int8 import check_dynamic, kept, settings_anew, told
from graft.errors import GraftError
from graft.evaluation.none_of_these import label_sets, softmax, unit
from graft.models.known import Known, Settings

NAMES = [f"{place:03d}.png" for place in range(200)]
LABELS = {name: "ant" if place % 2 else "bee" for place, name in enumerate(NAMES)}
NOTHING = np.zeros((200, 2), np.float32)


def with_wrong(wrong: set[int]) -> list[str]:
    """What is said of each image where those of these places are told wrongly."""
    other = {"ant": "bee", "bee": "ant"}
    return [other[LABELS[name]] if place in wrong else LABELS[name] for place, name in enumerate(NAMES)]


def after(before: set[int], now: set[int]):
    known = Reference(NAMES, with_wrong(before), NOTHING)
    return kept(known, Said(NAMES, with_wrong(now), NOTHING, NOTHING), LABELS)


def test_a_fall_of_one_point_is_left_and_told_with_its_interval() -> None:
    result = after({1, 2}, {2, 3, 4, 5})
    assert (result.images, result.float_accuracy, result.accuracy) == (200, 0.99, 0.98)
    assert result.fall == pytest.approx(0.01)
    assert result.interval[0] < 0 < result.fall < result.interval[1] < 0.05
    assert "accuracy 0.9800 on 200 validation images, 0.9900 in floats: 1.00 points less" in told(result)
    assert "0.50 points more" in told(after({1, 2}, {2}))


def test_a_larger_fall_is_refused() -> None:
    with pytest.raises(
        GraftError, match=r"int8 is refused: accuracy 0.9750 .* 1.50 points less .* at most 1 "
    ):
        after({1, 2}, {2, 3, 4, 5, 6})


def test_other_images_are_refused() -> None:
    known = Reference(NAMES, with_wrong(set()), NOTHING)
    said = Said(NAMES[1:], with_wrong(set())[1:], NOTHING[1:], NOTHING[1:])
    with pytest.raises(GraftError, match="other validation images"):
        kept(known, said, LABELS)


def test_8_bits_are_judged_by_what_they_say_themselves() -> None:
    """Their features lie off those of the floats, whose threshold would call most of them unknown."""
    stream = np.random.default_rng(0)
    bank = stream.normal(size=(100, 8)) + 3
    features = (bank[stream.integers(100, size=200)] + stream.normal(size=(200, 8))).astype(np.float32)
    logits = stream.normal(size=(200, 2)).astype(np.float32)
    in_floats = Settings("knn", 5, 0.7, threshold=-0.01, limit=1.0, samples=200)
    known = Known(in_floats, {"bank": unit(bank)})
    anew = settings_anew(known, Said(NAMES, with_wrong(set()), logits, features), LABELS, ["ant", "bee"])
    scores = known.scores(torch.from_numpy(features), torch.from_numpy(logits)).numpy()
    assert (scores >= in_floats.threshold).mean() < 0.1
    assert 0.93 < (scores >= anew.threshold).mean() < 0.98
    sets = label_sets(softmax(logits, 0.7), anew.limit)
    true = [["ant", "bee"].index(LABELS[name]) for name in NAMES]
    assert 0.88 < sets[np.arange(200), true].mean() < 0.93
    assert (anew.score, anew.neighbours, anew.temperature) == ("knn", 5, 0.7)


def test_dynamic_is_for_linear_layers_and_patches_alone() -> None:
    check_dynamic(nn.Sequential(nn.Conv2d(3, 8, 16, stride=16), nn.Flatten(), nn.Linear(8, 2)))
    with pytest.raises(GraftError, match=r"has convolutions, such as 0; give int8=static"):
        check_dynamic(nn.Sequential(nn.Conv2d(3, 8, 3, stride=2)))
    with pytest.raises(GraftError, match="has depthwise convolutions, such as 1"):
        check_dynamic(nn.Sequential(nn.Conv2d(3, 8, 4, stride=4), nn.Conv2d(8, 8, 7, padding=3, groups=8)))
