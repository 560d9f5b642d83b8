"""The average is the formula's, exact where nothing moves, what is validated and kept, and is resumed."""

import pytest
import torch
from pytorch_lightning.callbacks import Callback, ModelCheckpoint

from graft.freezing import Frozen, Full
from graft.freezing.apply import FreezeCallback
from graft.training.checkpoint_files import CheckedIO
from graft.training.ema import Ema, warmed_decay
from graft.training.ending import load_best

# The head of `transfer`.
HEAD = "head.1.weight"


def floats(module):
    return {key: value.clone() for key, value in module.state_dict().items()}


class Records(Callback):
    """The raw weights and the average after each batch."""

    def __init__(self, ema):
        self.ema = ema
        self.raw, self.average = [], []

    def on_train_batch_end(self, trainer, pl_module, *args):
        self.raw.append(floats(pl_module))
        self.average.append(floats(self.ema._average_model.module))


def test_the_decay_warms_up():
    assert [warmed_decay(0.5, k) for k in (0, 1, 8, 1000)] == [0.1, 2 / 11, 0.5, 0.5]
    assert warmed_decay(0.999, 8990) == pytest.approx(0.999)
    assert warmed_decay(0.999, 100) == 101 / 110


@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_average_is_the_formulas_at_each_step_of_the_optimizer(transfer, trainer, loader, accumulate):
    ema = Ema(0.5)
    records = Records(ema)
    callbacks = [FreezeCallback(Full()), ema, records]
    trainer(epochs=4, callbacks=callbacks, accumulate_grad_batches=accumulate).fit(
        transfer(), loader(16, 4), loader(4, 4)
    )
    key = HEAD
    steps = [index for index in range(16) if index % accumulate == accumulate - 1]
    expected = records.raw[steps[0]][key].double()
    for k, step in enumerate(steps):
        if k:
            expected += (1 - warmed_decay(0.5, k)) * (records.raw[step][key].double() - expected)
        torch.testing.assert_close(records.average[step][key].double(), expected, rtol=1e-5, atol=1e-6)
        statistics = "backbone.stages.stem.1.running_var"
        # Under accumulation the statistics move between the steps.
        assert torch.equal(records.average[step][statistics], records.raw[step][statistics])
    assert not torch.equal(records.average[-1][key], records.raw[-1][key])


def test_the_average_of_a_constant_nears_it_by_the_decay():
    ema = Ema(0.9)
    update = ema._kwargs["multi_avg_fn"]
    constant, start = torch.tensor([3.0]).double(), torch.tensor([-1.0]).double()
    average = start.clone()
    for _ in range(50):
        update([average], [constant], 10**6)
    torch.testing.assert_close(average, constant + 0.9**50 * (start - constant))


def test_frozen_weights_are_their_own_average_after_2000_steps(transfer, trainer, loader):
    ema = Ema(0.999)
    module = transfer(optimizer=torch.optim.AdamW, lr=0.001)
    before = floats(module.backbone)
    fitted = trainer(epochs=10, callbacks=[FreezeCallback(Frozen()), ema])
    fitted.fit(module, loader(400, 2))
    assert fitted.global_step == 2000
    average = ema._average_model.module.backbone.state_dict()
    assert all(torch.equal(average[key], before[key]) for key in before)
    # Training over, the module holds the average.
    assert all(torch.equal(value, before[key]) for key, value in module.backbone.state_dict().items())


class Validated(Callback):
    """The weights that each validation sees, and those that training goes on with."""

    def __init__(self):
        self.seen, self.after = [], []

    def on_validation_batch_start(self, trainer, pl_module, *args):
        self.seen.append(floats(pl_module))

    def on_validation_end(self, trainer, pl_module):
        self.after.append(floats(pl_module))


@pytest.mark.parametrize("interval", [1.0, 0.5])
def test_the_average_is_validated_and_kept_and_training_goes_on_raw(
    transfer, trainer, loader, tmp_path, interval
):
    ema, watch = Ema(0.9), Validated()
    records = Records(ema)
    best = ModelCheckpoint(tmp_path, "best", monitor="val/loss")
    callbacks = [FreezeCallback(Full()), ema, records, watch, best]
    module = transfer(lr=0.5)
    fitted = trainer(epochs=4, callbacks=callbacks, val_check_interval=interval, plugins=[CheckedIO()])
    fitted.fit(module, loader(8, 4), loader(6, 6, seed=1))
    stride = int(2 * interval)
    for index, (seen, after) in enumerate(zip(watch.seen, watch.after, strict=True)):
        step = stride * (index + 1) - 1
        assert all(torch.equal(seen[key], records.average[step][key]) for key in seen)
        assert all(torch.equal(after[key], records.raw[step][key]) for key in after)
    load_best(fitted, module)
    kept = module.state_dict()
    assert any(all(torch.equal(seen[key], kept[key]) for key in kept) for seen in watch.seen)
    validated = trainer()
    validated.validate(module, loader(6, 6, seed=1), verbose=False)
    assert float(validated.callback_metrics["val/loss"]) == pytest.approx(float(best.best_model_score))


# In the middle of an epoch too; Lightning warns of loaders that would then begin anew.
@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before")
@pytest.mark.parametrize("steps", [4, 3])
def test_resuming_repeats_the_run_to_the_last_bit(transfer, tiny, trainer, items, tmp_path, steps):
    # Batches that are all the same, so that it does not matter where in an epoch (of 4) one goes on.
    batches = torch.utils.data.DataLoader(items(2) * 4, batch_size=2)

    def fit(epochs, path=None, **settings):
        ema = Ema(0.7)
        keep = ModelCheckpoint(tmp_path / str(epochs), "{step}", every_n_train_steps=1, save_top_k=-1)
        module = transfer(backbone=tiny(dropout=0.0), optimizer=torch.optim.AdamW, lr=0.01)
        fitted = trainer(epochs, [FreezeCallback(Full()), ema, keep], **settings)
        fitted.fit(module, batches, batches, ckpt_path=path, weights_only=True)
        return ema, floats(module), fitted

    ema, whole, fitted = fit(3)
    again, resumed, went_on = fit(3, tmp_path / "3" / f"step={steps}.ckpt")
    assert fitted.global_step == went_on.global_step == 12
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    assert int(ema._average_model.n_averaged) == int(again._average_model.n_averaged) == 12


class Interrupts(Callback):
    def on_validation_batch_start(self, *args):
        raise RuntimeError("stop")


def test_interrupted_in_validation_the_raw_weights_are_back(transfer, trainer, loader):
    ema = Ema(0.9)
    records = Records(ema)
    module = transfer()
    with pytest.raises(RuntimeError, match="stop"):
        trainer(callbacks=[ema, records, Interrupts()]).fit(module, loader(8, 4), loader(4, 4))
    assert all(torch.equal(value, records.raw[-1][key]) for key, value in module.state_dict().items())
    assert not torch.equal(records.raw[-1][HEAD], records.average[-1][HEAD])
