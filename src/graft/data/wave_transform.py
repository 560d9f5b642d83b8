"""From sounds to what an encoder wants, by the feature extractor that it was trained with."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from graft.backbones.inputs import Input
from graft.backbones.waves import WavePreprocessing
from graft.configuration.version import DISTRIBUTION
from graft.data.sounds import Sound, resampled
from graft.errors import GraftError

Numbers = NDArray[np.int64]
# Samples that every feature extractor needs: 25 ms at 16 kHz.
LEAST = 400
# Of the picture of an input, px.
SIDE = 256


@dataclass(frozen=True)
class WaveTransform:
    """Sounds to `values` and `mask`, `(B, T)` each, or to frames `(B, F, M)` of encoders that take those.

    Attributes:
        preprocessing: what the encoder wants.
    """

    preprocessing: WavePreprocessing

    # All of a sound is needed.
    at_least = None

    @property
    def form(self) -> str:
        """What enters the encoder, since all that makes it is the preprocessing's own."""
        return "waves"

    def prepare(self, sound: Sound) -> NDArray[np.float32]:
        """One sound to `(t,)`, t no more than T, or to `(F, M)`."""
        how = self.preprocessing
        samples = resampled(sound, how.sample_rate).samples[: how.length]
        if len(samples) < LEAST:
            samples = np.pad(samples, (0, LEAST - len(samples)))
        made = _extractor(how)(samples, sampling_rate=how.sample_rate, return_tensors="np")
        values: NDArray[np.float32] = np.asarray(made["input_values"][0], np.float32)
        return values

    def finish(
        self, prepared: Sequence[NDArray[np.float32]], seed: int | None, epochs: Numbers, indices: Numbers
    ) -> Input:
        """The second step; samples are filled up behind with zeros, where the mask, int64, is 0."""
        if not self.preprocessing.as_long:
            return torch.from_numpy(np.stack(prepared))
        shape = (len(prepared), self.length)
        values, mask = torch.zeros(shape), torch.zeros(shape, dtype=torch.int64)
        for place, sound in enumerate(prepared):
            values[place, : len(sound)] = torch.from_numpy(sound)
            mask[place, : len(sound)] = 1
        return {"values": values, "mask": mask}

    @property
    def length(self) -> int:
        """T, samples of an input."""
        return max(LEAST, self.preprocessing.length)

    def blank(self, count: int) -> Input:
        """So many inputs of the full length that hold zeros."""
        if not self.preprocessing.as_long:
            settings = self.preprocessing.settings
            return torch.zeros(count, settings["max_length"], settings["num_mel_bins"])
        shape = (count, self.length)
        return {"values": torch.zeros(shape), "mask": torch.ones(shape, dtype=torch.int64)}

    def shown(self, inputs: Input) -> list[Image.Image]:
        """Samples as curves over time, frames as grey pictures, low bands at the bottom."""
        if isinstance(inputs, Tensor):
            return [_grey(frames.T.flip(0)) for frames in inputs]
        return [_grey(_curve(values)) for values in inputs["values"]]


# Made once in a process: AST's holds a bank of filters.
def _extractor(how: WavePreprocessing) -> Any:
    return _made(how.extractor, tuple(sorted(how.settings.items())))


@lru_cache(maxsize=8)
def _made(name: str, settings: tuple[tuple[str, Any], ...]) -> Any:
    try:
        import transformers
    except ModuleNotFoundError as error:
        if error.name != "transformers":
            raise
        raise GraftError(
            f"this backbone needs transformers: pip install '{DISTRIBUTION}[transformers]'"
        ) from None
    return getattr(transformers, name)(**dict(settings))


def _curve(values: Tensor) -> Tensor:
    """`(T,)` as black on white, `(SIDE, SIDE)`: from the lowest to the highest value at each place."""
    pieces = torch.nn.functional.pad(values, (0, -len(values) % SIDE)).view(SIDE, -1)
    most = float(values.abs().max()) or 1.0
    rows = torch.linspace(most, -most, SIDE)[:, None]
    step = 2 * most / SIDE
    return 1.0 - ((rows >= pieces.amin(1) - step) & (rows <= pieces.amax(1) + step)).float()


def _grey(values: Tensor) -> Image.Image:
    low, high = float(values.min()), float(values.max())
    pixels = ((values - low) / ((high - low) or 1.0) * 255).round().to(torch.uint8)
    return Image.fromarray(pixels.numpy()).resize((SIDE, SIDE)).convert("RGB")
