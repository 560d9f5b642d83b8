"""Replays `graft advise`'s decisions on recorded trainings: python experiments/advice/replay.py FOLDER.

The last line is JSON: the mean over tasks of (best - found) / (best - worst) at four budgets. A task from
which the shipped prior was distilled is replayed with a prior that is distilled anew, here, from the folder's
other such tasks; all else with the shipped one.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from distill import distilled

from graft.advice.decision import Candidate, Known, advised, decide
from graft.advice.prior import Prior, shipped
from recorded import Task, tasks_in

BUDGETS = (600, 3600, 14400, 57600)
# The most epochs that a recorded training has; that one ended earlier is found out by paying for its last.
EPOCHS = 50


def replayed(task: Task, prior: Prior, budget: float) -> float | None:
    """The best accuracy paid for of what is advised when the budget is spent; None: nothing was paid for."""
    runs = {run.name: run for run in task.runs}
    candidates = {run.name: Candidate(run.name, run.settings, EPOCHS) for run in task.runs}
    left = float(budget)
    while True:
        known = Known(tuple(candidates.values()), task.facts, left)
        step = decide(known, prior)
        if step is None:
            break
        run, one = runs[step.name], candidates[step.name]
        for epoch in range(len(one.accuracy), min(step.epoch, len(run.accuracy))):
            left -= run.seconds[epoch]
            # The epoch that the budget cuts is spent for nothing.
            if left < 0:
                break
            paid = epoch + 1
            over = paid == len(run.accuracy)
            one = replace(
                one, accuracy=run.accuracy[:paid], seconds=run.seconds[:paid], epochs=paid if over else EPOCHS
            )
        candidates[step.name] = one
    found = advised(Known(tuple(candidates.values()), task.facts, max(left, 0.0)))
    return max(found.accuracy) if found else None


def prior_without(task: Task, tasks: Sequence[Task]) -> Prior:
    """The shipped prior, or where that knows the task, one of the folder's other tasks that it knows."""
    if task.name not in shipped().tasks:
        return shipped()
    others = [other for other in tasks if other.name != task.name and other.name in shipped().tasks]
    return distilled(others) if others else shipped()


def regrets(tasks: Sequence[Task], budgets: Sequence[float] = BUDGETS) -> list[list[float]]:
    """A row a task: the regret at each budget; 0 where the best was found, 1 for the worst or nothing."""
    rows = []
    for task in tasks:
        prior = prior_without(task, tasks)
        bests = [max(run.accuracy) for run in task.runs]
        best, worst = max(bests), min(bests)
        row = []
        for budget in budgets:
            found = replayed(task, prior, budget)
            span = (best - worst) or 1.0
            row.append((best - (worst if found is None else found)) / span)
        print(task.name, *(f"{regret:.3f}" for regret in row), flush=True)
        rows.append(row)
    return rows


def main() -> None:
    """Print a line a task, and the line of JSON."""
    rows = regrets(tasks_in(Path(sys.argv[1])))
    means = [round(sum(column) / len(column), 4) for column in zip(*rows, strict=True)]
    print(json.dumps({"budgets": list(BUDGETS), "regret": means}))


if __name__ == "__main__":
    main()
