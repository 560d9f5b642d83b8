"""A bundle's folder: the only code that knows how its files are called, and finds it in a run folder.

What stands in them is known to `graft.models.bundle_files`. The names stand here, below it, since paths are
checked before torch is imported, and backbones start from bundles. Imports no torch.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from graft.configuration.building import with_todays_names
from graft.configuration.paths import existing
from graft.errors import GraftError
from graft.runs.folder import RunFolder

WEIGHTS = "model.safetensors"
DESCRIPTION = "model.yaml"
# A fold of a cross-validation.
_FOLD = re.compile(r"(repeat-\d+-)?fold-\d+")


class BundleFolder:
    """Where a bundle's files are: its tensors, how the model is built and used, and what else there may be.

    Beside weights and description there may be `seen`, the images that the model has seen, `known`, what it
    remembers of them to say that another is none of its classes, and its card.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.weights = self.path / WEIGHTS
        self.description = self.path / DESCRIPTION
        self.seen = self.path / "seen.csv"
        self.known = self.path / "known.safetensors"
        self.card = self.path / "README.md"

    def read_description(self) -> Any:
        """The description, of whatever shape, with today's names of targets; nothing in it is trusted yet.

        Raises:
            OSError, UnicodeDecodeError, yaml.YAMLError: it cannot be read.
        """
        return with_todays_names(yaml.safe_load(self.description.read_text(encoding="utf-8")))


def bundle_in(folder: Path) -> BundleFolder | None:
    """The bundle that a folder is or, as a run folder, holds; None where neither has weights."""
    return next((bundle for bundle in _candidates(folder) if bundle.weights.is_file()), None)


def weights_file(path: Path, given: str) -> Path:
    """The file of weights that a path means: itself or, of a folder, that of the bundle; `given` names it.

    Raises:
        GraftError: the folder holds no bundle.
    """
    if not path.is_dir():
        return path
    if (bundle := bundle_in(path)) is None:
        raise GraftError(f"{given}: the folder holds no bundle (no {WEIGHTS} in it)")
    return bundle.weights


def bundle_folder(path: str | Path, key: str = "run") -> BundleFolder:
    """The bundle's folder for a bundle, or for the run folder that holds one; `key` names it in messages.

    Raises:
        GraftError: `path` is neither.
    """
    given = existing(key, path, "folder")
    for bundle in _candidates(given):
        if bundle.description.is_file() and bundle.weights.is_file():
            return bundle
    run = RunFolder(given)
    if run.status_file.is_file():
        raise GraftError(f"{key}={path} left no model: its status is {run.status()['status']}")
    raise GraftError(f"{key}={path} is neither a run folder nor a bundle (no {DESCRIPTION} and {WEIGHTS})")


def model_folders(path: str | Path, key: str = "run") -> list[BundleFolder]:
    """The bundle's folder, as `bundle_folder`; of a cross-validation those of all its folds.

    Raises:
        GraftError: `path` is neither, or a fold left no model.
    """
    given = existing(key, path, "folder")
    if not is_crossval(given):
        return [bundle_folder(path, key)]
    folds = sorted(fold for fold in given.iterdir() if _FOLD.fullmatch(fold.name))
    for fold in folds:
        if bundle_in(fold) is None:
            raise GraftError(f"{key}={path}: {fold.name} left no model; graft crossval resume={path} goes on")
    return [bundle_folder(fold, key) for fold in folds]


def is_crossval(folder: Path) -> bool:
    """Whether a folder is that of a finished cross-validation."""
    return (folder / "crossval.csv").is_file() and any(
        _FOLD.fullmatch(path.name) for path in folder.iterdir()
    )


def _candidates(folder: Path) -> tuple[BundleFolder, BundleFolder]:
    return BundleFolder(folder), BundleFolder(RunFolder(folder).bundle)
