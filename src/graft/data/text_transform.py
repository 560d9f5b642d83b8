"""From texts to rows of numbers, in two steps: tokenising, which is kept, and dropping words."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from graft.backbones.preprocessings import AnyPreprocessing
from graft.backbones.words import KNOWN, PADDING, UNKNOWN, TextPreprocessing, tokens_of
from graft.data.randomness import uniforms
from graft.data.text_card import text_card
from graft.errors import GraftError

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class TextTransform:
    """Tokens as their numbers, in rows of one length; each text's draws come from (seed, epoch, index) alone.

    Attributes:
        preprocessing: the vocabulary and the length.
        dropped: the probability that a token that is known becomes the unknown one.
    """

    preprocessing: TextPreprocessing
    dropped: float = 0.0
    # Made at once: a key of the feature cache is made of all that a transform holds.
    _numbers: dict[str, int] = field(init=False, repr=False, compare=False)

    # All of a text is needed.
    at_least = None

    def __post_init__(self) -> None:
        numbers = {token: number for number, token in enumerate(self.preprocessing.vocabulary, KNOWN)}
        object.__setattr__(self, "_numbers", numbers)

    @property
    def form(self) -> str:
        """What `prepare` gives: the same for all transforms of one preprocessing."""
        return f"{self.preprocessing.tokens} as numbers"

    def prepare(self, text: str) -> NDArray[np.int32]:
        """The numbers of a text's tokens, `(length,)` or fewer."""
        tokens = tokens_of(text, self.preprocessing.tokens)[: self.preprocessing.length]
        return np.array([self._numbers.get(token, UNKNOWN) for token in tokens], np.int32)

    def finish(
        self, prepared: Sequence[NDArray[np.int32]], seed: int | None, epochs: Numbers, indices: Numbers
    ) -> Tensor:
        """The second step, to `(B, length)` int64; 0 stands behind the end of a text.

        Args:
            prepared: what `prepare` gave for B texts.
            seed: of all draws; None: nothing is dropped.
            epochs: `(B,)`.
            indices: `(B,)` which texts they are.
        """
        length = self.preprocessing.length
        rows = np.full((len(prepared), length), PADDING, np.int64)
        for row, numbers in zip(rows, prepared, strict=True):
            row[: len(numbers)] = numbers
        if self.dropped and seed is not None:
            rows[(uniforms(seed, epochs, indices, length) < self.dropped) & (rows != PADDING)] = UNKNOWN
        return torch.from_numpy(rows)

    def blank(self, count: int) -> Tensor:
        """`(count, length)` of zeros."""
        return torch.full((count, self.preprocessing.length), PADDING)

    def shown(self, inputs: Tensor) -> list[Image.Image]:
        """Rows of numbers `(N, length)` as texts again, an unknown token as `<unk>`."""
        names = ("", "<unk>", *self.preprocessing.vocabulary)
        between = "" if self.preprocessing.tokens == "characters" else " "
        return [text_card(between.join(names[number] for number in row if number)) for row in inputs.tolist()]


def word_dropout(preprocessing: AnyPreprocessing, p: float = 0.1) -> TextTransform:
    """Texts to `(B, length)`, each known token made the unknown one with probability `p`.

    Raises:
        GraftError: the backbone takes no tokens by number.
    """
    if not isinstance(preprocessing, TextPreprocessing):
        raise GraftError("augment=words drops words of backbone=text_cnn; give another backbone augment=none")
    return TextTransform(preprocessing, p)
