"""Do the rates that suit `freeze=full` suit the other strategies of a small network too?

    python strategies.py TASKS SOURCES RUNS

Runs of Graft on four pairs of `run.sh`'s small network and tasks, three draws, each strategy with the rates
for torchvision's networks and with those for others. Stopped, the same command goes on. Writes
`strategies.csv` beside this file and prints each strategy's gain, paired by draw, with a 95 % interval.
"""

import sys
from pathlib import Path

from graft_runs import finished, unused
from settings import PAIRS, Stage, words_of
from tuning_report import interval

from graft import train
from graft.runs import RunFolder
from graft.runs.files import write_csv

STRATEGIES = ("last_k", "lp_ft", "gradual", "lora", "bias_only")
RATES = {"torchvision's": ("1e-4", "3e-3"), "others'": ("3e-4", "1e-2")}
DRAWS = range(3)
FINAL = Stage({}, ["glyphs/digits-5", "glyphs/usps-10", "cifar/cifar-10", "cifar/cifar-100"], "final")


def main(tasks: Path, sources: Path, runs: Path) -> None:
    """Run what is missing, write, print."""
    accuracy = {
        (pair, freeze, rates, draw): tested(pair, draw, freeze, rates, tasks, sources, runs)
        for pair in FINAL.pairs
        for draw in DRAWS
        for freeze in STRATEGIES
        for rates in RATES
    }
    columns = ("pair", "freeze", "rates", "draw")
    rows = [dict(zip(columns, key, strict=True)) | {"test/accuracy": got} for key, got in accuracy.items()]
    write_csv(Path(__file__).with_name("strategies.csv"), rows)
    for freeze in STRATEGIES:
        gains = {
            (pair, draw): accuracy[pair, freeze, "others'", draw]
            - accuracy[pair, freeze, "torchvision's", draw]
            for pair in FINAL.pairs
            for draw in DRAWS
        }
        of_pairs = [sum(gains[pair, draw] for draw in DRAWS) / len(DRAWS) for pair in FINAL.pairs]
        mean, half = interval(of_pairs)
        lost = sum(gain < 0 for gain in gains.values())
        print(f"| {freeze} | {mean:+.3f} ± {half:.3f} | {lost} of {len(gains)} |")


def tested(pair: str, draw: int, freeze: str, rates: str, tasks: Path, sources: Path, runs: Path) -> float:
    """Test accuracy of one run, made if it is not there."""
    lr, head_lr = RATES[rates]
    folder = runs / PAIRS[pair].network / PAIRS[pair].manifest / freeze / lr / str(draw)
    if not finished(folder):
        words = [word for word in words_of(pair, FINAL, draw, tasks, sources) if word != "freeze=full"]
        rate_words = [f"optimizer.lr={lr}", f"optimizer.head_lr={head_lr}"]
        train([*words, f"freeze={freeze}", *rate_words, f"hydra.run.dir={unused(folder)}"])
    return float(RunFolder.open(folder).metrics["test/accuracy"])


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
