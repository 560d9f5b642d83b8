"""How a text becomes a backbone's input, as plain data: tokens, each by its number. Imports no torch."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isqrt
from typing import Any, ClassVar

from graft.backbones.preprocessings import check_keys
from graft.errors import GraftError, did_you_mean

# A token of the vocabulary at place i has number i + 2.
PADDING, UNKNOWN, KNOWN = 0, 1, 2
TOKENS = ("words", "characters")
# Words, marks one by one, and English contractions cut as the Penn Treebank cuts them: is n't, it 's.
_WORD = re.compile(r"n't\b|'(?:s|m|d|re|ve|ll)\b|\w+?(?=n't\b)|\w+|[^\w\s]")


def tokens_of(text: str, tokens: str) -> list[str]:
    """The tokens of a text in small letters: its words and marks, or its characters.

    Blanks of any kind and number are one; of characters they count as one.
    """
    plain = " ".join(unicodedata.normalize("NFC", text).replace("’", "'").lower().split())
    return list(plain) if tokens == "characters" else _WORD.findall(plain)


def vocabulary_of(counts: Mapping[str, int], least: int) -> tuple[str, ...]:
    """The tokens that occur at least so often, the most frequent first, and those as frequent by name."""
    kept = [token for token, count in counts.items() if count >= least]
    return tuple(sorted(kept, key=lambda token: (-counts[token], token)))


@dataclass(frozen=True)
class TextPreprocessing:
    """How texts become rows of as many numbers: the vocabulary belongs to the network's weights.

    Attributes:
        tokens: `words` or `characters`, as `tokens_of` has them.
        vocabulary: the tokens that are known; each is stored as its place + 2. All others are 1, and 0 fills
            up what is shorter than `length`.
        length: of every row, in tokens; what a text has beyond it is not seen.

    Raises:
        GraftError: a value is outside what can be built.
    """

    name: ClassVar[str] = "words"

    tokens: str
    vocabulary: tuple[str, ...]
    length: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "vocabulary", tuple(map(str, self.vocabulary)))
        if self.tokens not in TOKENS:
            raise GraftError(
                f"preprocessing: tokens={self.tokens} is none of {', '.join(TOKENS)}"
                f"{did_you_mean(str(self.tokens), TOKENS)}"
            )
        if self.length < 1:
            raise GraftError(f"preprocessing: length={self.length} must be at least 1")
        if len(set(self.vocabulary)) < len(self.vocabulary):
            twice = Counter(self.vocabulary).most_common(1)[0][0]
            raise GraftError(f"preprocessing: the vocabulary has {twice!r} twice")

    @property
    def side(self) -> int:
        """Of a square of as many values as a text has tokens."""
        return max(1, isqrt(self.length))

    @property
    def size(self) -> int:
        """How many numbers there are: padding, unknown, and the vocabulary's."""
        return KNOWN + len(self.vocabulary)

    def to_dict(self) -> dict[str, object]:
        """Plain values that YAML and JSON can hold; `from_dict` reads them back, without the name.

        The vocabulary is one text, which is read ten times as fast as a list: words hold no blanks.
        """
        vocabulary = _between(self.tokens).join(self.vocabulary)
        return {"name": self.name, "tokens": self.tokens, "length": self.length, "vocabulary": vocabulary}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TextPreprocessing":
        """Read what `to_dict` gave.

        Raises:
            GraftError: a key is unknown or missing, or a value is outside what can be built.
        """
        check_keys(values, cls, "preprocessing")
        joined = str(values["vocabulary"])
        vocabulary = joined.split(" ") if _between(values["tokens"]) else list(joined)
        return cls(values["tokens"], tuple(vocabulary), values["length"])


def _between(tokens: str) -> str:
    return "" if tokens == "characters" else " "


def learnt(
    texts: Iterable[str], tokens: str, least: int, most: int, given: "TextPreprocessing | None" = None
) -> tuple[TextPreprocessing, int]:
    """The preprocessing for a network that is to learn from some texts.

    Args:
        texts: those that train, at least one.
        tokens: `words` or `characters`.
        least: how often a token must occur among them to be known.
        most: tokens of a text that are seen; where no text has as many, as many as the longest has.
        given: what it started from, whose vocabulary is kept; None: the vocabulary is that of the texts.

    Returns:
        It, and how many of the texts are longer than that.

    Raises:
        GraftError: no token occurs often enough.
    """
    counts: Counter[str] = Counter()
    lengths = []
    for text in texts:
        found = tokens_of(text, tokens)
        counts.update(found)
        lengths.append(len(found))
    length = max(1, min(most, max(lengths)))
    vocabulary = vocabulary_of(counts, least) if given is None else given.vocabulary
    if not vocabulary:
        raise GraftError(
            f"backbone.min_count={least}: none of the {len(counts):,} {tokens} of the training texts occurs "
            "so often; give backbone.min_count=1"
        )
    return TextPreprocessing(tokens, vocabulary, length), sum(each > length for each in lengths)
