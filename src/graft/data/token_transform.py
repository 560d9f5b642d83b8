"""From texts to the tokens that an encoder wants, by its own tokenizer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from graft.backbones.inputs import Input
from graft.backbones.tokens import TokensPreprocessing
from graft.data.kinds import kind_of

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class TokenTransform:
    """Texts to `tokens` and `mask`, `(B, L)` int64 each; the mask is 1 where there is a token, 0 behind.

    Attributes:
        preprocessing: what the encoder wants.
    """

    preprocessing: TokensPreprocessing

    @property
    def form(self) -> str:
        """Tokens, since all that makes them is the preprocessing's own."""
        return "tokens"

    @property
    def at_least(self) -> int | None:
        """A text has no size."""
        return None

    def prepare(self, text: str) -> Numbers:
        """A text to its tokens, `(n,)`, n no more than L."""
        return np.array(self.preprocessing.numbers(text), np.int64)

    def finish(
        self, prepared: Sequence[Numbers], seed: int | None, epochs: Numbers, indices: Numbers
    ) -> Input:
        """Filled up behind with padding."""
        shape = (len(prepared), self.preprocessing.length)
        tokens = torch.full(shape, self.preprocessing.padding)
        mask = torch.zeros(shape, dtype=torch.int64)
        for place, numbers in enumerate(prepared):
            tokens[place, : len(numbers)] = torch.from_numpy(numbers)
            mask[place, : len(numbers)] = 1
        return {"tokens": tokens, "mask": mask}

    def blank(self, count: int) -> Input:
        """Rows of padding that are taken for texts of the full length."""
        shape = (count, self.preprocessing.length)
        return {"tokens": torch.full(shape, self.preprocessing.padding), "mask": torch.ones(shape).long()}

    def shown(self, inputs: Input) -> list[Image.Image]:
        """The texts as the encoder reads them, a card each."""
        assert not isinstance(inputs, Tensor)
        kind = kind_of(self.preprocessing)
        rows = zip(inputs["tokens"].tolist(), inputs["mask"].bool().tolist(), strict=True)
        texts = (
            self.preprocessing.text([number for number, real in zip(*row, strict=True) if real])
            for row in rows
        )
        return [kind.card(text) for text in texts]
