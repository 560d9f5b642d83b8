"""What is special to sounds."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from graft.backbones.log_mel import LogMel
from graft.backbones.preprocessing import Preprocessing
from graft.backbones.preprocessings import AnyPreprocessing
from graft.backbones.waves import WavePreprocessing
from graft.data.kinds import check_kind, how_many
from graft.data.levels import AllLevels
from graft.data.samples import SampleError, Samples
from graft.data.sounds import Sound, read_sound

# What is heard of a sound where nothing says otherwise: more than speech needs, and less than music has.
RATE, SECONDS, MELS = 16_000, 1.0, 64
# A window of 25 ms, of which a power of two is taken, every 10 ms.
WINDOW, STEP = 0.025, 0.010
# Below this peak, of 1, a sound is silent: -60 dB.
SILENT = 0.001
# From this value on, of 1, a sample is at its limit; so many of them in a row are no chance.
LIMIT, IN_A_ROW = 0.999, 3
# Side of a card, px.
CARD = 128


class SoundLook(NamedTuple):
    """One sound that could be read.

    Attributes:
        seconds: how long it is.
        rate: Hz.
        channels: that it is stored in.
        peak: its largest value, of 1.
        clipped: samples that stand in a row at their limit.
        digest: of its samples, mixed down, and its rate.
    """

    seconds: float
    rate: int
    channels: int
    peak: float
    clipped: int
    digest: bytes


@dataclass(frozen=True)
class Sounds:
    """As `Kind`: a sample is a `Sound`.

    Attributes:
        sample_rate: Hz that a spectrogram is taken at; None, as for all that follow: the network's own where
            it was trained on sounds, else the default.
        n_fft: samples of its window.
        hop: samples from one window to the next.
        mels: its bands.
        seconds: that it shows.
        f_min: lower end of its lowest band, Hz.
        f_max: upper end of its highest, Hz.
        usual_rate: Hz that most of the sounds have.
        usual_seconds: that hardly any of them is longer than.
    """

    sample_rate: int | None = None
    n_fft: int | None = None
    hop: int | None = None
    mels: int | None = None
    seconds: float | None = None
    f_min: float | None = None
    f_max: float | None = None
    usual_rate: int = RATE
    usual_seconds: float = SECONDS

    noun, plural, near = "sound", "sounds", False

    def suited(self, preprocessing: AnyPreprocessing) -> AnyPreprocessing:
        """A spectrogram for a backbone of images; of one of sounds its own, but for what is asked for."""
        if isinstance(preprocessing, Preprocessing):
            return self._drawn(preprocessing)
        if isinstance(preprocessing, LogMel):
            asked = self._asked()
            # What follows from the rate is given anew with another one.
            if asked.get("sample_rate", preprocessing.sample_rate) != preprocessing.sample_rate:
                seconds = preprocessing.seconds if self.seconds is None else self.seconds
                return replace(self, seconds=seconds)._drawn(preprocessing.picture)
            return replace(preprocessing, **asked)
        check_kind(self, preprocessing)
        if isinstance(preprocessing, WavePreprocessing) and self.seconds is not None:
            return preprocessing.lasting(self.seconds)
        return preprocessing

    def _asked(self) -> dict[str, Any]:
        keys = ("sample_rate", "n_fft", "hop", "mels", "seconds", "f_min", "f_max")
        return {key: value for key in keys if (value := getattr(self, key)) is not None}

    def _drawn(self, picture: Preprocessing) -> LogMel:
        rate = self.sample_rate or min(RATE, self.usual_rate)
        settings: dict[str, Any] = {
            "sample_rate": rate,
            "n_fft": 2 ** int(np.ceil(np.log2(WINDOW * rate))),
            "hop": round(STEP * rate),
            "mels": MELS,
            "seconds": self.usual_seconds,
            "f_min": 0.0,
            "f_max": rate / 2,
        }
        return LogMel(picture, **{**settings, **self._asked()})

    def sample(self, given: object, levels: AllLevels | None = None) -> Sound:
        """A file or a `Sound`."""
        return given if isinstance(given, Sound) else read_sound(Path(str(given)))

    def card(self, sample: Sound) -> Image.Image:
        """Its spectrogram, the whole of it, the lowest band at the bottom."""
        # Imported here: they are slow, and seldom asked for.
        from matplotlib import colormaps

        from graft.data.sound_transform import SoundTransform

        how = replace(self, seconds=max(sample.seconds, 0.05))._drawn(Preprocessing(CARD, CARD))
        transform = SoundTransform(how)
        grey = np.asarray(transform.shown(transform(sample)[None])[0])[..., 0]
        return Image.fromarray((colormaps["magma"](grey)[..., :3] * 255).round().astype(np.uint8))

    def look(self, samples: Samples, index: int) -> SoundLook | str:
        """Decode it once."""
        try:
            sound: Sound = samples[index]
        except SampleError as error:
            return str(error)
        sizes = np.abs(sound.samples)
        digest = hashlib.sha256(f"{sound.rate}".encode() + sound.samples.tobytes()).digest()
        clipped = _in_rows(sizes >= LIMIT)
        return SoundLook(sound.seconds, sound.rate, sound.channels, float(sizes.max()), clipped, digest)

    def columns(self, look: Any) -> dict[str, object]:
        """Length, rate, channels, peak and clipped samples."""
        if look is None:
            return dict.fromkeys(("seconds", "rate", "channels", "peak", "clipped"), "")
        return {
            "seconds": f"{look.seconds:.3f}",
            "rate": look.rate,
            "channels": look.channels,
            "peak": f"{look.peak:.4f}",
            "clipped": look.clipped,
        }

    def lines(self, looks: Sequence[Any]) -> list[str]:
        """Lengths, rates and channels."""
        lengths = [look.seconds for look in looks]
        rates = Counter(look.rate for look in looks)
        channels = Counter(look.channels for look in looks)
        return [
            f"length: {min(lengths):.2f} to {max(lengths):.2f} s, median {median(lengths):.2f}, "
            f"{sum(lengths) / 60:,.1f} minutes in all",
            f"samples a second: {', '.join(f'{rate:,} {count:,}' for rate, count in rates.most_common())}",
            f"channels: {', '.join(f'{number} {count:,}' for number, count in channels.most_common())}",
        ]

    def summary(self, looks: Sequence[Any]) -> dict[str, object]:
        """Sounds by rate and by channels, and the seconds of all."""
        return {
            "rates": dict(Counter(look.rate for look in looks)),
            "channels": dict(Counter(look.channels for look in looks)),
            "seconds": round(sum(look.seconds for look in looks), 3),
        }

    def warnings(self, names: Sequence[str], looks: Mapping[int, Any]) -> Iterator[str]:
        """Silent and clipped sounds, several rates, and lengths far from the others'."""
        if silent := [index for index, look in looks.items() if look.peak < SILENT]:
            yield f"{how_many(len(silent), 'sound is', 'sounds are')} silent, such as {names[silent[0]]}"
        if clipped := [index for index, look in looks.items() if look.clipped]:
            count = how_many(len(clipped), "sound is", "sounds are")
            such = f"{names[clipped[0]]} ({looks[clipped[0]].clipped:,} samples)"
            yield f"{count} clipped, {IN_A_ROW} samples or more in a row at their limit, such as {such}"
        rates = Counter(look.rate for look in looks.values())
        if len(rates) > 1:
            usual = rates.most_common(1)[0][0]
            other = [index for index, look in looks.items() if look.rate != usual]
            such = f"{names[other[0]]} ({looks[other[0]].rate:,})"
            count = how_many(len(other), "sound has", "sounds have")
            yield (
                f"{count} another rate than the {usual:,} Hz of most, and a network may learn that, such as "
                f"{such}"
            )
        typical = median(look.seconds for look in looks.values()) if looks else 0
        if long := [index for index, look in looks.items() if look.seconds > 10 * typical]:
            such = f"{names[long[0]]} ({looks[long[0]].seconds:.1f} s)"
            count = how_many(len(long), "sound is", "sounds are")
            yield f"{count} more than ten times as long as the median, {typical:.2f} s, such as {such}"


def _in_rows(at_limit: "np.ndarray[Any, np.dtype[np.bool_]]") -> int:
    """How many of `(T,)` are true and stand in a row of `IN_A_ROW` or more."""
    changes = np.flatnonzero(np.diff(np.concatenate([[False], at_limit, [False]]).astype(np.int8)))
    lengths = changes[1::2] - changes[::2]
    return int(lengths[lengths >= IN_A_ROW].sum())


SOUNDS = Sounds()
