"""What all adaptations promise: any sizes, any precision, no NaN; and their files in conf/adapt."""

import inspect
from pathlib import Path

import pytest
import torch
import yaml
from hydra.utils import get_object, instantiate

from graft.adaptation import Domain, none
from graft.adaptation.selection import SELECTORS

CONF = Path(__file__).parents[2] / "conf" / "adapt"
FILES = sorted(file for file in CONF.glob("*.yaml") if not file.name.startswith("_"))
METHODS = [file.stem for file in FILES if file.stem != "none"]
# What each adds, and what it also logs.
GIVES = {
    "coral": ({"coral"}, set()),
    "dan": ({"mmd"}, set()),
    "dann": ({"domain"}, {"domain_accuracy"}),
    "cdan": ({"domain"}, {"domain_accuracy"}),
    "mcc": ({"confusion"}, set()),
    "afn": ({"norm"}, set()),
    "adabn": (set(), set()),
    "self_training": ({"pseudo"}, {"pseudo_share"}),
}
WIDTH, CLASSES = 8, 4


def options(name):
    config = yaml.safe_load((CONF / f"{name}.yaml").read_text())
    assert config.pop("defaults") == ["_domains", "_self_"]
    return config


def make(name):
    made = instantiate(options(name))
    torch.manual_seed(0)
    made.prepare(WIDTH, CLASSES)
    return made


def domain(rows, seed, dtype=torch.float32):
    made = torch.Generator().manual_seed(seed)
    features = torch.randn(rows, WIDTH, generator=made).to(dtype).requires_grad_()
    return Domain(features, (3 * torch.randn(rows, CLASSES, generator=made)).to(dtype).requires_grad_())


def step(made, source, target, progress=0.5):
    """One step and its gradients, of which all must be finite."""
    found = made.step(source, target, progress)
    total = sum(found.terms.values(), torch.zeros((), requires_grad=True))
    total.backward()
    for values in (found.terms, found.measures):
        for value in values.values():
            assert value.ndim == 0
            assert torch.isfinite(value)
    assert not any(value.requires_grad for value in found.measures.values())
    for tensor in (*source, *target):
        assert tensor.grad is None or torch.isfinite(tensor.grad).all()
    return found


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("sizes", [(5, 5), (7, 3), (3, 7), (1, 4), (4, 1), (1, 1), (2, 1)])
def test_a_step_of_any_sizes_is_finite(name, sizes):
    source, target = domain(sizes[0], 0), domain(sizes[1], 1)
    terms, measures = step(make(name), source, target)
    assert (set(terms), set(measures)) == GIVES[name]


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("size", [0.0, 1e-20, 1e4])
def test_a_step_of_samples_that_are_all_alike_or_huge_is_finite(name, size):
    for alike in (True, False):
        pair = [domain(4, seed) for seed in (0, 1)]
        with torch.no_grad():
            for each in pair:
                for tensor in each:
                    tensor.mul_(size)
                    if alike:
                        tensor.copy_(tensor[:1].clone().expand_as(tensor))
        step(make(name), *pair)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_single(name, dtype):
    made = make(name)
    halves = [domain(6, 0, dtype), domain(5, 1, dtype)]
    # Squares of these are infinite in float16.
    with torch.no_grad():
        for each in halves:
            each.features.mul_(100)
    singles = [Domain(*(tensor.detach().float() for tensor in each)) for each in halves]
    with torch.autocast("cpu", torch.bfloat16):
        found = step(made, *halves)
    expected = made.step(*singles, 0.5)
    for values, others in zip(found, expected, strict=True):
        for key, value in values.items():
            assert value.dtype == torch.float32
            assert torch.equal(value, others[key])


@pytest.mark.parametrize("name", ["dann", "cdan"])
def test_a_discriminator_may_have_weights_of_half_precision(name):
    made = make(name).bfloat16()
    assert step(made, domain(4, 0, torch.bfloat16), domain(3, 1, torch.bfloat16)).terms["domain"] > 0


@pytest.mark.parametrize("name", METHODS)
def test_a_step_depends_on_its_arguments_alone(name):
    made = make(name)
    first, again = (step(made, domain(5, 0), domain(4, 1), 0.3) for _ in range(2))
    assert first == again


@pytest.mark.parametrize("name", [name for name in METHODS if name != "adabn"])
def test_the_weight_is_a_factor(name):
    single, double = make(name), make(name)
    object.__setattr__(double, "weight", 2 * single.weight)
    # Sure predictions, so that pseudo-labels are there.
    pairs = [[domain(5, 0), domain(4, 1)] for _ in range(2)]
    terms = [step(made, *pair).terms for made, pair in zip((single, double), pairs, strict=True)]
    for key, value in terms[0].items():
        assert value > 0
        torch.testing.assert_close(2 * value, terms[1][key])


def test_no_adaptation_is_none():
    assert none() is None
    assert instantiate(options("none")) is None


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_has_its_targets_arguments_and_their_defaults(file):
    config = options(file.stem)
    signature = inspect.signature(get_object(config.pop("_target_"))).parameters
    assert config == {name: parameter.default for name, parameter in signature.items()}
    shared = yaml.safe_load((CONF / "_domains.yaml").read_text())
    assert not config.keys() & shared.keys()


def test_the_shared_file_names_every_selector():
    text = (CONF / "_domains.yaml").read_text()
    assert f"# {', '.join(SELECTORS)}\n" in text
    assert yaml.safe_load(text)["select"] in SELECTORS
