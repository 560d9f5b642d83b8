"""The network for rows: its stages, and weights that go with columns."""

import numpy as np
import pytest
import torch
from torch import nn

from graft.backbones import table_mlp
from graft.backbones.row_network import Block
from graft.backbones.weight_files import Weights
from graft.data import evaluation_transform
from graft.errors import GraftError

ROWS = [
    {"x": float(place % 5), "y": None if place == 3 else place / 7, "town": "ab"[place % 2]}
    for place in range(12)
]


def inputs(backbone, rows=ROWS):
    transform = evaluation_transform(backbone.preprocessing)
    nothing = np.zeros(len(rows), int)
    return transform.finish([transform.prepare(row) for row in rows], None, nothing, nothing)


def saved(backbone):
    return Weights(
        "backbone.weights=run",
        {"": backbone.state_dict()},
        {"preprocessing": backbone.preprocessing.to_dict()},
    )


def test_stages_run_apart_to_the_same_bits():
    backbone = table_mlp(width=16, blocks=3, training=ROWS).eval()
    assert backbone.stage_names == ["embedding", "block1", "block2", "block3"]
    given = inputs(backbone)
    features = backbone(given)
    assert features.shape == (12, backbone.width) == (12, 16)
    for stop in range(1, 4):
        between = backbone(given, stop=stop)
        assert between.shape == (12, 16)
        assert torch.equal(backbone(between, start=stop), features)


def test_a_block_is_the_articles():
    block = Block(6, 0.5).eval()
    x = torch.randn(9, 6)
    first, last = block.inner[0], block.outer
    assert first.weight.shape == (12, 6)
    norm = nn.functional.batch_norm(x, block.norm.running_mean, block.norm.running_var)
    assert torch.allclose(block(x), x + last(torch.relu(first(norm))))


def test_a_category_that_was_never_seen_adds_nothing():
    backbone = table_mlp(width=8, training=ROWS)
    vector = backbone.stages["embedding"].vectors[0]
    assert vector.weight[0].abs().sum() == 0
    backbone(inputs(backbone, [{**row, "town": "z"} for row in ROWS])).sum().backward()
    assert vector.weight.grad.abs().sum() == 0


def test_weights_bring_their_columns():
    source = table_mlp(width=8, training=ROWS).eval()
    shifted = [{**row, "x": 100 + 3 * row["x"]} for row in ROWS]
    started = table_mlp(saved(source), width=8, training=shifted).eval()
    assert started.preprocessing == source.preprocessing != table_mlp(width=8, training=shifted).preprocessing
    assert torch.equal(started(inputs(started)), source(inputs(source)))
    # As a bundle is loaded, without data.
    assert torch.equal(table_mlp(saved(source), width=8).eval()(inputs(source)), source(inputs(source)))


def test_other_columns_are_refused_and_further_ones_not_seen(capsys):
    source = saved(table_mlp(width=8, training=ROWS))
    other = [{"x": row["x"], "twon": row["town"], "z": 1.0} for row in ROWS]
    with pytest.raises(GraftError) as caught:
        table_mlp(source, width=8, training=other)
    assert str(caught.value) == (
        "backbone.weights=run was trained on other columns: data lacks y, town, and has twon, z beside"
    )
    more = [{**row, "z": 1.0} for row in ROWS]
    assert table_mlp(source, width=8, training=more).preprocessing.column_names == ["x", "y", "town"]
    assert "backbone.weights=run was trained without z; not used here either" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "table_mlp learns from training rows"),
        ({"training": ["text"]}, "table_mlp takes rows, and data has none"),
        ({"weights": Weights("backbone.weights=w.pth", {"": {}}, None)}, "w.pth records no columns"),
    ],
)
def test_what_it_cannot_be_made_of_is_refused(settings, message):
    with pytest.raises(GraftError, match=message):
        table_mlp(**settings)
