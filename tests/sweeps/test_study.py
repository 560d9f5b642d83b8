"""A study goes on where it was, draws nothing twice, and builds no class but Optuna's own."""

from pathlib import Path
from typing import Any

import pytest

from graft.errors import GraftError
from graft.sweeps.study import name_of, open_study, open_trial

optuna = pytest.importorskip("optuna")

RANDOM = {"_target_": "optuna.samplers.RandomSampler", "seed": 0}
MEDIAN = {"_target_": "optuna.pruners.MedianPruner", "n_startup_trials": 1, "n_warmup_steps": 0}
SPACE = {"x": optuna.distributions.FloatDistribution(0, 1)}


@pytest.fixture
def storage(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/study.db"


def opened(storage: str, metric: str = "val/accuracy", **parts: Any) -> Any:
    return open_study(storage, metric, **{"sampler": RANDOM, "pruner": MEDIAN, **parts})


def test_a_loss_goes_down_and_all_else_up(tmp_path: Path) -> None:
    assert opened(f"sqlite:///{tmp_path}/a.db", "val/loss").direction.name == "MINIMIZE"
    assert opened(f"sqlite:///{tmp_path}/b.db", "val/f1_macro").direction.name == "MAXIMIZE"


def test_a_study_that_goes_on_draws_other_values(storage: str) -> None:
    first = [opened(storage).ask(SPACE).params["x"] for _ in range(3)]
    assert len(set(first)) == 3
    assert len(opened(storage).trials) == 3


def test_another_metric_is_another_study(storage: str) -> None:
    opened(storage)
    with pytest.raises(GraftError, match=r"sweep.metric=val/loss: the study in .* optimises val/accuracy"):
        opened(storage, "val/loss")


@pytest.mark.parametrize("target", ["os.system", "optuna.samplers.nothing", "optuna.samplers._base.os", None])
def test_nothing_but_optunas_own_classes_is_built(storage: str, target: str | None) -> None:
    with pytest.raises(GraftError, match=r"hydra.sweeper.sampler._target_=.* is none of optuna.samplers"):
        opened(storage, sampler={"_target_": target})


def test_what_the_class_refuses_is_said_in_a_line(storage: str) -> None:
    with pytest.raises(GraftError, match=r"^hydra.sweeper.pruner: .*n_warmup"):
        opened(storage, pruner={**MEDIAN, "n_warmup_steps": -1})


def test_a_job_elsewhere_tells_its_own_trial_and_is_pruned_by_the_studys_pruner(storage: str) -> None:
    study = opened(storage)
    for value in (0.9, 0.1):
        number = study.ask(SPACE).number
        trial = open_trial(name_of(storage, number))
        trial.report(value, 0)
        assert trial.should_prune() == (value == 0.1)
        study.tell(number, value)
    assert [trial.intermediate_values for trial in study.trials] == [{0: 0.9}, {0: 0.1}]
