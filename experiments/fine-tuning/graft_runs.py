"""Run one stage of the study: every setting on every pair of network and task, a Graft run each.

    python graft_runs.py STAGE TASKS SOURCES RUNS [pair …] [--draws 0,1]

`STAGE` is a name of `settings.STAGES`. Settings are tried draw by draw, so that what is there at any time is
balanced. Stopped, the same command goes on: a run that has finished is not run again. All runs share one
process, because importing torch costs more than most of them.
"""

import argparse
import json
import subprocess
from pathlib import Path

from settings import PAIRS, STAGES, words_of

from graft import train
from graft.errors import GraftError
from graft.runs import RunFolder

HERE = Path(__file__).parent


def main() -> None:
    """Read the command line and run what is missing."""
    parser = argparse.ArgumentParser()
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("tasks", type=Path)
    parser.add_argument("sources", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("pairs", nargs="*", default=[])
    parser.add_argument("--draws", default="0,1")
    parser.add_argument("--commit", default="")
    given = parser.parse_args()
    stage = STAGES[given.stage]
    commit = (
        given.commit or subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], text=True).strip()
    )
    for draw in given.draws.split(","):
        for name, words in stage.settings.items():
            for pair in given.pairs or stage.pairs:
                folder = given.runs / given.stage / pair.replace("/", "_") / name / draw
                if finished(folder):
                    continue
                everything = [*words_of(pair, stage, int(draw), given.tasks, given.sources), *words]
                if PAIRS[pair].network in ("resnet", "lite0"):
                    everything.append(f"hydra.searchpath=[file://{HERE / 'conf'}]")
                try:
                    train([*everything, f"hydra.run.dir={unused(folder)}"])
                except (GraftError, RuntimeError) as error:
                    print(f"{pair} {name} {draw}: {error}", flush=True)
                    continue
                (folder.parent / f"{draw}.json").write_text(json.dumps({"commit": commit}))


def finished(folder: Path) -> bool:
    """Whether the run in `folder` has ended well."""
    return (folder / "status.json").is_file() and RunFolder.open(folder).status()["status"] == "finished"


def unused(folder: Path) -> Path:
    """The folder, what a stopped run left there put aside."""
    if folder.exists():
        place = 1
        while (aside := folder.with_name(f"{folder.name}.stopped{place}")).exists():
            place += 1
        folder.rename(aside)
    return folder


if __name__ == "__main__":
    main()
