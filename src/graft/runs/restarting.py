"""Finding the run that a command line goes on with, before torch is imported."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import yaml
from omegaconf import DictConfig

from graft.configuration.building import own_packages
from graft.configuration.key_table import FREE, MOVABLE
from graft.configuration.keys import key_of, plain
from graft.configuration.run_config import RunConfig
from graft.runs import slurm
from graft.runs.fingerprint import fingerprint
from graft.runs.folder import RunFolder
from graft.runs.log import say
from graft.runs.resuming import find_run, status_of

# The parts of a folder's name that differ each time that the same words run.
CHANGING = ("${now:", "${graft.id:")


def going_on(
    config: RunConfig, node: DictConfig, overrides: Sequence[str], root: Path | None = None
) -> tuple[RunConfig, list[str]]:
    """Find the run that the command line goes on with: the one asked for, or a SLURM job's own.

    A job that SLURM starts again runs the same words again, which then go on with the run that they began.

    Args:
        config: what the words compose.
        node: `hydra.run`, or in a sweep `hydra.sweep`: its `dir` says where such runs are.
        overrides: the words.
        root: where such runs are, if `node` no longer says it.

    Returns:
        The configuration, with the folder of that run in `resume` if there is one; and the words that may
        change the run.

    Raises:
        GraftError: there is no such run, or it cannot go on.
    """
    if config.resume:
        run = find_run(config.resume)
        config = replace(config, resume=str(run.path))
        if status_of(run).get("fingerprint") != fingerprint(config.plain()):
            return config, list(overrides)
        # The same words began the run, so they only change how it goes on.
        return _trusting(config), [word for word in overrides if key_of(word) in (*FREE, *MOVABLE)]
    if not slurm.started_again():
        return config, list(overrides)
    here = slurm.job()
    assert here is not None
    started = f"SLURM job {slurm.name_of(here)} was started again"
    begun = _begun_by(here, overrides, root or root_of(node))
    if begun is None:
        say(f"{started}, but these words had not begun a run: a new one starts")
        return config, list(overrides)
    say(f"{started}: its run is {begun.path}")
    # The words are the run's own, so they change nothing.
    return replace(_trusting(config), resume=str(begun.path)), []


def _trusting(config: RunConfig) -> RunConfig:
    """The words may name any package, so the run that they began may name the same packages."""
    return replace(config, trust=[*config.trust, *own_packages(config.plain())])


def _begun_by(job: Mapping[str, str], words: Sequence[str], root: Path) -> RunFolder | None:
    """The run that these words began in this job: the newest that is unfinished, else the newest."""

    def is_it(run: RunFolder) -> bool:
        if not (run.config.is_file() and run.overrides.is_file() and status_of(run)):
            return False
        begun_with = yaml.safe_load(run.overrides.read_text(encoding="utf-8"))
        return slurm.same_job(job, status_of(run).get("slurm")) and begun_with == list(words)

    def order(run: RunFolder) -> tuple[bool, str]:
        status = status_of(run)
        return status["status"] != "finished", str(status.get("started"))

    runs = (RunFolder(file.parent) for file in root.rglob("status.json"))
    return max(filter(is_it, runs), key=order, default=None)


def root_of(node: DictConfig) -> Path:
    """The folder that holds all runs of the same words, whenever they run."""
    folder, pattern = Path(node.dir), str(plain(node)["dir"])
    changing = [position for word in CHANGING if (position := pattern.find(word)) >= 0]
    if not changing:
        return folder
    depth = pattern.count("/", min(changing))
    return folder.parents[min(depth, len(folder.parents) - 1)]
