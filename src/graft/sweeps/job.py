"""What Hydra calls with each composed configuration: a single run, or one job of a sweep, in any process."""

import gc
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from graft import errors
from graft.composition.advice_words import holding_anywhere
from graft.composition.composing import check, register_resolvers
from graft.composition.needed_paths import check_paths
from graft.configuration.run_config import RunConfig
from graft.errors import GraftError, reason_of, report
from graft.processes.output import lenient_output
from graft.runs import advice_folder, crossval_folder
from graft.runs.files import write_text, write_yaml
from graft.runs.fingerprint import fingerprint
from graft.runs.folder import RunFolder, refuse_taken, remove_empty
from graft.runs.restarting import going_on

# Commands that leave nothing, and so have no folder of their own.
WITHOUT_FOLDER = ("serve",)


class JobFailed(GraftError):
    """What a failed job of a sweep raises: the reason in one line, and nothing that its memory hangs on."""


class Job:
    """A command to be called with a configuration; launchers send it to processes of their own.

    A single run's error goes to `failures`, because Hydra adds lines of its own to one that is raised; a
    sweep's jobs raise, so that launchers and sweepers see which failed.
    """

    def __init__(self, command: str, look_up: Callable[[str], Callable[..., object]]) -> None:
        self.command = command
        self.look_up = look_up
        self.failures: list[Exception] = []
        self.wants_tracebacks = errors.WANTS_TRACEBACKS
        # Where a sweep's earlier starts are; the sweeper, which fixes `hydra.sweep.dir`, sets it before.
        self.root: Path | None = None

    def __setstate__(self, state: dict[str, object]) -> None:
        """Arrive in another process, where Hydra composes the configuration before it calls."""
        self.__dict__.update(state)
        # Else by the variable that `graft.cli.hydra_run.run_hydra` has set meanwhile.
        errors.WANTS_TRACEBACKS = self.wants_tracebacks
        register_resolvers()

    # A launcher's process has a standard output of its own.
    @lenient_output()
    def __call__(self, cfg: DictConfig) -> object:
        """Check the configuration and run the command with it.

        Raises:
            JobFailed: a job of a sweep failed; its folder says why.
        """
        # A DictConfig, whatever Hydra's annotation says.
        hydra: Any = HydraConfig.get()
        folder = Path(hydra.runtime.output_dir)
        if hydra.mode != RunMode.MULTIRUN:
            try:
                return self._run(cfg, hydra, hydra.run, folder)
            except Exception as error:
                self.failures.append(error)
                return None
            finally:
                remove_empty(folder)
        print(f"\njob {hydra.job.num}: {' '.join(hydra.overrides.task)}", flush=True)
        try:
            return self._run(cfg, hydra, hydra.sweep, folder)
        except Exception as error:
            report(error)
            reason, text = reason_of(error), "".join(traceback.format_exception(error))
            _forget(error)
        finally:
            remove_empty(folder)
        # Outside of the block, so that no reference to the error is left.
        _free_memory()
        if self.command == "train":
            self._record(cfg, hydra, folder, reason, text)
        raise JobFailed(reason)

    def _run(self, cfg: DictConfig, hydra: DictConfig, node: DictConfig, folder: Path) -> object:
        values, overrides = check(cfg, hydra, self.command), list(hydra.overrides.task)
        config = None
        if self.command == "train":
            config = RunConfig.of(values)
            if config.sweep.resume is not None:
                raise GraftError("sweep.resume goes on with a sweep, so it needs -m or sweep=…")
            config, overrides = going_on(config, node, overrides, self.root)
            values = config.plain()
        elif self.command == "crossval" and values["resume"]:
            values, overrides = crossval_folder.going_on(values, overrides)
        elif self.command == "advise" and values["resume"]:
            values, overrides = advice_folder.going_on(values, overrides)
        if not values.get("resume") and self.command not in WITHOUT_FOLDER:
            refuse_taken(folder)
        check_paths(values, self.command)
        if self.command == "advise":
            values, overrides = holding_anywhere(values, overrides, hydra)
        # Imported, and torch with it, only now that the words are known to be right, and paths to be there.
        return self.look_up(self.command)(config or values, folder, overrides)

    def _record(self, cfg: DictConfig, hydra: DictConfig, folder: Path, reason: str, text: str) -> None:
        """Leave a folder that says why, where the job failed before it had one."""
        config = RunConfig.of(check(cfg, hydra, self.command))
        if config.resume or (folder / "status.json").exists():
            return
        run = RunFolder.claim(folder, fingerprint=fingerprint(config.plain()))
        write_yaml(run.config, config.recorded())
        write_yaml(run.overrides, list(hydra.overrides.task))
        write_text(run.log, text)
        run.set_status("failed", reason=reason)


def _forget(error: BaseException) -> None:
    """Let go of what the frames hold that an error went through: a network and its memory, above all."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    # An error may stand, by way of others, in its own chain.
    while waiting:
        link = waiting.pop()
        if link is not None and id(link) not in seen:
            seen.add(id(link))
            traceback.clear_frames(link.__traceback__)
            waiting += [link.__cause__, link.__context__]


def _free_memory() -> None:
    gc.collect()
    if (torch := sys.modules.get("torch")) is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
