"""The Optuna study of a search: where it is kept, and how a job finds its own trial in it.

The pruner stands in the study itself, since a job may run on another machine.
"""

from types import ModuleType
from typing import TYPE_CHECKING, Any

from graft.configuration.metric_names import lower_is_better
from graft.configuration.run_config import Node
from graft.configuration.version import DISTRIBUTION
from graft.errors import GraftError

if TYPE_CHECKING:
    from optuna import Study, Trial

NAME = "graft"


def import_optuna() -> ModuleType:
    """The library, which is an extra.

    Raises:
        GraftError: it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise GraftError(
            f"hydra/sweeper=optuna needs Optuna: pip install '{DISTRIBUTION}[optuna]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def open_study(storage: str, metric: str, sampler: Node, pruner: Node | None) -> "Study":
    """Make the study at an address such as `sqlite:///study.db`, or go on with the one that is there.

    Sampler and pruner are Optuna's own, as a `_target_` and its arguments; without a pruner no trial is ended
    early. A loss is optimised downwards, all else upwards.

    Raises:
        GraftError: the study there optimises another metric; Optuna refuses the sampler or pruner.
    """
    optuna = import_optuna()
    study: Study = optuna.create_study(
        study_name=NAME,
        storage=storage,
        load_if_exists=True,
        direction="minimize" if lower_is_better(metric) else "maximize",
    )
    known = study.user_attrs.get("metric", metric)
    if known != metric:
        raise GraftError(f"sweep.metric={metric}: the study in {storage} optimises {known}")
    pruner = dict(pruner or {"_target_": "optuna.pruners.NopPruner"})
    study.pruner = _made(pruner, "pruner")
    study.set_user_attr("metric", metric)
    study.set_user_attr("pruner", pruner)
    if sampler.get("seed") is not None:
        # With the same seed a study that goes on would draw the same trials again.
        sampler = {**sampler, "seed": sampler["seed"] + len(study.trials)}
    study.sampler = _made(sampler, "sampler")
    return study


def _made(node: Node, kind: str) -> Any:
    """Build what one of Optuna's own classes names; nothing else is, for a study may come from anywhere."""
    optuna = import_optuna()
    key, target = f"hydra.sweeper.{kind}", str(node.get("_target_"))
    home, _, name = target.rpartition(".")
    known = getattr(optuna, f"{kind}s")
    if home != f"optuna.{kind}s" or name not in known.__all__:
        raise GraftError(f"{key}._target_={target} is none of optuna.{kind}s")
    try:
        return getattr(known, name)(**{word: value for word, value in node.items() if word != "_target_"})
    except (TypeError, ValueError) as error:
        raise GraftError(f"{key}: {error}") from error


def name_of(storage: str, number: int) -> str:
    """A trial as a job's configuration holds it."""
    return f"{storage}#{number}"


def open_trial(name: str) -> "Trial":
    """The trial of that name: epochs are reported to it, and it says whether to go on."""
    storage, _, number = name.rpartition("#")
    study: Study = import_optuna().load_study(study_name=NAME, storage=storage)
    study.pruner = _made(study.user_attrs["pruner"], "pruner")
    return trial_of(study, int(number))


def trial_of(study: "Study", number: int) -> "Trial":
    """A trial that was asked for earlier, to report to; Optuna 5 has no public way to get one."""
    trial: Trial = import_optuna().trial.Trial(study, study.trials[number]._trial_id)
    return trial
