"""The shipped prior can be read, says where it is from, and places networks that it never saw."""

from importlib.resources import files

import numpy as np
import pytest

from graft.advice.belief import Seen, accuracies, by_epoch, continued, costs
from graft.advice.prior import Facts, Prior, read, shipped, written

FACTS = Facts(images=10_000, classes=50, pixels=128)
TEXT = files("graft.advice").joinpath("prior.csv").read_text(encoding="utf-8")


def seconds_of(**settings: object) -> float:
    return float(shipped().expected([settings], FACTS).log_seconds[0])


def accuracy_of(epoch: int, **settings: object) -> float:
    return float(shipped().expected([settings], FACTS).accuracy[0, epoch])


def test_the_file_is_small_text_with_its_source() -> None:
    assert len(TEXT) < 50_000
    assert "Quick-Tune" in TEXT.partition("term,")[0]
    assert "BSD 3-Clause" in TEXT.partition("term,")[0]
    assert TEXT.isascii()


def test_what_is_written_is_read() -> None:
    prior = Prior(
        ("a", "b"), ("one", "network=x*lr"), np.array([0.0, 0.25]), np.arange(8.0).reshape(2, 4) / 8
    )
    again = read(written(prior, ["why"]))
    assert (again.tasks, again.terms) == (prior.tasks, prior.terms)
    np.testing.assert_allclose(again.means, prior.means)
    np.testing.assert_allclose(again.effects, prior.effects)


@pytest.mark.parametrize(
    "networks",
    [
        ("resnet18", "resnet50", "resnet152"),
        ("vit_tiny_patch16_224", "vit_base_patch16_224", "vit_large_patch16_224"),
        ("simple_cnn", "mobilenet_v2", "vgg16"),
    ],
)
def test_larger_networks_that_are_unknown_are_slower(networks: tuple[str, ...]) -> None:
    known = [seconds_of(network=name, batch_size=32) for name in networks]
    assert known == sorted(known)
    assert known[-1] > known[0] + 0.5


def test_a_tag_of_weights_is_the_same_network() -> None:
    assert seconds_of(network="resnet50.a1_in1k") == seconds_of(network="resnet50")


def test_more_images_take_longer_in_proportion() -> None:
    one, two = (
        shipped().expected([{"network": "resnet50"}], FACTS._replace(images=images)).log_seconds[0]
        for images in (10_000, 20_000)
    )
    assert two - one == pytest.approx(np.log(2), abs=0.15)


def test_frozen_stages_are_faster_and_adamw_is_better_than_sgd() -> None:
    assert seconds_of(frozen=1.0) < seconds_of(frozen=0.0)
    assert accuracy_of(2, optimizer="adamw", lr=1e-4) > accuracy_of(2, optimizer="sgd", lr=1e-4) + 0.1
    assert accuracy_of(2, weight_decay=0.1) < accuracy_of(2, weight_decay=1e-4)


def test_a_warm_up_from_nothing_learns_nothing_in_its_first_epoch() -> None:
    at_once = accuracy_of(0, optimizer="adamw", lr=1e-4, warmup_epochs=0)
    cold = accuracy_of(0, optimizer="adamw", lr=1e-4, warmup_epochs=5, warmup_lr=0.0)
    assert at_once > cold + 0.1


def test_what_is_unknown_counts_as_average() -> None:
    expected = shipped().expected(
        [{}, {"network": "never_seen", "optimizer": "lion", "lr": None, "words": ["a"]}], FACTS
    )
    np.testing.assert_allclose(expected.accuracy[0], expected.accuracy[1])
    assert (expected.accuracy > 0.05).all()
    assert (expected.accuracy < 0.95).all()


def test_few_images_and_classes_are_not_extrapolated_to() -> None:
    settings = [{"network": "resnet18", "optimizer": "adamw", "lr": 1e-3, "batch_size": 32}]
    for facts in (Facts(100, 2, 64), Facts(10_000_000, 10_000, 64)):
        accuracy = shipped().expected(settings, facts).accuracy
        assert (accuracy > -0.5).all()
        assert (accuracy < 1.5).all()


def test_between_epochs_the_prior_is_linear_in_the_logarithm() -> None:
    knots = np.array([[0.2, 0.4, 0.8]])
    at = by_epoch(knots, np.array([[1.0, 7**0.5, 7.0, 350**0.5, 50.0, 200.0]]))
    np.testing.assert_allclose(at[0], [0.2, 0.3, 0.4, 0.6, 0.8, 0.8])


def test_a_network_that_does_well_raises_its_other_settings_most() -> None:
    settings = [
        {"network": "resnet18", "lr": 1e-3},
        {"network": "resnet18", "lr": 1e-5},
        {"network": "vit_base_patch16_224", "lr": 1e-5},
    ]
    expected = shipped().expected(settings, FACTS)
    networks, targets = np.array([0.0, 0.0, 1.0]), np.full((3, 1), 7.0)
    before, _ = accuracies(expected, networks, [], targets)
    after, spread = accuracies(expected, networks, [Seen(0, 1, 0.9)], targets)
    raised = (after - before)[:, 0]
    assert raised[0] > raised[1] > raised[2] > 0
    assert spread[0, 0] < spread[2, 0]


def test_a_curve_goes_on_as_it_came() -> None:
    flat, _ = continued(Seen(0, 8, 0.6, 0.0), np.array([16.0]))
    steep, unsure = continued(Seen(0, 8, 0.6, 0.2), np.array([16.0]))
    full, sure = continued(Seen(0, 8, 0.98, 0.2), np.array([16.0]))
    assert 0.6 < flat[0] < steep[0] < 0.8
    assert full[0] <= 1
    assert sure[0] < unsure[0]


def test_one_measured_epoch_says_how_fast_the_machine_is() -> None:
    networks, nothing = np.array([0.0, 0.0, 1.0]), np.full(3, np.nan)
    prior, unsure = costs(np.zeros(3), networks, nothing, np.full(3, 0.03))
    measured, surer = costs(np.zeros(3), networks, np.array([8.0, np.nan, np.nan]), np.full(3, 0.03))
    assert measured[0] == pytest.approx(np.log(8))
    assert measured[0] > measured[1] > measured[2] > prior[2]
    assert (surer < unsure).all()
