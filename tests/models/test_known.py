"""A bundle says the same of a sample after it was saved; one of an older Graft says nothing and is read."""

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file, save_file

from graft.errors import GraftError
from graft.evaluation.knowing import fit_score
from graft.evaluation.none_of_these import softmax
from graft.models import Bundle, HowTested, linear, load_bundle, save_bundle
from graft.models.known import Known, Settings, fit_settings

NAMES = ["no", "1", "blåbær"]
CONFIG = {
    "backbone": {"_target_": "graft.backbones.simple_cnn", "weights": None, "image_size": 16},
    "head": {"_target_": "graft.models.linear"},
}
SCORES = {"energy": set(), "knn": {"bank"}, "mahalanobis": {"means", "whitening"}}


@pytest.fixture(params=list(SCORES))
def bundle(request):
    from graft.backbones import simple_cnn

    torch.manual_seed(0)
    backbone, head = simple_cnn(image_size=16), linear(84, 3)
    features = torch.randn(60, 84)
    labels = np.arange(60) % 3
    arrays, neighbours = fit_score(request.param, features.numpy(), labels)
    logits = head(features).detach()
    scores = Known(Settings(request.param, neighbours, 1.0, None, 0.5, 1), arrays).scores(features, logits)
    settings = fit_settings(request.param, neighbours, scores, logits, labels, 1.5)
    return Bundle(backbone, head, NAMES, backbone.preprocessing, HowTested(), known=Known(settings, arrays))


@pytest.fixture
def saved(bundle, tmp_path):
    save_bundle(tmp_path / "model", bundle, CONFIG)
    return tmp_path / "model"


@pytest.fixture
def pictures():
    noise = np.random.default_rng(0)
    return [Image.fromarray(noise.integers(0, 256, (20, 20, 3), dtype=np.uint8)) for _ in range(5)]


def test_a_saved_bundle_says_the_same_to_the_last_digit(bundle, saved, pictures):
    again = load_bundle(saved)
    assert again.known.settings == bundle.known.settings
    assert set(again.known.arrays) == SCORES[bundle.known.settings.score]
    for key, array in bundle.known.arrays.items():
        assert np.array_equal(again.known.arrays[key], array)
    assert again.predict(pictures) == bundle.predict(pictures)
    files = {path.name for path in saved.iterdir()}
    remembers = bool(bundle.known.arrays)
    assert files == {"model.safetensors", "model.yaml"} | ({"known.safetensors"} if remembers else set())


def test_a_prediction_says_what_the_scores_and_the_limit_say(bundle, pictures):
    given = torch.stack([bundle.transform(picture) for picture in pictures])
    with torch.inference_mode():
        features = bundle.backbone(given)
        logits = bundle.head(features)
    settings = bundle.known.settings
    scores = bundle.known.scores(features, logits)
    odd = 1 - softmax(logits.numpy(), 1.5)
    for place, prediction in enumerate(bundle.predict(pictures)):
        assert prediction.known == pytest.approx(float(scores[place]), rel=1e-5)
        assert prediction.none_of_these == (prediction.known < settings.threshold)
        assert isinstance(prediction.none_of_these, bool)
        # The most probable first.
        ranked = sorted(NAMES, key=lambda name: -prediction.probabilities[name])
        assert prediction.set == tuple(ranked[: len(prediction.set)])
        assert prediction.set[0] == prediction.label
        held = [odd[place, NAMES.index(name)] <= settings.limit for name in ranked[1:]]
        assert len(prediction.set) == 1 + sum(held)


def test_scores_that_are_there_are_judged_as_features_are(bundle):
    features = torch.randn(7, 84)
    logits = bundle.head(features).detach()
    one = bundle.known.judge(features, logits)
    other = bundle.known.judge_scores(bundle.known.scores(features, logits), logits)
    for first, second in zip(one, other, strict=True):
        assert np.array_equal(first, second)


def test_an_older_bundle_is_read_and_says_nothing(saved, pictures):
    description = yaml.safe_load((saved / "model.yaml").read_text(encoding="utf-8"))
    del description["known"]
    (saved / "model.yaml").write_text(yaml.safe_dump(description), encoding="utf-8")
    older = load_bundle(saved)
    assert older.known is None
    assert {(p.known, p.none_of_these, p.set) for p in older.predict(pictures)} == {(None, None, None)}


def test_where_too_few_validated_nothing_is_said_to_be_none_of_the_classes(bundle, pictures):
    few = fit_settings("energy", None, torch.arange(8.0), torch.zeros(8, 3), np.zeros(8, int), 1.0)
    bundle.known = Known(few)
    for prediction in bundle.predict(pictures):
        assert prediction.none_of_these is None
        assert prediction.known is not None
        assert set(prediction.set) == set(NAMES)


@pytest.mark.parametrize("bundle", ["knn"], indirect=True)
@pytest.mark.parametrize(
    "change",
    [
        {"score": "odin"},
        {"neighbours": None},
        {"neighbours": 0},
        {"limit": 1.5},
        {"threshold": "low"},
        {"temperature": 0},
        {"further": 1},
    ],
    ids=str,
)
def test_damaged_settings_are_named_in_one_line(saved, change):
    description = yaml.safe_load((saved / "model.yaml").read_text(encoding="utf-8"))
    description["known"] |= change
    (saved / "model.yaml").write_text(yaml.safe_dump(description), encoding="utf-8")
    with pytest.raises(GraftError, match=r"model\.yaml is damaged: known") as caught:
        load_bundle(saved)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bundle", ["knn"], indirect=True)
def test_arrays_of_another_score_are_refused(saved):
    file = saved / "known.safetensors"
    bank = load_file(file)["bank"]
    assert bank.dtype == torch.float16
    for tensors in ({"means": bank}, {"bank": bank[0]}):
        save_file(tensors, file)
        with pytest.raises(GraftError, match=r"known\.safetensors does not fit known\.score=knn"):
            load_bundle(saved)
    file.write_bytes(b"")
    with pytest.raises(GraftError, match=r"known\.safetensors is damaged"):
        load_bundle(saved)
    file.unlink()
    with pytest.raises(GraftError, match=r"known\.safetensors"):
        load_bundle(saved)
