"""A head maps any backbone's features to one logit a class."""

import pytest
import torch
from sklearn.preprocessing import StandardScaler
from torch import nn

from graft.models import linear, mlp
from graft.models.head import fit_standardization


@pytest.mark.parametrize("make", [linear, mlp])
@pytest.mark.parametrize("normalize", [False, True])
def test_a_head_gives_one_logit_a_class(make, normalize):
    head = make(12, 5, normalize=normalize)
    assert head(torch.randn(3, 12)).shape == (3, 5)


@pytest.mark.parametrize("make", [linear, mlp])
def test_normalised_features_may_have_any_scale_and_offset(make):
    torch.manual_seed(0)
    features = torch.randn(4, 12)
    head = make(12, 5, normalize=True).eval()
    torch.testing.assert_close(head(200 * features + 30), head(features), atol=1e-4, rtol=1e-4)
    plain = make(12, 5, normalize=False).eval()
    assert not torch.allclose(plain(200 * features + 30), plain(features))


@pytest.mark.parametrize("make", [linear, mlp])
def test_normalising_adds_nothing_to_train(make):
    keys = [set(make(12, 5, normalize=on).state_dict()) for on in (True, False)]
    counts = [sum(p.numel() for p in make(12, 5, normalize=on).parameters()) for on in (True, False)]
    assert counts[0] == counts[1]
    assert len(keys[0]) == len(keys[1])


def test_linear_is_one_dense_layer():
    head = linear(12, 5, normalize=False, bias=False)
    (weight,) = head.parameters()
    features = torch.randn(4, 12)
    torch.testing.assert_close(head(features), features @ weight.T)
    assert sum(p.numel() for p in linear(12, 5).parameters()) == 12 * 5 + 5


def test_mlp_has_a_hidden_layer_and_drops_inputs_in_training_alone():
    head = mlp(12, 5, hidden=7, dropout=0.5, normalize=False)
    first, last = (layer for layer in head if isinstance(layer, nn.Linear))
    assert (first.out_features, last.in_features) == (7, 7)
    features = torch.randn(64, 12)
    expected = last(first(features).relu())
    assert not torch.equal(head.train()(features), head(features))
    torch.testing.assert_close(head.eval()(features), expected)
    assert [layer.p for layer in head if isinstance(layer, nn.Dropout)] == [0.5, 0.5]


def test_standardized_features_have_mean_0_and_variance_1_over_the_training_images():
    torch.manual_seed(0)
    features = torch.randn(5000, 4) * torch.tensor([1.0, 5.0, 0.1, 0.0]) + torch.tensor([0.0, 3.0, -1.0, 2.0])
    head = linear(4, 3, normalize=False, standardize=True)
    assert torch.equal(head[0](features), features)
    fit_standardization(head, features)
    expected = StandardScaler().fit_transform(features.double().numpy())
    torch.testing.assert_close(
        head[0](features)[:, [0, 1, 3]],
        torch.tensor(expected, dtype=torch.float32)[:, [0, 1, 3]],
        atol=1e-2,
        rtol=1e-2,
    )
    assert set(head.state_dict()) == {"0.mean", "0.deviation", "1.weight", "1.bias"}
    assert all(not buffer.requires_grad for buffer in head.buffers())


def test_a_feature_that_is_alike_in_a_few_images_does_not_outweigh_the_others():
    torch.manual_seed(0)
    features = torch.randn(4, 50)
    features[:, 0] = 1 + 1e-3 * torch.randn(4)
    head = linear(50, 3, normalize=False, standardize=True)
    fit_standardization(head, features)
    variance = features.double().var(0, correction=0)
    expected = ((4 * variance + 10 * variance.median()) / 14).sqrt()
    torch.testing.assert_close(head[0].deviation, expected.float())
    assert head[0](torch.randn(100, 50)).abs().max() < 10


def test_standardizing_comes_after_normalizing():
    torch.manual_seed(0)
    features = 5 + torch.randn(50, 4)
    head = linear(4, 3, standardize=True)
    fit_standardization(head, features)
    torch.testing.assert_close(head[:2](features).mean(0), torch.zeros(4), atol=1e-5, rtol=0)
