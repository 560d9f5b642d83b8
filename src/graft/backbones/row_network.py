"""A residual network for rows of tables: ResNet of Gorishniy et al. 2021 (arXiv:2106.11959, section 3.2)."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from graft.backbones.backbone import Backbone
from graft.backbones.columns import Columns, learnt
from graft.backbones.making import Training
from graft.backbones.weight_files import Weights, read_weights
from graft.backbones.weights import load_weights
from graft.errors import GraftError, did_you_mean
from graft.runs.log import say

# Values of a category's vector at most; one of few values has fewer, by fastai's rule.
WIDEST = 100
WIDTH, BLOCKS = 192, 2
_EMBEDDING, _OUTER = "stages.embedding.linear.weight", re.compile(r"stages\.block\d+\.(0\.)?outer\.weight$")


class Embedding(nn.Module):
    """Numbers, and a vector for each category, as one row `(N, width)`."""

    def __init__(self, columns: Columns, width: int) -> None:
        super().__init__()
        sizes = [len(one.values) for one in columns.categories]
        widths = [min(WIDEST, round(1.6 * (size + 1) ** 0.56)) for size in sizes]
        # A value that was never seen is no vector at all.
        self.vectors = nn.ModuleList(
            nn.Embedding(size + 1, wide, padding_idx=0) for size, wide in zip(sizes, widths, strict=True)
        )
        self.linear = nn.Linear(len(columns.numbers) + columns.flags + sum(widths), width)

    def forward(self, row: Mapping[str, Tensor]) -> Tensor:
        """{"numbers": `(N, F)`, "categories": `(N, K)`} to `(N, width)`."""
        vectors = [vector(row["categories"][:, place]) for place, vector in enumerate(self.vectors)]
        joined: Tensor = self.linear(torch.cat([row["numbers"], *vectors], 1))
        return joined


class Block(nn.Module):
    """x + Dropout(Linear(Dropout(ReLU(Linear(BatchNorm(x)))))), twice as wide inside, as in the article."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(width)
        self.inner = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Dropout(dropout))
        self.outer = nn.Linear(2 * width, width)

    def forward(self, row: Tensor) -> Tensor:
        """`(N, width)` to `(N, width)`."""
        changed: Tensor = row + self.outer(self.inner(self.norm(row)))
        return changed


def table_mlp(
    weights: str | Weights | None = None,
    width: int | None = None,
    blocks: int | None = None,
    dropout: float = 0.2,
    sha256: str | None = None,
    training: Training = (),
) -> Backbone:
    """A linear layer over all columns, blocks with a shortcut, and a last norm: stages embedding, block1, ….

    Args:
        weights: a run or a bundle to go on from, or what was read from it; None starts at random. It brings
            what its training rows said of the columns.
        width: of a row between two stages, and the number of features; None: the weights', else `WIDTH`.
        blocks: how many; None: as the weights have, else `BLOCKS`.
        dropout: share of the values inside a block that are dropped in training, where it trains.
        sha256: of a file in `weights` (see `read_weights`).
        training: the rows that train, which say what there is in each column.

    Raises:
        GraftError: there are no rows, what trains is none, they lack a column of the weights', or the weights
            do not fit.
    """
    rows = _rows(training)
    source = read_weights(weights, sha256) if weights else None
    if source is not None:
        columns = _recorded(source)
        if rows:
            _check_columns(source.origin, columns, list(rows[0]))
    elif rows:
        columns, notes = learnt(rows)
        for note in notes:
            say(note)
    else:
        raise GraftError(
            "backbone: table_mlp learns from training rows what is in each column, and there are none; give "
            "backbone.weights=<run>"
        )
    sizes = (WIDTH, BLOCKS) if source is None else _sizes(source)
    width, blocks = width or sizes[0], blocks or sizes[1]
    layers = [Block(width, dropout) for _ in range(blocks)]
    # What comes after the last shortcut goes with the last block.
    last = nn.Sequential(layers[-1], nn.BatchNorm1d(width), nn.ReLU())
    stages: dict[str, nn.Module] = {"embedding": Embedding(columns, width)}
    stages |= {f"block{place}": block for place, block in enumerate([*layers[:-1], last], 1)}
    backbone = Backbone(stages, width, columns, blocks=(Block,))
    if source is not None:
        load_weights(backbone, source)
    return backbone


def _rows(training: Training) -> list[Mapping[str, Any]]:
    rows = [training[place] for place in range(len(training))]
    if rows and not isinstance(rows[0], Mapping):
        raise GraftError("backbone: table_mlp takes rows, and data has none")
    return rows


def _recorded(source: Weights) -> Columns:
    recorded = source.preprocessing()
    if recorded is None:
        raise GraftError(
            f"{source.origin} records no columns, without which table_mlp's weights mean nothing; give a run "
            "or a bundle"
        )
    if not isinstance(recorded, Columns):
        raise GraftError(f"{source.origin} was not trained on rows of a table")
    return recorded


def _sizes(source: Weights) -> tuple[int, int]:
    """Width and number of blocks of the network that weights are of; of another network the usual ones."""
    tensors = {key: tensor for state in source.states.values() for key, tensor in state.items()}
    widths = [len(tensor) for key, tensor in tensors.items() if key.endswith(_EMBEDDING)]
    return (widths or [WIDTH])[0], sum(bool(_OUTER.search(key)) for key in tensors) or BLOCKS


def _check_columns(origin: str, columns: Columns, given: Sequence[str]) -> None:
    """Refuse data that lack a column of the weights'; what they have beside is said not to be seen."""
    known = columns.column_names
    if lacking := [column for column in known if column not in given]:
        others = [column for column in given if column not in known]
        beside = f", and has {_listed(others)} beside" if others else ""
        raise GraftError(
            f"{origin} was trained on other columns: data lacks {_listed(lacking)}{beside}"
            f"{did_you_mean(lacking[0], others)}"
        )
    if others := [column for column in given if column not in known]:
        say(f"{origin} was trained without {_listed(others)}; not used here either")


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(columns[:5]) + (f" and {len(columns) - 5} more" if len(columns) > 5 else "")
