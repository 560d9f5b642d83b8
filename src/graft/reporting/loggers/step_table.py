"""Lightning's CSV logger, in a file that a resumed run goes on with."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from lightning_fabric.loggers.logger import rank_zero_experiment
from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.loggers.csv_logs import ExperimentWriter

from graft.errors import GraftError
from graft.runs.csv_rows import Rows
from graft.runs.files import write_csv


class StepTable(CSVLogger):
    """A row a logged step in `metrics.csv`; Lightning's own begins the file anew whenever a run goes on.

    Args:
        save_dir: the folder; `name` and `version` are folders in it.
        name: may be empty.
        version: may be empty.
        prefix: stands before each column's name.
        flush_logs_every_n_steps: how often rows are written out.
        purge_step: where a resumed run goes on: rows of earlier steps stay, later ones leave the file.
    """

    def __init__(
        self,
        save_dir: str | Path,
        name: str = "",
        version: int | str | None = "",
        prefix: str = "",
        flush_logs_every_n_steps: int = 100,
        purge_step: int | None = None,
    ) -> None:
        super().__init__(save_dir, name, version, prefix, flush_logs_every_n_steps)
        self.purge_step = purge_step

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """What writes the file; the file is touched once this is first asked for."""
        if self._experiment is None:
            self._experiment = _Continued(self.log_dir, self.purge_step)
        return self._experiment


class _Continued(ExperimentWriter):
    def __init__(self, log_dir: str, purge_step: int | None) -> None:
        self.purge_step = purge_step
        super().__init__(log_dir)

    def _check_log_dir_exists(self) -> None:
        """Keep the earlier rows, where Lightning would remove the file."""
        path = Path(self.metrics_file_path)
        if not path.is_file():
            return
        rows = [row for row in _whole_rows(path) if int(row["step"]) < (self.purge_step or 0)]
        path.unlink() if not rows else write_csv(path, rows)
        self.metrics_keys = list(rows[0]) if rows else []


def _whole_rows(path: Path) -> Iterator[dict[str, str]]:
    """All rows but what a process that was killed while it wrote has left of the last one."""
    rows = Rows(path, str(path))
    with suppress(GraftError):
        for row in rows:
            yield dict(zip(rows.columns, row.cells, strict=True))
