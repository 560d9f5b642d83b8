"""How an image becomes a backbone's input, as plain data. Imports no torch, so anything may read it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, ClassVar

from graft.errors import GraftError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "box", "hamming", "lanczos")


@dataclass(frozen=True)
class Preprocessing:
    """The evaluation transform that belongs to a backbone's weights.

    The data package builds the transform: resize the shorter side, or both where `squash`, crop the centre,
    scale to [0, 1], normalise. Lists, as YAML gives them, are taken for tuples.

    Attributes:
        resize: pixels of the shorter side before the crop.
        crop: pixels of the square that the backbone sees.
        interpolation: how the resize samples, by Pillow's name.
        mean: subtracted from each channel, on the [0, 1] scale.
        std: divided by, on the [0, 1] scale.
        colour: Pillow's mode that the image is converted to first.
        squash: whether both sides are brought to `resize` pixels, whatever the image's shape.

    Raises:
        GraftError: a value is outside what can be built.
    """

    name: ClassVar[str] = "image"

    resize: int
    crop: int
    interpolation: str = "bilinear"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    colour: str = "RGB"
    squash: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", tuple(float(value) for value in self.mean))
        object.__setattr__(self, "std", tuple(float(value) for value in self.std))
        if not 1 <= self.crop <= self.resize:
            raise GraftError(f"preprocessing: crop={self.crop} must lie between 1 and resize={self.resize}")
        if self.interpolation not in INTERPOLATIONS:
            known = ", ".join(INTERPOLATIONS)
            raise GraftError(f"preprocessing: interpolation={self.interpolation} is none of {known}")
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            given = f"mean={self.mean} and std={self.std}"
            raise GraftError(f"preprocessing: {given} must be three numbers each, std above 0")
        if self.colour != "RGB":
            raise GraftError(f"preprocessing: colour={self.colour} must be RGB")

    @property
    def side(self) -> int:
        """As `crop`."""
        return self.crop

    def scaled(self, image_size: int) -> "Preprocessing":
        """The same with a crop of `image_size` pixels, the resize in proportion.

        Raises:
            GraftError: `image_size` is below 1.
        """
        if image_size < 1:
            raise GraftError(f"backbone.image_size={image_size} must be at least 1")
        return replace(self, resize=round(self.resize * image_size / self.crop), crop=image_size)

    def to_dict(self) -> dict[str, object]:
        """Plain values that YAML and JSON can hold; `from_dict` reads them back."""
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Preprocessing":
        """Read what `to_dict` gave.

        Raises:
            GraftError: a key is unknown or missing, or a value is outside what can be built.
        """
        known = {field.name for field in fields(cls)}
        # Bundles of older versions have no `squash`.
        if set(values) | {"squash"} != known:
            wrong = ", ".join(sorted(str(key) for key in set(values) ^ known))
            raise GraftError(
                f"preprocessing must have exactly the keys {', '.join(sorted(known))}; see {wrong}"
            )
        return cls(**values)
