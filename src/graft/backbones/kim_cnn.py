"""Kim's convolutional network for texts, over a vocabulary that it takes from the training texts alone.

Kim 2014, "Convolutional neural networks for sentence classification" (arXiv 1408.5882), section 2; word
vectors are random at first, as in its CNN-rand.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from graft.backbones.backbone import Backbone
from graft.backbones.making import Training
from graft.backbones.weight_files import Weights, read_weights
from graft.backbones.weights import load_weights
from graft.backbones.words import PADDING, TOKENS, TextPreprocessing, learnt
from graft.errors import GraftError, did_you_mean
from graft.runs.log import say

# Unless anything else is asked for.
EMBEDDING, CHANNELS, WIDTHS = 128, 100, (3, 4, 5)
# The first word vectors' deviation.
SPREAD = 0.25


class Convolutions(nn.Module):
    """Parallel convolutions over the tokens, and of each of their channels the greatest value in the text.

    Each is padded by its whole width, so that the features of a text do not change with the number of
    zeros behind it.
    """

    def __init__(self, size: int, channels: int, widths: Sequence[int], dropout: float) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv1d(size, channels, width, padding=width) for width in widths)
        self.dropout = nn.Dropout(dropout)

    def forward(self, vectors: Tensor) -> Tensor:
        """Vectors of tokens `(B, L, E)` to features `(B, channels × widths)`."""
        across = vectors.transpose(1, 2)
        pooled = [torch.relu(convolution(across).amax(2)) for convolution in self.convolutions]
        features: Tensor = self.dropout(torch.cat(pooled, 1))
        return features


def text_cnn(
    weights: str | Weights | None = None,
    tokens: str | None = None,
    min_count: int = 2,
    max_length: int = 500,
    embedding: int | None = None,
    channels: int | None = None,
    widths: Sequence[int] | None = None,
    dropout: float = 0.5,
    sha256: str | None = None,
    training: Training = (),
) -> Backbone:
    """A vector for each token, convolutions over neighbours, the greatest value of each of their channels.

    Args:
        weights: a run or a bundle to go on from, or what was read from it; None starts at random.
        tokens: `words`, or `characters`, for names and for sequences such as DNA; None: those of `weights`,
            else words.
        min_count: how often a token must occur in the training texts to be known; all others are one unknown
            token. A bundle in `weights` brings its own vocabulary instead.
        max_length: tokens of a text that are seen; where no training text has as many, as many as the longest
            of them has.
        embedding: E, values of a token's vector; None: as `weights` has, else 128.
        channels: of each convolution; None: as `weights` has, else 100.
        widths: of the convolutions, tokens; None: as `weights` has, else 3, 4 and 5.
        dropout: share of the features dropped in training, where the convolutions train.
        sha256: of a file in `weights` (see `read_weights`).
        training: the texts that train. With none, what `weights` records stands.

    Raises:
        GraftError: there is no text to take a vocabulary from, what trains is no text, or the weights do not
            fit.
    """
    if tokens is not None and tokens not in TOKENS:
        near = did_you_mean(tokens, TOKENS)
        raise GraftError(f"backbone.tokens={tokens} is none of {', '.join(TOKENS)}{near}")
    source = read_weights(weights, sha256) if weights else None
    recorded = None if source is None else _recorded(source, tokens)
    if max_length is None:
        raise GraftError("backbone.max_length=null: text_cnn needs a number of tokens, at least 1")
    tokens = tokens or ("words" if recorded is None else recorded.tokens)
    built = {} if source is None else (source.description or {}).get("backbone") or {}
    embedding = embedding or built.get("embedding") or EMBEDDING
    channels = channels or built.get("channels") or CHANNELS
    widths = list(widths or built.get("widths") or WIDTHS)
    if len(training):
        preprocessing, cut = learnt(_texts(training), tokens, min_count, max_length, recorded)
        if cut:
            have = "1 training text has" if cut == 1 else f"{cut:,} training texts have"
            say(f"{have} more than {max_length:,} {tokens}; what is beyond is not seen (backbone.max_length)")
    elif recorded is not None:
        preprocessing = recorded
    else:
        raise GraftError(
            "backbone: text_cnn takes its vocabulary from training texts, and there are none; give "
            "backbone.weights=<run>"
        )
    vectors = nn.Embedding(preprocessing.size, embedding, padding_idx=PADDING)
    nn.init.normal_(vectors.weight, std=SPREAD)
    with torch.no_grad():
        vectors.weight[PADDING] = 0
    stages = {"embedding": vectors, "convolutions": Convolutions(embedding, channels, widths, dropout)}
    size = {"tokens": tokens, "embedding": embedding, "channels": channels, "widths": widths}
    backbone = Backbone(stages, channels * len(widths), preprocessing, rebuilt=size)
    if source is not None:
        load_weights(backbone, source)
    return backbone


def _texts(training: Training) -> Iterator[str]:
    for place in range(len(training)):
        text = training[place]
        if not isinstance(text, str):
            raise GraftError("backbone: text_cnn takes texts, and data has none")
        yield text


def _recorded(source: Weights, tokens: str | None) -> TextPreprocessing:
    """The source's vocabulary.

    Raises:
        GraftError: it has none, or other tokens than are asked for.
    """
    recorded = source.preprocessing()
    if recorded is None:
        raise GraftError(
            f"{source.origin} records no vocabulary, without which text_cnn's weights mean nothing; give a "
            "run or a bundle"
        )
    if not isinstance(recorded, TextPreprocessing):
        raise GraftError(f"{source.origin} was not trained on texts by text_cnn")
    if tokens not in (None, recorded.tokens):
        raise GraftError(
            f"backbone.tokens={tokens}, but {source.origin} was trained with {recorded.tokens}; give "
            f"backbone.tokens={recorded.tokens}"
        )
    return recorded
