"""How a text becomes the input of an encoder that brings a tokenizer, as plain data. Imports no torch."""

import json
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from math import isqrt
from typing import Any, ClassVar

from graft.backbones.preprocessings import check_keys
from graft.configuration.version import DISTRIBUTION
from graft.errors import GraftError, first_line

# Lengths are powers of two from this on: folds, whose longest texts differ, then share what was computed.
SHORTEST = 16


@dataclass(frozen=True)
class TokensPreprocessing:
    """How texts become rows of as many numbers: the tokenizer belongs to the encoder's weights.

    Attributes:
        tokenizer: what the library `tokenizers` writes to `tokenizer.json`: its own JSON, with the special
            tokens that it puts around a text.
        length: L, of every row, in tokens, special ones included; a longer text is cut off.
        padding: the number that fills up a shorter text; no layer attends to it.
        most: the longest that the encoder takes.

    Raises:
        GraftError: a value is outside what can be built.
    """

    name: ClassVar[str] = "tokens"

    tokenizer: str
    length: int
    padding: int
    most: int

    def __post_init__(self) -> None:
        if not 1 <= self.length <= self.most:
            raise GraftError(f"preprocessing: length={self.length} must lie between 1 and most={self.most}")
        if self.padding < 0:
            raise GraftError(f"preprocessing: padding={self.padding} must be at least 0")

    @property
    def side(self) -> int:
        """Of a square of as many values as a row has tokens."""
        return max(1, isqrt(self.length))

    def numbers(self, text: str) -> list[int]:
        """The tokens of a text by their numbers, no more than `length`.

        Raises:
            GraftError: the library `tokenizers` is missing, or cannot read the tokenizer.
        """
        ids: list[int] = _tokenizer(self.tokenizer, self.length).encode(text).ids
        return ids

    def text(self, numbers: list[int]) -> str:
        """Tokens as text, without the special ones.

        Raises:
            GraftError: as `numbers`.
        """
        text: str = _tokenizer(self.tokenizer, self.length).decode(numbers)
        return text

    def fitted(self, texts: Iterable[str], length: int | None = None) -> tuple["TokensPreprocessing", int]:
        """The same, with the length that the longest of some texts needs, and how many of them are cut.

        Args:
            texts: that train.
            length: that is asked for; None: as far as the encoder takes it.

        Raises:
            GraftError: as `numbers`.
        """
        tokenizer = _tokenizer(self.tokenizer, length or self.most)
        longest, cut = SHORTEST, 0
        for text in texts:
            encoded = tokenizer.encode(text)
            longest, cut = max(longest, len(encoded.ids)), cut + bool(encoded.overflowing)
        return replace(self, length=length or min(self.most, 1 << (longest - 1).bit_length())), cut

    def to_dict(self) -> dict[str, object]:
        """Plain values that YAML and JSON can hold; `from_dict` reads them back, without the name.

        The tokenizer is compressed, since YAML takes seconds to read a text of so many marks.
        """
        packed = b64encode(zlib.compress(self.tokenizer.encode("utf-8"))).decode("ascii")
        return {"name": self.name, **asdict(self), "tokenizer": packed}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TokensPreprocessing":
        """Read what `to_dict` gave.

        Raises:
            GraftError: a key is unknown or missing, or a value is outside what can be built.
        """
        check_keys(values, cls, "preprocessing")
        try:
            content = zlib.decompress(b64decode(values["tokenizer"], validate=True)).decode("utf-8")
        except (ValueError, TypeError, zlib.error) as error:
            raise GraftError("preprocessing: its tokenizer is damaged") from error
        return cls(**{**values, "tokenizer": content})


# Made once in a process, since making one takes as long as reading hundreds of texts.
@lru_cache(maxsize=8)
def _tokenizer(content: str, length: int) -> Any:
    try:
        from tokenizers import Tokenizer
    except ModuleNotFoundError as error:
        if error.name != "tokenizers":
            raise
        raise GraftError(
            f"this backbone's texts need a tokenizer: pip install '{DISTRIBUTION}[transformers]'"
        ) from None
    try:
        tokenizer = Tokenizer.from_str(content)
        tokenizer.no_padding()
        tokenizer.enable_truncation(length)
    # The library's own errors are no more than `Exception`.
    except Exception as error:
        raise GraftError(f"preprocessing: the tokenizer cannot be read ({first_line(error)})") from error
    return tokenizer


def bare(content: str) -> str:
    """A tokenizer's JSON without the lengths that it was saved with."""
    values = json.loads(content)
    return json.dumps({**values, "truncation": None, "padding": None}, ensure_ascii=False)
