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
    from graft.sweeps.job import Job

    _check_flags(words)
    words = made_ready(command, words)
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


def _check_flags(words: Sequence[str]) -> None:
    """Answer a wrong flag in one line, where Hydra's parser prints its whole usage."""
    from graft.composition.hydra_internals import flags_parser

    def refuse(message: str) -> NoReturn:
        raise GraftError(message)

    parser = flags_parser()
    parser.error = refuse  # type: ignore[method-assign]
    parser.parse_args(words)
