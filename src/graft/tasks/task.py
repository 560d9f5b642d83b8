"""What training and testing ask of a task; nothing else in them knows what a label is."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from PIL import Image
from torch import Tensor

from graft.evaluation.answers import Answers
from graft.evaluation.assessment import Metrics
from graft.runs import RunFolder
from graft.tasks.tally import Tally


class Task(Protocol):
    """One kind of prediction."""

    def loss(self, outputs: Tensor, target: Tensor) -> tuple[Tensor, Tensor | None]:
        """The training loss of a batch: its scalar mean, and what that was divided by; None for B.

        The outputs are the head's, `(B, C)`; the target has the labels of B images, or of their mixtures.
        """

    def tally(self) -> Tally:
        """What pools an epoch's outputs, and then gives the metrics that each epoch logs."""

    def predictions(self, outputs: Tensor, temperature: float = 1.0) -> Tensor:
        """What is predicted of N images, from the head's outputs `(N, C)`, in their precision."""

    def answers(
        self, names: Sequence[str], labels: Tensor, outputs: Tensor, temperature: float = 1.0
    ) -> Answers:
        """What the outputs `(N, C)` say of N images with these names and true labels."""

    def rows(self, answers: Answers) -> list[dict[str, str | float]]:
        """The rows of `predictions.csv`, one an image."""

    def read(self, rows: Sequence[Mapping[str, str]]) -> Answers:
        """The answers that such rows were written of."""

    def write(
        self,
        folder: RunFolder,
        answers: Answers,
        image_of: Callable[[int], Image.Image],
        uncalibrated: Answers | None = None,
    ) -> Metrics:
        """Write what a test comes to: predictions, tables and figures; gives the metrics.

        Args:
            folder: of the run.
            answers: of the model as it is used.
            image_of: row of `answers` to its image.
            uncalibrated: at temperature 1, if that is another.
        """
