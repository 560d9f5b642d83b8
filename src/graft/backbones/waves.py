"""How a sound becomes the input of an encoder of sounds, as plain data. Imports no torch."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from math import ceil, isqrt
from typing import Any, ClassVar

from graft.backbones.preprocessings import check_keys
from graft.errors import GraftError

# Seconds of a sound that are heard at most, unless more are asked for.
LONGEST = 30.0
# The classes of transformers that are known, and whether what they give is as long as the sound.
EXTRACTORS = {"Wav2Vec2FeatureExtractor": True, "ASTFeatureExtractor": False}


@dataclass(frozen=True)
class WavePreprocessing:
    """How sounds become what an encoder takes: samples of a sound, or the frames that are made of them.

    Attributes:
        extractor: the class of transformers that makes it.
        sample_rate: Hz, that sounds are brought to.
        seconds: that are heard; what is longer is cut off, what is shorter is filled up behind.
        settings: arguments of that class.

    Raises:
        GraftError: a value is outside what can be built.
    """

    name: ClassVar[str] = "wave"

    extractor: str
    sample_rate: int
    seconds: float
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.extractor not in EXTRACTORS:
            raise GraftError(f"preprocessing: extractor={self.extractor} is none of {', '.join(EXTRACTORS)}")
        if self.sample_rate < 1 or not self.seconds > 0:
            given = f"sample_rate={self.sample_rate}, seconds={self.seconds}"
            raise GraftError(f"preprocessing: {given} must be above 0")

    @property
    def length(self) -> int:
        """T, samples that are heard."""
        return max(1, round(self.seconds * self.sample_rate))

    @property
    def as_long(self) -> bool:
        """Whether what enters the encoder are samples, as many as the sound has."""
        return EXTRACTORS[self.extractor]

    @property
    def side(self) -> int:
        """Of a square of as many values as a sound has samples."""
        return max(1, isqrt(self.length))

    def lasting(self, seconds: float) -> "WavePreprocessing":
        """The same, of so many seconds."""
        return replace(self, seconds=seconds)

    def fitted(self, sounds: Iterable[Any]) -> "WavePreprocessing":
        """The same, as long as the longest of some sounds, in tenths of a second; at most 30 seconds."""
        longest = max((sound.seconds for sound in sounds), default=self.seconds)
        return self.lasting(min(LONGEST, max(1, ceil(10 * longest)) / 10))

    def to_dict(self) -> dict[str, object]:
        """Plain values that YAML and JSON can hold; `from_dict` reads them back, without the name."""
        return {"name": self.name, **asdict(self), "settings": dict(self.settings)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "WavePreprocessing":
        """Read what `to_dict` gave.

        Raises:
            GraftError: a key is unknown or missing, or a value is outside what can be built.
        """
        check_keys(values, cls, "preprocessing")
        return cls(**values)
