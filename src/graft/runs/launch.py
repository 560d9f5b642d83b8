"""Which of several processes this is, where a launcher gave all the same command line. Imports no torch."""

import os
from typing import NamedTuple


class Launch(NamedTuple):
    """One of several processes.

    Attributes:
        by: what started them: `torchrun` or `srun`.
        number: which one this is, from 0.
        size: how many there are, on all nodes.
    """

    by: str
    number: int
    size: int


def launched() -> Launch | None:
    """What the environment says; None where this process was started alone, in a batch script too."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        launch = Launch("torchrun", int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
    elif "SLURM_STEP_NUM_TASKS" in os.environ:
        launch = Launch("srun", int(os.environ["SLURM_PROCID"]), int(os.environ["SLURM_STEP_NUM_TASKS"]))
    else:
        return None
    return launch if launch.size > 1 else None
