"""Every strategy on small backbones, every backbone under one: what is frozen stands, what trains moves."""

from pathlib import Path

import pytest
import torch
import yaml
from torch import nn

from graft.backbones import simple_cnn, timm_backbone
from graft.backbones.making import make_backbone
from graft.composition.composing import compose
from graft.configuration.run_config import RunConfig
from graft.errors import GraftError
from graft.freezing.apply import apply
from graft.freezing.parts import parts
from graft.training import assembly

CONF = Path(__file__).parents[2] / "conf"
STRATEGIES = sorted(path.stem for path in (CONF / "freeze").glob("*.yaml"))
# The last one runs as one block.
SMALL = ["simple_cnn", "mobilenet_v3_small", "hrnet_w18_small"]
# Those of images; networks of texts and rows learn from training samples first, encoders are those of a
# folder, and all have tests of their own.
OTHERS = {"torchvision", "timm", "text_cnn", "table_mlp", "transformers"}
LISTED = sorted({path.stem for path in (CONF / "backbone").glob("*.yaml")} - OTHERS)
# Six seconds each.
LARGE = ("vgg16", "vit_b_16")
NORMLESS = ("squeezenet1_0", "vgg16")
SETTINGS = {
    "freeze_unfreeze": ["freeze.at=1"],
    "lp_ft": ["freeze.epochs=1"],
    "lora": ["freeze.r=2"],
    "norm_only": ["freeze.norm=train"],
}


def backbone_of(name):
    if name == "simple_cnn":
        return simple_cnn()
    if name == "hrnet_w18_small":
        return timm_backbone(name, image_size=64)
    return make_backbone({**yaml.safe_load((CONF / f"backbone/{name}.yaml").read_text()), "weights": None})


def check(name, freeze, epochs=3, steps=2):
    torch.manual_seed(0)
    backbone = backbone_of(name)
    size = {"simple_cnn": 32, "vit_b_16": 224, "inception_v3": 80}.get(name, 64)
    config, _ = compose("train", [f"freeze={freeze}", *SETTINGS.get(freeze, [])])
    plan = assembly.make_plan(RunConfig.of(config), backbone)
    head = nn.Linear(backbone.width, 3)
    trained = [*backbone.parameters(), *head.parameters()]
    optimizer = torch.optim.SGD(trained, lr=1e-2, momentum=0.9, weight_decay=0.1)
    images, labels = torch.randn(4, 3, size, size), torch.tensor([0, 1, 2, 0])
    ever = set()
    for epoch in range(epochs):
        before = {key: value.clone() for key, value in backbone.state_dict().items()}
        backbone.train()
        apply(plan, backbone.stages, epoch)
        located = parts(backbone.stages)
        treated = {f"stages.{part.full_name}": plan.treatment(part, epoch) for part, _, _ in located}
        trains = {key for key, treatment in treated.items() if treatment.trains}
        ever |= trains
        check_prefix(backbone, images, treated)
        for _ in range(steps):
            optimizer.zero_grad()
            nn.functional.cross_entropy(head(backbone(images)), labels).backward()
            optimizer.step()
        after = backbone.state_dict()
        moved = {key for key in after if not torch.equal(after[key], before[key])}
        # Buffers that move belong to norm layers whose statistics are said to.
        statistics = {key for key, treatment in treated.items() if treatment.moves_statistics}
        allowed = {key.rpartition(".")[0] for key in statistics}
        for key in moved - trains:
            assert key not in treated, f"{key} is frozen but moved in epoch {epoch}"
            assert key.rpartition(".")[0] in allowed, f"{key} moved in epoch {epoch}"
        for stage in {key.split(".")[1] for key in trains}:
            assert any(key.startswith(f"stages.{stage}.") for key in moved & trains), stage
    names = {id(p): key for key, p in backbone.named_parameters()}
    assert {names[id(p)] for p in optimizer.state if id(p) in names} <= ever
    return ever


def check_prefix(backbone, images, treated):
    """The stages from the stem on in which nothing trains answer in training as in evaluation."""
    stages = list(backbone.stages)
    moves = {key.split(".")[1] for key, t in treated.items() if t.trains or t.moves_statistics}
    stop = next((index for index, name in enumerate(stages) if name in moves), len(stages))
    for name in stages[:stop]:
        assert not any(module.training for module in backbone.stages[name].modules())
    if stop:
        with torch.no_grad():
            training = backbone(images, stop=stop)
            modes = {module: module.training for module in backbone.modules()}
            evaluated = backbone.eval()(images, stop=stop)
        for module, mode in modes.items():
            module.training = mode
        assert torch.equal(training, evaluated)


@pytest.mark.parametrize("freeze", STRATEGIES)
@pytest.mark.parametrize("name", SMALL)
def test_every_strategy_on_small_backbones(name, freeze):
    if (name, freeze) == ("simple_cnn", "norm_only"):
        with pytest.raises(GraftError, match="no normalisation layers"):
            check(name, freeze)
    else:
        assert bool(check(name, freeze)) == (freeze != "frozen")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in LARGE else ()) for name in LISTED]
)
def test_every_backbone_under_last_k(name):
    ever = check(name, "last_k", epochs=1, steps=1)
    last = list(backbone_of(name).stages)[-1]
    assert {key.split(".")[1] for key in ever} == {last}


@pytest.mark.slow
@pytest.mark.parametrize("freeze", STRATEGIES)
@pytest.mark.parametrize("name", [name for name in LISTED if name not in SMALL])
def test_every_backbone_under_every_strategy(name, freeze):
    if freeze == "norm_only" and name in NORMLESS:
        pytest.skip("refused: it has no normalisation layers")
    check(name, freeze, epochs=2, steps=1)
