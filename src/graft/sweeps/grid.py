"""A sweep over every combination of some values."""

from collections.abc import Mapping, Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser

from graft.composition.hydra_internals import split_arguments
from graft.configuration.metric_names import USUAL
from graft.errors import GraftError
from graft.runs.fingerprint import fingerprint
from graft.sweeps.jobs import Planned, apart, check_inputs, checked, planned
from graft.sweeps.launching import launch
from graft.sweeps.report import Failed, conclude, say_how_to_go_on
from graft.sweeps.setup import Sweep


def run_grid(
    sweep: Sweep, params: Mapping[str, object], arguments: Sequence[str], batch_size: int | None = None
) -> None:
    """Check all jobs, run those that are left, and say what became of each.

    The launcher is given `batch_size` jobs at a time; None: all.

    Raises:
        GraftError: a job is wrong; nothing has started.
        SystemExit: a job failed.
    """
    words = words_of_sweep(params, arguments)
    jobs = combinations(words)
    configs = checked(sweep, jobs)
    if sweep.resumes:
        plan = planned(sweep.folder, jobs, configs)
    else:
        plan = [Planned(job, fingerprint(config)) for job, config in zip(jobs, configs, strict=True)]
    left = [job for job in plan if job.done is None]
    to_run = {number: configs[number] for number, job in enumerate(plan) if job.done is None}
    check_inputs(sweep.command, to_run, jobs)
    for job in plan:
        if job.done is not None:
            print(f"already finished: {job.done.path}")
    metric = USUAL
    if sweep.command == "train":
        metric = str(sweep.master.sweep.metric)
        known = [{"words": job.words, "fingerprint": job.fingerprint} for job in plan]
        sweep.folder.write_plan({"words": words, "metric": metric, "jobs": known})
    first, outcomes = sweep.folder.next_number(), []
    size = batch_size or max(1, len(left))
    try:
        for start in range(0, len(left), size):
            batch = [job.launched for job in left[start : start + size]]
            outcomes += launch(sweep.launcher, batch, first + start)
    except (KeyboardInterrupt, SystemExit):
        say_how_to_go_on(sweep.folder.path, sweep.command)
        raise
    # A launcher that stopped may have finished some before.
    finished = sweep.folder.finished()
    failed = [
        Failed(apart(job.words, jobs), outcome.reason)
        for job, outcome in zip(left, outcomes, strict=True)
        if outcome.reason is not None and not (outcome.lost and job.fingerprint in finished)
    ]
    counts = {"finished": len(left) - len(failed), "had finished before": len(plan) - len(left)}
    conclude(sweep.folder.path, counts, failed, sweep.command, metric)


def combinations(words: Sequence[str]) -> list[list[str]]:
    """The words of each job.

    Raises:
        GraftError: a word asks for a search, as an interval does.
        hydra.errors.HydraException: a word cannot be read.
    """
    overrides = OverridesParser.create().parse_overrides(list(words))
    for override in overrides:
        if override.is_sweep_override() and not override.is_discrete_sweep():
            raise GraftError(f"{override.input_line}: a search, not a grid; add hydra/sweeper=optuna")
    return split_arguments(overrides)


def words_of_sweep(params: Mapping[str, object], arguments: Sequence[str]) -> list[str]:
    """The words of `hydra.sweeper.params`, then the command line's but the one for the sweep alone."""
    given = [word for word in arguments if word.lstrip("+").partition("=")[0] != "sweep.resume"]
    return [*(f"{key}={value}" for key, value in params.items()), *given]
