"""Texts held in memory as labelled samples."""

from collections.abc import Sequence
from functools import partial

from graft.data.samples import Indices, Samples


def text_samples(names: Sequence[str], labels: Sequence[int] | Indices, texts: Sequence[str]) -> Samples:
    """Labelled texts, each with its name.

    Raises:
        GraftError: there are not as many labels as names.
    """
    held = list(texts)
    return Samples(names, labels, partial(_text, held), partial(_content, held))


def _text(texts: list[str], index: int) -> str:
    return texts[index]


def _content(texts: list[str], index: int) -> bytes:
    return texts[index].encode("utf-8", "surrogatepass")
