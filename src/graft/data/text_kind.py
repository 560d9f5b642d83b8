"""What is special to texts."""

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from PIL import Image

from graft.backbones.preprocessings import AnyPreprocessing
from graft.data.kinds import check_kind, how_many
from graft.data.levels import AllLevels
from graft.data.samples import SampleError, Samples
from graft.data.text_card import text_card

# Words from which on a text is warned of: most networks see the beginning of it alone.
LONG = 2_000
# What stands where bytes were no text, and what UTF-8 looks like that was read as Windows' code page.
_LOST = re.compile("\ufffd|[\x00-\x08\x0e-\x1f]")
_MISREAD = re.compile("Ã[\x80-\xbf©¨¶¼¤Ÿ]|â€[™œ\x9d“”¦]")


class TextLook(NamedTuple):
    """One text.

    Attributes:
        words: between blanks.
        characters: with blanks.
        digest: of its words in small letters: equal where a network that takes no account of blanks and
            capitals sees no difference.
        lost: characters that stand where something could not be read.
        misread: whether it looks as if its encoding had been taken for another.
    """

    words: int
    characters: int
    digest: bytes
    lost: int
    misread: bool


class Texts:
    """As `Kind`: a sample is a string."""

    noun, plural, near = "text", "texts", False

    def suited(self, preprocessing: AnyPreprocessing) -> AnyPreprocessing:
        """As it is."""
        check_kind(self, preprocessing, "; give backbone=text_cnn")
        return preprocessing

    def sample(self, given: object, levels: AllLevels | None = None) -> str:
        """A string is the text itself; a path is that of a file in UTF-8 that holds it.

        Raises:
            SampleError: it is neither, or the file cannot be read.
        """
        if isinstance(given, str):
            return given
        if not isinstance(given, Path):
            raise SampleError(f"a {type(given).__name__} is no text; give a str, or a pathlib.Path to a file")
        try:
            return given.read_text(encoding="utf-8-sig")
        except OSError as error:
            raise SampleError(f"{given}: cannot be read ({error.strerror})") from error
        except UnicodeDecodeError as error:
            raise SampleError(f"{given}: is no text in UTF-8") from error

    def card(self, sample: str) -> Image.Image:
        """Its beginning, in lines."""
        return text_card(sample)

    def look(self, samples: Samples, index: int) -> TextLook:
        """Count its words, and look for what an encoding damages."""
        text: str = samples[index]
        words = unicodedata.normalize("NFC", text).lower().split()
        digest = hashlib.sha256(" ".join(words).encode("utf-8", "surrogatepass")).digest()
        lost = len(_LOST.findall(text))
        return TextLook(len(words), len(text), digest, lost, _MISREAD.search(text) is not None)

    def columns(self, look: Any) -> dict[str, object]:
        """Words and characters."""
        if look is None:
            return {"words": "", "characters": ""}
        return {"words": look.words, "characters": look.characters}

    def lines(self, looks: Sequence[Any]) -> list[str]:
        """Lengths."""
        words = [look.words for look in looks]
        characters = [look.characters for look in looks]
        return [
            f"words: {min(words):,} to {max(words):,}, median {median(words):,g}",
            f"characters: {min(characters):,} to {max(characters):,}, median {median(characters):,g}",
        ]

    def summary(self, looks: Sequence[Any]) -> dict[str, object]:
        """The same, with the number of all words."""
        words = [look.words for look in looks]
        return {
            "words": {"all": sum(words), "least": min(words, default=0), "most": max(words, default=0)},
        }

    def warnings(self, names: Sequence[str], looks: Mapping[int, Any]) -> Iterator[str]:
        """Empty, damaged and very long texts."""
        if empty := [index for index, look in looks.items() if not look.words]:
            yield f"{how_many(len(empty), 'text is', 'texts are')} empty, such as {names[empty[0]]}"
        if lost := [index for index, look in looks.items() if look.lost]:
            count = how_many(len(lost), "text has", "texts have")
            yield f"{count} characters that were lost (U+FFFD, control characters), such as {names[lost[0]]}"
        if misread := [index for index, look in looks.items() if look.misread]:
            count = how_many(len(misread), "text looks", "texts look")
            yield f"{count} like UTF-8 that was read as another encoding, such as {names[misread[0]]}"
        if long := [index for index, look in looks.items() if look.words > LONG]:
            count = how_many(len(long), "text has", "texts have")
            such = f"{names[long[0]]} ({looks[long[0]].words:,})"
            yield f"{count} more than {LONG:,} words, and a network may see the first alone, such as {such}"


TEXTS = Texts()
