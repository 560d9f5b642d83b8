"""What is special to a kind of sample: an image, a sound, a text, a row of a table.

Nothing outside `data` and `backbones` asks which kind it has to do with; it asks the kind.
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol

from PIL import Image

from graft.backbones.preprocessings import AnyPreprocessing
from graft.data.levels import AllLevels
from graft.data.samples import Samples
from graft.errors import GraftError


class AnyLook(Protocol):
    """What one look at a sample tells."""

    @property
    def digest(self) -> bytes:
        """Equal where two samples are the same to a network, however they are stored."""


class Kind(Protocol):
    """What a kind of sample knows.

    Attributes:
        noun: what one sample is called, `image`.
        plural: what several are called.
        near: whether near copies can be told from others.
    """

    noun: str
    plural: str
    near: bool

    def suited(self, preprocessing: AnyPreprocessing) -> AnyPreprocessing:
        """How such samples become the input of a backbone with this preprocessing.

        Raises:
            GraftError: the backbone is for another kind.
        """

    def sample(self, given: object, levels: AllLevels | None = None) -> Any:
        """A sample as data of this kind load it, from what a person gives: a path, or the thing itself.

        The levels are those of images of more than 8 bits.

        Raises:
            SampleError: it cannot be read.
        """

    def card(self, sample: Any) -> Image.Image:
        """A picture of a sample, RGB, to be shown small."""

    def look(self, samples: Samples, index: int) -> AnyLook | str:
        """Look at one sample; where it cannot be read, the reason."""

    def columns(self, look: AnyLook | None) -> dict[str, object]:
        """What a table says of a look; of none, the same columns with nothing in them."""

    def lines(self, looks: Sequence[Any]) -> list[str]:
        """Sizes and the like of all that were looked at, a line each."""

    def summary(self, looks: Sequence[Any]) -> dict[str, object]:
        """The same for programs, as plain values."""

    def warnings(self, names: Sequence[str], looks: Mapping[int, Any]) -> Iterator[str]:
        """What is to be looked into, a sentence each; looks by index of the sample."""


def how_many(count: int, singular: str, plural: str) -> str:
    """A number with what there are so many of, and what is said of it: `1 image is`, `2 images are`."""
    return f"{count:,} {singular if count == 1 else plural}"


def check_kind(kind: Kind, preprocessing: AnyPreprocessing, instead: str = "") -> None:
    """Refuse a backbone that takes another kind of samples than there are; `instead` says what to give.

    Raises:
        GraftError: it does.
    """
    if (other := kind_of(preprocessing)).noun != kind.noun:
        raise GraftError(f"backbone: it takes {other.plural}, and data has {kind.plural}{instead}")


# Name of a preprocessing to the kind of samples that it is for, imported when it is needed.
KINDS = {
    "image": ("graft.data.image_kind", "IMAGES"),
    "words": ("graft.data.text_kind", "TEXTS"),
    "columns": ("graft.data.row_kind", "ROWS"),
    "log_mel": ("graft.data.sound_kind", "SOUNDS"),
    "tokens": ("graft.data.text_kind", "TEXTS"),
    "wave": ("graft.data.sound_kind", "SOUNDS"),
}


def kind_of(preprocessing: AnyPreprocessing) -> Kind:
    """The kind of samples that a preprocessing is for."""
    module, name = KINDS[preprocessing.name]
    kind: Kind = getattr(import_module(module), name)
    return kind
