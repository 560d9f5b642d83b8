"""An advice's folder: the names of its files, what was asked for, and how it goes on. Imports no torch."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from graft.configuration.key_table import OF_A_START
from graft.configuration.keys import SEARCHPATH, conf_dir, key_of, named_folders, option_nodes
from graft.configuration.paths import existing
from graft.configuration.schema import Config, Plain, get, replaced
from graft.errors import GraftError
from graft.runs.files import write_json, write_yaml
from graft.runs.folder import RunFolder
from graft.runs.recorded import words_of

# What may change in an advice that goes on.
FREE = ("minutes", "threads", "cache")


class AdviceFolder:
    """The only code that knows the names of the files that `graft advise` leaves."""

    def __init__(self, path: str | Path) -> None:
        whole = RunFolder(path)
        self.path, self.config, self.overrides = whole.path, whole.config, whole.overrides
        self.hold = whole.hold
        self.spent = self.path / "trainings.json"
        self.log = self.path / "advise.log"
        self.answer = self.path / "advice.json"
        self.page = self.path / "advice.md"
        self.report = self.path / "report.html"
        self.backbones = self.path / "backbones.csv"
        self.ladder = self.path / "trainings.csv"
        self.folds = self.path / "folds.csv"
        self.images = self.path / "images.csv"
        self.classes = self.path / "classes.csv"
        self.copies = self.path / "copies.csv"
        # By their names in `graft.advice.figures`.
        self.figures = {name: self.path / f"{name}.png" for name in ("backbones", "trainings", "folds")}
        self.model = self.path / "model"
        self.runs = self.path / "runs"
        self.trials = self.path / "folds"

    def training(self, name: str) -> RunFolder:
        """The run folder of one of the trainings."""
        return RunFolder(self.runs / name)

    def tested(self) -> dict[str, RunFolder]:
        """The trainings that were tested, by their names: one, unless a later start advised another."""
        found = {path.name: RunFolder(path) for path in sorted(self.runs.glob("*")) if path.is_dir()}
        return {name: folder for name, folder in found.items() if folder.tested}

    def read_spent(self) -> dict[str, Any]:
        """What an earlier start spent; empty where there was none."""
        return dict(json.loads(self.spent.read_text(encoding="utf-8"))) if self.spent.is_file() else {}

    def read_answer(self) -> dict[str, Any]:
        """What stands in `advice.json`; empty where there is none."""
        return dict(json.loads(self.answer.read_text(encoding="utf-8"))) if self.answer.is_file() else {}

    def write_spent(self, spent: dict[str, Any]) -> None:
        """Keep what was spent, for a start that goes on."""
        write_json(self.spent, spent)


def going_on(given: Config, overrides: Sequence[str]) -> tuple[Plain, list[str]]:
    """The configuration of the advice that `resume` means, and the words that lead to it.

    Raises:
        GraftError: there is no such folder, it is no advice's, or a word would change what was asked.
    """
    folder = AdviceFolder(existing("resume", given["resume"], "folder"))
    recorded = RunFolder(folder.path).read_config() if folder.config.is_file() else {}
    if "minutes" not in recorded:
        raise GraftError(
            f"resume={given['resume']} is no advice's folder (it has no config.yaml with minutes)"
        )
    before = words_of(RunFolder(folder.path))
    # Options of the user's own, which this start need not name again.
    folders = [conf_dir(), *(Path(own) for _, own in named_folders(before))]
    options = {**option_nodes("backbone", folders), **given["options"]}
    config: Plain = {"image_size": None, **recorded, "options": options}
    config |= {key: given[key] for key in OF_A_START if key in given}
    not_asked = (*OF_A_START, "hydra.run.dir", SEARCHPATH)
    words = [word for word in overrides if key_of(word) not in not_asked]
    for word in words:
        key = key_of(word)
        if key.partition(".")[0] not in FREE:
            raise GraftError(f"{key} cannot change in an advice that goes on; start a new one for that")
        config = replaced(config, key, get(given, key))
    changed = {key_of(word) for word in words}
    return config, [*(word for word in before if key_of(word) not in changed), *words]


@contextmanager
def begun(folder: AdviceFolder, config: Config, words: Sequence[str]) -> Iterator[None]:
    """Record what is asked for, and let no other process work in the folder.

    Raises:
        GraftError: another process holds the folder.
    """
    folder.path.mkdir(parents=True, exist_ok=True)
    with folder.hold():
        left_out = (*OF_A_START, "options")
        write_yaml(folder.config, {key: value for key, value in config.items() if key not in left_out})
        write_yaml(folder.overrides, list(words))
        yield
