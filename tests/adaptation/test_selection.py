"""The scores by hand, what they lack, and cases in which the better of two models is known."""

import math
import subprocess
import sys

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from graft.adaptation import selection
from graft.adaptation.density_ratio import density_ratio
from graft.adaptation.selection import (
    MOST,
    SELECTORS,
    Validated,
    all_scores,
    controlled_risk,
    draw,
    neighbourhood_density,
    score,
    weighted_accuracy,
)
from graft.errors import GraftError


def made(sources=40, targets=30, classes=3, width=4, seed=0):
    generator = np.random.default_rng(seed)
    return Validated(
        generator.integers(0, classes, sources),
        generator.normal(size=(sources, classes)).astype(np.float32),
        generator.normal(size=(sources, width)).astype(np.float32),
        generator.normal(size=(targets, classes)).astype(np.float32),
        generator.normal(size=(targets, width)).astype(np.float32) + 0.5,
    )


def logits_of(*rows):
    return np.log(np.array(rows))


def test_source_is_the_accuracy_on_the_source():
    validated = made(4)._replace(
        source_labels=np.array([0, 1, 2, 2]), source_logits=np.eye(3)[[0, 1, 1, 2]].astype(np.float32)
    )
    assert score("source", validated) == 0.75


def test_entropy_and_infomax_by_hand():
    validated = made(targets=2)._replace(target_logits=logits_of([0.5, 0.5, 1e-300], [0.25, 0.25, 0.5]))
    entropies = [math.log(2), 0.5 * math.log(4) + 0.5 * math.log(2)]
    assert score("entropy", validated) == pytest.approx(-sum(entropies) / 2)
    mean = [0.375, 0.375, 0.25]
    of_mean = -sum(share * math.log(share) for share in mean)
    assert score("infomax", validated) == pytest.approx(of_mean - sum(entropies) / 2)


def test_infomax_sees_what_entropy_does_not():
    # All sure, and all of one class: entropy is content.
    collapsed, spread = (
        made(targets=6)._replace(target_logits=50 * np.eye(3)[classes])
        for classes in ([0] * 6, [0, 1, 2] * 2)
    )
    assert score("entropy", collapsed) == pytest.approx(score("entropy", spread))
    assert score("infomax", collapsed) == pytest.approx(0)
    assert score("infomax", spread) == pytest.approx(math.log(3))


def test_density_of_neighbourhoods_by_hand():
    logits = np.random.default_rng(0).normal(size=(5, 3))
    predictions = softmax(logits, axis=1)
    expected = []
    for i, one in enumerate(predictions):
        others = [other for j, other in enumerate(predictions) if j != i]
        cosines = [one @ other / np.linalg.norm(one) / np.linalg.norm(other) for other in others]
        shares = softmax(np.array(cosines) / 0.05)
        expected.append(-(shares * np.log(shares)).sum())
    assert neighbourhood_density(logits) == pytest.approx(np.mean(expected))


@pytest.mark.parametrize(("classes", "each"), [(2, 5), (4, 3), (1, 7)])
def test_density_counts_the_neighbours_of_clusters(classes, each):
    logits = 1e3 * np.repeat(np.eye(4)[:classes], each, axis=0)
    assert neighbourhood_density(logits) == pytest.approx(math.log(each - 1), abs=1e-6)


def test_weighted_accuracy_by_hand():
    assert weighted_accuracy(np.array([1.0, 0.0, 1.0]), np.array([1.0, 2.0, 5.0])) == 0.75


def test_controlled_risk_by_hand():
    losses, weights = np.array([1.0, 2.0, 4.0]), np.array([0.5, 1.0, 3.0])
    weighted = losses * weights
    covariance = ((weighted - weighted.mean()) * (weights - weights.mean())).sum() / 2
    variance = ((weights - weights.mean()) ** 2).sum() / 2
    eta = -covariance / variance
    assert controlled_risk(losses, weights) == pytest.approx(weighted.mean() + eta * (weights.mean() - 1))
    # A loss that is the same everywhere has no other risk than itself, whatever the weights.
    assert controlled_risk(np.full(3, 2.5), weights) == pytest.approx(2.5)
    assert controlled_risk(losses, np.full(3, 0.7)) == pytest.approx(0.7 * losses.mean())


def test_iwv_and_dev_are_of_the_ratio_of_densities():
    validated = made()
    weights = density_ratio(
        *(array.astype(np.float64) for array in (validated.source_features, validated.target_features)),
        seed=3,
    )
    rights = validated.source_logits.argmax(1) == validated.source_labels
    losses = -log_softmax(validated.source_logits.astype(np.float64), axis=1)[
        np.arange(40), validated.source_labels
    ]
    assert score("iwv", validated, seed=3) == pytest.approx((rights * weights).sum() / weights.sum())
    assert score("dev", validated, seed=3) == pytest.approx(-controlled_risk(losses, weights))


def models():
    """Two models, and their accuracies on the target: one knows where the source is, the other the target."""
    generator = np.random.default_rng(0)
    source = generator.normal(0.0, 1.0, (1500, 1))
    target = generator.normal(1.5, 0.7, (1500, 1))

    def truth(x):
        return (np.sin(3 * x[:, 0]) > 0).astype(int)

    def logits(x, known):
        # Sure and right within what it knows; guessing the other class with less confidence elsewhere.
        sign = np.where(known(x[:, 0]), 3.0, -1.0) * (2 * truth(x) - 1)
        return np.stack([-sign / 2, sign / 2], axis=1)

    for known in (lambda x: x < 0.9, lambda x: x > 0.6):
        yield (
            Validated(truth(source), logits(source, known), source, logits(target, known), target),
            float((logits(target, known).argmax(1) == truth(target)).mean()),
        )


def test_iwv_and_dev_prefer_the_better_model_where_the_source_prefers_the_worse():
    (first, accuracy), (second, better) = models()
    assert better > accuracy + 0.3
    assert score("source", first) > score("source", second) + 0.2
    for selector in ("iwv", "dev"):
        assert score(selector, first) < score(selector, second)
    # And it is not only an order: the weighted accuracy on the source is near that on the target.
    assert score("iwv", first) == pytest.approx(accuracy, abs=0.1)
    assert score("iwv", second) == pytest.approx(better, abs=0.1)


def test_scores_without_labels_prefer_clear_clusters_to_blurred_ones():
    generator = np.random.default_rng(0)
    classes = np.eye(5)[generator.integers(0, 5, 300)]
    noise = generator.normal(size=classes.shape)
    clear, blurred = (made(targets=300)._replace(target_logits=by * classes + noise) for by in (8.0, 2.0))
    for selector in ("entropy", "infomax", "snd"):
        assert score(selector, clear) > score(selector, blurred), selector


def test_all_scores_are_each_score():
    validated = made()
    assert all_scores(validated, seed=2) == {name: score(name, validated, seed=2) for name in SELECTORS}


def test_labels_are_not_needed_to_be_of_a_type_or_in_order():
    validated = made()
    shuffled = np.random.default_rng(1).permutation(40)
    other = validated._replace(
        source_labels=validated.source_labels[shuffled].astype(np.uint8),
        source_logits=validated.source_logits[shuffled],
        source_features=validated.source_features[shuffled],
    )
    assert score("source", other) == score("source", validated)


@pytest.mark.parametrize(
    ("sources", "targets", "there"),
    [
        (0, 5, {"entropy", "snd", "infomax"}),
        (1, 5, {"source", "entropy", "snd", "infomax"}),
        (5, 0, {"source"}),
        (5, 1, {"source", "entropy", "infomax"}),
        (2, 2, set(SELECTORS)),
        (0, 0, set()),
    ],
)
def test_what_lacks_samples_says_so_in_a_line_and_the_rest_is_a_number(sources, targets, there):
    validated = made(sources, targets)
    found = all_scores(validated)
    assert set(found) == there
    assert all(isinstance(value, float) and math.isfinite(value) for value in found.values())
    for selector in set(SELECTORS) - there:
        with pytest.raises(GraftError) as caught:
            score(selector, validated)
        message = str(caught.value)
        assert message.startswith(f"adapt.select={selector} needs validation samples, ")
        assert f"there are {sources} of the source and {targets} of the target" in message
        assert "\n" not in message


def test_a_selector_that_is_none_is_refused():
    with pytest.raises(
        GraftError, match=r"^adapt.select=entropi: it must be one of source, .*; did you mean entropy\?"
    ):
        score("entropi", made())


@pytest.mark.parametrize("name", Validated._fields[1:])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_network_that_gives_no_numbers_is_refused(name, value):
    values = getattr(made(), name).copy()
    values[3, 1] = value
    with pytest.raises(GraftError, match="the network gives NaN or infinity"):
        all_scores(made()._replace(**{name: values}))


@pytest.mark.parametrize("by", [0.0, 1e-30, 1e5])
def test_logits_and_features_of_any_size_give_numbers(by):
    validated = made()
    scaled = validated._replace(
        **{name: (by * getattr(validated, name)).astype(np.float32) for name in Validated._fields[1:]}
    )
    assert all(map(math.isfinite, all_scores(scaled).values()))


def test_many_samples_are_drawn_from_once_and_in_their_rows():
    validated = made(sources=MOST + 500, targets=MOST + 300)
    some = draw(validated, 5)
    assert [len(values) for values in some] == [MOST] * 5
    again, other = draw(validated, 5), draw(validated, 6)
    assert all((first == second).all() for first, second in zip(some, again, strict=True))
    assert (some.source_logits != other.source_logits).any()
    # Label, logits and features of a sample stay together, and none comes twice.
    places = {row.tobytes(): place for place, row in enumerate(validated.source_features)}
    rows = [places[row.astype(np.float32).tobytes()] for row in some.source_features]
    assert len(set(rows)) == MOST
    assert (validated.source_labels[rows] == some.source_labels).all()
    assert (validated.source_logits[rows] == some.source_logits).all()
    # What costs little sees all of them.
    expected = float((validated.source_logits.argmax(1) == validated.source_labels).mean())
    assert score("source", validated) == expected


def test_importing_it_is_light():
    code = (
        "import sys, graft.adaptation.selection\n"
        "assert not {'scipy', 'sklearn', 'lightning'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_module_never_sees_labels_of_the_target():
    assert Validated._fields == (
        *("source_labels", "source_logits", "source_features"),
        *("target_logits", "target_features"),
    )
    assert "target_labels" not in vars(selection)
