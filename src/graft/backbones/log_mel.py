"""How a sound becomes the picture that an image backbone takes, as plain data. Imports no torch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

from graft.backbones.preprocessing import Preprocessing
from graft.backbones.preprocessings import check_keys
from graft.errors import GraftError


@dataclass(frozen=True)
class LogMel:
    """The log-mel spectrogram of a sound, drawn as a square grey picture.

    The data package builds the transform: mix down and resample, cut to `seconds` where the sound is loudest
    or pad with silence, take the power in `mels` bands every `hop` samples, in decibels below the loudest
    value of the clip, no more than `decibels`, from black to white; resize both sides to the picture's, and
    normalise as the picture is.

    Attributes:
        picture: of the image backbone, whose size, mean and std count.
        sample_rate: Hz, that sounds are brought to.
        n_fft: samples of the window, which is also the length of its Fourier transform.
        hop: samples from one window to the next.
        mels: bands, evenly spaced on Slaney's mel scale.
        seconds: that a picture shows.
        f_min: lower end of the lowest band, Hz.
        f_max: upper end of the highest band, Hz.
        decibels: from black to white.

    Raises:
        GraftError: a value is outside what can be built.
    """

    name: ClassVar[str] = "log_mel"

    picture: Preprocessing
    sample_rate: int
    n_fft: int
    hop: int
    mels: int
    seconds: float
    f_min: float
    f_max: float
    decibels: float = 80.0

    def __post_init__(self) -> None:
        if not self.f_min < self.f_max <= self.sample_rate / 2:
            raise GraftError(
                f"data.f_max={self.f_max:g}: must lie above f_min={self.f_min:g} and at most at half of "
                f"sample_rate={self.sample_rate}"
            )
        if not 1 <= self.hop <= self.n_fft:
            raise GraftError(f"data.hop={self.hop}: must be from 1 to n_fft={self.n_fft}")
        if self.frames < 2:
            raise GraftError(f"data.seconds={self.seconds:g}: must be longer than hop={self.hop} samples")

    @property
    def frames(self) -> int:
        """Windows that a picture shows."""
        return round(self.seconds * self.sample_rate / self.hop)

    @property
    def side(self) -> int:
        """Of the picture, px."""
        return self.picture.side

    @property
    def crop(self) -> int:
        """As the picture's."""
        return self.picture.crop

    @property
    def resize(self) -> int:
        """As the picture's."""
        return self.picture.resize

    @property
    def mean(self) -> tuple[float, float, float]:
        """As the picture's."""
        return self.picture.mean

    @property
    def std(self) -> tuple[float, float, float]:
        """As the picture's."""
        return self.picture.std

    def scaled(self, image_size: int) -> "LogMel":
        """The same with a picture of `image_size` pixels.

        Raises:
            GraftError: `image_size` is below 1.
        """
        return replace(self, picture=self.picture.scaled(image_size))

    def to_dict(self) -> dict[str, object]:
        """Plain values that YAML and JSON can hold; `from_dict` reads them back, but for the name."""
        return {"name": self.name, **asdict(self), "picture": self.picture.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "LogMel":
        """Read what `to_dict` gave.

        Raises:
            GraftError: a key is unknown or missing, or a value is outside what can be built.
        """
        check_keys(values, cls, "preprocessing of sounds")
        return cls(**{**values, "picture": Preprocessing.from_dict(values["picture"])})
