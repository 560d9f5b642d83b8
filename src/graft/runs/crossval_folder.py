"""A cross-validation's folder: what it was asked for, and which of its folds have a run. Imports no torch."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from graft.configuration.key_table import FREE, MOVABLE, OF_A_START
from graft.configuration.keys import key_of
from graft.configuration.paths import existing, from_here
from graft.configuration.schema import Config, Plain
from graft.errors import GraftError
from graft.runs.files import write_yaml
from graft.runs.folder import RunFolder
from graft.runs.recorded import words_of
from graft.runs.resuming import continued


def going_on(given: Config, overrides: Sequence[str]) -> tuple[Plain, list[str]]:
    """The configuration of the cross-validation that `resume` means, and the words that lead to it.

    Raises:
        GraftError: there is no such folder, it is no cross-validation's, or a word would change the result.
    """
    folder = RunFolder(existing("resume", given["resume"], "folder"))
    recorded = folder.read_config() if folder.config.is_file() else {}
    if "folds" not in recorded:
        lacking = "it has no config.yaml with folds"
        raise GraftError(f"resume={given['resume']} is no cross-validation's folder ({lacking})")
    config = continued(folder, recorded, given, overrides)
    config |= {key: given[key] for key in OF_A_START if key in given}
    before, new = words_of(folder), free(overrides)
    changed = {key_of(word) for word in new if word not in before}
    words = [word for word in before if key_of(word) not in changed]
    return config, [*words, *(word for word in new if word not in before)]


def free(words: Sequence[str]) -> list[str]:
    """The words that may change a run that goes on."""
    return [word for word in words if key_of(word) in (*FREE, *MOVABLE)]


def again(fold: RunFolder) -> bool:
    """Whether a fold has a run that can go on, or be read back."""
    if fold.config.is_file():
        return True
    if fold.status_file.exists():
        # A crash at the beginning left nothing but the claim.
        shutil.rmtree(fold.path)
    return False


@contextmanager
def begun(folder: RunFolder, config: Config, words: Sequence[str]) -> Iterator[None]:
    """Record what is asked for, let no other process train in the folder, and say how to go on after a stop.

    If not even a fold's folder was made, nothing is left behind.

    Raises:
        GraftError: another process holds the folder.
    """
    folder.path.mkdir(parents=True, exist_ok=True)
    with folder.hold():
        # Every fold is tested, so `test` is no key of its own.
        left_out = (*OF_A_START, "test")
        write_yaml(folder.config, {key: value for key, value in config.items() if key not in left_out})
        write_yaml(folder.overrides, list(words))
        try:
            yield
        except (KeyboardInterrupt, SystemExit):
            if _has_folds(folder):
                say_how_to_go_on(folder)
            raise
        finally:
            if not _has_folds(folder):
                for file in (folder.config, folder.overrides, folder.lock_file):
                    file.unlink(missing_ok=True)


def _has_folds(folder: RunFolder) -> bool:
    return any(path.is_dir() for path in folder.path.iterdir())


def say_how_to_go_on(folder: RunFolder) -> None:
    """Name the command that does what is left."""
    print(f"graft crossval resume={from_here(folder.path)} does what is left", flush=True)
