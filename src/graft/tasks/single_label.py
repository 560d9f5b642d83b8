"""Images of which each has one label of C classes."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from graft.configuration.metric_names import PROBABILISTIC
from graft.errors import GraftError
from graft.evaluation import answer_figures
from graft.evaluation.answers import Answers, confusion_of
from graft.evaluation.assessment import INTERVAL, Metrics, assess
from graft.evaluation.calibration import log_odds, probabilities_of
from graft.reporting import pictures
from graft.runs import RunFolder
from graft.runs.files import write_csv, write_figure
from graft.tasks.tally import Tally


class SingleLabel(nn.Module):
    """One label of C, told by logits `(N, C)`; a module, so that its weights go where the network goes.

    Args:
        class_names: the C classes, in the order of the logits.
        label_smoothing: share of the target spread over all classes (arXiv:1512.00567), in training only.
        class_weights: `(C,)` weight of each class in the training loss, or None.
    """

    class_weights: Tensor | None

    def __init__(
        self,
        class_names: Sequence[str],
        *,
        label_smoothing: float = 0.0,
        class_weights: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.class_names = list(class_names)
        self.label_smoothing = label_smoothing
        self.register_buffer("class_weights", class_weights, persistent=False)

    def loss(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor | None]:
        """Cross-entropy, and what its mean was divided by.

        With mixed labels it is the same mixture of the single labels' losses, λ·CE_a + (1−λ)·CE_b
        (arXiv:1710.09412), their target `(B, C)` the float shares of the classes, which sum to 1. They are
        smoothed here, once: smoothed by the mixing already, they would be twice.

        Returns:
            The scalar mean, in float32 unless the logits are of double precision, and the sum of the labels'
            weights; None, without weights, for B.
        """
        if logits.dtype != torch.float64:
            logits = logits.float()
        smoothing = self.label_smoothing
        if self.class_weights is None:
            return cross_entropy(logits, target, label_smoothing=smoothing), None
        weights = self.class_weights.to(logits)
        if target.ndim == 1:
            return cross_entropy(logits, target, weights, label_smoothing=smoothing), weights[target].sum()
        # Torch divides by B where labels are shares; by their weights, the loss is that of the hard labels.
        total = (target * weights).sum()
        summed = cross_entropy(logits, target, weights, label_smoothing=smoothing, reduction="sum")
        return summed / total, total

    def tally(self) -> Tally:
        """An epoch's loss and confusion matrix."""
        return Tally(len(self.class_names))

    def predictions(self, logits: Tensor, temperature: float = 1.0) -> Tensor:
        """Probabilities `(N, C)` of logits `(N, C)`, in their precision."""
        return probabilities_of(logits, temperature)

    def answers(
        self, names: Sequence[str], labels: Tensor, logits: Tensor, temperature: float = 1.0
    ) -> Answers:
        """What logits `(N, C)` say of N images, whose true classes are `labels` `(N,)`."""
        logits = logits.double()
        return Answers(
            self.class_names,
            names,
            labels.numpy(),
            probabilities_of(logits, temperature).numpy(),
            log_odds(logits.numpy() / temperature),
            # Of the logits, so that no rounding of the softmax can make two classes alike.
            logits.argmax(1).numpy(),
        )

    def rows(self, answers: Answers) -> list[dict[str, str | float]]:
        """One row an image: path, predicted and true class, one probability a class."""
        names = self.class_names
        columns = (answers.predicted.tolist(), answers.labels.tolist(), answers.probabilities.tolist())
        return [
            {
                "path": path,
                "predicted": names[predicted],
                "label": names[label],
                **probability_columns(dict(zip(names, probabilities, strict=True))),
            }
            for path, predicted, label, probabilities in zip(answers.names, *columns, strict=True)
        ]

    def read(self, rows: Sequence[Mapping[str, str]]) -> Answers:
        """The answers of such rows, whose numbers are text."""
        number = {name: index for index, name in enumerate(self.class_names)}
        columns = probability_columns(dict.fromkeys(self.class_names, 0.0))
        probabilities = np.array([[float(row[column]) for column in columns] for row in rows])
        with np.errstate(divide="ignore"):
            # Written in full, even those next to 0, which tell apart what rounds to 1.
            scores = log_odds(np.log(probabilities))
        return Answers(
            self.class_names,
            [row["path"] for row in rows],
            np.array([number[row["label"]] for row in rows]),
            probabilities,
            scores,
            np.array([number[row["predicted"]] for row in rows]),
        )

    def write(
        self,
        folder: RunFolder,
        answers: Answers,
        image_of: Callable[[int], Image.Image],
        uncalibrated: Answers | None = None,
    ) -> Metrics:
        """Write predictions, the table of the classes, and figures; arguments as `Task.write`'s.

        Returns:
            The metrics of `assess` with `test/` before their names; those that look at probabilities as they
            were without calibration with `uncalibrated/` before theirs.
        """
        measured, classes = assess(answers)
        metrics = {f"test/{key}": value for key, value in measured.items()}
        if uncalibrated is not None:
            before = assess(uncalibrated)[0]
            for key in PROBABILISTIC:
                metrics |= {f"uncalibrated/{name}": before[name] for name in (key, f"{key}{INTERVAL}")}
        write_csv(folder.predictions, self.rows(answers))
        write_csv(folder.classes, classes)
        figures = {
            folder.confusion_figure: pictures.confusion_figure(confusion_of(answers), self.class_names),
            folder.precision_figure: answer_figures.precision_recall(answers, classes),
            folder.reliability_figure: answer_figures.reliability_figure(answers, uncalibrated),
            folder.mistakes_figure: answer_figures.mistakes(answers, image_of),
        }
        for path, figure in figures.items():
            if figure is not None:
                write_figure(path, figure)
        return metrics


def probability_columns(probabilities: Mapping[str, float]) -> dict[str, float]:
    """The columns of a prediction's row: class name to probability, each name with `p_` before it."""
    return {f"p_{name}": probability for name, probability in probabilities.items()}


def class_weights(
    wanted: str | Sequence[float] | None, labels: NDArray[np.int64], classes: int
) -> Tensor | None:
    """`(C,)` loss weights: none, those given, or `balanced`: N / (C · n_c), as scikit-learn defines it.

    Raises:
        GraftError: the list given has not one number a class.
    """
    if wanted is None:
        return None
    if wanted == "balanced":
        counts = np.bincount(labels, minlength=classes).clip(min=1)
        return torch.tensor(len(labels) / (classes * counts), dtype=torch.float32)
    if len(wanted) != classes:
        raise GraftError(f"loss.class_weights has {len(wanted)} numbers, but there are {classes} classes")
    return torch.tensor([float(weight) for weight in wanted], dtype=torch.float32)
