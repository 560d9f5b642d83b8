"""Hydra composes a command's configuration and calls the command, once or for each job of a sweep."""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from graft.errors import GraftError


def run_hydra(command: str, words: Sequence[str]) -> None:
    """Let Hydra compose the command's configuration and call the command, once or for each job of a sweep.

    Raises:
        GraftError: the words are wrong, or the command found something wrong.
    """
    import hydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from graft.commands import command as look_up
    from graft.composition.composing import prefer_own_options, register_resolvers
    from graft.composition.explanation import explain_hydra
    from graft.composition.hydra_apart import hydra_apart
    from graft.composition.words import made_ready
    from graft.configuration.keys import conf_dir
    from graft.sweeps.job import WITHOUT_FOLDER, Job

    if command in WITHOUT_FOLDER and {"-m", "--multirun"} & set(words):
        raise GraftError(f"graft {command} takes one run at a time; leave out -m")
    words = made_ready(command, _flags_first(words))
    register_resolvers()
    job = Job(command, look_up)
    argv, full = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = [argv[0], *words]
    # With this set Hydra raises its errors instead of printing them and exiting with status 1.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        with hydra_apart():
            prefer_own_options()
            hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=command)(job)()
    except (HydraException, OmegaConfBaseException) as error:
        raise explain_hydra(error, command, words) from error
    except OSError as error:
        if isinstance(error, BrokenPipeError) or getattr(error, "reported", False):
            raise
        # A run's own errors are in `job.failures`; this is Hydra's, which makes the folder before that.
        reason = f"{error.filename} cannot be made ({error.strerror})"
        raise GraftError(f"hydra.run.dir or hydra.sweep.dir: {reason}") from error
    finally:
        sys.argv = argv
        os.environ.pop("HYDRA_FULL_ERROR")
        if full is not None:
            os.environ["HYDRA_FULL_ERROR"] = full
    if job.failures:
        raise job.failures[0]


def _flags_first(words: Sequence[str]) -> list[str]:
    """The words with Hydra's flags in front: of overrides on both sides of a flag it takes the first alone.

    A wrong flag is answered in one line, where Hydra's parser prints its whole usage.

    Raises:
        GraftError: a flag is unknown or wrong, or two exclude each other.
    """
    from graft.composition.hydra_internals import flags_parser

    def refuse(message: str) -> NoReturn:
        raise GraftError(message)

    parser = flags_parser()
    parser.error = refuse  # type: ignore[method-assign]
    given = parser.parse_intermixed_args(words)
    ways = [f"--{name}" for name in ("run", "multirun", "cfg", "info") if getattr(given, name)]
    if len(ways) > 1:
        raise GraftError(f"{ways[0]} and {ways[1]} do not go together: leave out one")
    overrides: list[str] = given.overrides
    flags, left = [], list(overrides)
    for word in words:
        if left and word == left[0]:
            left.pop(0)
        else:
            flags.append(word)
    return [*flags, *overrides]
