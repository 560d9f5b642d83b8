"""A sweep's folder: what it was asked for, and which of its jobs have a run already. Imports no torch."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from graft.configuration.paths import existing, expanded
from graft.errors import GraftError
from graft.runs.files import write_yaml
from graft.runs.folder import RunFolder
from graft.runs.process import alive
from graft.runs.recorded import words_of
from graft.runs.resuming import status_of

# If a job has several runs, the one whose status comes first here counts.
ORDER = ("finished", "interrupted", "running", "failed")


class SweepFolder:
    """One sweep's folder, with a run folder below it for each job that has begun."""

    def __init__(self, path: str | Path) -> None:
        self.path = expanded(path).absolute()
        self.plan_file = self.path / "sweep.yaml"
        self.study = self.path / "study.db"

    @classmethod
    def open(cls, path: str | Path) -> "SweepFolder":
        """The folder of an earlier sweep.

        Raises:
            GraftError: there is no such folder, or it is no sweep's.
        """
        folder = cls(existing("sweep.resume", path, "folder"))
        if not folder.plan_file.is_file():
            raise GraftError(f"sweep.resume={path} is no sweep's folder (it has no sweep.yaml)")
        return folder

    def write_plan(self, plan: Mapping[str, object]) -> None:
        """Record what the sweep consists of: its words, and each job's words and fingerprint."""
        write_yaml(self.plan_file, dict(plan))

    def runs(self) -> Iterator[RunFolder]:
        """The runs below that have a readable status; a crash may leave a run without one."""
        for file in sorted(self.path.rglob("status.json")):
            if status_of(run := RunFolder(file.parent)):
                yield run

    def finished(self) -> set[str]:
        """The fingerprints of the runs that have finished."""
        statuses = (status_of(run) for run in self.runs())
        return {str(status.get("fingerprint")) for status in statuses if status["status"] == "finished"}

    def next_number(self) -> int:
        """The first number that no job's folder begins with."""
        folders = [path for path in self.path.iterdir() if path.is_dir()] if self.path.is_dir() else []
        numbers = [int(match[0]) for folder in folders if (match := re.match(r"\d+", folder.name))]
        return max(numbers, default=-1) + 1

    def matched(self, jobs: Sequence[tuple[str, Sequence[str]]]) -> list[RunFolder | None]:
        """For each job the run that it has had: a finished one, else one to go on with, else a failed one.

        Args:
            jobs: fingerprint and words of each; a run is given to one job alone. Of jobs that differ only in
                how they are computed, each takes the run that the very same words began, if there is one.

        Raises:
            GraftError: one of them is running now.
        """
        runs_of: dict[str, list[RunFolder]] = defaultdict(list)
        for run in self.runs():
            runs_of[str(status_of(run).get("fingerprint"))].append(run)
        for runs in runs_of.values():
            runs.sort(key=lambda run: ORDER.index(status_of(run)["status"]))
        given: list[RunFolder | None] = [None] * len(jobs)
        for exactly in (True, False):
            for place, (key, words) in enumerate(jobs):
                fitting = (run for run in runs_of[key] if not exactly or words_of(run) == list(words))
                if given[place] is None and (taken := next(fitting, None)) is not None:
                    given[place] = taken
                    runs_of[key].remove(taken)
        for taken in given:
            if taken is not None and alive(status := status_of(taken)):
                raise GraftError(f"{taken.path} is still running (process {status['pid']}); end that first")
        return given
