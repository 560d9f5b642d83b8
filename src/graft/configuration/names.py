"""Names as people mean them: one text, though files and keyboards spell its accents in two ways."""

import os
import unicodedata
from pathlib import Path


def nfc(name: str) -> str:
    """The text in Unicode's composed form, as most keyboards give it; some file systems do not."""
    return unicodedata.normalize("NFC", name)


def on_disk(folder: Path, name: str) -> str:
    """A path below `folder`, with its accents spelled as the files spell them.

    Args:
        folder: what the path is relative to.
        name: the path; given back as it is where there is such a file, or none of any spelling.
    """
    if (folder / name).exists():
        return name
    place, spelled = folder, []
    for part in Path(name).parts:
        if not (place / part).exists():
            try:
                same = [entry for entry in os.listdir(place) if nfc(entry) == nfc(part)]  # noqa: PTH208
            except OSError:
                same = []
            if len(same) != 1:
                return name
            part = same[0]
        spelled.append(part)
        place /= part
    return Path(*spelled).as_posix()
