"""Distils the prior of `graft advise`: python experiments/advice/distill.py FOLDER, of recorded trainings."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import graft.advice.prior
from graft.advice.prior import (
    AS_THEY_ARE,
    EPOCHS,
    PENALTIES,
    RATES,
    SHARES,
    Floats,
    Prior,
    atoms,
    term_values,
    written,
)
from recorded import Task, tasks_in

COMMENTS = (
    "Effects on relative accuracy after 1, 7 and 50 epochs, and on the log of seconds an image and epoch.",
    'Source: the meta-data set "extended" of Quick-Tune (Arango et al., ICLR 2024), releng/QuickTuneTool,',
    "BSD 3-Clause. Written by experiments/advice/distill.py. Terms are products of what prior.atoms() names.",
)
# How strongly effects are drawn to 0, in trainings.
RIDGE = 10.0
FAMILIES = ("adaptive", "sgd")


def terms_of(tasks: Sequence[Task]) -> tuple[str, ...]:
    """The terms whose effects are sought."""
    runs = [run for task in tasks for run in task.runs]
    words = {
        word: sorted({str(run.settings[word]) for run in runs if word in run.settings})
        for word in ("optimizer", "schedule", "augmentation", "network")
    }
    terms = [f"{word}={value}" for word, values in words.items() for value in values]
    terms += [f"{family}*lr~{rate:g}" for family in FAMILIES for rate in RATES]
    with_rate = ("steps", "batch", "frozen", "head_only", "layer_decay", "warmup", "size")
    for family in FAMILIES:
        terms += [f"{family}*{name}" for name in ("steps", "steps*steps", "batch", "batch*batch")]
        terms += [f"{family}*lr*{name}" for name in with_rate]
        terms += [f"{family}*at_once*lr~{rate:g}" for rate in RATES]
        terms += [f"{family}*clip={most}" for most in (1, 10)]
        terms += [f"{family}*begins={how}" for how in ("cold", "warm")]
        terms += [f"{family}*at_once*steps", f"{family}*begins=warm*steps"]
    terms += [f"frozen~{share:g}" for share in SHARES]
    terms += ["layer_decay", "warmup", "sgd*no_momentum", "sgd*much_momentum", "sgd*much_momentum*lr"]
    terms += ["adaptive*no_beta1", "adaptive*beta2", "co_tuning", *AS_THEY_ARE]
    terms += [f"{penalty}={value}" for penalty in PENALTIES for value in ("0.1", "0.01")]
    terms += ["weight_decay=0.1*optimizer=adam", "weight_decay=0.1*sgd", "weight_decay=0.01*sgd"]
    terms += ["images", "classes", "images*classes", "size", "gmacs", "adaptive*size", "adaptive*gmacs"]
    terms += ["size*head_only", "size*frozen", "adaptive*frozen", "adaptive*head_only", "stochnorm*size"]
    terms += ["batch", "batch*batch", "gmacs*gmacs", "gmacs*batch", "gmacs*frozen", "gmacs*amp"]
    return ("one", *terms)


def distilled(tasks: Sequence[Task]) -> Prior:
    """Ridge regressions over all trainings of the tasks."""
    terms = terms_of(tasks)
    known = [atoms(run.settings, task.facts) for task in tasks for run in task.runs]
    values = term_values(terms, known)
    means: Floats = np.array(
        [0.0 if np.isnan(column).all() else float(np.nanmean(column)) for column in values.T]
    )
    # The constant stays; all else is about its mean.
    means[0] = 0.0
    values = np.where(np.isnan(values), 0.0, values - means)
    drawn = np.full(len(terms), RIDGE)
    drawn[0] = 0.0
    # What is a task's own and no term explains is taken out, drawn to 0 as well.
    own = np.repeat(np.eye(len(tasks)), [len(task.runs) for task in tasks], axis=0)
    values, drawn = np.hstack([values, own]), np.append(drawn, np.full(len(tasks), RIDGE))
    effects = np.asarray(
        np.linalg.solve(values.T @ values + np.diag(drawn), values.T @ outcomes(tasks)), dtype=np.float64
    )
    return Prior(tuple(task.name for task in tasks), terms, means, effects[: len(terms)])


def outcomes(tasks: Sequence[Task]) -> Floats:
    """What is regressed `(N, 4)`: best relative accuracy by each of EPOCHS, log of seconds an image."""
    rows = []
    for task in tasks:
        best = max(max(run.accuracy) for run in task.runs)
        for run in task.runs:
            reached = [max(run.accuracy[:epoch]) / best for epoch in EPOCHS]
            rows.append([*reached, np.log(np.median(run.seconds) / task.facts.images)])
    return np.array(rows)


def main() -> None:
    """Write `prior.csv` beside the module that reads it."""
    prior = distilled(tasks_in(Path(sys.argv[1])))
    path = Path(graft.advice.prior.__file__).with_name("prior.csv")
    path.write_text(written(prior, COMMENTS), encoding="utf-8")
    print(f"{path}: {len(prior.terms)} terms")


if __name__ == "__main__":
    main()
