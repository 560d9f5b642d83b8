"""A search by Optuna: it sees validation alone, goes on where it was stopped, and tests its winner alone."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from graft.composition.words import quoted
from graft.configuration.run_config import Node
from graft.errors import GraftError
from graft.runs.folder import RunFolder
from graft.runs.resuming import status_of
from graft.sweeps.grid import words_of_sweep
from graft.sweeps.jobs import check_inputs, checked, planned
from graft.sweeps.launching import Outcome, launch
from graft.sweeps.report import Failed, conclude, say_how_to_go_on
from graft.sweeps.setup import Sweep
from graft.sweeps.spaces import corners, read
from graft.sweeps.study import import_optuna, name_of, open_study, trial_of

if TYPE_CHECKING:
    from optuna import Study

    from graft.sweeps.spaces import Space


class Settings(NamedTuple):
    """What `hydra.sweeper` says; see `hydra_plugins.graft_sweepers.OptunaSweeper`."""

    n_trials: int
    n_jobs: int
    sampler: Node
    pruner: Node | None
    storage: str | None


def run_search(
    sweep: Sweep, params: Mapping[str, object], arguments: Sequence[str], settings: Settings
) -> None:
    """Run the trials that are left, say what became of each, and test the best.

    Raises:
        GraftError: a value or setting is wrong; nothing has started.
        SystemExit: a trial failed.
    """
    if sweep.command != "train":
        raise GraftError(f"hydra/sweeper=optuna is for graft train, not for graft {sweep.command}")
    for key in ("n_trials", "n_jobs"):
        if not isinstance(value := getattr(settings, key), int) or value < 1:
            raise GraftError(f"hydra.sweeper.{key}={value} is wrong: it must be a whole number >= 1")
    words = words_of_sweep(params, arguments)
    spaces, fixed = read(words)
    if not spaces:
        raise GraftError("a search needs a range: key=interval(1e-4,1e-2), or key=a,b,c")
    if any(word.partition("=")[0] == "test" for word in words):
        raise GraftError("test=…: a search tests its winner alone, at the end")
    fixed = [*fixed, "test=false"]
    # Any drawn value lies between those that are checked here.
    first = [drawn(fixed, values) for values in corners(spaces)]
    configs = checked(sweep, first)
    check_inputs(sweep.command, dict(enumerate(configs)), first)
    metric = configs[0]["sweep"]["metric"]
    sweep.folder.path.mkdir(parents=True, exist_ok=True)
    storage = settings.storage or f"sqlite:///{sweep.folder.study}"
    study = open_study(storage, metric, settings.sampler, settings.pruner)
    sweep.folder.write_plan({"words": words, "metric": metric, "study": storage})
    try:
        failed = _run_trials(sweep, study, spaces, fixed, settings, storage)
        failed += _test_best(sweep, study, fixed)
    except (KeyboardInterrupt, SystemExit):
        say_how_to_go_on(sweep.folder.path, sweep.command)
        raise
    states = [trial.state.name for trial in study.trials]
    counts = {"finished": states.count("COMPLETE"), "ended early": states.count("PRUNED")}
    conclude(sweep.folder.path, counts, failed, metric=metric)


def drawn(fixed: Sequence[str], values: Mapping[str, object]) -> list[str]:
    """The words of a trial."""
    return [*fixed, *(f"{key}={value}" for key, value in values.items())]


def _run_trials(
    sweep: Sweep,
    study: "Study",
    spaces: Mapping[str, "Space"],
    fixed: Sequence[str],
    settings: Settings,
    storage: str,
) -> list[Failed]:
    optuna = import_optuna()
    running = optuna.trial.TrialState.RUNNING
    failed: list[Failed] = []
    # First those that an earlier start was stopped in.
    waiting = [trial.number for trial in study.trials if trial.state == running]
    while True:
        batch = [waiting.pop(0) for _ in range(min(settings.n_jobs, len(waiting)))]
        room = min(settings.n_jobs - len(batch), settings.n_trials - len(study.trials))
        if not batch and room < 1:
            return failed
        for _ in range(room):
            batch.append(_ask(study, spaces))
        words = [drawn(fixed, study.trials[number].params) for number in batch]
        jobs = planned(sweep.folder, words, checked(sweep, words))
        left = [
            [*job.launched, quoted("sweep.trial", name_of(storage, number))]
            for job, number in zip(jobs, batch, strict=True)
            if job.done is None
        ]
        outcomes = iter(launch(sweep.launcher, left, sweep.folder.next_number()))
        for job, number in zip(jobs, batch, strict=True):
            outcome = next(outcomes) if job.done is None else Outcome(job.done)
            reason = tell(study, number, outcome)
            if reason is not None:
                apart = [f"{key}={value}" for key, value in study.trials[number].params.items()]
                failed.append(Failed([f"trial {number}", *apart], reason))


def _ask(study: "Study", spaces: Mapping[str, "Space"]) -> int:
    """Draw one more trial; says its number.

    Raises:
        GraftError: the study holds trials of other choices.
    """
    try:
        return study.ask(dict(spaces)).number
    except ValueError as error:
        raise GraftError(f"earlier trials had other choices, so start a new sweep ({error})") from error


def tell(study: "Study", number: int, outcome: Outcome) -> str | None:
    """Tell the study what became of a trial; says why it failed, if it did."""
    state = import_optuna().trial.TrialState
    reason, metric = outcome.reason, study.user_attrs["metric"]
    if reason is None:
        run = outcome.returned
        assert isinstance(run, RunFolder)
        value = run.metrics.get(metric)
        if value is None or not math.isfinite(value):
            reason = f"it has no {metric}" if value is None else f"its {metric} is {value}"
        else:
            trial_of(study, number).set_user_attr("run", str(run.path))
            if status_of(run).get("pruned"):
                study.tell(number, state=state.PRUNED)
            else:
                study.tell(number, float(value))
            return None
    study.tell(number, state=state.FAIL)
    return reason


def _test_best(sweep: Sweep, study: "Study", fixed: Sequence[str]) -> list[Failed]:
    """Test the run of the best finished trial, unless it is tested already."""
    complete = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    if not complete:
        return []
    equal = [trial for trial in complete if trial.value == study.best_value]
    # Among equals the one that began first, as in the summary.
    best = min(equal, key=lambda trial: str(status_of(RunFolder(trial.user_attrs["run"])).get("started")))
    words = drawn(fixed, best.params)
    run = RunFolder.open(best.user_attrs["run"], "run")
    values = " ".join(f"{key}={value}" for key, value in best.params.items())
    print(f"\nbest: trial {best.number}, {study.user_attrs['metric']} {best.value:.4f}: {values}")
    if run.tested:
        return []
    test = [*(word for word in words if word != "test=false"), "test=true", quoted("resume", str(run.path))]
    (outcome,) = launch(sweep.launcher, [test], sweep.folder.next_number())
    return [] if outcome.reason is None else [Failed(["the test of the best"], outcome.reason)]
