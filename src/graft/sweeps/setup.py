"""What a sweeper works with, whichever it is."""

from pathlib import Path
from typing import NamedTuple

from hydra.core.config_loader import ConfigLoader
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig, open_dict, read_write

from graft.composition.words import quoted
from graft.errors import GraftError
from graft.runs import slurm
from graft.runs.launch import launched
from graft.runs.restarting import root_of
from graft.runs.sweep_folder import SweepFolder
from graft.sweeps.job import Job


class Sweep(NamedTuple):
    """The parts of a sweep.

    Attributes:
        command: what each job runs, such as `train`.
        folder: the sweep's.
        loader: composes a job's configuration.
        master: the sweep's own configuration, with its `hydra` node.
        launcher: runs the jobs.
        resumes: whether runs of an earlier start count.
    """

    command: str
    folder: SweepFolder
    loader: ConfigLoader
    master: DictConfig
    launcher: Launcher
    resumes: bool


def prepared(context: HydraContext, job: Job, master: DictConfig) -> Sweep:
    """Find the sweep's folder, and let Hydra make the launcher.

    Raises:
        GraftError: `sweep.resume` names no sweep's folder, or `hydra.sweep.dir` another's; or each of several
            processes would sweep.
    """
    if launch := launched():
        raise GraftError(f"a sweep under {launch.by}: start each of its runs by itself")
    # Fixed here: another process would put another time and id into it.
    path = Path(str(master.hydra.sweep.dir))
    resumes = job.command == "train" and master.sweep.resume is not None
    if resumes:
        path = SweepFolder.open(str(master.sweep.resume)).path
    elif SweepFolder(path).plan_file.exists() and not slurm.started_again():
        raise GraftError(f"hydra.sweep.dir={path} already holds a sweep; sweep.resume={path} goes on with it")
    job.root = root_of(master.hydra.sweep)
    with read_write(master), open_dict(master):
        master.hydra.sweep.dir = str(path)
        # The jobs' own configurations are composed from these words.
        master.hydra.overrides.hydra.append(quoted("hydra.sweep.dir", str(path)))
    launcher = Plugins.instance().instantiate_launcher(
        hydra_context=context, task_function=job, config=master
    )
    return Sweep(job.command, SweepFolder(path), context.config_loader, master, launcher, resumes)
