"""Runs as they are compared: found by path, sweep folder or pattern, and read once."""

import glob
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from graft.configuration.names import nfc
from graft.configuration.paths import existing, expanded
from graft.errors import GraftError, first_line
from graft.runs import RunFolder
from graft.runs.csv_rows import Rows
from graft.runs.files import read_csv
from graft.runs.process import alive
from graft.runs.recorded import recorded, words_of


class Skipped(NamedTuple):
    """A path that was asked for and is no run, with the reason."""

    path: str
    reason: str


class Answer(NamedTuple):
    """What a run said of one test image: the true class and the predicted one."""

    label: str
    predicted: str


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        folder: where it is.
        config: dotted keys, as `graft.runs.recorded` tells them.
        words: those of the command line.
        status: `finished`, `failed`, `interrupted`, or `running`.
        reason: why it is not finished; empty if it is.
        started: when, in ISO 8601.
        host: the machine that it ran on; empty where that is not known.
        metrics: `val/accuracy`, `test/accuracy`, `trainable_parameters`, `seconds`, …
        pruned: after how many epochs a search ended it; 0 if none did.
    """

    folder: RunFolder
    config: Mapping[str, object]
    words: list[str]
    status: str
    reason: str
    started: str
    host: str
    metrics: Mapping[str, Any]
    pruned: int = 0

    @cached_property
    def epochs(self) -> list[dict[str, float]]:
        """The numbers of each epoch, counted from 0 in `epoch`; none where the run left none."""
        if not self.folder.epochs.is_file():
            return []
        return [{key: float(v) for key, v in row.items() if v} for row in read_csv(self.folder.epochs)]

    @cached_property
    def answers(self) -> dict[str, Answer] | None:
        """Path to answer for each test image; None where they are not kept or paths repeat."""
        if not self.folder.predictions.is_file():
            return None
        rows = Rows(self.folder.predictions, str(self.folder.predictions), ("path", "label", "predicted"))
        column = {name: place for place, name in enumerate(rows.columns)}
        if not {"path", "label", "predicted"} <= set(column):
            return None
        pairs = [
            (nfc(cells[column["path"]]), Answer(cells[column["label"]], cells[column["predicted"]]))
            for _, cells in rows
        ]
        answers = dict(pairs)
        return answers if len(answers) == len(pairs) else None


def find_runs(wanted: str | Sequence[str]) -> tuple[list[Run], list[Skipped]]:
    """Read every run that is meant, each once.

    Args:
        wanted: run folders, folders with runs anywhere below, or patterns such as `outputs/**`.

    Returns:
        The runs in the order of their paths, and what was asked for and is no run.

    Raises:
        GraftError: there is no run at all.
    """
    folders, skipped = run_folders(wanted)
    runs = []
    for folder in folders:
        try:
            runs.append(read_run(folder))
        except (GraftError, OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
            skipped.append(Skipped(str(folder), first_line(error).removeprefix(f"run={folder} ")))
    if not runs:
        raise _no_run(wanted, skipped)
    return runs, skipped


def run_folders(wanted: str | Sequence[str]) -> tuple[list[Path], list[Skipped]]:
    """The folders of all runs that are meant, each once, and what holds none.

    Raises:
        GraftError: nothing of what is asked for is there, or there is no run in it.
    """
    asked = [wanted] if isinstance(wanted, str) else list(wanted)
    skipped: list[Skipped] = []
    folders: dict[Path, None] = {}
    for word in asked:
        folders |= dict.fromkeys(_folders(word, skipped))
    if not folders:
        if not glob.has_magic(asked[0]):
            existing("runs", asked[0], "folder")
        raise _no_run(wanted, skipped)
    return list(folders), skipped


def _no_run(wanted: str | Sequence[str], skipped: Sequence[Skipped]) -> GraftError:
    asked = wanted if isinstance(wanted, str) else ",".join(wanted)
    why = f" ({skipped[0].path}: {skipped[0].reason})" if skipped else ""
    return GraftError(f"runs={asked}: no run is there{why}")


def _folders(word: str, skipped: list[Skipped]) -> Iterator[Path]:
    """The folders of all runs that a word means; what it names that holds none goes to `skipped`."""
    pattern = str(expanded(word))
    is_pattern = glob.has_magic(pattern) and not Path(pattern).exists()
    # Path.glob takes no absolute pattern.
    named = sorted(glob.glob(pattern, recursive=True)) if is_pattern else [pattern]  # noqa: PTH207
    paths = [Path(name).absolute() for name in named]
    if is_pattern and not paths:
        skipped.append(Skipped(word, "nothing matches"))
    inside: set[Path] = set()
    for path in paths:
        # A pattern such as ** also matches inside of a run; that belongs to the run and is no mistake.
        if inside & {path, *path.parents}:
            continue
        if not path.is_dir():
            reason = "a file, not a folder" if path.exists() else "there is no such folder"
            skipped.append(Skipped(str(path), reason))
            continue
        folders = sorted(file.parent for file in path.rglob("status.json"))
        inside |= set(folders)
        yield from folders
        if not folders:
            skipped.append(Skipped(str(path), "no run folder, and none below (no status.json)"))


def read_run(path: Path) -> Run:
    """Read what a run folder holds, whatever became of the run.

    Raises:
        GraftError: it is no run folder.
        OSError, ValueError, KeyError, yaml.YAMLError: a file in it is damaged.
    """
    folder = RunFolder.open(path)
    status = folder.status()
    state = status["status"]
    reason = "" if state == "finished" else status.get("reason") or state
    if state == "running":
        process = f"process {status.get('pid')} on {status.get('host')}"
        reason = f"still running ({process})" if alive(status) else f"killed, or still running ({process})"
    metrics = folder.metrics if state == "finished" else {}
    return Run(
        folder,
        recorded(folder),
        words_of(folder),
        state,
        reason,
        status.get("started", ""),
        status.get("host", ""),
        # What a test did not define, such as the AUROC of a single class, is null there.
        {key: value for key, value in metrics.items() if value is not None},
        status.get("pruned", 0),
    )
