"""`python -m graft.cli.follow FOLDER [CHECKPOINT]`: one more process of a run, started by the first one."""

import sys
from pathlib import Path

from graft.cli.console import guarded


def main() -> None:
    """Train along with the run in FOLDER, from CHECKPOINT on if it goes on."""

    def follow() -> None:
        from graft.runs import RunFolder
        from graft.training.fitting import follow

        folder, checkpoint = sys.argv[1], sys.argv[2]
        follow(RunFolder.open(folder), Path(checkpoint) if checkpoint else None)

    sys.exit(guarded(follow))


if __name__ == "__main__":
    main()
