"""A run tells its trial of each epoch once, and ends where the pruner says so."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from graft.sweeps.pruning import Pruning
from graft.sweeps.study import name_of, open_study

optuna = pytest.importorskip("optuna")


@pytest.fixture
def trial(tmp_path: Path) -> tuple[Any, str]:
    """A study of which one trial reached 0.9 in each of five epochs, and the name of the next trial."""
    storage = f"sqlite:///{tmp_path}/study.db"
    pruner = {"_target_": "optuna.pruners.MedianPruner", "n_startup_trials": 1, "n_warmup_steps": 1}
    study = open_study(storage, "val/accuracy", {"_target_": "optuna.samplers.RandomSampler"}, pruner)
    good = study.ask()
    for epoch in range(5):
        good.report(0.9, epoch)
    study.tell(good, 0.9)
    return study, name_of(storage, study.ask().number)


def trainer(epoch: int, value: float, sanity_checking: bool = False) -> Any:
    return SimpleNamespace(
        callback_metrics={"val/accuracy": torch.tensor(value)},
        sanity_checking=sanity_checking,
        current_epoch=epoch,
        max_epochs=5,
        should_stop=False,
    )


def after(callback: Pruning, *states: Any) -> list[bool]:
    for state in states:
        callback.on_validation_end(state, None)  # type: ignore[arg-type]
    return [state.should_stop for state in states]


def test_a_poor_run_ends_and_says_when(trial: tuple[Any, str]) -> None:
    study, name = trial
    callback = Pruning(name, "val/accuracy")
    assert after(callback, trainer(0, 0.2), trainer(1, 0.5)) == [False, True]
    assert callback.after == 2
    assert list(study.trials[1].intermediate_values) == [0, 1]


def test_a_good_run_goes_on(trial: tuple[Any, str]) -> None:
    callback = Pruning(trial[1], "val/accuracy")
    assert after(callback, *(trainer(epoch, 0.95) for epoch in range(5))) == [False] * 5
    assert callback.after is None


def test_after_the_last_epoch_there_is_nothing_to_end(trial: tuple[Any, str]) -> None:
    callback = Pruning(trial[1], "val/accuracy")
    assert after(callback, trainer(4, 0.1)) == [False]
    assert callback.after is None


def test_lightnings_trial_validation_and_numbers_that_are_none_are_not_told(trial: tuple[Any, str]) -> None:
    study, name = trial
    after(Pruning(name, "val/accuracy"), trainer(0, 0.1, sanity_checking=True), trainer(1, float("nan")))
    assert study.trials[1].intermediate_values == {}


def test_a_run_that_goes_on_tells_no_epoch_twice(trial: tuple[Any, str]) -> None:
    study, name = trial
    after(Pruning(name, "val/accuracy"), trainer(0, 0.7))
    # A warning, and so an error here, where Optuna is told again.
    assert after(Pruning(name, "val/accuracy"), trainer(0, 0.6), trainer(1, 0.2)) == [False, True]
    assert study.trials[1].intermediate_values == pytest.approx({0: 0.7, 1: 0.2})
