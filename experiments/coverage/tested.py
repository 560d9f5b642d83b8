"""How often the intervals of a test hold the true metric: `graft.evaluation.intervals`, of many test sets."""

from typing import Any

import numpy as np
from scipy import special
from tallies import Tally
from worlds import TIMES, World

from graft.evaluation.calibration import log_odds
from graft.evaluation.intervals import intervals
from graft.evaluation.intervals.calibration_gap import calibration_ends
from graft.evaluation.intervals.skewed import mean_ends
from graft.evaluation.metrics import squared_distances, surprises

CLASSES = (2, 3, 10)
RATIOS = (1, 9)
ACCURACIES = (0.68, 0.9, 0.95, 0.99, 1.0)
SIZES = (30, 100, 500)
Row = dict[str, Any]


def worlds() -> list[World]:
    """All of them."""
    return [
        World(accuracy, classes, ratio) for classes in CLASSES for ratio in RATIOS for accuracy in ACCURACIES
    ]


def covered(world: World, size: int, sets: int) -> list[Row]:
    """A row a metric, of `sets` test sets of `size` images."""
    truth = world.truth
    tally = Tally()
    rng = np.random.default_rng([size, world.classes, int(world.ratio), round(world.accuracy * 100)])
    for _ in range(sets):
        labels, logits = world.draw(rng, size)
        predicted = logits.argmax(1)
        found = intervals(labels, special.softmax(logits, axis=1), predicted, log_odds(logits))
        for key, ends in found.whole.items():
            # The same as balanced accuracy.
            if key != "recall_macro":
                tally.add(key, ends, truth[key])
        for key, each in found.classes.items():
            values = truth[f"{key} of a class"]
            for ends, value in zip(each, values, strict=True):
                tally.add(f"{key} of a class", ends, value)
            if world.ratio != 1:
                tally.add(f"{key} of the rarest class", each[-1], values[-1])
        p = special.softmax(logits * TIMES[" (sure)"], axis=1)
        errors = int((labels != predicted).sum())
        sure = {
            "log_loss (sure)": mean_ends(surprises(labels, p), errors),
            "brier (sure)": mean_ends(squared_distances(labels, p), errors),
            "ece (sure)": calibration_ends(labels, p, predicted),
        }
        for key, ends in sure.items():
            tally.add(key, ends, truth[key])
    about = {"accuracy": world.accuracy, "classes": world.classes, "ratio": world.ratio, "images": size}
    return [{"study": "test", **about, **row} for row in tally.rows(sets)]
