"""`metrics.csv`: one row an epoch, written whatever logger is chosen."""

from pathlib import Path
from typing import TypedDict

from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

from graft.runs.files import write_csv


class TableState(TypedDict, total=False):
    """The rows so far, and what waits for the next one; nothing where there is no table."""

    rows: list[dict[str, float]]
    early: dict[str, float]


class EpochTable(Logger):
    """Collects what Lightning logs into rows of `epoch, …` and rewrites the file at each new value."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.rows: list[dict[str, float]] = []
        self._early: dict[str, float] = {}

    @property
    def name(self) -> str:
        """Lightning asks every logger for a name."""
        return "epochs"

    @property
    def version(self) -> str:
        """Lightning asks every logger for a version."""
        return ""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Add to the row of `metrics["epoch"]`; learning rates come before it, without an epoch."""
        # Lightning logs in single precision; more digits than that are noise.
        values = {key: float(f"{v:.7g}") for key, v in metrics.items() if not key.startswith("test/")}
        epoch = values.pop("epoch", None)
        if epoch is None:
            self._early |= values
            return
        if not values:
            return
        if not self.rows or self.rows[-1]["epoch"] != int(epoch):
            self.rows.append({"epoch": int(epoch)})
        self.rows[-1] |= self._early | values
        self._early = {}
        write_csv(self.path, self.rows)

    def log_hyperparams(self, *args: object, **kwargs: object) -> None:
        """The configuration stands in `config.yaml`."""

    def state(self) -> TableState:
        """A copy, which later epochs do not change."""
        return {"rows": [dict(row) for row in self.rows], "early": dict(self._early)}

    @rank_zero_only
    def restore(self, state: TableState) -> None:
        """Go on from what `state` said; rows that came after it leave the file."""
        if state:
            self.rows, self._early = [dict(row) for row in state["rows"]], dict(state["early"])
            if self.rows:
                write_csv(self.path, self.rows)

    def row(self, epoch: int) -> dict[str, float]:
        """The numbers of one epoch, or nothing."""
        return next((row for row in self.rows if row["epoch"] == epoch), {})
