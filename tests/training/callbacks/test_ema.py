"""The average is the formula's, exact where nothing moves, what is validated and kept, and is resumed."""

import copy

import pytest
import torch
from pytorch_lightning.callbacks import Callback, ModelCheckpoint
from torch import nn
from torch.nn.functional import cross_entropy

from graft.freezing import Frozen, Full, LastK
from graft.freezing.apply import FreezeCallback
from graft.objective import StochNorm
from graft.training.callbacks.checkpoint_files import CheckedIO
from graft.training.callbacks.ema import Ema, warmed_decay
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
def test_the_average_is_the_formulas_at_each_step_of_the_optimizer(
    transfer, plan, trainer, loader, accumulate
):
    ema = Ema(0.5)
    records = Records(ema)
    callbacks = [FreezeCallback(plan(Full())), ema, records]
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


@pytest.mark.parametrize("epochs", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_frozen_weights_are_their_own_average_after_thousands_of_steps(
    transfer, plan, trainer, loader, epochs
):
    ema = Ema(0.999)
    module = transfer(optimizer=torch.optim.AdamW, lr=0.001)
    before = floats(module.backbone)
    fitted = trainer(epochs=epochs, callbacks=[FreezeCallback(plan(Frozen())), ema])
    fitted.fit(module, loader(400, 2))
    assert fitted.global_step == 200 * epochs
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
    transfer, plan, trainer, loader, tmp_path, interval
):
    ema, watch = Ema(0.9, recalibrate=0), Validated()
    records = Records(ema)
    best = ModelCheckpoint(tmp_path, "best", monitor="val/loss")
    callbacks = [FreezeCallback(plan(Full())), ema, records, watch, best]
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
def test_resuming_repeats_the_run_to_the_last_bit(transfer, plan, tiny, trainer, items, tmp_path, steps):
    # Batches that are all the same, so that it does not matter where in an epoch (of 4) one goes on.
    batches = torch.utils.data.DataLoader(items(2) * 4, batch_size=2)

    def fit(epochs, path=None, **settings):
        ema = Ema(0.7)
        keep = ModelCheckpoint(tmp_path / str(epochs), "{step}", every_n_train_steps=1, save_top_k=-1)
        module = transfer(backbone=tiny(dropout=0.0), optimizer=torch.optim.AdamW, lr=0.01)
        fitted = trainer(epochs, [FreezeCallback(plan(Full())), ema, keep], **settings)
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


STATISTICS = ("running_mean", "running_var")


LAYERS = ["backbone.stages.stem.1", "backbone.stages.body.1"]


def taken_by_hand(module, state, batches):
    """The module with statistics that are the mean, over batches, of those of what enters each layer."""
    module = copy.deepcopy(module)
    module.load_state_dict(state)
    module.eval()
    entered = {name: [] for name in LAYERS}
    for name in LAYERS:
        layer = module.get_submodule(name).train()
        # Of StochNorm's layers: all channels by the batch.
        layer.p = 1.0
        layer.register_forward_hook(lambda _layer, inputs, _out, to=entered[name]: to.append(inputs[0]))
    with torch.no_grad():
        for batch in batches:
            module(batch["input"])
    taken = {}
    for name, inputs in entered.items():
        taken[f"{name}.running_mean"] = torch.stack([x.mean((0, 2, 3)) for x in inputs]).mean(0)
        taken[f"{name}.running_var"] = torch.stack([x.var((0, 2, 3)) for x in inputs]).mean(0)
    module.load_state_dict({**state, **taken})
    return module.eval()


@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_averages_statistics_are_taken_from_training_images_at_each_validation(
    transfer, plan, trainer, loader, accumulate
):
    batches, images, losses = loader(16, 4), loader(24, 12, seed=1), {}
    for recalibrate in (0, 10_000):
        watch, module = Validated(), transfer(lr=0.3)
        trainer(
            epochs=3,
            callbacks=[FreezeCallback(plan(Full())), Ema(0.9, recalibrate), watch],
            accumulate_grad_batches=accumulate,
        ).fit(module, batches, images)
        states = watch.seen[::2]
        assert len(states) == 3
        losses[recalibrate] = []
        for state in states:
            expected = taken_by_hand(module, state, batches).state_dict()
            for key in state:
                if recalibrate or not key.endswith(STATISTICS):
                    if "num_batches" not in key:
                        torch.testing.assert_close(state[key], expected[key], rtol=1e-4, atol=1e-5, msg=key)
                else:
                    assert not torch.allclose(state[key], expected[key], rtol=0.01), key
            found = copy.deepcopy(module)
            found.load_state_dict(state)
            found.eval()
            with torch.no_grad():
                parts = [cross_entropy(found(batch["input"]), batch["target"]) for batch in batches]
            losses[recalibrate].append(torch.stack(parts).mean())
        # What trains is the same, and draws the same (there is dropout).
        losses[f"raw {recalibrate}"] = watch.after
    assert torch.stack(losses[10_000]).mean() < torch.stack(losses[0]).mean()
    for one, other in zip(losses["raw 0"], losses["raw 10000"], strict=True):
        assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize(
    ("strategy", "moving"),
    [
        (Frozen(), set()),
        (Full(norm="affine"), set()),
        (LastK(2), {"body"}),
        (Full(), {"stem", "body"}),
    ],
    ids=["frozen", "affine", "last_k", "full"],
)
def test_only_statistics_that_move_are_taken(transfer, plan, trainer, loader, strategy, moving):
    seen = {}
    for recalibrate in (0, 8):
        watch = Validated()
        callbacks = [FreezeCallback(plan(strategy)), Ema(0.9, recalibrate), watch]
        trainer(epochs=2, callbacks=callbacks).fit(transfer(lr=0.3), loader(16, 4), loader(4, 4))
        seen[recalibrate] = watch.seen[-1]
    changed = {key.split(".")[2] for key in seen[0] if not torch.equal(seen[0][key], seen[8][key])}
    assert changed == moving


@pytest.mark.parametrize("validates", [True, False])
def test_what_training_ends_with_has_its_own_statistics(transfer, plan, trainer, loader, tmp_path, validates):
    keep = ModelCheckpoint(tmp_path, save_last=True)
    module, batches = transfer(lr=0.3), loader(16, 4)
    callbacks = [FreezeCallback(plan(Full())), Ema(0.9), keep]
    fitted = trainer(epochs=2, callbacks=callbacks)
    fitted.fit(module, batches, loader(4, 4) if validates else None)
    ended = floats(module)
    assert (fitted.current_epoch, fitted.global_step) == (2, 8)
    expected = taken_by_hand(module, ended, batches)
    for key, value in expected.state_dict().items():
        if key.endswith(STATISTICS):
            torch.testing.assert_close(ended[key], value, rtol=1e-4, atol=1e-5, msg=key)
    # Resumed where nothing is left to train, the module holds the same.
    again = transfer(lr=0.3)
    trainer(epochs=2, callbacks=[FreezeCallback(plan(Full())), Ema(0.9), ModelCheckpoint(tmp_path)]).fit(
        again, batches, ckpt_path=tmp_path / "last.ckpt", weights_only=True
    )
    assert all(torch.equal(value, ended[key]) for key, value in again.state_dict().items())


def test_stochastic_normalisation_is_left_out_where_statistics_are_taken(
    transfer, plan, trainer, tiny, loader
):
    batches, states, afters = loader(16, 4), [], []
    for recalibrate in (0, 10_000):
        backbone, watch = tiny(), Validated()
        StochNorm(0.5).prepare(backbone, nn.Identity())
        module = transfer(lr=0.3, backbone=backbone)
        callbacks = [FreezeCallback(plan(Full())), Ema(0.9, recalibrate), watch]
        trainer(epochs=2, callbacks=callbacks).fit(module, batches, loader(4, 4))
        states.append(watch.seen[-1])
        afters.append(watch.after[-1])
    expected = taken_by_hand(module, states[1], batches)
    for key, value in expected.state_dict().items():
        if key.endswith(STATISTICS):
            torch.testing.assert_close(states[1][key], value, rtol=1e-4, atol=1e-5, msg=key)
    assert all(torch.equal(afters[0][key], afters[1][key]) for key in afters[0])
