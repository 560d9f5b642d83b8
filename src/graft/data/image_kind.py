"""What is special to images."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from PIL import Image

from graft.backbones.preprocessings import AnyPreprocessing
from graft.data.crops import LONGEST
from graft.data.images import read_image, to_rgb
from graft.data.kinds import check_kind, how_many
from graft.data.levels import AllLevels
from graft.data.samples import Samples

if TYPE_CHECKING:
    from graft.data.looks import Look

# From the darkest value of an image to its brightest, of 255, below which it is warned of.
FAINT = 16


class Images:
    """As `Kind`: a sample is a PIL image in RGB."""

    noun, plural, near = "image", "images", True

    def suited(self, preprocessing: AnyPreprocessing) -> AnyPreprocessing:
        """As it is."""
        check_kind(self, preprocessing)
        return preprocessing

    def sample(self, given: object, levels: AllLevels | None = None) -> Image.Image:
        """A file or a PIL image."""
        if isinstance(given, Image.Image):
            return to_rgb(given, levels)
        return read_image(Path(str(given)), levels=levels)

    def card(self, sample: Image.Image) -> Image.Image:
        """The image itself."""
        return sample

    def look(self, samples: Samples, index: int) -> "Look | str":
        """Decode it once."""
        # Imported here: it is slow, and seldom asked for.
        from graft.data.looks import look_at

        return look_at(samples, index)

    def columns(self, look: Any) -> dict[str, object]:
        """Width, height and mode."""
        if look is None:
            return {"width": "", "height": "", "mode": ""}
        return {"width": look.width, "height": look.height, "mode": look.mode}

    def lines(self, looks: Sequence[Any]) -> list[str]:
        """Sizes and modes."""
        spans = {"width": [look.width for look in looks], "height": [look.height for look in looks]}
        counts = Counter(look.mode for look in looks)
        modes = ", ".join(f"{mode} {count:,}" for mode, count in counts.most_common())
        return [
            *(
                f"{side}: {min(pixels)} to {max(pixels)} px, median {median(pixels):g}"
                for side, pixels in spans.items()
            ),
            f"stored as: {modes}",
        ]

    def summary(self, looks: Sequence[Any]) -> dict[str, object]:
        """Modes, with the number of images."""
        return {"modes": dict(Counter(look.mode for look in looks))}

    def warnings(self, names: Sequence[str], looks: Mapping[int, Any]) -> Iterator[str]:
        """Blank, faint and long images."""
        if blank := [index for index, look in looks.items() if look.blank]:
            count = how_many(len(blank), "image has", "images have")
            yield f"{count} one colour all over, such as {names[blank[0]]}"
        if faint := [index for index, look in looks.items() if not look.blank and look.span < FAINT]:
            count = how_many(len(faint), "image uses", "images use")
            yield f"{count} less than a 16th of the range from black to white, such as {names[faint[0]]}"
        if long := [i for i, look in looks.items() if max(look[:2]) > LONGEST * min(look[:2])]:
            count = how_many(len(long), "image is", "images are")
            such = f"{names[long[0]]} ({looks[long[0]].width} x {looks[long[0]].height} px)"
            yield f"{count} more than {LONGEST} times as long as wide, and the middle is used, such as {such}"


IMAGES = Images()
