"""Keys of `data` beside `run=` or `resume=`: they change the run's own data, which need not be named again.

Imports no torch.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from graft.configuration.keys import key_of, plain
from graft.configuration.schema import Plain
from graft.errors import GraftError
from graft.runs.folder import RunFolder
from graft.runs.resuming import find_run

# The word by which a command names the run whose data it takes.
NAMED_BY = {"evaluate": "run", "extract": "run", "export": "run", "train": "resume", "crossval": "resume"}


def kept_from_hydra(command: str, words: Sequence[str]) -> list[str]:
    """The words, with Hydra's `++` before those whose keys only the run's own data has."""
    by = NAMED_BY.get(command)
    keys = {key_of(word) for word in words}
    if by not in keys or "data" in keys:
        return list(words)
    return [f"++{word}" if word.startswith("data.") else word for word in words]


def data_of_run(command: str, cfg: DictConfig, overrides: Sequence[str]) -> tuple[Plain, Plain] | None:
    """The recorded `data` node of the run that is named, and the same with what the words change in it.

    Returns:
        None where the words name no run, or data of their own, or change nothing in it.

    Raises:
        GraftError: there is no such run, or none that has data.
    """
    by, keys = NAMED_BY.get(command), [key_of(word) for word in overrides]
    given = [key for key in keys if key.startswith("data.")]
    if by not in keys or "data" in keys or not given:
        return None
    named = OmegaConf.select(cfg, by)
    if named is None:
        return None
    recorded = _recorded(command, str(named))
    changed = OmegaConf.create(dict(recorded))
    for key in given:
        OmegaConf.update(changed, key.removeprefix("data."), OmegaConf.select(cfg, key), force_add=True)
    return dict(recorded), plain(changed, resolve=True)


def _recorded(command: str, named: str) -> Mapping[str, Any]:
    folder = find_run(named) if command == "train" else RunFolder(named)
    if not folder.path.is_dir():
        raise GraftError(f"{NAMED_BY[command]}={named}: there is no such folder")
    if not folder.config.is_file():
        what = "is a bundle or another folder, which has no data of its own"
        raise GraftError(f"{NAMED_BY[command]}={named} {what}; give data=… too")
    recorded: Mapping[str, Any] = folder.read_config()["data"]
    return recorded
