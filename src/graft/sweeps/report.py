"""What a sweep says at its end. Imports no torch."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from graft.configuration.metric_names import USUAL

# In what the runs of one cross-validation differ.
OF_FOLDS = ("seed", "data.fold", "data.split_seed")


class Failed(NamedTuple):
    """One failed job: its words that set it apart, and the reason in one line."""

    words: Sequence[str]
    reason: str


def conclude(
    path: Path,
    counts: Mapping[str, int],
    failed: Sequence[Failed],
    command: str = "train",
    metric: str = USUAL,
) -> None:
    """Write and print the summary, print what became of the jobs, and last the sweep's folder.

    The counts say what became of how many jobs that did not fail; the metric ranks the jobs.

    Raises:
        SystemExit: with status 1, where a job failed.
    """
    from graft.reporting.summary import summarize

    # An advice has compared its trainings itself, and its folds are no runs to compare with them.
    if command != "advise":
        summarize(path, metric, OF_FOLDS if command == "crossval" else ("seed",))
    for job in failed:
        print(f"failed: {' '.join(job.words) or 'the job'}: {job.reason}", file=sys.stderr)
    counts = {**counts, "failed": len(failed)}
    print(f"\n{sum(counts.values())} jobs: {', '.join(f'{n} {what}' for what, n in counts.items() if n)}")
    if failed:
        say_how_to_go_on(path, command)
    print(shown(path), flush=True)
    if failed:
        raise SystemExit(1)


def say_how_to_go_on(path: Path, command: str) -> None:
    """Say what does what is left, for commands that can go on."""
    if command == "train":
        print(f"the same words with sweep.resume={shown(path)} do what is left", flush=True)
    elif command in ("crossval", "advise"):
        print(f"graft {command} resume={shown(path)}/JOB goes on with a job that has begun", flush=True)


def shown(path: Path) -> str:
    """The path as one would type it here."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
