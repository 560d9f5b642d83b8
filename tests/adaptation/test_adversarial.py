"""The gradient reversal's identities, the two discriminators' terms, CDAN's map and its random stand-in."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from graft.adaptation import Cdan, Dann, Domain
from graft.adaptation.adversarial import RANDOM_WIDTH, against, reversal_strength, reverse, tell
from graft.adaptation.predictions import certainty


def domain(rows, seed, width=6, classes=3):
    made = torch.Generator().manual_seed(seed)
    features, logits = (torch.randn(rows, columns, generator=made) for columns in (width, classes))
    return Domain(features.requires_grad_(), logits.requires_grad_())


def prepared(made, width=6, classes=3):
    torch.manual_seed(7)
    made.prepare(width, classes)
    return made


def gradients(made, progress):
    """Of one step, of the source's features and of the discriminator's parameters."""
    source, target = domain(5, 0), domain(3, 1)
    made.zero_grad()
    made.step(source, target, progress).terms["domain"].backward()
    return source.features.grad, [parameter.grad.clone() for parameter in made.parameters()]


def test_reversal_is_the_same_forward_and_the_opposite_times_its_strength_backward():
    features = torch.randn(5, 4, requires_grad=True)
    upstream = torch.randn(5, 4)
    given = reverse(features, 0.3)
    assert torch.equal(given, features)
    given.backward(upstream)
    assert torch.equal(features.grad, -0.3 * upstream)


@pytest.mark.parametrize("made", [Dann(hidden=8), Cdan(hidden=8)], ids=lambda made: type(made).__name__)
def test_the_strength_is_the_features_alone(made):
    made = prepared(made)
    first, discriminating = gradients(made, 0.0)
    assert not first.any()
    assert all(gradient.any() for gradient in discriminating)
    second, unchanged = gradients(made, 0.25)
    third, _ = gradients(made, 1.0)
    assert all(map(torch.equal, discriminating, unchanged))
    torch.testing.assert_close(second / reversal_strength(0.25), third / reversal_strength(1.0))
    assert third.any()


@pytest.mark.parametrize(("progress", "strength"), [(0, 0), (0.25, 0.848284), (0.5, 0.986614), (1, 0.999909)])
def test_strengths_over_a_run(progress, strength):
    assert reversal_strength(progress) == pytest.approx(strength, abs=1e-6)


def test_without_reversal_it_would_be_the_discriminators_descent():
    made = prepared(Dann(hidden=8))
    reversed_, _ = gradients(made, 1.0)
    source, target = domain(5, 0), domain(3, 1)
    said = [tell(made.discriminator, each.features) for each in (source, target)]
    against(said, [None, None], 1.0).terms["domain"].backward()
    torch.testing.assert_close(reversed_, -reversal_strength(1.0) * source.features.grad)


def test_each_domain_counts_alike_whatever_its_size():
    said = [torch.tensor([2.0, -1.0, 3.0, 1.0]), torch.tensor([-0.5])]
    terms, measures = against(said, [None, None], 3.0)
    truths = (torch.ones(4), torch.zeros(1))
    expected = sum(map(binary_cross_entropy_with_logits, said, truths)) / 2
    torch.testing.assert_close(terms["domain"], 3 * expected)
    assert measures == {"domain_accuracy": (0.75 + 1) / 2}
    # One that says the same of all is right half of the time.
    for same in (1.0, 0.0, -1.0):
        assert against([torch.full((9,), same), torch.full((2,), same)], [None, None], 1.0)[1] == {
            "domain_accuracy": 0.5
        }


def test_a_discriminator_learns_domains_and_features_learn_to_deceive_it():
    torch.manual_seed(0)
    shift = nn.Parameter(torch.full((4,), 3.0))
    made = prepared(Dann(hidden=16), width=4)
    source, target = torch.randn(64, 4), torch.randn(64, 4)
    logits = torch.zeros(64, 3)

    def run(parameters, steps):
        optimizer = torch.optim.Adam(parameters, 0.02)
        accuracies = []
        for _ in range(steps):
            optimizer.zero_grad()
            terms, measures = made.step(Domain(source, logits), Domain(target + shift, logits), 1.0)
            terms["domain"].backward()
            optimizer.step()
            accuracies.append(float(measures["domain_accuracy"]))
        return accuracies

    assert run(made.parameters(), 30)[-1] > 0.95
    # From 6, and then round the target's own place: two that play against each other do not settle.
    run([*made.parameters(), shift], 300)
    assert float(shift.detach().norm()) < 3.0


def test_cdan_sees_each_feature_with_each_probability():
    made = prepared(Cdan(hidden=8, entropy=False))
    assert made.discriminator[0].in_features == 18
    source, target = domain(5, 0), domain(3, 1)
    said = []
    for features, logits in (source, target):
        products = torch.stack(
            [torch.outer(f, z.softmax(0)).flatten() for f, z in zip(features, logits, strict=True)]
        )
        said.append(made.discriminator(products)[:, 0])
    term = made.step(source, target, 0.5).terms["domain"]
    torch.testing.assert_close(term, against(said, [None, None], 1.0).terms["domain"])


def test_no_gradient_goes_through_the_prediction():
    for made in (prepared(Cdan(hidden=8)), prepared(Cdan(hidden=8, most=10))):
        source, target = domain(5, 0), domain(3, 1)
        made.step(source, target, 0.5).terms["domain"].backward()
        assert source.features.grad.any()
        assert target.features.grad.any()
        assert source.logits.grad is None
        assert target.logits.grad is None


def test_entropy_weighs_what_is_sure_within_each_domain():
    made = prepared(Cdan(hidden=8))
    source, target = domain(5, 0), domain(3, 1)
    losses = []
    for (features, logits), truth in ((source, 1.0), (target, 0.0)):
        probabilities = logits.softmax(1)
        said = tell(made.discriminator, made.conditioned(features, probabilities))
        raw = 1 + torch.exp((probabilities * probabilities.log()).sum(1))
        each = binary_cross_entropy_with_logits(said, torch.full_like(said, truth), reduction="none")
        losses.append((raw * each).sum() / raw.sum())
    expected = sum(losses) / 2
    torch.testing.assert_close(made.step(source, target, 0.5).terms["domain"], expected)
    made.entropy = False
    assert made.step(source, target, 0.5).terms["domain"] != expected
    torch.testing.assert_close(certainty(source.logits.softmax(1)).mean(), torch.tensor(1.0))


def test_too_many_products_are_randomised_and_keep_inner_products():
    made = prepared(Cdan(most=4096), width=512, classes=20)
    assert made.discriminator[0].in_features == RANDOM_WIDTH == 1024
    source = domain(2, 0, 512, 20)
    predictions = (3 * source.logits).softmax(1).detach()
    seen = made.conditioned(source.features, predictions).detach()
    whole = Cdan(most=20000).conditioned(source.features, predictions).detach()
    assert whole.shape == (2, 512 * 20)
    torch.testing.assert_close(
        seen @ seen.T, whole @ whole.T, rtol=0.2, atol=0.2 * float(whole.square().sum())
    )
    # As many as `most` are still seen whole.
    assert prepared(Cdan(most=18)).discriminator[0].in_features == 18
    assert prepared(Cdan(most=17)).discriminator[0].in_features == RANDOM_WIDTH


def test_random_maps_are_state_and_the_same_after_loading():
    made = prepared(Cdan(hidden=8, most=10))
    state = copy.deepcopy(made.state_dict())
    assert state["map_features"].shape == (6, 1024)
    assert state["map_predictions"].shape == (3, 1024)
    other = Cdan(hidden=8, most=10)
    torch.manual_seed(8)
    other.prepare(6, 3)
    steps = [each.step(domain(5, 0), domain(3, 1), 0.5).terms["domain"] for each in (made, other)]
    assert steps[0] != steps[1]
    other.load_state_dict(state)
    steps[1] = other.step(domain(5, 0), domain(3, 1), 0.5).terms["domain"]
    assert torch.equal(*steps)
    # Fixed: the optimizer gets the discriminator's parameters alone.
    assert {name.split(".")[0] for name, _ in made.named_parameters()} == {"discriminator"}


def test_the_seed_that_the_caller_sets_decides():
    first, second = (prepared(Cdan(hidden=8, most=10)).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
