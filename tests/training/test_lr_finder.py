"""The finder scales all rates by one number, and leaves the model as it was."""

import pytest
import torch

import graft
from graft.freezing import Frozen, Full
from graft.training.assembly import Parts
from graft.training.lr_finder import found_factor, in_proportion, scaled


class Loads:
    """Gives the batches of a loader, as the data module does."""

    def __init__(self, loader):
        self.train_dataloader = lambda: loader


@pytest.mark.parametrize("strategy", [Full(), Frozen()])
def test_the_model_stays_and_the_factor_is_a_number(transfer, plan, loader, strategy):
    module = transfer(lr=1e-3, optimizer=torch.optim.AdamW)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    trainer = {"accelerator": "cpu", "devices": 1, "precision": "32-true"}
    factor = found_factor(Parts(Loads(loader(64, 8)), module, plan(strategy)), trainer)
    assert 1e-5 < factor < 1e4
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())
    assert {group["lr"] for group in module.groups} == {1e-3}


def test_each_step_keeps_the_proportions(transfer):
    module = transfer(lr=1.0)
    for group, rate in zip(module.groups, (0.1, 0.2, 0.4, 0.8), strict=True):
        group["lr"] = rate
    optimizer = in_proportion(module, lead=0.8)
    before = [group["params"][0].detach().clone() for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        # As Lightning's finder does: one rate for all.
        group["lr"] = 0.01
        for parameter in group["params"]:
            parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    for group, old, share in zip(optimizer.param_groups, before, (0.125, 0.25, 0.5, 1.0), strict=True):
        torch.testing.assert_close(old - group["params"][0].detach(), torch.full_like(old, 0.01 * share))
        assert group["lr"] == 0.01


def test_settings_are_scaled_in_proportion():
    found = scaled({"lr": 1e-4, "head_lr": 3e-3, "weight_decay": 0.1}, 2.5)
    assert found == {"lr": 2.5e-4, "head_lr": 7.5e-3, "weight_decay": 0.1}
    assert scaled({"lr": 1e-4, "head_lr": "10x"}, 2.0) == {"lr": 2e-4, "head_lr": "10x"}
    assert scaled({"lr": 1e-4, "head_lr": None}, 2.0) == {"lr": 2e-4, "head_lr": None}


def test_a_run_records_what_was_found(photos, tmp_path, capsys):
    words = ["data=image_folder", f"data.root={photos}", "data.batch_size=8", "trainer=cpu", "logger=none"]
    words += [
        "lr_find=true",
        "trainer.max_epochs=1",
        "optimizer.head_lr=5e-3",
        f"hydra.run.dir={tmp_path / 'run'}",
    ]
    config = graft.train(words).read_config()
    assert config["lr_find"] is False
    assert config["optimizer"]["head_lr"] == pytest.approx(10 * config["optimizer"]["lr"], rel=0.01)
    assert config["optimizer"]["lr"] != 5e-4
    # What was found, given, makes the same run without a search.
    given = [f"optimizer.{key}={config['optimizer'][key]}" for key in ("lr", "head_lr")]
    words = [word for word in words if not word.startswith(("lr_find", "optimizer", "hydra"))]
    graft.train([*words, *given, f"hydra.run.dir={tmp_path / 'again'}"])
    weights = "model/model.safetensors"
    assert (tmp_path / "run" / weights).read_bytes() == (tmp_path / "again" / weights).read_bytes()
    assert f"lr_find: optimizer.lr={config['optimizer']['lr']}" in capsys.readouterr().out
