"""Worlds to draw test sets from: what a model says of an image is chance, and its true metrics are known.

An image of class y has logits s (s · [c = y] + noise), the noise being standard normal. With equally frequent
classes its softmax is exactly calibrated, and s alone decides how often the model is right. A second model,
the sure one, says three times those logits: it is right as often and far too sure of it, as networks are.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import integrate, optimize, special, stats

from graft.evaluation.calibration import log_odds
from graft.evaluation.intervals.rankings import class_statistics
from graft.evaluation.metrics import expected_calibration_error, squared_distances, surprises

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
# How many times the calibrated logits are said: by the calibrated model and by the sure one.
TIMES = {"": 1.0, " (sure)": 3.0}


@dataclass(frozen=True)
class World:
    """Where test sets come from.

    Attributes:
        accuracy: how often the model is right; at 1 it always is.
        classes: how many.
        ratio: how many times as frequent the first class is as the last.
    """

    accuracy: float
    classes: int
    ratio: float

    @cached_property
    def strength(self) -> float:
        """The s of the logits that gives the accuracy."""
        if self.accuracy == 1:
            return 30.0

        def off(s: float) -> float:
            right, _ = integrate.quad(
                lambda z: stats.norm.pdf(z - s) * stats.norm.cdf(z) ** (self.classes - 1), -8, s + 8
            )
            return float(right) - self.accuracy

        return float(optimize.brentq(off, 0, 20))

    @cached_property
    def frequencies(self) -> Floats:
        """`(C,)`."""
        weights = np.geomspace(self.ratio, 1, self.classes)
        shares: Floats = weights / weights.sum()
        return shares

    def draw(self, rng: np.random.Generator, count: int) -> tuple[Labels, Floats]:
        """Labels `(count,)` and the calibrated model's logits `(count, C)`."""
        labels = rng.choice(self.classes, size=count, p=self.frequencies)
        logits = rng.normal(size=(count, self.classes))
        logits[np.arange(count), labels] += self.strength
        return labels, logits * min(self.strength, 20.0)

    @cached_property
    def truth(self) -> dict[str, Any]:
        """What the metrics come to, from very many images: `accuracy`, …; of classes `(C,)` each."""
        count = 300_000
        labels, logits = self.draw(np.random.default_rng(7), count)
        predicted = logits.argmax(1)
        size = self.classes
        confusion = np.bincount(labels * size + predicted, minlength=size**2).reshape(size, size)
        hits, support, guessed = confusion.diagonal(), confusion.sum(1), confusion.sum(0)
        scores = log_odds(logits)
        ranked = [class_statistics(labels == label, scores[:, label]) for label in range(size)]
        of_class = {
            "precision": hits / guessed,
            "recall": hits / support,
            "f1": 2 * hits / (support + guessed),
            **{key: np.array([row[key].value for row in ranked]) for key in ranked[0]},
        }
        found: dict[str, Any] = {f"{key} of a class": values for key, values in of_class.items()}
        found |= {key: float(values.mean()) for key, values in of_class.items()}
        # The one that is known exactly.
        found["accuracy"] = self.accuracy
        found["balanced_accuracy"] = found["recall"]
        found |= {f"{key}_macro": found[key] for key in ("precision", "recall", "f1")}
        for name, times in TIMES.items():
            p = special.softmax(logits * times, axis=1)
            found[f"log_loss{name}"] = float(surprises(labels, p).mean())
            found[f"brier{name}"] = float(squared_distances(labels, p).mean())
            found[f"ece{name}"] = expected_calibration_error(labels, p, predicted)
        return found
