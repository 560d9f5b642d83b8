"""Shell completion: Hydra's own, told which command's configuration the words belong to."""

import os
from pathlib import Path

from graft.cli.hydra_run import run_hydra
from graft.commands import COMMANDS


def complete(words: list[str]) -> None:
    """Answer `graft -sc query=bash`, which a shell asks without the command; that stands in COMP_LINE."""
    line = os.environ.get("COMP_LINE", "")
    program, _, typed = line.partition(" ")
    command, blank, rest = typed.lstrip().partition(" ")
    if not any(word.startswith("query=") for word in words):
        run_hydra("train", words)
    elif not blank:
        print(" ".join(name for name in COMMANDS if name.startswith(command)))
    elif command == "list":
        from graft.composition.options import groups

        print(" ".join(name for name in groups() if name.startswith(rest)))
    elif command == "cache":
        from graft.commands.cache import ACTIONS

        print(" ".join(name for name in ACTIONS if name.startswith(rest)))
    elif command in COMMANDS:
        # Hydra tells an application from `python script.py` by its first word.
        os.environ["COMP_LINE"] = f"{Path(program).name} {rest}"
        run_hydra(command, words)
