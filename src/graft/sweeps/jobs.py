"""The jobs of a sweep: composed and checked before any starts, and matched with the runs that there are."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from graft.composition.composing import check
from graft.composition.explanation import explain_hydra
from graft.composition.hydra_internals import files_read_once
from graft.composition.needed_paths import check_paths
from graft.composition.words import quoted
from graft.configuration.schema import Config
from graft.errors import GraftError
from graft.runs.fingerprint import fingerprint
from graft.runs.folder import RunFolder
from graft.runs.resuming import status_of
from graft.runs.sweep_folder import SweepFolder
from graft.sweeps.setup import Sweep


class Planned(NamedTuple):
    """One job of a sweep.

    Attributes:
        words: its own.
        fingerprint: of its configuration.
        resume: the word that goes on with a run of an earlier start of this sweep, if there is one.
        done: the run of an earlier start that makes it unnecessary.
    """

    words: list[str]
    fingerprint: str
    resume: tuple[str, ...] = ()
    done: RunFolder | None = None

    @property
    def launched(self) -> list[str]:
        """The words that it is launched with."""
        return [*self.words, *self.resume]


def checked(sweep: Sweep, batch: Sequence[Sequence[str]]) -> list[Config]:
    """The resolved configuration of each job of a batch, which has the words of each.

    Raises:
        GraftError: one is wrong; names the job by its number and what sets it apart.
    """
    configs: list[Config] = []
    before = HydraConfig.instance().cfg
    try:
        with files_read_once(sweep.loader):
            for number, words in enumerate(batch):
                try:
                    whole = sweep.loader.load_sweep_config(sweep.master, list(words))
                    HydraConfig.instance().set_config(whole)
                    configs.append(check(whole, whole.hydra, sweep.command))
                    if configs[-1].get("stop_after") is not None:
                        raise GraftError("stop_after=… pauses one run; a sweep's jobs run to their end")
                except (HydraException, OmegaConfBaseException) as error:
                    explained = explain_hydra(error, sweep.command, words)
                    raise _of_job(explained, number, words, batch) from error
                except GraftError as error:
                    raise _of_job(error, number, words, batch) from error
    finally:
        HydraConfig.instance().cfg = before
    return configs


def check_inputs(command: str, jobs: Mapping[int, Config], batch: Sequence[Sequence[str]]) -> None:
    """Check the paths that jobs read, of all in the batch those with these numbers, which are to run.

    Raises:
        GraftError: one is not there; names the job.
    """
    for number, config in jobs.items():
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


def planned(folder: SweepFolder, batch: Sequence[Sequence[str]], configs: Sequence[Config]) -> list[Planned]:
    """What is left to do of each job of `graft train`, seen from the runs in the sweep's folder.

    Raises:
        GraftError: one of the jobs is running now.
    """
    keys = [fingerprint(config) for config in configs]
    jobs = []
    matched = folder.matched(list(zip(keys, batch, strict=True)))
    for words_of_job, config, key, run in zip(batch, configs, keys, matched, strict=True):
        words = list(words_of_job)
        status = status_of(run)["status"] if run else None
        untested = config["test"] and run is not None and not run.tested
        if status == "finished" and not untested:
            jobs.append(Planned(words, key, done=run))
        elif run and status != "failed" and run.config.is_file():
            jobs.append(Planned(words, key, resume=(quoted("resume", str(run.path)),)))
        else:
            jobs.append(Planned(words, key))
    return jobs
