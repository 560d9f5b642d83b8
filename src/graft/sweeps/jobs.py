"""The jobs of a sweep: composed and checked before any starts, and matched with the runs that there are."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from hydra._internal.config_repository import CachingConfigRepository
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from graft.composition.composing import check
from graft.composition.explanation import explain_hydra
from graft.composition.needed_paths import check_paths
from graft.composition.words import quoted
from graft.errors import GraftError
from graft.runs.fingerprint import fingerprint
from graft.runs.folder import RunFolder
from graft.runs.resuming import status_of
from graft.runs.sweep_folder import SweepFolder


class Planned(NamedTuple):
    """One job of a sweep.

    Attributes:
        words: what it is launched with.
        fingerprint: of its configuration.
        done: the run of an earlier start of this sweep that makes it unnecessary.
        resumed: the run that it goes on with.
    """

    words: list[str]
    fingerprint: str
    done: RunFolder | None = None
    resumed: RunFolder | None = None


def checked(
    loader: Any, master: Any, command: str, batch: Sequence[Sequence[str]], first: int = 0
) -> list[dict[str, Any]]:
    """The resolved configuration of each job.

    Args:
        loader: Hydra's, which composes.
        master: the configuration of the sweep, with its `hydra` node.
        command: such as `train`.
        batch: the words of each job.
        first: the number of the first of them.

    Raises:
        GraftError: one is wrong; names the job by its number and what sets it apart.
    """
    configs = []
    known, files = HydraConfig.instance().cfg, loader.repository
    # So that each file is read once, not once a job.
    loader.repository = CachingConfigRepository(files)
    try:
        for number, words in enumerate(batch, first):
            try:
                whole = loader.load_sweep_config(master, list(words))
                HydraConfig.instance().set_config(whole)
                configs.append(check(whole, whole.hydra, command))
            except (HydraException, OmegaConfBaseException) as error:
                raise _of_job(explain_hydra(error, command, words), number, words, batch) from error
            except GraftError as error:
                raise _of_job(error, number, words, batch) from error
    finally:
        HydraConfig.instance().cfg, loader.repository = known, files
    return configs


def check_inputs(
    command: str, jobs: Sequence[tuple[int, dict[str, Any]]], batch: Sequence[Sequence[str]]
) -> None:
    """Check the paths that jobs read, before any starts.

    Args:
        command: such as `train`.
        jobs: number and resolved configuration of each that is to run.
        batch: the words of each job of the sweep, by its number.

    Raises:
        GraftError: one is not there; names the job.
    """
    for number, config in jobs:
        try:
            check_paths(config, command)
        except GraftError as error:
            raise _of_job(error, number, batch[number], batch) from error


def _of_job(
    error: GraftError, number: int, words: Sequence[str], batch: Sequence[Sequence[str]]
) -> GraftError:
    if len(batch) == 1:
        return error
    return GraftError(f"job {number} ({' '.join(apart(words, batch))}): {error}")


def apart(words: Sequence[str], batch: Sequence[Sequence[str]]) -> list[str]:
    """Those of a job's words that not all jobs have."""
    return [word for word in words if any(word not in other for other in batch)]


def planned(
    folder: SweepFolder, batch: Sequence[Sequence[str]], configs: Sequence[dict[str, Any]]
) -> list[Planned]:
    """What is left to do of each job of `graft train`, seen from the runs in the sweep's folder.

    Raises:
        GraftError: one of the jobs is running now.
    """
    keys = [fingerprint(config) for config in configs]
    jobs = []
    matched = folder.matched(list(zip(keys, batch, strict=True)))
    for words, config, key, run in zip(batch, configs, keys, matched, strict=True):
        words = list(words)
        status = status_of(run)["status"] if run else None
        untested = config["test"] and run is not None and not run.tested
        if status == "finished" and not untested:
            jobs.append(Planned(words, key, done=run))
        elif run and status != "failed" and run.config.is_file():
            jobs.append(Planned([*words, quoted("resume", str(run.path))], key, resumed=run))
        else:
            jobs.append(Planned(words, key))
    return jobs
