"""The bundle: what a run leaves for use, from samples to classes. `bundle_files` writes and reads it."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from graft.backbones.inputs import Input, moved
from graft.backbones.preprocessings import AnyPreprocessing
from graft.data import evaluation_transform
from graft.data.kinds import kind_of
from graft.data.levels import AllLevels
from graft.errors import GraftError
from graft.evaluation.calibration import probabilities_of
from graft.features.stage_outputs import check_pool, mean_over_places, stop_at
from graft.models.known import Known
from graft.models.prediction import Judged, Prediction, named
from graft.processes.host import plain_torch
from graft.runs.seen import Seen


@dataclass(frozen=True)
class HowTested:
    """What the last digits of a test depend on, so that a later test can give the same ones.

    Attributes:
        batch_size: images at a time.
        precision: Lightning's word for it.
        channels_last: whether images were laid out as NHWC.
    """

    batch_size: int = 32
    precision: str | int = "32-true"
    channels_last: bool = False


class Bundle:
    """A trained backbone and head, ready for use on images, or samples of another kind.

    Attributes:
        model: preprocessed inputs, images being `(N, 3, H, W)`, to logits `(N, C)`; in evaluation mode. Its
            submodules are `backbone` and `head`.
        class_names: the C classes, in the order of the logits.
        preprocessing: how a sample becomes the model's input.
        tested: how the run tested it.
        temperature: what logits are divided by before the softmax; 1 unless it was fitted.
        levels: which values were black and white in its images of more than 8 bits; None: it had none.
        seen: the images that it learnt from, or was chosen by; None where that was not recorded.
        known: says whether a sample is none of the classes; None where nothing validated it, or an older
            Graft made it.
    """

    def __init__(
        self,
        backbone: nn.Module,
        head: nn.Module,
        class_names: Sequence[str],
        preprocessing: AnyPreprocessing,
        tested: HowTested,
        temperature: float = 1.0,
        levels: AllLevels | None = None,
        seen: Seen | None = None,
        known: Known | None = None,
    ) -> None:
        self.model = nn.Sequential(OrderedDict(backbone=backbone, head=head)).eval()
        self.class_names = list(class_names)
        self.preprocessing = preprocessing
        self.tested = tested
        self.temperature = temperature
        self.levels = levels
        self.seen = seen
        self.known = known
        self.transform = evaluation_transform(preprocessing)
        self.kind = kind_of(preprocessing)

    @property
    def backbone(self) -> Any:
        """Inputs to features; a `Backbone`, or what stands for one of the user's own."""
        return self.model.get_submodule("backbone")

    @property
    def head(self) -> nn.Module:
        """Features to logits."""
        return self.model.get_submodule("head")

    @torch.inference_mode()
    def probabilities(self, given: Input) -> Tensor:
        """Preprocessed samples, of images `(N, 3, H, W)`, to probabilities `(N, C)`, float32."""
        return probabilities_of(self.passed(given)[1], self.temperature)

    def passed(self, given: Input) -> tuple[Tensor, Tensor]:
        """Features `(N, D)` and logits `(N, C)` of preprocessed samples, float32."""
        weight = next(self.model.parameters())
        features = self.backbone(moved(given, weight.device, weight.dtype))
        return features.float().cpu(), self.head(features).float().cpu()

    def predict(self, images: Any, batch_size: int = 32) -> list[Prediction]:
        """Predict samples, one or many; always a list, in the same order.

        Args:
            images: paths or PIL images; of another kind what its `sample` takes, such as texts.
            batch_size: how many at a time.

        Raises:
            GraftError: a sample cannot be read; the message names it.
        """
        if not isinstance(images, Sequence) or isinstance(images, str):
            images = [images]
        predictions: list[Prediction] = []
        with plain_torch():
            for start in range(0, len(images), batch_size):
                batch = images[start : start + batch_size]
                predictions += self.answers([self.prepare(image) for image in batch])
        return predictions

    def prepare(self, given: object) -> Any:
        """The first half of predicting a sample, which any thread may do: what `answers` takes.

        Args:
            given: as one of `predict`'s.

        Raises:
            GraftError: it cannot be read; the message names it.
        """
        return self.transform.prepare(self.kind.sample(given, self.levels))

    def answers(self, prepared: Sequence[Any]) -> list[Prediction]:
        """The second half, for samples as `prepare` gave them, all in one batch."""
        with plain_torch(), torch.inference_mode():
            features, logits = self.passed(self.finished(prepared))
            judged = None if self.known is None else self.known.judge(features, logits)
            return self.named(probabilities_of(logits, self.temperature), judged)

    @torch.no_grad()
    def features(
        self, images: Any, stage: str | None = None, pool: str = "none", batch_size: int = 32
    ) -> Tensor:
        """What a stage of the backbone gives for samples, one or many: `(N, …)` float32, on the CPU.

        Args:
            images: as `predict` takes them.
            stage: its name, such as `layer2`, which gives maps or tokens; None: the last one, whose features
                `(N, D)` the head takes.
            pool: `none`, or `mean` over the places of maps or tokens, which gives `(N, C)`.
            batch_size: how many at a time.

        Raises:
            GraftError: there is no such stage or way to pool, no sample, or one that cannot be read.
        """
        check_pool(pool)
        backbone = self.backbone
        stop = stop_at(backbone, stage, "this backbone")
        weight = next(self.model.parameters())
        found = []
        with plain_torch():
            for batch in self._batches(images, batch_size):
                given = moved(batch, weight.device, weight.dtype)
                tensor = backbone(given) if stage is None else backbone(given, stop=stop)
                if pool == "mean" and stage is not None:
                    tensor = mean_over_places(tensor, list(backbone.stages.values())[stop - 1])
                found.append(tensor.float().cpu())
        if not found:
            raise GraftError("features: no sample is given")
        return torch.cat(found)

    def _batches(self, given: Any, size: int) -> Iterator[Input]:
        """Samples, one or many, as preprocessed batches."""
        if not isinstance(given, Sequence) or isinstance(given, str):
            given = [given]
        for start in range(0, len(given), size):
            yield self.finished([self.prepare(sample) for sample in given[start : start + size]])

    def named(self, probabilities: Tensor, judged: Judged | None = None) -> list[Prediction]:
        """Probabilities `(N, C)` of N samples, and what else is said of them, as `Prediction`s."""
        return named(self.class_names, probabilities.tolist(), judged)

    def finished(self, prepared: Sequence[Any]) -> Input:
        """What the first step of `transform` gave for each of some samples, as one input of the model."""
        nothing = np.zeros(len(prepared), np.int64)
        return self.transform.finish(prepared, None, nothing, nothing)
