"""What a bundle knows of what it knows: a score with its threshold, and the limit of its sets of labels."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from graft.errors import GraftError
from graft.evaluation.knowing import COVERS, PASSES, SCORES, Arrays, limit_of, threshold_of
from graft.evaluation.metrics import Floats, Labels
from graft.evaluation.none_of_these import judge, judge_scores, known_scores, softmax
from graft.models.prediction import Judged


@dataclass(frozen=True)
class Settings:
    """The plain values of a `Known`, which `model.yaml` keeps.

    Attributes:
        score: one of `graft.evaluation.knowing.SCORES`.
        neighbours: k, of the score `knn`.
        temperature: of the probabilities that sets are made by.
        threshold: samples of lower scores are none of the classes; None: too few validated.
        limit: up to which `label_oddness` labels belong to a set.
        samples: how many the threshold and the limit were fitted to.
        judged_by: what these were, `validation` or `cross-validation` of those that were learnt.
        passes: with what probability a known sample passes the threshold.
        covers: with what probability a set holds the true label.
    """

    score: str
    neighbours: int | None
    temperature: float
    threshold: float | None
    limit: float
    samples: int
    judged_by: str = "validation"
    passes: float = PASSES
    covers: float = COVERS


@dataclass(frozen=True)
class Known:
    """How a bundle says that a sample is none of its classes, and which labels one may have.

    Attributes:
        settings: plain values.
        arrays: what the score remembers of the samples that were learnt.
    """

    settings: Settings
    arrays: Arrays = field(default_factory=dict)

    def scores(self, features: Tensor, logits: Tensor) -> Tensor:
        """`(N,)`, float64: how like what was learnt samples of features `(N, D)`, logits `(N, C)` are."""
        return scores_by(self.settings.score, self.settings.neighbours, self.arrays, features, logits)

    def judge(self, features: Tensor, logits: Tensor) -> Judged:
        """What is said of samples of features `(N, D)` and logits `(N, C)`."""
        return Judged(*judge(rows_of(features), rows_of(logits), asdict(self.settings), self.arrays))

    def judge_scores(self, scores: Tensor, logits: Tensor) -> Judged:
        """As `judge`, of samples whose scores `(N,)` are there already."""
        known: Floats = scores.double().numpy()
        return Judged(known, *judge_scores(known, rows_of(logits), asdict(self.settings)))


def scores_by(score: str, neighbours: int | None, arrays: Arrays, features: Tensor, logits: Tensor) -> Tensor:
    """`(N,)`, float64: the score of samples of features `(N, D)` and logits `(N, C)`."""
    settings = {"score": score, "neighbours": neighbours}
    return torch.from_numpy(known_scores(rows_of(features), rows_of(logits), settings, arrays))


def rows_of(values: Tensor) -> Floats:
    """A tensor `(N, …)` as rows `(N, D)` in double precision."""
    rows: Floats = values.detach().flatten(1).double().cpu().numpy()
    return rows


def fit_settings(
    score: str,
    neighbours: int | None,
    scores: Tensor,
    logits: Tensor,
    labels: Labels,
    temperature: float,
    judged_by: str = "validation",
) -> Settings:
    """The settings by which samples that the model did not learn from are judged right.

    Args:
        score: one of `SCORES`.
        neighbours: of the score `knn`.
        scores: `(N,)` of these samples.
        logits: `(N, C)` of them.
        labels: `(N,)` their true classes.
        temperature: of the model's softmax.
        judged_by: what they are.
    """
    threshold = threshold_of(scores.numpy())
    limit = limit_of(softmax(logits.numpy(), temperature), labels)
    return Settings(score, neighbours, temperature, threshold, limit, len(labels), judged_by)


# What each of the settings may be, as a file may say otherwise.
_NUMBER = (int, float)
_RIGHT: dict[str, Any] = {
    "score": lambda value: value in SCORES,
    "neighbours": lambda value: value is None or (type(value) is int and value > 0),
    "temperature": lambda value: type(value) in _NUMBER and value > 0,
    "threshold": lambda value: value is None or type(value) in _NUMBER,
    "limit": lambda value: type(value) in _NUMBER and 0 <= value <= 1,
    "samples": lambda value: type(value) is int and value > 0,
    "judged_by": lambda value: isinstance(value, str),
    "passes": lambda value: type(value) in _NUMBER and 0 < value < 1,
    "covers": lambda value: type(value) in _NUMBER and 0 < value < 1,
}
# The arrays of each score.
ARRAYS_OF = {"energy": set(), "knn": {"bank"}, "mahalanobis": {"means", "whitening"}}


def read_settings(given: Mapping[str, Any], where: str) -> Settings:
    """The settings of a description.

    Raises:
        GraftError: they are damaged; `where` names the file.
    """
    if not isinstance(given, Mapping) or set(given) != set(_RIGHT):
        raise GraftError(f"{where} is damaged: known is not what a bundle has there")
    for key, right in _RIGHT.items():
        if not right(given[key]):
            raise GraftError(f"{where} is damaged: known.{key}={given[key]} is not what a bundle has there")
    if (given["score"] == "knn") != (given["neighbours"] is not None):
        raise GraftError(f"{where} is damaged: known.neighbours={given['neighbours']} is not for its score")
    return Settings(**given)
