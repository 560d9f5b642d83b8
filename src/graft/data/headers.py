"""What the headers of image files say, without decoding any. Imports no torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from PIL import Image

from graft.data.deep_images import kind_of
from graft.data.formats import formats

# Formats that hold one picture of 8 bits, so that no file of theirs needs to be opened.
_PLAIN = (".jpg", ".jpeg", ".jpe", ".jfif", ".bmp")
# At most this many files are opened, however large the data set is.
MOST = 1000
Item = TypeVar("Item")
_PNG = b"\x89PNG\r\n\x1a\n"


def is_deep(path: Path) -> bool:
    """Whether an image file holds more than 8 bits a value; False where it cannot be read."""
    if path.suffix.lower() in (*_PLAIN, ".gif", ".webp"):
        return False
    try:
        with path.open("rb") as file:
            head = file.read(26)
        # The byte after width and height; much faster than asking Pillow.
        if head.startswith(_PNG):
            return len(head) > 24 and head[24] == 16
        with Image.open(path, formats=formats()) as image:
            return kind_of(image) is not None
    # What reads it says what is wrong with it.
    except Exception:
        return False


def holds_several(path: Path) -> bool:
    """Whether a file holds several pictures, moving ones or pages; False where it cannot be read."""
    if path.suffix.lower() in (*_PLAIN, ".png"):
        return False
    try:
        with Image.open(path, formats=formats()) as image:
            # Telephones add images such as a gain map to a photograph; these do not count.
            return image.format != "MPO" and int(getattr(image, "n_frames", 1)) > 1
    # What reads it says what is wrong with it.
    except Exception:
        return False


def some_of(items: Sequence[Item], most: int) -> list[Item]:
    """No more than `most` of some things, evenly spaced."""
    if len(items) <= most:
        return list(items)
    return [items[place * len(items) // most] for place in range(most)]


def said_of_several(looked: Sequence[Path], total: int) -> list[str]:
    """A line that only the first of several pictures is used, if any of the files looked at holds several."""
    several = [path for path in looked if holds_several(path)]
    if not several:
        return []
    of = f" of {len(looked):,} files looked at" if len(looked) < total else ""
    count = f"1{of or ' file'} holds" if len(several) == 1 else f"{len(several):,}{of or ' files'} hold"
    return [f"{count} several pictures, of which the first is used, such as {several[0]}"]
