"""What a step, an epoch and a whole fit do to the weights and to the numbers."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, log_loss
from torch import nn

from graft.data import mixup
from graft.errors import GraftError
from graft.freezing import Frozen, Full, LastK
from graft.freezing.apply import FreezeCallback
from graft.models import linear
from graft.tasks import SingleLabel
from graft.training import Checkpoints, TransferModule
from graft.training import module as module_of


def copied(module):
    return {key: value.clone() for key, value in module.state_dict().items()}


def moved(module, before):
    return {key for key, value in module.state_dict().items() if not torch.equal(value, before[key])}


def all_of(loader):
    batches = list(loader)
    return torch.cat([b["input"] for b in batches]), torch.cat([b["target"] for b in batches])


# With validation in mid-epoch, because Lightning then puts the model into evaluation mode and back.
@pytest.mark.parametrize("interval", [1.0, 0.5])
def test_a_frozen_backbone_is_bit_identical_after_training(transfer, plan, trainer, loader, interval):
    module = transfer(optimizer=torch.optim.AdamW, weight_decay=0.1)
    backbone, head = copied(module.backbone), copied(module.head)
    fitted = trainer(epochs=2, callbacks=[FreezeCallback(plan(Frozen()))], val_check_interval=interval)
    fitted.fit(module, loader(16, 4), loader(6, 4, seed=1))
    assert fitted.global_step == 8
    assert moved(module.backbone, backbone) == set()
    assert moved(module.head, head) == set(head)
    assert set(fitted.optimizers[0].state) == set(module.head.parameters())


class ComparesModes(FreezeCallback):
    """Freezes, and at each batch's end compares the training backbone with one in evaluation mode."""

    def __init__(self, plan, images):
        super().__init__(plan)
        self.images = images
        self.same = []

    def on_train_batch_end(self, trainer, pl_module, *args):
        assert pl_module.head.training
        modes = {module: module.training for module in pl_module.backbone.modules()}
        with torch.no_grad():
            now = pl_module.backbone(self.images)
            evaluated = pl_module.backbone.eval()(self.images)
        for module, mode in modes.items():
            module.training = mode
        self.same.append(torch.equal(now, evaluated))


@pytest.mark.parametrize("interval", [1.0, 0.5])
@pytest.mark.parametrize(("strategy", "same"), [(Frozen(), True), (Full(), False)])
def test_a_frozen_backbone_answers_in_training_as_in_evaluation(
    transfer, plan, trainer, loader, strategy, same, interval
):
    compares = ComparesModes(plan(strategy), torch.randn(4, 3, 16, 16))
    fitted = trainer(epochs=2, callbacks=[compares], val_check_interval=interval)
    fitted.fit(transfer(), loader(8, 4), loader(4, 4))
    assert compares.same == [same] * 4


def test_what_trains_moves_statistics_too(transfer, plan, trainer, loader):
    module = transfer()
    before = copied(module.backbone)
    trainer(callbacks=[FreezeCallback(plan(LastK(2)))]).fit(module, loader(8, 4))
    still = {key for key in before if key.startswith("stages.stem.")}
    assert moved(module.backbone, before) == set(before) - still
    assert still


def test_every_parameter_is_in_exactly_one_group_by_identity(transfer, plan, tiny, trainer, loader):
    backbone = tiny()
    for parameter in backbone.parameters():
        # Equal values must not make one parameter pass for another: of two zero biases both train.
        nn.init.zeros_(parameter)
    module = transfer(backbone=backbone)
    fitted = trainer(callbacks=[FreezeCallback(plan(Full()))])
    fitted.fit(module, loader(4, 4))
    held = [id(p) for group in fitted.optimizers[0].param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(parameter) for parameter in module.parameters())
    assert len(held) == 12


def smoothed_loss(logits, labels, smoothing, weights):
    """Cross-entropy with label smoothing and class weights, from the formula."""
    logs = logits.double().log_softmax(1)
    classes = logs.shape[1]
    target = (1 - smoothing) * nn.functional.one_hot(labels, classes) + smoothing / classes
    return float(-(target * weights * logs).sum() / weights[labels].sum())


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weights", [None, [1.0, 5.0, 0.25]])
def test_the_training_loss_is_smoothed_and_weighted_and_the_others_are_plain(
    transfer, tiny, trainer, loader, smoothing, weights
):
    module = transfer(
        lr=0.0,
        backbone=tiny(dropout=0.0),
        label_smoothing=smoothing,
        class_weights=None if weights is None else torch.tensor(weights),
    )
    images, labels = all_of(loader(12, 12))
    with torch.no_grad():
        training = module(images)
    fitted = trainer()
    fitted.fit(module, loader(12, 12), loader(12, 12))
    with torch.no_grad():
        evaluated = module.eval()(images)
    metrics = fitted.callback_metrics
    expected = smoothed_loss(training, labels, smoothing, torch.tensor(weights or [1.0] * 3).double())
    plain = smoothed_loss(evaluated, labels, 0.0, torch.ones(3).double())
    assert float(metrics["train/loss"]) == pytest.approx(expected, rel=1e-5)
    assert float(metrics["val/loss"]) == pytest.approx(plain, rel=1e-5)
    tested = trainer()
    tested.test(module, loader(12, 12), verbose=False)
    assert float(tested.callback_metrics["test/loss"]) == pytest.approx(plain, rel=1e-5)


@pytest.mark.parametrize("epochs", [1, 3])
def test_epoch_metrics_are_pooled_over_uneven_batches(transfer, plan, trainer, loader, epochs):
    module = transfer(lr=0.0)
    # Frozen, so that each epoch's training sees the same numbers as validation does.
    fitted = trainer(epochs=epochs, callbacks=[FreezeCallback(plan(Frozen()))])
    fitted.fit(module, loader(19, 8), loader(19, 8))
    images, labels = all_of(loader(19, 8))
    with torch.no_grad():
        logits = module.eval()(images)
    for part in ("train", "val"):
        found = {key: float(value) for key, value in fitted.callback_metrics.items()}
        probabilities = logits.double().softmax(1).numpy()
        assert found[f"{part}/loss"] == pytest.approx(log_loss(labels, probabilities), rel=1e-5)
        assert found[f"{part}/accuracy"] == pytest.approx(accuracy_score(labels, logits.argmax(1)))
        f1 = f1_score(labels, logits.argmax(1), average="macro", zero_division=0)
        assert found[f"{part}/f1_macro"] == pytest.approx(f1)


def test_an_epochs_numbers_are_of_that_epoch_alone(transfer, trainer, loader):
    module = transfer(lr=0.5)
    fitted = trainer(epochs=3)
    fitted.fit(module, loader(16, 4), loader(10, 4))
    images, labels = all_of(loader(10, 4))
    with torch.no_grad():
        last = nn.functional.cross_entropy(module.eval()(images), labels)
    assert float(fitted.callback_metrics["val/loss"]) == pytest.approx(float(last), rel=1e-5)
    assert module.tally("train").weight == 0


def test_a_loss_of_nan_stops_training_in_one_line(transfer, trainer, loader):
    module = transfer()
    nn.init.constant_(module.head[-1].weight, math.nan)
    with pytest.raises(GraftError, match=r"training loss became nan in epoch 1, step 0.*optimizer\.lr") as no:
        trainer().fit(module, loader(4, 4))
    assert "\n" not in str(no.value)


def test_a_loss_of_infinity_names_the_epoch(transfer, trainer, loader):
    module = transfer(lr=1e38)
    with pytest.raises(GraftError, match=r"training loss became (nan|inf) in epoch 2, step"):
        trainer(epochs=9).fit(module, loader(4, 4))


@pytest.mark.parametrize(("batches", "step"), [(3, 3), (60, 49)])
def test_where_to_look_is_to_wait_a_lost_loss_is_found_soon_and_never_saved(
    transfer, trainer, loader, tmp_path, monkeypatch, batches, step
):
    monkeypatch.setattr(module_of, "looks_each_step", lambda device: False)
    module = transfer()
    nn.init.constant_(module.head[-1].weight, math.nan)
    last = Checkpoints(str(tmp_path / "kept"), minutes=60)
    with pytest.raises(GraftError, match=rf"training loss became nan in epoch 1, by step {step}"):
        trainer(epochs=2, callbacks=[last]).fit(module, loader(2 * batches, 2))
    with pytest.raises(GraftError, match="training loss became nan"):
        module.on_save_checkpoint({})
    assert not list(tmp_path.rglob("*.ckpt"))


def test_lightnings_note_of_the_hook_is_a_plain_attribute(transfer):
    module = transfer()
    module._current_fx_name = "training_step"
    assert module._current_fx_name == "training_step"
    assert module.__dict__["_current_fx_name"] == "training_step"
    module.extra = nn.Linear(1, 1)
    assert "extra" in dict(module.named_children())


@pytest.mark.parametrize("strategy", [Full(), LastK(1), Frozen()])
def test_the_penalty_is_half_the_decay_times_the_squared_weights_that_train(
    transfer, plan, trainer, loader, strategy
):
    module = transfer(weight_decay=0.04)
    fitted = trainer(epochs=2, callbacks=[FreezeCallback(plan(strategy))])
    fitted.fit(module, loader(8, 4))
    weights = [
        parameter
        for name, parameter in module.named_parameters()
        # A weight with one dimension is a normalisation's, which is not decayed, nor are biases.
        if name.endswith("weight") and parameter.ndim > 1 and parameter.requires_grad
    ]
    assert len(weights) == {Full: 4, LastK: 2, Frozen: 1}[type(strategy)]
    expected = sum(0.5 * 0.04 * float(weight.detach().square().sum()) for weight in weights)
    assert float(fitted.callback_metrics["train/penalty"]) == pytest.approx(expected, rel=1e-5)
    trains = sum(p.numel() for p in module.parameters() if p.requires_grad)
    assert float(fitted.callback_metrics["trainable_parameters"]) == trains


@pytest.mark.parametrize(("accumulate", "steps", "each"), [(1, 9, 3), (2, 6, 2), (3, 3, 1)])
def test_the_schedule_is_told_how_long_the_run_is(transfer, trainer, loader, accumulate, steps, each):
    spans = []
    module = transfer(schedule=lambda optimizer, span: spans.append(span))
    fitted = trainer(epochs=3, accumulate_grad_batches=accumulate)
    fitted.fit(module, loader(11, 4))
    assert [(span.steps, span.steps_per_epoch) for span in spans] == [(steps, each)]
    assert fitted.global_step == steps


def test_an_epoch_is_as_long_where_a_number_of_steps_ends_the_run_before(transfer, trainer, loader):
    # Else half an epoch of warm-up would be fewer steps, or none.
    spans = []
    module = transfer(schedule=lambda optimizer, span: spans.append(span))
    fitted = trainer(epochs=100, max_steps=7)
    fitted.fit(module, loader(11, 4))
    assert [(span.steps, span.steps_per_epoch) for span in spans] == [(7, 3)]
    assert fitted.global_step == 7


def test_the_weights_are_the_backbones_and_the_heads_alone(transfer):
    # So that a checkpoint loads whatever the loss was weighted by.
    module = transfer(class_weights=torch.ones(3))
    expected = {f"backbone.{key}" for key in module.backbone.state_dict()}
    assert set(module.state_dict()) == expected | {f"head.{key}" for key in module.head.state_dict()}
    assert not module.hparams


def test_testing_twice_counts_each_image_once(transfer, trainer, loader):
    module, tested = transfer(), trainer()
    for _ in range(2):
        tested.test(module, loader(10, 4), verbose=False)
    assert module.tally("test").confusion.sum() == 10
    assert torch.cat([indices for indices, *_ in module.outputs]).tolist() == list(range(100, 110))


def test_predicting_keeps_what_could_not_be_read(transfer):
    module = transfer().eval()
    images = torch.randn(2, 3, 16, 16)
    predicted = module.predict_step(([4, 7], images, [(5, "no image")]), 0)
    assert (predicted.indices, predicted.failures) == ([4, 7], [(5, "no image")])
    torch.testing.assert_close(predicted.probabilities, module(images).double().softmax(1))
    torch.testing.assert_close(predicted.logits, module(images))
    nothing = module.predict_step(([], torch.empty(0), [(5, "no image")]), 0)
    assert (nothing.indices, nothing.failures) == ([], [(5, "no image")])


def test_channels_last_changes_the_layout_and_no_answer(tiny):
    head = linear(6, 3)
    plain = TransferModule(tiny(), head, task=SingleLabel(["a", "b", "c"])).eval()
    images = torch.randn(4, 3, 16, 16)
    expected = plain(images)
    last = TransferModule(tiny(), head, task=SingleLabel(["a", "b", "c"]), channels_last=True).eval()
    weight = last.backbone.get_submodule("stages.stem.0").weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    seen = []
    last.backbone.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].stride()))
    torch.testing.assert_close(last(images), expected)
    assert seen == [images.to(memory_format=torch.channels_last).stride()]


def test_training_from_one_seed_gives_the_same_bits(transfer, trainer, loader):
    found = []
    for _ in range(2):
        torch.manual_seed(7)
        module = transfer(optimizer=torch.optim.Adam)
        trainer(epochs=2).fit(module, loader(8, 4))
        found.append(np.concatenate([value.numpy().ravel() for value in module.state_dict().values()]))
    assert np.array_equal(*found)


def test_mixed_batches_train_on_their_mixed_labels_and_have_a_loss_alone(transfer, tiny, trainer, loader):
    def mix(images, labels):
        torch.manual_seed(3)
        return mixup(3, 1.0)(images, labels)

    module = transfer(lr=0.0, backbone=tiny(dropout=0.0), mix=mix, label_smoothing=0.1)
    images, labels = all_of(loader(12, 12))
    mixed, shares = mix(images, labels)
    with torch.no_grad():
        expected = nn.functional.cross_entropy(module(mixed), shares, label_smoothing=0.1)
    fitted = trainer()
    fitted.fit(module, loader(12, 12), loader(12, 12))
    assert float(fitted.callback_metrics["train/loss"]) == pytest.approx(float(expected), rel=1e-5)
    assert {key for key in fitted.callback_metrics if key.startswith("train/")} == {
        "train/loss",
        "train/penalty",
    }
    with torch.no_grad():
        plain = nn.functional.cross_entropy(module.eval()(images), labels)
    assert float(fitted.callback_metrics["val/loss"]) == pytest.approx(float(plain), rel=1e-5)
