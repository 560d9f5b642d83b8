"""How often intervals over several trainings hold the truth: of `graft crossval` and `graft compare`."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special
from scipy.stats import qmc
from sklearn.model_selection import StratifiedKFold
from tallies import Tally
from worlds import World

from graft.evaluation.calibration import log_odds
from graft.evaluation.intervals import intervals
from graft.evaluation.metrics import surprises
from graft.reporting.folds import corrected_interval
from graft.reporting.groups import spread
from graft.reporting.pairs import paired

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
Row = dict[str, Any]
# Of what does not test, this share validates, as `data.val_fraction` has it.
FOLDS, VALIDATED = 5, 0.2
FEATURES = 5
SEEDS = (3, 5, 10)


class Learner:
    """Classes are clouds of features; an image goes to the class whose training images' mean is nearest."""

    def __init__(self, classes: int, accuracy: float) -> None:
        self.classes = classes
        # The same distance apart, pair by pair, so that ever more training images give the accuracy.
        self.means = np.eye(max(classes, FEATURES))[:classes] * World(accuracy, classes, 1).strength

    def draw(self, rng: np.random.Generator, labels: Labels) -> Floats:
        """Features `(N, D)`."""
        found: Floats = self.means[labels] + rng.normal(size=(len(labels), self.means.shape[1]))
        return found

    def even(self, each: int) -> tuple[Labels, Floats]:
        """`each` images of every class, their features spread evenly by a Sobol sequence.

        On 4,800 drawn at random, a model's accuracy was off by a third of a pooled interval's deviation.
        """
        points = qmc.MultivariateNormalQMC(np.zeros(self.means.shape[1]), seed=each).random(each)
        labels = np.repeat(np.arange(self.classes), each)
        features: Floats = self.means[labels] + np.tile(points, (self.classes, 1))
        return labels, features

    def logits(self, features: Floats, labels: Labels, asked: Floats) -> Floats:
        """Trained on `features`: minus half the squared distance of `asked` to each class's mean."""
        means = np.stack([features[labels == label].mean(0) for label in range(self.classes)])
        found: Floats = asked @ means.T - (means**2).sum(1) / 2
        return found


def _metrics(labels: Labels, logits: Floats) -> dict[str, float]:
    predicted, classes = logits.argmax(1), logits.shape[1]
    confusion = np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)
    hits = confusion.diagonal()
    f1 = 2 * hits / (confusion.sum(0) + confusion.sum(1))
    loss = surprises(labels, special.softmax(logits, axis=1)).mean()
    return {
        "accuracy": float(hits.sum() / len(labels)),
        "f1_macro": float(f1.mean()),
        "log_loss": float(loss),
    }


def folds(classes: int, accuracy: float, size: int, sets: int) -> list[Row]:
    """Five folds of `size` images: the mean over folds, and all images pooled.

    For the mean the truth is what training on as many images as a fold trains on comes to on average; for the
    pooled metrics, which speak of the models that were trained, what these five come to on other images.
    """
    learner = Learner(classes, accuracy)
    rng = np.random.default_rng([size, classes, round(accuracy * 100)])
    labels = np.arange(size) % classes
    many, asked = learner.even(2048)
    trained = round(round(size * (1 - 1 / FOLDS)) * (1 - VALIDATED))
    each = []
    for _ in range(800):
        some = np.arange(trained) % classes
        logits = learner.logits(learner.draw(rng, some), some, asked)
        each.append(_metrics(many, logits))
    truth = {key: float(np.mean([row[key] for row in each])) for key in each[0]}
    tally, share = Tally(), size / FOLDS / trained
    for number in range(sets):
        features = learner.draw(rng, labels)
        logits = np.empty((size, classes))
        values: dict[str, list[float]] = {key: [] for key in truth}
        later: list[dict[str, float]] = []
        cut = StratifiedKFold(FOLDS, shuffle=True, random_state=number).split(labels, labels)
        for kept, held in cut:
            # Shuffled, and each class in proportion, as the split is.
            kept = kept[np.argsort(labels[kept] + rng.random(len(kept)))]
            learnt = kept[np.linspace(0, len(kept) - 1, trained).round().astype(int)]
            logits[held] = learner.logits(features[learnt], labels[learnt], features[held])
            later.append(_metrics(many, learner.logits(features[learnt], labels[learnt], asked)))
            for key, value in _metrics(labels[held], logits[held]).items():
                values[key].append(value)
        p = special.softmax(logits, axis=1)
        whole = intervals(labels, p, logits.argmax(1), log_odds(logits)).whole
        for key in truth:
            most = np.inf if key == "log_loss" else 1.0
            # As `graft.reporting.folds.rows_of` has it: only where the images together have an interval.
            ends = corrected_interval(values[key], share, most) if whole[key] else None
            tally.add(f"{key}, mean over folds", ends, truth[key])
            # As it was, with validation images counted as trained on.
            before = corrected_interval(values[key], 1 / (FOLDS - 1), most) if whole[key] else None
            tally.add(f"{key}, mean over folds (validation counted)", before, truth[key])
        for key in ("accuracy", "log_loss"):
            tally.add(f"{key}, pooled", whole[key], float(np.mean([row[key] for row in later])))
    about = {"accuracy": accuracy, "classes": classes, "ratio": 1, "images": size}
    return [{"study": "crossval", **about, **row} for row in tally.rows(sets)]


def comparisons(accuracy: float, ahead: float, size: int, sets: int) -> list[Row]:
    """Two models trained with several seeds, tested on the same images: mean of each, and the difference.

    The truth is what ever more seeds come to on these images. Some images are hard for both.
    """
    rng = np.random.default_rng([size, round(accuracy * 100), round(ahead * 1000)])
    tally = Tally()
    for seeds in SEEDS:
        for _ in range(sets):
            hardness = 1.5 * rng.normal(size=size)
            # With hardness of deviation 1.5 the logistic comes to the accuracy at 1.34 times its logit.
            levels = 1.34 * special.logit(np.array([accuracy + ahead, accuracy]))
            right = special.expit(levels[:, None] - hardness)
            # A seed makes a model better or worse on all images, and its answers are chance besides.
            moved = 0.2 * rng.normal(size=(2, seeds, 1))
            drawn = special.expit(special.logit(right)[:, None] + moved)
            nodes, weights = np.polynomial.hermite_e.hermegauss(9)
            truth = (special.expit(special.logit(right)[..., None] + 0.2 * nodes) @ weights).mean(1)
            truth = truth / weights.sum()
            values = (rng.random((2, seeds, size)) < drawn).mean(2)
            found = paired("a", "b", (values[0] - values[1]).tolist())
            ends = None if found.low is None or found.high is None else (found.low, found.high)
            tally.add(f"difference of {seeds} pairs", ends, float(truth[0] - truth[1]))
            one = spread(values[0].tolist())
            ends = None if one.low is None or one.high is None else (one.low, one.high)
            tally.add(f"mean of {seeds} runs", ends, float(truth[0]))
    about = {"accuracy": accuracy, "classes": "", "ratio": "", "images": size}
    return [{"study": f"compare, {ahead:g} ahead", **about, **row} for row in tally.rows(sets)]
