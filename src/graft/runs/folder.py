"""The run folder: claimed once, complete, and never overwritten.

Everything that knows the name of a file in a run folder stands here.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from graft.configuration.building import with_todays_names
from graft.configuration.paths import check_room, existing, expanded
from graft.configuration.schema import Plain
from graft.errors import GraftError
from graft.runs import slurm
from graft.runs.files import write_json
from graft.runs.process import Status, this_process

# LibYAML's loader, if PyYAML was built with it, reads the same about ten times as fast.
_YAML: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
STATUSES = ("running", "finished", "failed", "interrupted")


class RunFolder:
    """One run's folder. `claim` makes it this run's own, `open` reads one that exists."""

    def __init__(self, path: str | Path) -> None:
        self.path = expanded(path).absolute()
        self.config = self.path / "config.yaml"
        self.overrides = self.path / "overrides.yaml"
        self.status_file = self.path / "status.json"
        self.lock_file = self.path / ".lock"
        self.environment = self.path / "environment.json"
        self.split = self.path / "split.csv"
        self.target_split = self.path / "target_split.csv"
        self.target = self.path / "target"
        self.freeze = self.path / "freeze.csv"
        self.log = self.path / "train.log"
        self.metrics_file = self.path / "metrics.json"
        self.epochs = self.path / "metrics.csv"
        self.predictions = self.path / "predictions.csv"
        self.classes = self.path / "per_class.csv"
        self.figures = self.path / "figures"
        self.images_figure = self.figures / "training_images.png"
        self.penalties = self.path / "penalties.csv"
        self.penalties_figure = self.figures / "penalties.png"
        self.curves_figure = self.figures / "learning_curves.png"
        self.confusion_figure = self.figures / "confusion_matrix.png"
        self.precision_figure = self.figures / "precision_recall.png"
        self.reliability_figure = self.figures / "reliability.png"
        self.mistakes_figure = self.figures / "mistakes.png"
        self.domains_figure = self.figures / "domains.png"
        self.checkpoints = self.path / "checkpoints"
        self.bundle = self.path / "model"

    @classmethod
    def claim(cls, path: str | Path, **facts: object) -> "RunFolder":
        """Make `path` this run's folder by creating its `status.json` exclusively.

        Raises:
            GraftError: the folder is another run's, or holds other files.
        """
        folder = cls(path)
        refuse_taken(folder.path)
        folder.path.mkdir(parents=True, exist_ok=True)
        try:
            os.close(os.open(folder.status_file, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            raise GraftError(f"hydra.run.dir={path} was taken by another run just now") from None
        folder.set_status("running", started=_now(), **this_process(), slurm=slurm.job(), **facts)
        return folder

    @classmethod
    def open(cls, path: str | Path, key: str = "run") -> "RunFolder":
        """Open the folder of an earlier run; `key` names it in messages.

        Raises:
            GraftError: there is no such folder, or it is no run's.
        """
        folder = cls(existing(key, path, "folder"))
        if not folder.status_file.is_file() or not folder.config.is_file():
            raise GraftError(f"{key}={path} is no run folder (it has no status.json and config.yaml)")
        return folder

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Let no other process train in this folder meanwhile.

        The lock ends with its process, however that ends.

        Raises:
            GraftError: another process holds it.
        """
        # One lock object for each path in a process, so that the holder may take it again.
        lock = FileLock(self.lock_file, is_singleton=True)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            raise GraftError(f"{self.path} is held by another process, which trains there") from None
        except OSError as error:
            raise GraftError(f"{self.path} cannot be written ({error.strerror})") from error
        try:
            yield
        finally:
            lock.release()

    def take_up(self) -> None:
        """Record that the run goes on in this process, and how many times it has gone on."""
        known = self.status()
        # The recorded job is the one that began the run: started again, it finds its run by it.
        facts = {key: known.get(key) for key in ("started", "slurm", "fingerprint")}
        self.set_status("running", **facts, **this_process(), resumed=known.get("resumed", 0) + 1)

    def set_status(self, status: str, **facts: object) -> None:
        """Record where the run stands: one of `STATUSES`, with facts such as `reason`."""
        assert status in STATUSES, status
        known: Mapping[str, object] = {}
        if status != "running":
            known, facts["ended"] = self.status(), _now()
        write_json(self.status_file, {**known, "status": status, **facts})

    def status(self) -> Status:
        """What `status.json` says."""
        status: Status = json.loads(self.status_file.read_text(encoding="utf-8"))
        return status

    def read_config(self) -> Plain:
        """The resolved configuration as plain values, with today's names of what it builds."""
        config = yaml.load(self.config.read_text(encoding="utf-8"), Loader=_YAML)
        return dict(with_todays_names(config))

    @property
    def metrics(self) -> dict[str, Any]:
        """The final metrics, such as `test/accuracy`; empty while the run has none."""
        if not self.metrics_file.is_file():
            return {}
        return dict(json.loads(self.metrics_file.read_text(encoding="utf-8")))

    @property
    def drawn(self) -> list[Path]:
        """The figures that the folder holds, in the order of their names."""
        return sorted(self.figures.glob("*.png"))

    @property
    def tested(self) -> bool:
        """Whether the final metrics hold some of the test images."""
        return any(key.startswith("test/") for key in self.metrics)


def refuse_taken(path: Path) -> None:
    """Refuse a folder that is a run's already, that holds anything else, or that cannot be made.

    Raises:
        GraftError: the folder is not free.
    """
    check_room("hydra.run.dir", path)
    if (path / "status.json").exists():
        raise GraftError(f"hydra.run.dir={path} already holds a run; choose another folder")
    if path.is_dir() and any(path.iterdir()):
        raise GraftError(f"hydra.run.dir={path} is not empty; choose another folder")


def remove_empty(path: Path) -> None:
    """Remove `path` and the folders above it as far as they are empty, and never the working folder."""
    here = Path.cwd()
    path = path.absolute()
    while path != here and path not in here.parents and path.is_dir() and not any(path.iterdir()):
        path.rmdir()
        path = path.parent


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")
