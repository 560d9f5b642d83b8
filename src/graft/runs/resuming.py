"""Finding a run to go on with, and what may be changed in it. Imports no torch."""

import json
from collections.abc import Sequence
from pathlib import Path

from graft.configuration.key_table import FREE, MOVABLE, OF_A_START
from graft.configuration.keys import key_of
from graft.configuration.run_config import check_whole
from graft.configuration.schema import Config, Plain, get, replaced
from graft.configuration.version import DISTRIBUTION
from graft.errors import GraftError
from graft.runs.folder import RunFolder
from graft.runs.process import Status, alive

# Schedules that do not depend on where a run ends.
ENDLESS = ("graft.optim.constant", "graft.optim.step", "graft.optim.plateau")
OUTPUTS = Path("outputs")


def find_run(wanted: str) -> RunFolder:
    """The run that `resume=wanted` means: its folder, or for `last` the newest unfinished below `outputs/`.

    Raises:
        GraftError: there is none, it is no run's folder, or it is running.
    """
    if wanted == "last":
        runs = [RunFolder(file.parent) for file in OUTPUTS.rglob("status.json")]
        stopped = [run for run in runs if run.config.is_file() and _stopped(status_of(run))]
        if not stopped:
            raise GraftError("resume=last: there is no unfinished run below outputs/")
        return max(stopped, key=lambda run: str(read_status(run).get("started")))
    folder = RunFolder.open(wanted, "resume")
    if alive(status := read_status(folder)):
        raise GraftError(f"resume={wanted} is still running (process {status['pid']})")
    return folder


def _stopped(status: Status) -> bool:
    return bool(status) and status["status"] != "finished" and not alive(status)


def status_of(run: RunFolder) -> Status:
    """`status.json`, or nothing where it cannot be read."""
    try:
        return read_status(run)
    except GraftError:
        return {}


def read_status(run: RunFolder) -> Status:
    """`status.json`, of which a crash may have left nothing.

    Raises:
        GraftError: it cannot be read.
    """
    try:
        return run.status()
    except (json.JSONDecodeError, OSError) as error:
        raise GraftError(f"{run.status_file} cannot be read: {error}") from error


def continued(folder: RunFolder, recorded: Config, given: Config, overrides: Sequence[str]) -> Plain:
    """The run's own configuration with what the command line may change in it.

    Args:
        folder: the run.
        recorded: its configuration, as `read_config` gives it.
        given: the configuration that the command line's words compose.
        overrides: those words.

    Raises:
        GraftError: a word would change what the run computes, or the run lacks a key of today.
    """
    config = dict(recorded)
    check_whole(config, f"{folder.config}, which Graft {_version(folder)} wrote,")
    for word in overrides:
        key = key_of(word)
        if key.partition(".")[0] in (*OF_A_START, "hydra"):
            continue
        if key == "data" and get(given, "data._target_") == get(config, "data._target_"):
            # The same kind again: its defaults are the run's own values.
            continue
        if (new := get(given, key)) == (old := get(config, key)) and not word.startswith("~"):
            continue
        if key not in (*FREE, *MOVABLE):
            raise GraftError(f"{key} cannot change in a run that goes on; start a new one for that")
        if key == "trainer.max_epochs":
            _check_longer(config, old, new)
        above, _, last = key.rpartition(".")
        node = get(config, above) if above else config
        if not isinstance(node, dict) or last not in node:
            raise GraftError(f"{key} is no key of the run that goes on")
        config = replaced(config, key, new)
    return config


def _version(folder: RunFolder) -> str:
    """Which Graft began the run."""
    try:
        environment = json.loads(folder.environment.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return "?"
    packages = environment.get("packages", {})
    # The first versions had another name.
    return str(packages.get(DISTRIBUTION) or packages.get("graft", "?"))


def _check_longer(config: Config, old: int, new: int) -> None:
    """Refuse a new end of training where the epochs before it depend on the end."""
    if new < old:
        raise GraftError(f"trainer.max_epochs={new} is less than the {old} of the run that goes on")
    schedule = str(get(config, "scheduler._target_"))
    if schedule not in ENDLESS:
        name = schedule.rsplit(".", 1)[-1]
        raise GraftError(f"trainer.max_epochs cannot change in a run whose scheduler={name} depends on it")
