"""What a run cannot do here is told before it starts."""

from dataclasses import replace

import pytest
import torch

from graft.composition.composing import compose
from graft.configuration.run_config import RunConfig
from graft.errors import GraftError
from graft.training import checks

STOPS = {"_target_": "pytorch_lightning.callbacks.EarlyStopping", "monitor": "val/loss"}


@pytest.fixture(scope="module")
def config():
    return RunConfig.of(compose("train", ["trainer=cpu", "trainer.max_epochs=2"])[0])


def test_what_waits_for_a_validation_metric_is_refused_where_nothing_validates(config):
    checks.check_validation(config, validated=False)
    stopping = replace(config, callbacks={**config.callbacks, "early_stopping": STOPS})
    with pytest.raises(GraftError, match=r"callbacks\.early_stopping watches val/loss.*val_fraction=0"):
        checks.check_validation(stopping, validated=False)
    plateau = replace(config, scheduler={"_target_": "graft.optim.plateau"})
    with pytest.raises(GraftError, match=r"scheduler=plateau watches val/loss"):
        checks.check_validation(plateau, validated=False)
    for right in (stopping, plateau):
        checks.check_validation(right, validated=True)
    trained = replace(config, callbacks={"stop": {**STOPS, "monitor": "train/loss"}})
    checks.check_validation(trained, validated=False)


@pytest.mark.parametrize("more", [["freeze.epochs=1"], ["freeze.epochs=99"], ["freeze.head_lr_factor=0.5"]])
def test_a_probe_that_may_end_early_wants_a_schedule_with_rates_by_phase(more):
    words = ["trainer=cpu", "freeze=lp_ft", "scheduler=plateau", *more]
    refused = RunConfig.of(compose("train", [*words, "freeze.patience=2"])[0])
    with pytest.raises(GraftError, match=r"^freeze\.patience=2 .*scheduler=plateau keeps no rates by phase"):
        checks.check_schedule(refused)
    checks.check_schedule(replace(refused, freeze={**refused.freeze, "head_lr_factor": 1}))
    checks.check_schedule(replace(refused, freeze={**refused.freeze, "patience": None}))
    checks.check_schedule(replace(refused, scheduler={"_target_": "graft.optim.constant"}))


def test_a_device_that_is_not_there_is_refused_by_the_key_that_asked(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    for accelerator in ("gpu", "cuda", "mps"):
        with pytest.raises(GraftError, match=rf"^trainer\.accelerator={accelerator}: no such device.*=cpu"):
            checks.check_device(accelerator)
    with pytest.raises(GraftError, match=r"^accelerator=gpu: "):
        checks.check_device("gpu", key="accelerator")
    checks.check_device("cpu")
    checks.check_device("auto")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    checks.check_device("gpu")
    with pytest.raises(GraftError):
        checks.check_device("cuda")
