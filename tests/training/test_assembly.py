"""The parts of a run are what the resolved configuration says."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import nn

from graft.backbones import Backbone
from graft.backbones.making import make_backbone
from graft.composition.composing import compose
from graft.configuration.run_config import Loss, RunConfig
from graft.data import SampleData, SampleDataModule, array_images
from graft.errors import GraftError
from graft.runs import RunFolder
from graft.sources.opening import split_data
from graft.tasks.single_label import class_weights
from graft.training import TransferModule, assembly
from graft.training.trainer import make_callbacks, make_trainer


@pytest.fixture(scope="module")
def config():
    words = ["backbone.image_size=16", "data.batch_size=8", "data.num_workers=0", "trainer=cpu"]
    return RunConfig.of(
        compose("train", [*words, "trainer.max_epochs=2", "callbacks.last.seconds=0", "seed=5"])[0]
    )


@pytest.fixture
def uneven():
    """40 small images of three classes, most of them of the last."""
    stream = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [6, 10, 24])
    pixels = stream.integers(0, 256, (40, 20, 20, 3), dtype=np.uint8)
    names = [str(index) for index in range(40)]
    return SampleData(["a", "b", "c"], {"all": array_images(names, labels, pixels)})


@pytest.fixture
def made(config, uneven):
    """Module and loading for a configuration."""

    def made(**changes):
        whole = replace(config, **changes)
        backbone = make_backbone(whole.backbone)
        splits = split_data(whole.data, uneven)
        loading = assembly.make_loading(whole, uneven, splits, backbone.preprocessing)
        return assembly.make_module(whole, backbone, loading, assembly.make_plan(whole, backbone)), loading

    return made


def text() -> str:
    return "no backbone"


def test_a_backbone_of_another_kind_is_refused(config):
    with pytest.raises(GraftError, match=r"^backbone: .*text gave str, not graft\.backbones\.Backbone"):
        make_backbone({"_target_": f"{__name__}.text"})


def test_a_strategy_of_another_kind_is_refused(config):
    whole = replace(config, freeze={"_target_": f"{__name__}.text"})
    with pytest.raises(GraftError, match=r"^freeze: .*text gave str, which has no method treatment"):
        assembly.make_plan(whole, make_backbone(whole.backbone))


def test_the_model_has_a_logit_for_each_class_of_the_data(made):
    module, loading = made()
    assert isinstance(module, TransferModule)
    assert isinstance(loading, SampleDataModule)
    batch = next(iter(loading.train_dataloader()))
    assert batch["input"].shape == (7, 3, 16, 16)
    assert module(batch["input"]).shape == (7, 3)
    assert loading.seed == 5


def test_a_new_head_does_not_begin_as_that_with_which_its_backbone_was_trained(made, config, uneven):
    source, loading = made()
    trained = deepcopy(source.backbone)
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter.add_(0.01)
    plan = assembly.make_plan(config, source.backbone)
    heads = [
        assembly.make_module(config, backbone, loading, plan).head.state_dict()
        for backbone in (source.backbone, trained, trained)
    ]
    first, second, third = (torch.cat([value.flatten() for value in head.values()]) for head in heads)
    assert abs(torch.corrcoef(torch.stack([first, second]))[0, 1]) < 0.3
    assert torch.equal(second, third)


def test_the_settings_reach_the_module(made, config):
    optimizer = {**config.optimizer, "lr": 0.25, "head_lr": 0.5, "weight_decay": 0.125}
    module, _ = made(
        optimizer=optimizer,
        head={"_target_": "graft.models.mlp", "hidden": 9},
        loss=Loss(0.3, [1, 2, 3]),
        channels_last=True,
    )
    groups = {group["name"]: (group["lr"], group["weight_decay"]) for group in module.groups}
    assert groups == {
        "backbone": (0.25, 0.125),
        "backbone_no_decay": (0.25, 0.0),
        "head": (0.5, 0.125),
        "head_no_decay": (0.5, 0.0),
    }
    made_optimizer = module.optimizer_factory(module.groups)
    assert isinstance(made_optimizer, torch.optim.AdamW)
    assert [group["lr"] for group in made_optimizer.param_groups] == [0.25, 0.25, 0.5, 0.5]
    assert [layer.out_features for layer in module.head if isinstance(layer, nn.Linear)] == [9, 3]
    assert module.task.label_smoothing == 0.3
    assert module.task.class_weights.tolist() == [1.0, 2.0, 3.0]
    assert module.channels_last


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_an_optimizer_is_fused_on_a_gpu_where_nothing_speaks_against_it(monkeypatch, name):
    def fused(*words):
        config = RunConfig.of(compose("train", [f"optimizer={name}", *words])[0])
        return assembly.make_optimizer(config)([nn.Parameter(torch.zeros(2))]).defaults["fused"]

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert fused() is None
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert fused() is True
    assert fused("trainer=gpu") is True
    assert fused("trainer=cpu") is None
    assert fused("optimizer.fused=false") is False
    assert fused("optimizer.foreach=true") is None
    assert fused("trainer.gradient_clip_val=1.0") is None


def test_balanced_weights_are_scikit_learns_of_the_training_images(made, uneven):
    module, loading = made(loss=Loss(0.0, "balanced"))
    labels = uneven.samples.labels[loading.splits["train"]]
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    assert module.task.class_weights.tolist() == pytest.approx(expected.tolist())
    assert not np.allclose(
        compute_class_weight("balanced", classes=np.arange(3), y=uneven.samples.labels), expected
    )


@pytest.mark.parametrize("case", range(10))
def test_balanced_weights_equal_scikit_learns(case):
    stream = np.random.default_rng(case)
    labels = np.concatenate([np.arange(4), stream.integers(0, 4, 50) // stream.integers(1, 4)])
    expected = compute_class_weight("balanced", classes=np.arange(4), y=labels)
    assert class_weights("balanced", labels, 4).tolist() == pytest.approx(expected.tolist())


def test_a_class_without_images_divides_by_nothing():
    assert torch.isfinite(class_weights("balanced", np.array([0, 0, 2]), 3)).all()


def test_class_weights_are_none_or_one_a_class():
    assert class_weights(None, np.array([0, 1]), 2) is None
    weights = class_weights([1, 2.5], np.array([0, 1]), 2)
    assert (weights.dtype, weights.tolist()) == (torch.float32, [1.0, 2.5])
    with pytest.raises(GraftError, match=r"loss\.class_weights has 2 numbers, but there are 3 classes"):
        class_weights([1, 2], np.array([0, 1]), 3)


def test_a_run_from_the_configuration_leaves_checkpoints_of_plain_values(config, made, tmp_path):
    config = replace(config, callbacks={name: config.callbacks[name] for name in ("best", "last")})
    module, loading = made()
    callbacks = make_callbacks(config, tmp_path, validated=True)
    trainer = make_trainer(config, tmp_path, callbacks, [])
    trainer.fit(module, datamodule=loading)
    assert sorted(path.name for path in RunFolder(tmp_path).checkpoints.glob("*.ckpt")) == [
        *("best.ckpt", "last.ckpt", "previous.ckpt")
    ]
    checkpoint = torch.load(RunFolder(tmp_path).checkpoints / "last.ckpt", weights_only=True)
    assert checkpoint["epoch"] == 2
    assert checkpoint["state_dict"].keys() == module.state_dict().keys()
    assert all(
        torch.equal(checkpoint["state_dict"][key], value) for key, value in module.state_dict().items()
    )
    assert not checkpoint.get("hyper_parameters")
    assert torch.load(RunFolder(tmp_path).checkpoints / "best.ckpt", weights_only=True)["optimizer_states"]


def test_two_parts_of_one_configuration_share_nothing(config):
    first, second = make_backbone(config.backbone), make_backbone(config.backbone)
    assert isinstance(first, Backbone)
    assert not {id(p) for p in first.parameters()} & {id(p) for p in second.parameters()}


def test_an_optimizer_of_ones_own_needs_a_rate():
    """It was a KeyError."""
    assert assembly.rates({"_target_": "torch.optim.Adagrad", "lr": 0.1})["head_lr"] is None
    with pytest.raises(GraftError, match=r"optimizer\.lr is missing: torch\.optim\.Adagrad needs"):
        assembly.rates({"_target_": "torch.optim.Adagrad"})
