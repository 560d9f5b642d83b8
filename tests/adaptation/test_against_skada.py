"""Values and gradients against skada's, where its formula is the paper's; a comment says where it is not.

Of version 0.6. It is no dependency: `pip install 'skada[deep]'` beside the package runs these.
"""

import math
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KernelDensity
from torch import nn

from graft.adaptation import Cdan, Coral, Dann, Domain, Mcc
from graft.adaptation.adversarial import RANDOM_WIDTH, reverse, tell
from graft.adaptation.discrepancy import squared_distances, squared_mmd
from graft.adaptation.selection import Validated, controlled_risk, score, weighted_accuracy

pytest.importorskip("skada")
from skada import metrics
from skada.deep import _adversarial, losses, modules
from skada.deep._adversarial import DANNLoss

VARIANCES = torch.tensor([0.5, 2.0, 8.0], dtype=torch.float64)


def domain(rows, seed, width=6, classes=3):
    made = torch.Generator().manual_seed(seed)
    features, logits = (
        torch.randn(rows, columns, generator=made, dtype=torch.float64) for columns in (width, classes)
    )
    return Domain((features + seed).requires_grad_(), logits.requires_grad_())


def assert_same(ours, theirs, *inputs):
    torch.testing.assert_close(ours, theirs)
    for first, second in zip(
        torch.autograd.grad(ours, inputs), torch.autograd.grad(theirs, inputs), strict=True
    ):
        assert first.any()
        torch.testing.assert_close(first, second)


def test_coral():
    source, target = domain(8, 0), domain(5, 1)
    assert_same(
        Coral().step(source, target, 0.5).terms["coral"],
        losses.deepcoral_loss(source.features, target.features),
        source.features,
        target.features,
    )


def test_mmd():
    # Their statistic, on a Gaussian kernel. `dan_loss` itself has exp(−d/σ) of distances that are not
    # squared, 33 of them added up, and widths from the median of the source's own distances, diagonal
    # included, with a gradient through them.
    def kernel(x, y):
        return torch.exp(-torch.cdist(x, y).square() / (2 * VARIANCES[:, None, None])).mean(0)

    source, target = domain(8, 0).features, domain(5, 1).features
    ours = squared_mmd(squared_distances(torch.cat([source, target])), 8, VARIANCES)
    assert_same(ours, losses._maximum_mean_discrepancy(source, target, kernel), source, target)
    laplacian = losses._maximum_mean_discrepancy(
        source, target, lambda x, y: torch.exp(-torch.cdist(x, y) / 2)
    )
    single = losses.dan_loss(source.float(), target.float(), sigmas=[2.0])
    torch.testing.assert_close(single.double(), laplacian, rtol=1e-5, atol=1e-6)


def test_class_confusion():
    # The same value; they have a gradient through the samples' weights, which the authors' code detaches.
    # Where each row is another one turned round, the weights are in balance and have none in the end.
    logits = domain(7, 0).logits
    ours = Mcc(temperature=2.5).step(domain(2, 1), Domain(logits, logits), 0.5).terms["confusion"]
    torch.testing.assert_close(ours, losses.mcc_loss(logits, T=2.5, eps=0))
    gradients = [
        torch.autograd.grad(term, logits)[0] for term in (ours, losses.mcc_loss(logits, T=2.5, eps=0))
    ]
    assert not torch.allclose(*gradients)
    row = torch.tensor([1.0, -0.5, 2.0, 0.3], dtype=torch.float64)
    turned = torch.stack([row.roll(by) for by in range(4)]).requires_grad_()
    ours = Mcc(temperature=2.5).step(domain(2, 1), Domain(turned, turned), 0.5).terms["confusion"]
    assert_same(ours, losses.mcc_loss(turned, T=2.5, eps=0), turned)
    # Theirs is NaN where a class is never predicted.
    assert losses.mcc_loss(1e5 * torch.eye(3)[:2]).isnan()


def test_gradient_reversal():
    features = domain(4, 0).features
    assert_same(
        (reverse(features, 0.7) ** 3).sum(),
        (modules.GradientReversalLayer.apply(features, 0.7) ** 3).sum(),
        features,
    )


def test_the_loss_of_the_discriminator():
    # Theirs adds the domains' means up, ours takes their mean, and has the other domain for 1. Their own
    # discriminator ends in a softmax over a single number: it says 1 of every sample.
    torch.manual_seed(0)
    made = Dann(hidden=8).double()
    made.prepare(6, 3)
    made.double()
    source, target = domain(8, 0), domain(5, 1)
    # It makes its labels in float32.
    theirs = DANNLoss(lambda given, truth: nn.functional.binary_cross_entropy(given, truth.double()))
    said = [
        torch.sigmoid(-tell(made.discriminator, reverse(each.features, 1.0))) for each in (source, target)
    ]
    # At p → ∞ the strength is 1.
    ours = made.step(source, target, 100.0).terms["domain"]
    assert_same(ours, theirs(*said) / 2, source.features, target.features, *made.parameters())


@pytest.mark.filterwarnings("ignore:Implicit dimension choice for softmax")
def test_their_discriminator_says_one_thing():
    torch.manual_seed(0)
    assert (modules.DomainClassifier(6)(torch.randn(9, 6)) == 1).all()


def test_the_maps_of_cdan():
    # Theirs conditions on the logits, without a softmax and with a gradient through them, draws the random
    # maps anew in each step from seed 42 (of the global generator), and has 4,096 of them. What it makes of
    # maps is the same.
    source = domain(5, 0)
    predictions = source.logits.detach().softmax(1)
    made = Cdan(most=10)
    made.prepare(6, 3)
    made.double()
    theirs = _adversarial._RandomLayer(torch.Generator(), [6, 3], RANDOM_WIDTH)
    theirs.random_matrix = [made.map_features, made.map_predictions]
    ours = made.conditioned(source.features, predictions)
    assert_same(ours.square().sum(), theirs([source.features, predictions]).square().sum(), source.features)
    torch.testing.assert_close(ours, theirs([source.features, predictions]))
    whole = Cdan().conditioned(source.features, predictions)
    outer = torch.bmm(source.features.unsqueeze(2), predictions.unsqueeze(1)).view(5, -1)
    torch.testing.assert_close(whole, outer)


class Fixed(BaseEstimator):
    """A model whose logits are the first three features."""

    module_ = SimpleNamespace(layer_name="features")
    classes_: ClassVar = np.arange(3)

    def fit(self, X, y):
        return self

    def predict_features(self, X):
        return X

    def predict_proba(self, X, sample_domain=None, allow_source=False):
        return torch.tensor(X[:, :3]).softmax(1).numpy()

    def score(self, X, y, sample_weight=None, sample_domain=None, allow_source=False):
        return np.average(X[:, :3].argmax(1) == y, weights=sample_weight)


@pytest.fixture
def samples():
    generator = np.random.default_rng(0)
    features = generator.normal(size=(90, 5))
    features[50:] += 0.5
    return features, generator.integers(0, 3, 90), np.repeat([1, -2], [50, 40])


def theirs(scorer, samples):
    features, labels, domains = samples
    model = Fixed().set_score_request(sample_weight=True, sample_domain=True, allow_source=True)
    return scorer._score(None, model, features, labels, sample_domain=domains)


def validated(samples):
    features, labels, domains = samples
    source, target = features[domains > 0], features[domains < 0]
    return Validated(labels[domains > 0], source[:, :3], source, target[:, :3], target)


def test_entropy(samples):
    # Their mean is over the classes too, C times as many numbers.
    ours = score("entropy", validated(samples))
    assert ours == pytest.approx(3 * theirs(metrics.PredictionEntropyScorer(), samples))


def test_soft_neighbourhood_density(samples):
    # They give a sample its own negative similarity, −20, in place of leaving it out.
    ours = score("snd", validated(samples))
    assert ours == pytest.approx(theirs(metrics.SoftNeighborhoodDensity(), samples), rel=1e-6)


def test_importance_weighted_accuracy(samples):
    # Their weights are of kernel densities; the score of given weights is the same.
    features, labels, domains = samples
    source = features[domains > 0]
    first, second = (
        KernelDensity().fit(features[side]).score_samples(source) for side in (domains > 0, domains < 0)
    )
    ours = weighted_accuracy(source[:, :3].argmax(1) == labels[domains > 0], np.exp(second - first))
    assert ours == pytest.approx(theirs(metrics.ImportanceWeightedScorer(), samples))


def test_deep_embedded_validation(samples):
    # The score of given weights is the same where their losses are a column. Their own are a row, which a
    # column of weights turns into a matrix of each weight with each loss: its mean is mean(w) · mean(ℓ), and
    # its covariance that of two samples' losses. Their classifier sees the whole target, and a part of the
    # source.
    features, labels, domains = samples
    fitted, held, _, truth = train_test_split(
        features[domains > 0], labels[domains > 0], test_size=0.33, random_state=np.random.RandomState(0)
    )
    seen = np.concatenate([fitted, features[domains < 0]])
    odds = LogisticRegression().fit(seen, np.repeat([0, 1], [len(fitted), 40])).decision_function(held)
    weights = len(fitted) / 40 * np.exp(odds)
    each = -np.log(Fixed().predict_proba(held)[np.arange(len(held)), truth])
    expected = -controlled_risk(each, weights)
    found = theirs(
        metrics.DeepEmbeddedValidation(
            random_state=0, loss_func=lambda y, p: -np.log(p[np.arange(len(y)), y])[:, None]
        ),
        samples,
    )
    assert found == pytest.approx(expected, rel=1e-4)
    shipped = theirs(metrics.DeepEmbeddedValidation(random_state=0), samples)
    assert not math.isclose(shipped, expected, rel_tol=0.01)
