"""From sounds to the pictures that an image backbone takes, in two steps.

The first, `prepare`, draws nothing: it decodes to a log-mel spectrogram, which is kept. The second, `finish`,
shifts, alters and draws a batch of such spectrograms.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from graft.backbones.log_mel import LogMel
from graft.backbones.preprocessings import AnyPreprocessing
from graft.data.image_transform import ImageTransform, Numbers
from graft.data.kinds import kind_of
from graft.data.mel import SILENCE, decibels, mel_power
from graft.data.randomness import uniforms
from graft.data.sounds import Sound, resampled, versions
from graft.errors import GraftError

Levels = NDArray[np.float32]


@dataclass(frozen=True)
class SoundTransform:
    """Draws spectrograms; each sound's draws come from (seed, epoch, index) alone.

    Masks hide bands of frequencies and spans of time at the mean of the clip (SpecAugment, arXiv 1904.08779).

    Attributes:
        preprocessing: what the backbone wants.
        time_shift: how far a sound may move to either side, as a share of the seconds that are shown.
        gain: dB that it may become louder or softer by.
        time_masks: how many spans of time are hidden.
        time_mask: the widest of them, as a share of the seconds that are shown.
        frequency_masks: how many bands of frequencies are hidden.
        frequency_mask: the widest of them, as a share of all.
        libraries: versions of what decodes and resamples, on which the result depends.
    """

    preprocessing: LogMel
    time_shift: float = 0.0
    gain: float = 0.0
    time_masks: int = 0
    time_mask: float = 0.0
    frequency_masks: int = 0
    frequency_mask: float = 0.0
    libraries: str = field(default_factory=versions)

    at_least = None

    @property
    def form(self) -> str:
        """The kind of `prepare`'s result: where this is equal, so is all that it gives."""
        values = {key: value for key, value in self.preprocessing.to_dict().items() if key != "picture"}
        return f"{values} and {self._margin} frames"

    def prepare(self, sound: Sound) -> Levels:
        """The first step: to dB below the loudest value, `(mels, frames)` float32, lowest band first.

        A longer sound is cut to the span that holds the most energy, a shorter one has silence on both sides;
        where sounds are shifted, with what lies before and behind.
        """
        how = self.preprocessing
        samples = resampled(sound, how.sample_rate).samples
        length, margin = how.frames * how.hop, self._margin * how.hop
        cut = _span(samples, _loudest(samples, length, how.hop) - margin, length + 2 * margin)
        power = mel_power(cut, how.sample_rate, how.n_fft, how.hop, how.mels, how.f_min, how.f_max)
        levels = decibels(power[:, : how.frames + 2 * self._margin])
        peak = float(levels[:, self._margin : self._margin + how.frames].max())
        # Silence is black, not as bright as the loudest of it.
        levels = levels - peak if peak > SILENCE else np.full_like(levels, SILENCE)
        return levels.astype(np.float32)

    def finish(
        self, prepared: Sequence[Levels], seed: int | None, epochs: Numbers, indices: Numbers
    ) -> Tensor:
        """The second step, to `(B, 3, crop, crop)` float32; the lowest band is at the bottom.

        Args:
            prepared: what `prepare` gave for B sounds.
            seed: of all draws; None is 0.
            epochs: `(B,)`.
            indices: `(B,)` which sounds they are.
        """
        how = self.preprocessing
        drawn = uniforms(seed or 0, epochs, indices, 2 + 2 * (self.time_masks + self.frequency_masks))
        shown = np.empty((len(prepared), how.mels, how.frames), np.float32)
        for into, levels, uniform in zip(shown, prepared, drawn, strict=True):
            start = int(uniform[0] * (2 * self._margin + 1))
            into[:] = levels[:, start : start + how.frames]
            into += np.float32(self.gain * (2 * uniform[1] - 1))
            into /= np.float32(how.decibels)
            into += 1
            into.clip(0, 1, out=into)
            self._hide(into, uniform[2:])
        grey = torch.from_numpy(shown).flip(1).unsqueeze(1)
        side = (how.crop, how.crop)
        if grey.shape[2:] != side:
            grey = interpolate(grey, side, mode="bilinear", antialias=True).clamp_(0, 1)
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (how.mean, how.std))
        return (grey - mean) / std

    def __call__(self, sound: Sound, *, seed: int = 0, epoch: int = 0, index: int = 0) -> Tensor:
        """One sound to `(3, crop, crop)` float32."""
        return self.finish([self.prepare(sound)], seed, np.array([epoch]), np.array([index]))[0]

    def blank(self, count: int) -> Tensor:
        """`(count, 3, crop, crop)` of zeros."""
        return torch.zeros(count, 3, self.preprocessing.crop, self.preprocessing.crop)

    def shown(self, inputs: Tensor) -> list[Image.Image]:
        """Normalised pictures `(N, 3, H, W)` as they were before."""
        return ImageTransform(self.preprocessing.picture).shown(inputs)

    @property
    def _margin(self) -> int:
        """Frames on either side that shifting needs."""
        return round(self.time_shift * self.preprocessing.frames)

    def _hide(self, levels: Levels, uniform: NDArray[np.float64]) -> None:
        """Hide what two numbers a mask say: how wide it is, and where it stands."""
        if not len(uniform):
            return
        mean = levels.mean()
        for place, (width, where) in enumerate(uniform.reshape(-1, 2).tolist()):
            along = levels.T if place < self.time_masks else levels
            widest = self.time_mask if place < self.time_masks else self.frequency_mask
            hidden = round(width * widest * len(along))
            start = int(where * (len(along) - hidden + 1))
            along[start : start + hidden] = mean


def sound_augmentation(
    preprocessing: AnyPreprocessing,
    time_shift: float,
    gain: float,
    time_masks: int,
    time_mask: float,
    frequency_masks: int,
    frequency_mask: float,
) -> SoundTransform:
    """A sound to `(3, crop, crop)` float32, altered at random; `SoundTransform` says how.

    Raises:
        GraftError: the input is no spectrogram.
    """
    if not isinstance(preprocessing, LogMel):
        what = f"the backbone takes {preprocessing.name}" if _hears(preprocessing) else _other(preprocessing)
        raise GraftError(f"augment=audio: it alters spectrograms, and {what}")
    return SoundTransform(
        preprocessing, time_shift, gain, time_masks, time_mask, frequency_masks, frequency_mask
    )


def _hears(preprocessing: AnyPreprocessing) -> bool:
    return kind_of(preprocessing).noun == "sound"


def _other(preprocessing: AnyPreprocessing) -> str:
    return f"the data have {kind_of(preprocessing).plural}"


def _loudest(samples: NDArray[np.float32], length: int, hop: int) -> int:
    """Where the span of so many samples begins that holds the most energy, in steps of `hop`.

    Of fewer samples, where a span begins that has them in its middle, which is below 0.
    """
    if len(samples) <= length:
        return -((length - len(samples)) // 2)
    energy = np.concatenate([[0.0], np.cumsum(samples.astype(np.float64) ** 2)])
    starts = np.arange(0, len(samples) - length + 1, hop)
    return int(starts[np.argmax(energy[starts + length] - energy[starts])])


def _span(samples: NDArray[np.float32], start: int, length: int) -> NDArray[np.float32]:
    """So many samples from `start` on, with silence where there are none."""
    span = np.zeros(length, np.float32)
    before, first = max(-start, 0), max(start, 0)
    inside = samples[first : first + max(length - before, 0)]
    span[before : before + len(inside)] = inside
    return span
