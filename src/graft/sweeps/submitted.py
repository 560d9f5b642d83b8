"""What submitit's launcher lacks: a killed job fails alone, and a stop reaches the jobs on this machine.

All that Graft changes in submitit is here: as of submitit 1.5.4 and hydra-submitit-launcher 1.2.0, which
pyproject.toml holds below 1.3, so it is to be looked at with 1.3.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from hydra.core.utils import JobReturn, JobStatus

# Seconds in which a job may save what it has.
GRACE = 60


class LostJob(Exception):
    """A job of which no answer came."""


@contextmanager
def each_for_itself() -> Iterator[None]:
    """While this lasts, submitit's jobs neither end nor outlive one another.

    Hydra's launcher asks job after job for its answer and ends at the first that has none, while others
    still run (`submitit_launcher.py`, last line of `launch`). On Ctrl-C and SIGTERM those on this machine are
    asked to save and end; those in SLURM's queue stay in it.
    """
    import submitit

    # As what can be changed: these two methods, for as long as the block lasts.
    Job: Any = submitit.Job
    AutoExecutor: Any = submitit.AutoExecutor

    answers, submit = Job.results, AutoExecutor.map_array
    jobs: list[Any] = []

    def results(job: Any) -> list[Any]:
        try:
            return list(answers(job))
        except Exception as error:
            lost = LostJob(f"no answer from its process, which was killed perhaps; see {job.paths.stderr}")
            lost.__cause__ = error
            answer = JobReturn(status=JobStatus.FAILED)
            answer.return_value = lost
            return [answer]

    def map_array(executor: Any, *args: Any) -> list[Any]:
        submitted = list(submit(executor, *args))
        jobs.extend(job for job in submitted if executor.cluster == "local")
        return submitted

    Job.results, AutoExecutor.map_array = results, map_array
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        _end(jobs)
        raise
    finally:
        Job.results, AutoExecutor.map_array = answers, submit


def _end(jobs: list[Any]) -> None:
    """Tell the jobs to save and end, and wait until they have."""
    running = [job for job in jobs if not job.done()]
    for job in running:
        # The process that watches over the job, and passes the signal on.
        with suppress(ProcessLookupError):
            os.kill(int(job.job_id), signal.SIGTERM)
    until = time.monotonic() + GRACE
    while any(not job.done() for job in running) and time.monotonic() < until:
        time.sleep(0.1)
    for job in running:
        if not job.done():
            job.cancel(check=False)
