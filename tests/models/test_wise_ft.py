"""Between source and fine-tuned weights: both ends to the last bit, frozen ones untouched, the head kept."""

import pytest
import torch
from safetensors.torch import save_file

from graft.backbones import simple_cnn
from graft.configuration.building import build
from graft.errors import GraftError
from graft.models import Bundle, HowTested, linear, load_bundle, save_bundle
from graft.models.wise_ft import between, move_towards_source
from graft.training.running_statistics import first, take_statistics


@pytest.fixture
def states(tiny):
    source, tuned = tiny(seed=1), tiny(seed=2)
    for backbone in (source, tuned):
        backbone.train()(torch.randn(4, 3, 16, 16))
    # As a frozen weight is: the same in both.
    tuned.stages["top"].load_state_dict(source.stages["top"].state_dict())
    return source.state_dict(), tuned.state_dict()


@pytest.mark.parametrize("alpha", [0, 0.0, 1, 1.0])
def test_the_ends_are_exact(states, alpha):
    mixed = between(*states, alpha)
    assert all(torch.equal(mixed[key], states[int(alpha)][key]) for key in mixed)


@pytest.mark.parametrize("alpha", [0.1, 0.3, 0.7, 0.9])
def test_between_the_ends_it_is_the_formula(states, alpha):
    source, tuned = states
    for key, value in between(source, tuned, alpha).items():
        if not value.is_floating_point():
            assert torch.equal(value, tuned[key])
        elif ".top." in key:
            assert torch.equal(value, source[key])
        else:
            expected = (1 - alpha) * source[key].double() + alpha * tuned[key].double()
            torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=1e-6)


@pytest.fixture
def saved(tmp_path):
    """A bundle trained from `source.safetensors`, and the source's backbone."""
    torch.manual_seed(1)
    source, tuned = simple_cnn(image_size=16), simple_cnn(image_size=16)
    save_file(source.state_dict(), tmp_path / "source.safetensors")
    node = {"_target_": "graft.backbones.simple_cnn", "image_size": 16}
    head = {"_target_": "graft.models.linear"}
    bundle = Bundle(tuned, linear(84, 2), ["a", "b"], tuned.preprocessing, HowTested())
    for name, weights in (("tuned", str(tmp_path / "source.safetensors")), ("scratch", None)):
        save_bundle(tmp_path / name, bundle, {"backbone": {**node, "weights": weights}, "head": head})
    return source


@pytest.mark.parametrize("alpha", [0, 0.5, 1])
def test_a_bundle_alone_is_enough(saved, tmp_path, alpha):
    bundle, tuned = load_bundle(tmp_path / "tuned"), load_bundle(tmp_path / "tuned")
    move_towards_source(bundle, tmp_path / "tuned", alpha)
    source, ended = saved.state_dict(), tuned.model.get_submodule("backbone").state_dict()
    for key, value in bundle.model.get_submodule("backbone").state_dict().items():
        middle = torch.lerp(source[key], ended[key], 0.5)
        assert torch.equal(value, {0: source[key], 0.5: middle, 1: ended[key]}[alpha])
    for key, value in bundle.model.get_submodule("head").state_dict().items():
        assert torch.equal(value, tuned.model.get_submodule("head").state_dict()[key])


@pytest.mark.parametrize("alpha", [0, 0.3, 1])
def test_the_layers_whose_statistics_fit_neither_end_are_named(tmp_path, alpha):
    node = {
        "_target_": "graft.backbones.torchvision_backbone",
        "name": "mobilenet_v3_small",
        "image_size": 32,
    }
    torch.manual_seed(0)
    source = build({**node, "weights": None}, "backbone")
    save_file(source.state_dict(), tmp_path / "source.safetensors")
    # Fine-tuned from a stage on; what lies below is frozen, norm layers whole.
    last = list(source.stages)[-2]
    for layer in source.stages[last].modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean += 1
    bundle = Bundle(source, linear(source.width, 2), ["a", "b"], source.preprocessing, HowTested())
    head = {"_target_": "graft.models.linear"}
    config = {"backbone": {**node, "weights": str(tmp_path / "source.safetensors")}, "head": head}
    save_bundle(tmp_path / "tuned", bundle, config)
    loaded = load_bundle(tmp_path / "tuned")
    names = move_towards_source(loaded, tmp_path / "tuned", alpha)
    assert names == ([] if alpha in (0, 1) else [f"backbone.stages.{last}.1"])
    assert all(isinstance(loaded.model.get_submodule(name), torch.nn.BatchNorm2d) for name in names)


def test_statistics_taken_anew_fit_the_mixed_weights(tiny, transfer):
    """Half-way between two networks the mixed variances are far off; those that are taken anew are exact."""
    source, tuned = tiny(seed=1, dropout=0.0), tiny(seed=2, dropout=0.0)
    images = torch.randn(32, 3, 16, 16) * 3
    batches = [{"input": part, "target": torch.zeros(8)} for part in images.split(8)]
    layers = ["stages.stem.1", "stages.body.1"]
    for network in (source, tuned):
        take_statistics(network, layers, batches, lambda batch, network=network: network(batch["input"]))
    mixed = tiny(dropout=0.0).eval()
    mixed.load_state_dict(between(source.state_dict(), tuned.state_dict(), 0.5))
    entering = []
    mixed.stages["stem"][1].register_forward_hook(lambda _layer, inputs, _out: entering.append(inputs[0]))

    def off():
        entering.clear()
        with torch.no_grad():
            mixed(images)
        variance = entering[0].var((0, 2, 3))
        return float((mixed.stages["stem"][1].running_var / variance - 1).abs().max())

    assert off() > 0.2
    take_statistics(mixed, layers, batches, lambda batch: mixed(batch["input"]))
    assert off() < 0.05
    assert not any(layer.training for layer in mixed.modules())


def test_so_many_batches_as_hold_so_many_images():
    batches = [{"target": torch.zeros(count)} for count in (4, 4, 3)]
    assert [len(list(first(batches, images))) for images in (1, 4, 5, 8, 9, 10_000)] == [1, 1, 2, 2, 3, 3]


def test_without_a_source_it_is_refused_in_one_line(saved, tmp_path):
    bundle = load_bundle(tmp_path / "scratch")
    with pytest.raises(GraftError, match=r"^wise_ft\.alpha=0\.5: run=.*scratch was trained from scratch"):
        move_towards_source(bundle, tmp_path / "scratch", 0.5)
    (tmp_path / "source.safetensors").unlink()
    with pytest.raises(GraftError, match=r"^wise_ft\.alpha=0\.5: the source of run=") as caught:
        move_towards_source(bundle, tmp_path / "tuned", 0.5)
    assert "\n" not in str(caught.value)
