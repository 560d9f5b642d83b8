"""What the tests of weights share: a trained backbone, a fresh one, and how to compare."""

import pytest
import torch
from torch import nn

from graft.backbones import load_weights, simple_cnn
from graft.errors import GraftError


@pytest.fixture
def trained():
    """A backbone and a head as a run leaves them."""
    torch.manual_seed(1)
    return simple_cnn(), nn.Linear(84, 10)


@pytest.fixture
def fresh():
    torch.manual_seed(2)
    return simple_cnn()


@pytest.fixture
def same():
    """Whether two modules hold the same tensors, to the bit."""

    def compare(one, other):
        first, second = one.state_dict(), other.state_dict()
        return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)

    return compare


@pytest.fixture
def refused():
    """Loads what must be refused: the one-line message, the backbone being as it was, to the bit."""

    def load(backbone, path):
        before = {key: value.clone() for key, value in backbone.state_dict().items()}
        with pytest.raises(GraftError) as caught:
            load_weights(backbone, path)
        after = backbone.state_dict()
        assert all(torch.equal(before[key], after[key]) for key in before)
        assert "\n" not in str(caught.value)
        assert str(caught.value).startswith(f"backbone.weights={path}")
        return str(caught.value)

    return load
