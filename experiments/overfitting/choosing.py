"""How good the penalty of a solved head is, by what chose it: nothing, a fifth of the labels, or five folds.

    .venv/bin/python experiments/overfitting/choosing.py outputs/overfitting

Prints the table as Markdown; writes `choosing.csv` beside this file. Whoever chooses, the head is solved
again on all labels.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import yaml

from graft.reporting.groups import spread
from graft.runs.files import read_csv, write_csv

HERE = Path(__file__).parent
PENALTIES = ("solved_0.001", "solved_0.01", "solved_0.1")
# By what the penalty is chosen: a sweep's name, and the loss that it is judged by.
JUDGES = {"fifth": "val/loss", "folds": "test/log_loss"}
NAMED = {
    "shipped": "0.001 always",
    "fifth": "a fifth of the labels chooses",
    "folds": "five folds choose",
    "best": "the best of the three afterwards",
}


def main(runs: str) -> None:
    """Read, tabulate, write."""
    rows = choices(Path(runs))
    write_csv(HERE / "choosing.csv", rows)
    numbers = sorted({row["labels"] for row in rows})
    heads = [*(f"{n} labels a class" for n in numbers), "all"]
    print(f"| λ | {' | '.join(heads)} |\n|---|{'---|' * len(heads)}")
    for way, named in NAMED.items():
        columns = [[row for row in rows if n in (None, row["labels"])] for n in [*numbers, None]]
        means = [spread([row[way] for row in column]).mean for column in columns]
        print(f"| {named} | {' | '.join(f'{value:.3f}' for value in means)} |")


def choices(runs: Path) -> list[dict[str, Any]]:
    """A row a target, number of labels and draw: the test accuracy with what each way chooses."""
    accuracies: dict[tuple[str, int, int], dict[str, float]] = defaultdict(dict)
    for row in read_csv(HERE / "results.csv"):
        if row["way"] == "frozen" and row["remedy"] in PENALTIES:
            key = row["target"], int(row["labels"]), int(row["draw"])
            accuracies[key][row["remedy"]] = float(row["test/accuracy"])
    rows = []
    for (target, labels, draw), accuracy in sorted(accuracies.items()):
        judged = {
            judge: losses(runs / f"{judge}-{target}-{draw}", labels, key) for judge, key in JUDGES.items()
        }
        if any(len(found) < len(PENALTIES) for found in judged.values()):
            continue
        chosen = {judge: min(found, key=lambda name: found[name]) for judge, found in judged.items()}
        rows.append(
            {
                "target": target,
                "labels": labels,
                "draw": draw,
                "shipped": accuracy[PENALTIES[0]],
                **{judge: accuracy[name] for judge, name in chosen.items()},
                "best": max(accuracy.values()),
                **{f"{judge}_chose": name.removeprefix("solved_") for judge, name in chosen.items()},
            }
        )
    return rows


def losses(sweep: Path, labels: int, key: str) -> dict[str, float]:
    """Penalty to the loss that judges it, of the jobs of a sweep on so many labels."""
    found = {}
    for file in sweep.glob("*/metrics.json"):
        words = dict(
            word.split("=", 1) for word in yaml.safe_load((file.parent / "overrides.yaml").read_text())
        )
        if Path(words["data.file"]).stem.split("-")[0] == str(labels):
            found[words["experiment"]] = float(json.loads(file.read_text())[key])
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
