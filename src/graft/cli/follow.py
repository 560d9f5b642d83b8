"""`python -m graft.cli.follow FOLDER [CHECKPOINT]`: one more process of a run, started by the first one."""

import sys
from pathlib import Path
from typing import NoReturn

from graft.cli.console import end_with, guarded
from graft.commands.importing import lean_imports


def main() -> NoReturn:
    """Train along with the run in FOLDER, from CHECKPOINT on if it goes on."""

    def follow() -> None:
        with lean_imports():
            from graft.runs import RunFolder
            from graft.training.fitting import follow

        folder, checkpoint = sys.argv[1], sys.argv[2]
        follow(RunFolder.open(folder), Path(checkpoint) if checkpoint else None)

    end_with(lambda: guarded(follow))


if __name__ == "__main__":
    main()
