"""A head is solved, its penalty chosen by images that it was not made of."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.nn.functional import cross_entropy

from graft.models import linear
from graft.objective import solving
from graft.objective.folding import repeated_folds
from graft.objective.solving import PENALTIES, Labelled
from graft.optim import LBFGS
from graft.tasks import SingleLabel

NOTHING = Labelled(torch.empty(0, 64), torch.empty(0, dtype=torch.long))


@pytest.fixture(scope="module")
def digits():
    """Training, validation and test images: 200, 200 and the others, as 64 values."""
    values, labels = load_digits(return_X_y=True)
    whole = torch.from_numpy(values / 16).float(), torch.from_numpy(labels)
    return [
        Labelled(*(part[rows] for part in whole)) for rows in (slice(200), slice(200, 400), slice(400, None))
    ]


def solve(*given, label_smoothing=0.0, class_weights=None, **settings):
    names = [str(digit) for digit in range(10)]
    task = SingleLabel(names, label_smoothing=label_smoothing, class_weights=class_weights)
    return solving.solve(*given, task=task, **settings)


def head(**settings):
    torch.manual_seed(0)
    return linear(64, 10, standardize=True, **settings)


def test_the_penalty_is_the_best_on_validation(digits):
    train, val, test = digits
    made = head(normalize=False)
    choice = solve(made, LBFGS(), train, val)
    scaler = StandardScaler().fit(train.features)
    losses = {}
    for penalty in PENALTIES:
        reference = LogisticRegression(C=1 / (200 * penalty), tol=1e-6, max_iter=10_000)
        reference.fit(scaler.transform(train.features), train.labels)
        said = reference.predict_log_proba(scaler.transform(val.features))
        losses[penalty] = -said[np.arange(200), val.labels].mean()
    best = min(losses, key=losses.get)
    assert choice.penalty == best
    assert choice.metrics["val/loss"] == pytest.approx(losses[best], abs=1e-3)
    for row in choice.path:
        assert row["val/loss"] == pytest.approx(losses[row["penalty"]], rel=0.05)
    right = (made(test.features).argmax(1) == test.labels).float().mean()
    reference = LogisticRegression(C=1 / (200 * best), max_iter=10_000)
    reference.fit(scaler.transform(train.features), train.labels)
    assert float(right) == pytest.approx(
        reference.score(scaler.transform(test.features), test.labels), abs=0.003
    )


def test_the_path_ends_where_it_has_long_got_worse(digits):
    train, val, _ = digits
    # Labels of which a third is wrong: weak penalties learn them by heart.
    noisy = train.labels.clone()
    noisy[::3] = (noisy[::3] + 1) % 10
    path = solve(head(), LBFGS(), Labelled(train.features, noisy), val).path
    losses = [row["val/loss"] for row in path]
    assert len(path) < len(PENALTIES)
    assert len(path) - 1 - losses.index(min(losses)) == solving.WORSE


def test_without_validation_images_the_training_images_are_crossed(digits):
    train = digits[0]
    made = head()
    choice = solve(made, LBFGS(), train, NOTHING, seed=3)
    assert choice.judge == "cross-validation of the training images in 5 folds"
    assert len(choice.path) == len(PENALTIES)
    assert not [key for key in choice.metrics if key.startswith("val/")]
    losses = {row["penalty"]: row["val/loss"] for row in choice.path}
    # A usual penalty is preferred where so many images cannot tell.
    assert losses[choice.penalty] <= min(losses.values()) + 2 / 200
    # The head is made of all training images, not of the last fold's.
    other = head()
    again = solve(other, LBFGS(weight_decay=choice.penalty), train, NOTHING)
    assert torch.allclose(made[-1].weight, other[-1].weight, atol=1e-4)
    assert again.metrics["train/loss"] == pytest.approx(choice.metrics["train/loss"], abs=1e-4)
    assert torch.equal(made[1].mean, other[1].mean)


def test_a_fold_is_judged_on_scales_that_it_was_no_part_of(digits, monkeypatch):
    train = digits[0]
    seen = []
    fitted = solving.fit_standardization
    monkeypatch.setattr(solving, "fit_standardization", lambda h, f: (seen.append(len(f)), fitted(h, f)))
    solve(head(), LBFGS(), train, NOTHING)
    assert seen == [160] * 5 + [200]


def test_no_fold_parts_what_belongs_together(digits):
    labels = digits[0].labels.numpy()
    groups = np.arange(200) // 4
    folds = repeated_folds(labels, groups, 0)
    assert len(folds) == 5
    for learn, judge in folds:
        assert not set(groups[learn]) & set(groups[judge])
        assert sorted([*learn, *judge]) == list(range(200))


def test_the_only_image_of_a_class_is_always_learnt_from():
    labels = np.array([0] * 6 + [1] * 6 + [2])
    for learn, judge in repeated_folds(labels, None, 0):
        assert 12 in learn
        assert 12 not in judge


def test_one_image_a_class_leaves_nothing_to_choose_by(digits):
    train = digits[0]
    first = [int((train.labels == label).nonzero()[0]) for label in range(10)]
    few = Labelled(train.features[first], train.labels[first])
    choice = solve(head(), LBFGS(), few, NOTHING)
    assert choice.penalty == solving.USUAL
    assert choice.path == []


def test_class_weights_and_smoothing_are_trainings(digits):
    train, val, _ = digits
    weights = torch.linspace(0.5, 2, 10)
    made = head()
    choice = solve(made, LBFGS(weight_decay=1e-2), train, val, class_weights=weights, label_smoothing=0.1)
    loss = cross_entropy(made(train.features), train.labels, weights, label_smoothing=0.1)
    assert choice.metrics["train/loss"] == pytest.approx(loss.item(), abs=1e-5)
    dense = made[-1]
    (loss + 0.5 * 1e-2 * dense.weight.square().sum()).backward()
    assert dense.bias.grad.abs().max() < 1e-4
    plain = solve(head(), LBFGS(weight_decay=1e-2), train, val)
    assert plain.metrics["val/loss"] != pytest.approx(choice.metrics["val/loss"], abs=1e-4)


def test_a_penalty_at_the_end_of_the_path_is_told(digits, capsys):
    train, val, _ = digits
    solve(head(), LBFGS(), train, Labelled(val.features, (val.labels + 1) % 10))
    assert "warning: the best penalty, 100, is at the end of those tried" in capsys.readouterr().out


def test_what_few_images_leave_open_is_drawn_to_the_usual_penalty(digits, monkeypatch):
    train, val, _ = digits
    few = Labelled(val.features[:4], val.labels[:4])
    monkeypatch.setattr(solving, "DECADES", 1e6)
    judged = solve(head(), LBFGS(), train, few).penalty
    monkeypatch.setattr(solving, "DECADES", 0.1)
    drawn = solve(head(), LBFGS(), train, few).penalty
    assert abs(np.log10(drawn / solving.USUAL)) < abs(np.log10(judged / solving.USUAL))


def test_ending_by_the_limit_is_told(digits, capsys):
    solve(head(), LBFGS(weight_decay=1e-3, max_iter=2), *digits[:2])
    assert "warning: optimizer.max_iter=2 ended with a gradient of" in capsys.readouterr().out


def test_it_can_be_stopped(digits):
    def stop():
        raise KeyboardInterrupt

    made = head()
    before = made[-1].weight.clone()
    with pytest.raises(KeyboardInterrupt):
        solve(made, LBFGS(), *digits[:2], check=stop)
    assert torch.equal(made[-1].weight, before)


def test_it_takes_a_head_without_bias_or_scales(digits):
    made = nn.Sequential(nn.Linear(64, 10, bias=False))
    choice = solve(made, LBFGS(), *digits[:2])
    assert choice.metrics["val/accuracy"] > 0.8
