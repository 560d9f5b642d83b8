"""What a model says of samples, as people and programs read it.

Imports no torch: `predict.py` of an export holds this module's text.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Prediction:
    """What the model says of one sample.

    Attributes:
        label: the most probable class.
        probability: its probability.
        probabilities: class name to probability, in the order of the model's classes.
        known: how like what the model learnt it is, higher being more; as the next two, None where the bundle
            cannot tell.
        none_of_these: whether it is so unlike that it is none of the classes; None too where too few samples
            validated.
        set: the labels that it may have, the most probable first: of nine samples in ten they hold the true
            one, unless that is none of the classes.
    """

    label: str
    probability: float
    probabilities: dict[str, float]
    known: float | None = None
    none_of_these: bool | None = None
    set: tuple[str, ...] | None = None


class Judged(NamedTuple):
    """What is said of N samples beside their probabilities.

    Attributes:
        known: `(N,)` scores; higher: more like what the model learnt.
        none_of_these: `(N,)`; None where too few samples validated to tell.
        sets: `(N, C)`, the labels that each may have.
    """

    known: NDArray[np.float64]
    none_of_these: NDArray[np.bool_] | None
    sets: NDArray[np.bool_]


def named(
    class_names: Sequence[str], probabilities: Sequence[Sequence[float]], judged: Judged | None = None
) -> list[Prediction]:
    """Probabilities `(N, C)` of N samples, and what else is said of them, as `Prediction`s."""
    predictions = []
    for place, row in enumerate(probabilities):
        values = dict(zip(class_names, row, strict=True))
        best = max(values, key=values.__getitem__)
        prediction = Prediction(best, values[best], values)
        predictions.append(prediction if judged is None else _with(prediction, judged, place))
    return predictions


def _with(prediction: Prediction, judged: Judged, place: int) -> Prediction:
    """The prediction with what is said of the sample at this place."""
    held = zip(prediction.probabilities.items(), judged.sets[place].tolist(), strict=True)
    ranked = sorted((item for item, inside in held if inside), key=lambda item: -item[1])
    none = None if judged.none_of_these is None else bool(judged.none_of_these[place])
    labels = tuple(name for name, _ in ranked)
    return replace(prediction, known=float(judged.known[place]), none_of_these=none, set=labels)
