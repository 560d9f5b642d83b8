"""A regulariser in a fit: added to the loss, logged apart; co-tuning alone in the optimizer."""

import pytest
import torch
from torch import nn
from torchvision import models

import graft
from graft.backbones import SourceHead
from graft.composition.composing import compose
from graft.errors import GraftError
from graft.objective import L1, L2, L2SP, BatchSpectralShrinkage, CoTuning, Delta, StochNorm


@pytest.mark.parametrize("kind", [L1, L2, L2SP, Delta, BatchSpectralShrinkage, StochNorm])
def test_it_is_logged_apart_and_kept_nowhere(transfer, trainer, loader, kind):
    plain, module = transfer(), transfer(regularizer=kind())
    own = {"regularizer.squares"} if kind is Delta else set()
    assert set(module.state_dict()) == set(plain.state_dict()) | own
    fitted = trainer()
    fitted.fit(module, loader(8, 4), loader(4, 4))
    held = [id(p) for group in fitted.optimizers[0].param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in module.parameters())
    assert ("train/regularizer" in fitted.callback_metrics) == (kind is not StochNorm)


def test_the_loss_that_is_descended_on_has_the_term_and_the_logged_one_has_not(transfer, trainer, loader):
    losses = []
    for weight in (0.0, 5.0):
        module, fitted = transfer(lr=0.0, regularizer=L2(weight)), trainer()
        step = module.training_step
        module.training_step = lambda *args, step=step: losses.append(step(*args)) or losses[-1]
        fitted.fit(module, loader(4, 4))
        term = fitted.callback_metrics["train/regularizer"]
        plain = float(fitted.callback_metrics["train/loss"])
        assert float(losses[-1].detach()) == pytest.approx(plain + float(term), rel=1e-5)
    assert float(term) > 0


def test_l2_sp_and_weight_decay_contradict_each_other():
    with pytest.raises(GraftError, match=r"regularizer=l2_sp .* optimizer\.weight_decay=0\.01"):
        compose("train", ["regularizer=l2_sp"])
    compose("train", ["regularizer=l2_sp", "optimizer.weight_decay=0"])


@pytest.mark.parametrize("name", ["delta", "bss", "co_tuning"])
def test_what_looks_at_each_stage_is_not_compiled(name):
    with pytest.raises(GraftError, match=r"compile=true does not go with"):
        compose("train", ["backbone=resnet18", f"regularizer={name}", "compile=true"])


@pytest.mark.parametrize("name", ["none", "l2_sp", "delta", "stochnorm"])
def test_a_run_with_it_leaves_a_plain_model(tmp_path, photos, name):
    backbone = ["backbone=resnet18", "backbone.image_size=32", "backbone.weights=null"]
    words = [f"regularizer={name}", "optimizer.weight_decay=0", "debug=one_batch"]
    run = graft.train(
        [
            *words,
            *backbone,
            "data=image_folder",
            f"data.root={photos}",
            "data.batch_size=4",
            "trainer=cpu",
            "logger=none",
            f"hydra.run.dir={tmp_path}/run",
        ]
    )
    kinds = {type(layer).__module__ for layer in graft.load(run.path).model.modules()}
    assert not any(kind.startswith("graft.objective") for kind in kinds)
    header = run.path.joinpath("metrics.csv").read_text().splitlines()[0]
    assert ("train/regularizer" in header) == (name in ("l2_sp", "delta"))


def co_tuned(transfer, tiny, **settings):
    regularizer = CoTuning(settings.pop("weight", 2.3))
    torch.manual_seed(7)
    regularizer.adopt(SourceHead(nn.Linear(6, 4)), width=6, classes=3)
    regularizer.relation.copy_(torch.full((3, 4), 0.25))
    return transfer(backbone=tiny(), regularizer=regularizer, **settings)


def test_co_tunings_head_trains_along_and_is_saved_with_its_relation(transfer, tiny, trainer, loader):
    module = co_tuned(transfer, tiny)
    own = {"regularizer.relation", "regularizer.source_head.weight", "regularizer.source_head.bias"}
    assert set(module.state_dict()) == set(transfer().state_dict()) | own
    before = {key: module.state_dict()[key].clone() for key in own}
    fitted = trainer()
    fitted.fit(module, loader(8, 4), loader(4, 4))
    held = [id(p) for group in fitted.optimizers[0].param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in module.parameters())
    after = module.state_dict()
    assert torch.equal(after["regularizer.relation"], before.pop("regularizer.relation"))
    assert not any(torch.equal(after[key], old) for key, old in before.items())
    # Of 4 classes that are all as likely, no more can be said.
    assert float(fitted.callback_metrics["train/regularizer"]) >= 2.3 * torch.tensor(4.0).log() - 1e-5


def test_co_tuning_without_weight_trains_as_without_it(transfer, tiny, trainer, loader):
    ends = []
    for weight in (None, 0.0, 1.0):
        module = transfer(backbone=tiny()) if weight is None else co_tuned(transfer, tiny, weight=weight)
        plain = transfer(backbone=tiny())
        module.head.load_state_dict({key: value * 0 + 0.1 for key, value in plain.head.state_dict().items()})
        torch.manual_seed(0)
        trainer(epochs=2).fit(module, loader(8, 4))
        ends.append({key: v for key, v in module.state_dict().items() if not key.startswith("regularizer")})
    assert all(torch.equal(value, ends[1][key]) for key, value in ends[0].items())
    assert not all(torch.equal(value, ends[2][key]) for key, value in ends[0].items())


def test_a_co_tuned_run_leaves_a_plain_model(tmp_path, capsys):
    source = models.squeezenet1_0(num_classes=20)
    torch.save(source.state_dict(), tmp_path / "source.pth")
    words = ["data=digits", "data.shots=2", "data.batch_size=4", "backbone=squeezenet1_0", "trainer=cpu"]
    words += [f"backbone.weights={tmp_path}/source.pth", "backbone.image_size=32", "mix=mixup", "logger=none"]
    words += ["regularizer=co_tuning", "trainer.limit_train_batches=2", "trainer.limit_val_batches=1"]
    run = graft.train(
        [*words, "trainer.max_epochs=1", "trainer.limit_test_batches=1", f"hydra.run.dir={tmp_path}/run"]
    )
    assert "co-tuning: 20 source classes related to 10 by 20 images" in capsys.readouterr().out
    checkpoint = torch.load(run.checkpoints / "last.ckpt", weights_only=True)["state_dict"]
    relation = checkpoint["regularizer.relation"]
    assert relation.shape == (10, 20)
    torch.testing.assert_close(relation.sum(1), torch.ones(10))
    assert "train/regularizer" in run.path.joinpath("metrics.csv").read_text().splitlines()[0]
    model = graft.load(run.path).model
    assert {name.split(".")[0] for name in model.state_dict()} == {"backbone", "head"}
    assert [row.split(",")[0] for row in run.freeze.read_text().splitlines()][-1] == "head"
    torch.save({k: v for k, v in source.state_dict().items() if "classifier" not in k}, tmp_path / "bare.pth")
    words = [word for word in words if "backbone.weights" not in word]
    with pytest.raises(GraftError, match=r"bare\.pth has none that is one layer"):
        graft.train(
            [*words, f"backbone.weights={tmp_path}/bare.pth", f"hydra.run.dir={tmp_path}/none"],
        )
    assert not (tmp_path / "none").exists()
