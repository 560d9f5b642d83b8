"""How long until something happens, against a bare Hydra application with the same groups?

    .venv/bin/python experiments/speed/startup.py [PAIRS]

Each command runs as a process of its own, theirs and ours in turn; what is compared is CPU time, so that a
busy neighbour counts for little. The bare application is `hydra.main` on Graft's `conf/` with an empty job.
Printed are medians of pairs. Last, a sweep of eight short runs against one run: if each job imported torch
anew it would cost eight times as much.
"""

import os
import resource
import subprocess
import sys
from statistics import median
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from graft.configuration.keys import conf_dir

BARE = f"""
import hydra
@hydra.main(version_base="1.3", config_path={str(conf_dir())!r}, config_name="train")
def main(cfg): pass
main()
"""
GRAFT = "from graft.cli.console import main; main()"
MISTAKE = "optimzer.lr=1"
SHOWN = [["--help"], ["--cfg", "job"], [MISTAKE]]
SHORT = ["data=digits", "data.fraction=0.1", "trainer=cpu", "trainer.max_epochs=1", "threads=1"]


def seconds(code: str, *words: str) -> float:
    """CPU seconds of a Python process that runs `code` with these words; a mistake in them must be found."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", code, *words]
    with TemporaryDirectory() as folder:
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    if (done.returncode != 0) != (MISTAKE in words):
        raise RuntimeError(f"{' '.join(words)} ended with {done.returncode}: {done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main(pairs: str = "5") -> None:
    """Time all, pair by pair, and print the table."""
    table = Table("", "theirs", "ours", "ratio", "goal", title="CPU seconds")
    for words in SHOWN:
        found = [(seconds(BARE, *words), seconds(GRAFT, "train", *words)) for _ in range(int(pairs))]
        ratio = median(ours / theirs for theirs, ours in found)
        cells = (median(column) for column in zip(*found, strict=True))
        table.add_row(f"graft train {' '.join(words)}", *(f"{x:.2f}" for x in cells), f"{ratio:.2f}", "1.3")
    bare = [seconds("pass") for _ in range(int(pairs))]
    own = [seconds("import graft") for _ in range(int(pairs))]
    table.add_row("import graft (python alone)", f"{median(bare):.2f}", f"{median(own):.2f}", "", "0.3 s")
    jobs = [
        (
            seconds(GRAFT, "train", *SHORT, "seed=0"),
            seconds(GRAFT, "train", "-m", *SHORT, "seed=0,1,2,3,4,5,6,7"),
        )
        for _ in range(max(1, int(pairs) // 2))
    ]
    cells = (median(column) for column in zip(*jobs, strict=True))
    ratio = median(eight / one for one, eight in jobs)
    table.add_row("8 short jobs of a sweep (one run)", *(f"{x:.1f}" for x in cells), f"{ratio:.2f}", "1.2")
    Console(width=110).print(table)


if __name__ == "__main__":
    main(*sys.argv[1:])
