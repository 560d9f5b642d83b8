"""From a sound file to mono samples: the one place that knows formats, channels and damage.

Imports no torch.
"""

import io
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from graft.configuration.version import DISTRIBUTION
from graft.data.samples import SampleError
from graft.errors import GraftError, first_line

Result = TypeVar("Result")
# What libsndfile decodes and people have sounds in, by suffix in small letters.
SUFFIXES = frozenset(
    (
        ".wav",
        ".flac",
        ".ogg",
        ".oga",
        ".opus",
        ".mp3",
        ".aif",
        ".aiff",
        ".aifc",
        ".au",
        ".snd",
        ".caf",
        ".w64",
    )
)
# Values that a sound may have, all channels together: 1 GiB, an hour and a half of one channel at 48 kHz.
MOST = 2**28


@dataclass(frozen=True)
class Sound:
    """One sound, mixed down to one channel.

    Attributes:
        samples: `(T,)` float32, from -1 to 1.
        rate: samples a second, Hz.
        channels: that were mixed down.
    """

    samples: NDArray[np.float32]
    rate: int
    channels: int = 1

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / self.rate


def is_sound(path: str) -> bool:
    """Whether a file is a sound, by its suffix."""
    return os.path.splitext(path)[1].lower() in SUFFIXES  # noqa: PTH122


def read_sound(path: str | Path) -> Sound:
    """Read a sound file.

    Raises:
        SampleError: there is no such file, it is damaged or no sound, it holds nothing, or it is too long.
        GraftError: the library that decodes it is not installed.
    """
    try:
        return decoded(Path(path).read_bytes())
    except FileNotFoundError:
        raise SampleError(f"{path}: there is no such sound") from None
    except OSError as error:
        raise SampleError(f"{path}: cannot be read ({error.strerror})") from error
    except SampleError as error:
        raise SampleError(f"{path}: {error}") from None


def decoded(content: bytes) -> Sound:
    """The sound that a file of this content holds.

    Raises:
        SampleError: it is damaged or no sound, it holds nothing, or it is too long.
        GraftError: the library that decodes it is not installed.
    """

    def whole(file: Any) -> Sound:
        if file.frames * file.channels > MOST:
            minutes = file.frames / file.samplerate / 60
            raise SampleError(f"{minutes:.0f} minutes of sound are too long; cut it into pieces")
        samples = file.read(dtype="float32", always_2d=True)
        if not len(samples):
            raise SampleError("the sound holds 0 samples")
        # How long an MP3 is, its header may only guess.
        if len(samples) < file.frames and file.format != "MP3":
            raise SampleError(f"the file is cut off after {len(samples):,} of {file.frames:,} samples")
        if not np.isfinite(samples).all():
            raise SampleError("the sound holds NaN or infinity")
        return Sound(mixed(samples), int(file.samplerate), samples.shape[1])

    return _opened(content, whole)


def values_of(content: bytes) -> int:
    """How many values, all channels together, a sound file of this content says that it holds.

    Decodes nothing.

    Raises:
        SampleError: it is no sound.
        GraftError: the library that decodes it is not installed.
    """
    return _opened(content, lambda sound: int(sound.frames * sound.channels))


def rate_and_seconds(path: Path) -> tuple[int, float] | None:
    """Samples a second, and how long a sound file says that it is; None where it cannot be read.

    Decodes nothing.
    """
    try:
        with path.open("rb") as file:
            return _opened(file, lambda sound: (int(sound.samplerate), sound.frames / sound.samplerate))
    except (OSError, SampleError):
        return None


def mixed(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """`(T, C)` to the mean of the channels, `(T,)`."""
    return np.ascontiguousarray(samples[:, 0]) if samples.shape[1] == 1 else samples.mean(1, dtype=np.float32)


def resampled(sound: Sound, rate: int) -> Sound:
    """The same sound at another rate, by soxr at its high quality, which filters what the rate cannot hold.

    Raises:
        GraftError: soxr is not installed.
    """
    if sound.rate == rate:
        return sound
    try:
        import soxr
    except ImportError as error:
        raise missing("soxr") from error
    return Sound(soxr.resample(sound.samples, sound.rate, rate), rate, sound.channels)


def missing(package: str) -> GraftError:
    """The error for a library of the extra that is not installed."""
    return GraftError(f"data: sounds need {package}: pip install '{DISTRIBUTION}[audio]'")


def versions() -> str:
    """Of what decodes and resamples, as far as it is installed; imports neither."""
    found = []
    for package in ("soundfile", "soxr"):
        with suppress(PackageNotFoundError):
            found.append(f"{package} {version(package)}")
    return ", ".join(found)


def _opened(content: object, use: Callable[[Any], Result]) -> Result:
    try:
        import soundfile
    except (ImportError, OSError) as error:
        # An OSError where libsndfile itself is missing.
        raise missing("soundfile") from error
    try:
        with soundfile.SoundFile(io.BytesIO(content) if isinstance(content, bytes) else content) as file:
            return use(file)
    except (soundfile.SoundFileError, RuntimeError, ValueError) as error:
        raise SampleError(f"cannot be read as a sound ({_reason(error)})") from error


def _reason(error: Exception) -> str:
    """What libsndfile says, without the object that was opened."""
    return first_line(error).rpartition(">: ")[2].rstrip(".").lower()
