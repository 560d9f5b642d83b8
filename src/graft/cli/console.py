"""`graft COMMAND [words]`. Imports neither torch nor torchvision, so a wrong word costs no time."""

import atexit
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NoReturn

from graft.cli.hydra_run import run_hydra
from graft.commands import COMMANDS
from graft.commands.importing import lean_imports
from graft.errors import GraftError, did_you_mean, report
from graft.processes.output import lenient_output
from graft.runs.launch import Launch, launched

USAGE = """graft trains, tests and uses image classifiers that stand on trained backbones.

Usage: graft COMMAND [words]
{commands}

`graft COMMAND --help` says more. Words are Hydra's: group=option, key=value, -m for a sweep, --cfg job.
Completion: eval "$(graft train -sc install=bash)"   (or fish; it then knows every command)
From Python: graft.train([words]), graft.load(path).predict(images)
"""
# Flags by which Hydra shows something, and runs nothing.
SHOWING = ("--help", "-h", "--hydra-help", "--version", "--cfg", "-c", "--info", "-i")


def main() -> NoReturn:
    """The console command, with which the process ends."""
    # Torch's log warns of a search for unused parameters that found none, which in a last phase is right.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    if os.path.expanduser("~") == "~":  # noqa: PTH111
        # Nobody knows the home of a user without a name: torch would keep weights in a folder called "~".
        from graft.data.cache_location import cache_folder

        for variable, name in (("TORCH_HOME", "torch"), ("MPLCONFIGDIR", "matplotlib")):
            os.environ.setdefault(variable, str(cache_folder() / name))
    end_with(lambda: run(sys.argv[1:]))


def end_with(command: Callable[[], int]) -> NoReturn:
    """End the process with the exit status that the command gives, at once.

    To take apart all that torch and Lightning have imported takes seconds and gives nothing.
    """
    status = 1

    def leave() -> None:
        for stream in (sys.stdout, sys.stderr):
            # It may be missing, closed, or its reader gone; `guarded` has flushed what there was to say.
            with suppress(AttributeError, OSError, ValueError):
                stream.flush()
        os._exit(status)

    # Registered before what a command imports registers, so called after it.
    atexit.register(leave)
    status = command()
    sys.exit(status)


def run(words: Sequence[str]) -> int:
    """Run one command line; returns the exit status: 0, 1 a fault of ours, 2 the user's, 130 Ctrl-C."""
    return guarded(lambda: dispatch(list(words)))


@lenient_output()
def guarded(command: Callable[[], object]) -> int:
    """Call a command, say what went wrong, and give the exit status."""
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
        from graft.cli.completion import complete

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
    if launch.number == 0:
        try:
            run_hydra("train", words)
        finally:
            if not shows:
                from graft.processes.meeting import dismiss

                dismiss()
    elif not shows:
        with lean_imports():
            from graft.training.fitting import follow_announced
        follow_announced()
