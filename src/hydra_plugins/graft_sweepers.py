"""The sweepers that `hydra/sweeper=basic` and `=optuna` choose; Hydra takes plugins from this package alone.

Hydra imports this module at each start, so it imports next to nothing itself.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext
from omegaconf import DictConfig


class GridSweeper(Sweeper):
    """Every combination of the values. The jobs are checked before the first starts; see `graft.sweeps.grid`.

    Args:
        max_batch_size: how many jobs a launcher is given at a time, of which it may run all at once.
        params: key to values, as on the command line, where they may be given others.
    """

    def __init__(self, max_batch_size: int | None = None, params: Mapping[str, object] | None = None) -> None:
        self.max_batch_size = max_batch_size
        self.params = dict(params or {})

    def setup(self, *, hydra_context: HydraContext, task_function: Any, config: DictConfig) -> None:
        """Say where the sweep's folder is, and make the launcher."""
        from graft.sweeps.setup import prepared

        self.parts = prepared(hydra_context, task_function, config)

    def sweep(self, arguments: Sequence[str]) -> None:
        """Run what is left to do of the grid.

        Raises:
            GraftError: a job is wrong; nothing has started.
            SystemExit: a job failed.
        """
        from graft.sweeps.grid import run_grid

        run_grid(self.parts, self.params, arguments, self.max_batch_size)


class OptunaSweeper(Sweeper):
    """A search by Optuna, which a later start of the same sweep goes on with; see `graft.sweeps.search`.

    Args:
        n_trials: how many trials the study is to have, those of earlier starts among them.
        n_jobs: how many are drawn, and launched, together.
        sampler: one of `optuna.samplers`.
        pruner: one of `optuna.pruners`, or None.
        storage: the study's address; None: `study.db` in the sweep's folder.
        params: key to values, choices or an interval, as on the command line.
    """

    def __init__(
        self,
        n_trials: int,
        n_jobs: int,
        sampler: Mapping[str, Any],
        pruner: Mapping[str, Any] | None,
        storage: str | None,
        params: Mapping[str, object] | None = None,
    ) -> None:
        self.settings = n_trials, n_jobs, dict(sampler), dict(pruner) if pruner else None, storage
        self.params = dict(params or {})

    def setup(self, *, hydra_context: HydraContext, task_function: Any, config: DictConfig) -> None:
        """Say where the sweep's folder is, and make the launcher."""
        from graft.sweeps.setup import prepared

        self.parts = prepared(hydra_context, task_function, config)

    def sweep(self, arguments: Sequence[str]) -> None:
        """Run the trials that are left, and test the winner.

        Raises:
            GraftError: a value or setting is wrong; nothing has started.
            SystemExit: a trial failed.
        """
        from graft.sweeps.search import Settings, run_search

        run_search(self.parts, self.params, arguments, Settings(*self.settings))
