"""A bundle's folder, and how its files are called. Imports no torch."""

from pathlib import Path

from graft.configuration.paths import existing
from graft.errors import GraftError
from graft.runs.folder import RunFolder

WEIGHTS = "model.safetensors"
DESCRIPTION = "model.yaml"


def bundle_folder(path: str | Path, key: str = "run") -> Path:
    """The bundle's folder for a bundle, or for the run folder that holds one.

    Args:
        path: of either.
        key: where it was given, for messages.

    Raises:
        GraftError: `path` is neither.
    """
    given = existing(key, path, "folder")
    for folder in (given, RunFolder(given).bundle):
        if (folder / DESCRIPTION).is_file() and (folder / WEIGHTS).is_file():
            return folder
    if (given / "status.json").is_file():
        status = RunFolder(given).status()["status"]
        raise GraftError(f"{key}={path} left no model: its status is {status}")
    raise GraftError(f"{key}={path} is neither a run folder nor a bundle (no {DESCRIPTION} and {WEIGHTS})")
