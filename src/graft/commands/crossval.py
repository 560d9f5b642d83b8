"""`graft crossval`: one configuration trained anew on each fold, each a run of its own; mean and interval."""

from pathlib import Path
from typing import Any

from graft.configuration.building import check_trusted
from graft.data.splits import how_drawn
from graft.errors import GraftError
from graft.reporting.console import PlainConsole
from graft.reporting.folds import CAVEAT, Fold, printed
from graft.runs import RunFolder, crossval_folder
from graft.runs.launch import launched
from graft.sources.opening import open_data, open_recorded
from graft.sweeps.crossval import Train, cuts_of, train_folds, write_together


class FoldsFailed(RuntimeError):
    """Some folds failed, which was said already; the others are written."""

    reported = True


def run(config: dict[str, Any], path: Path, overrides: list[str], train: Train) -> list[Fold]:
    """Train on each of `config["folds"]` folds, `config["repeats"]` times, and write what they come to.

    A repeat cuts the folds by the next `data.split_seed`; the run's own seed is that of `config` in every
    fold. What chooses, stops and calibrates is drawn from a fold's training images.

    Args:
        config: resolved and checked; with a folder in `resume` it is the one recorded there, and what has
            finished there is read back, what was stopped goes on.
        path: becomes the folder, unless one goes on.
        overrides: the words that led to `config`, for the record.
        train: what `graft train` does.

    Raises:
        GraftError: the folds cannot be cut, the first cannot even begin, or a launcher has started several
            processes; the data is no longer what it was when the folder was begun.
        FoldsFailed: a fold failed; the others are written.
    """
    if launch := launched():
        raise GraftError(f"graft crossval is for one process, but {launch.by} has started {launch.size}")
    whole = RunFolder(config["resume"] or path)
    if config["resume"]:
        check_trusted(config, config["trust"], str(whole.config))
        data = open_recorded(config["data"])
    else:
        data = open_data(config["data"])
    cuts = cuts_of(config, whole.path, data)
    seed = config["data"].get("split_seed", 0)
    rule = f"{cuts[0].splits.rule.partition(': the ')[0]} ({how_drawn(data)}, data.split_seed={seed})"
    print(f"{rule}; out of the other folds of each comes what validates")
    with crossval_folder.begun(whole, config, overrides):
        done = train_folds(cuts, config, overrides, train)
        failed = [fold for fold in done if fold.reason]
        if len(failed) < len(done):
            rows, few = write_together(whole.path, config["name"], rule, cuts, done, data)
            print()
            PlainConsole().print(printed(rows))
            if few:
                print(f"Pooled: {few}.")
            print(f"{CAVEAT} The first interval allows for it by the corrected t of Nadeau and Bengio.")
            print(whole.path / "crossval.md")
    for fold in failed:
        print(f"failed: {fold.name}: {fold.reason}")
    if failed:
        crossval_folder.say_how_to_go_on(whole)
        raise FoldsFailed(f"{len(failed)} of {len(done)} folds failed")
    return done
