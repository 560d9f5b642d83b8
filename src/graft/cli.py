"""`graft COMMAND [words]`. Imports neither torch nor torchvision, so a wrong word costs no time."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from graft.errors import GraftError, did_you_mean, report
from graft.processes.output import lenient_output
from graft.runs.launch import Launch, launched

COMMANDS = {
    "inspect": "look at images first: classes, sizes, damage, copies across splits",
    "train": "train a head, and as much of a backbone as you say, on your images",
    "crossval": "train anew on each of several folds: mean, deviation, interval",
    "evaluate": "test a run or bundle again, on its own or other images",
    "predict": "say what a run or bundle sees in images; writes a CSV",
    "compare": "put runs side by side: a table, intervals, paired tests, figures",
    "extract": "write the features that a backbone gives for each image",
    "rank": "say which backbone suits some images, before anything is trained",
    "cache": "list or remove what is kept of computed features",
    "list": "name what there is to choose: graft list backbones [pattern], graft list data, …",
}
USAGE = """graft trains, tests and uses image classifiers that stand on trained backbones.

Usage: graft COMMAND [words]
{commands}

`graft COMMAND --help` says more. Words are Hydra's: group=option, key=value, -m for a sweep, --cfg job.
Completion: eval "$(graft train -sc install=bash)"   (or fish; it then knows every command)
From Python: graft.train([words]), graft.load(path).predict(images)
"""
# Flags by which Hydra shows something, and runs nothing.
SHOWING = ("--help", "-h", "--hydra-help", "--version", "--cfg", "-c", "--info", "-i")


def main() -> None:
    """The console command."""
    # Torch's log warns of a search for unused parameters that found none, which in a last phase is right.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    if os.path.expanduser("~") == "~":  # noqa: PTH111
        # Of a user without a name nobody knows the home: torch would keep weights in a folder called "~".
        from graft.data.cache_location import cache_folder

        for variable, name in (("TORCH_HOME", "torch"), ("MPLCONFIGDIR", "matplotlib")):
            os.environ.setdefault(variable, str(cache_folder() / name))
    sys.exit(run(sys.argv[1:]))


def run(words: Sequence[str]) -> int:
    """Run one command line; returns the exit status: 0, 1 a fault of ours, 2 the user's, 130 Ctrl-C."""
    return guarded(lambda: dispatch(list(words)))


def guarded(command: Callable[[], object]) -> int:
    """Call a command, say what went wrong, and give the exit status."""
    with lenient_output():
        return _guarded(command)


def _guarded(command: Callable[[], object]) -> int:
    try:
        try:
            command()
        finally:
            # Here, so that a reader who has gone is noticed before the interpreter ends.
            if sys.stdout is not None:
                sys.stdout.flush()
    except GraftError as error:
        report(error)
        return 2
    except PermissionError as error:
        # A folder or file of somebody else's, wherever it was needed.
        report(GraftError(f"{error.filename or 'a file'} may not be used by this user ({error.strerror})"))
        return 2
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough; what is still buffered must not be tried again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except Exception as error:
        report(error)
        return 1
    return 0


def dispatch(words: list[str]) -> None:
    """Hand the words to their command."""
    if not words or words[0] in ("-h", "--help", "help"):
        print(USAGE.format(commands="\n".join(f"  {name:9} {text}" for name, text in COMMANDS.items())))
        return
    if words[0] == "--version":
        from graft.configuration.version import __version__

        print(f"graft {__version__}")
        return
    if words[0] in ("-sc", "--shell-completion", "--shell_completion"):
        from graft.completion import complete

        complete(words)
        return
    command, rest = words[0], words[1:]
    if command not in COMMANDS:
        hint = did_you_mean(command, COMMANDS) or f"; there are {', '.join(COMMANDS)}"
        raise GraftError(f"unknown command {command}{hint}")
    if command == "list":
        from graft.commands.list import list_options

        list_options(rest)
    elif command == "cache":
        from graft.commands.cache import manage

        manage(rest)
    elif (launch := launched()) and command == "train":
        _train_launched(launch, rest)
    else:
        run_hydra(command, rest)


def _train_launched(launch: Launch, words: list[str]) -> None:
    """Train as one of the processes that a launcher has started: the first alone reads the words.

    Raises:
        GraftError: the words ask for more than one run.
    """
    sweep = [word for word in words if word in ("-m", "--multirun") or word.startswith("sweep=")]
    if sweep:
        raise GraftError(
            f"{sweep[0]} under {launch.by}: start each run of a sweep by itself, or let Graft start "
            "the processes (trainer=ddp without a launcher)"
        )
    shows = any(word.partition("=")[0] in SHOWING for word in words)
    if launch.rank == 0:
        try:
            run_hydra("train", words)
        finally:
            if not shows:
                from graft.processes import ranks

                ranks.dismiss()
    elif not shows:
        from graft.commands.train import follow_announced

        follow_announced()


def run_hydra(command: str, words: Sequence[str]) -> None:
    """Let Hydra compose the command's configuration and call the command, once or for each job of a sweep.

    Raises:
        GraftError: the words are wrong, or the command found something wrong.
    """
    import hydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from graft.composition.composing import prefer_own_options, register_resolvers
    from graft.composition.explanation import explain_hydra
    from graft.composition.hydra_apart import hydra_apart
    from graft.composition.words import made_ready
    from graft.configuration.keys import conf_dir
    from graft.job import Job

    _check_flags(words)
    words = made_ready(command, words)
    register_resolvers()
    job = Job(command)
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
        # A run's own are in `job.failures`: this is Hydra, which makes the folder before any code of ours.
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
    from hydra._internal.utils import get_args_parser

    def refuse(message: str) -> NoReturn:
        raise GraftError(message)

    parser = get_args_parser()
    parser.error = refuse  # type: ignore[method-assign]
    parser.parse_args(words)
