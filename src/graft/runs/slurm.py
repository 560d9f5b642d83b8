"""What SLURM's variables say of this job, and how it is put back into the queue. Imports no torch.

The variables are those of the page https://slurm.schedmd.com/sbatch.html, "OUTPUT ENVIRONMENT VARIABLES".
"""

import os
import subprocess
from collections.abc import Mapping

from graft.runs.log import say

VARIABLES = {
    "job_id": "SLURM_JOB_ID",
    "array_job_id": "SLURM_ARRAY_JOB_ID",
    "array_task_id": "SLURM_ARRAY_TASK_ID",
    "cluster": "SLURM_CLUSTER_NAME",
}


def job() -> dict[str, str] | None:
    """The job that this process belongs to, as plain values for the record; None outside SLURM."""
    variables = {key: value for key, name in VARIABLES.items() if (value := os.environ.get(name))}
    return variables if "job_id" in variables else None


def same_job(first: Mapping[str, str] | None, second: Mapping[str, str] | None) -> bool:
    """Whether both are one job, however often it was started."""
    if not first or not second:
        return False
    return name_of(first) == name_of(second) and first.get("cluster") == second.get("cluster")


def started_again() -> bool:
    """Whether SLURM runs this job not for the first time."""
    count = os.environ.get("SLURM_RESTART_COUNT", "")
    return job() is not None and count.isdigit() and int(count) > 0


def name_of(job: Mapping[str, str]) -> str:
    """As SLURM's commands take it: `123`, or `120_4` for a task of an array."""
    if "array_job_id" in job:
        return f"{job['array_job_id']}_{job['array_task_id']}"
    return job["job_id"]


def requeue() -> None:
    """Ask SLURM to run this job again, and say what it answers. It then ends what is left of the job."""
    here = job()
    assert here is not None
    command = ["scontrol", "requeue", name_of(here)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        answer = done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}"
        failed = done.returncode != 0
    except (OSError, subprocess.TimeoutExpired) as error:
        answer, failed = str(error), True
    words = " ".join(command)
    say(f"warning: {words} failed, so the job ends here: {' '.join(answer.split())}" if failed else words)
