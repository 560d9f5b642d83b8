"""Which score says best that a sample is none of the classes, and what conformal sets cover.

    python none_of_these.py DATA KEPT [--report]

DATA has the folders `hymenoptera`, `cifar10` and `blood_cells`; features, and the network of the digits, are
kept in KEPT. Twenty splits a task: a row a score and unknown set in `scores.csv`, a row a rule in `sets.csv`.
Then the tables as Markdown, and the figure; `--report` computes nothing.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split
from torch import nn

from features import Task, tasks
from graft.evaluation.calibration import fit_temperature
from graft.evaluation.knowing import COVERS, fit_score, limit_of, remembered, threshold_of
from graft.evaluation.none_of_these import energy, label_sets, mahalanobis, max_softmax, nearest, softmax
from graft.evaluation.unknown import unknown_metrics
from graft.models import linear
from graft.objective.solving import Labelled, solve
from graft.optim import LBFGS
from graft.reporting.figures import COLOURS, MARKERS
from graft.runs.files import read_csv, write_csv
from graft.tasks import SingleLabel

HERE = Path(__file__).parent
SPLITS = 20
Row = dict[str, Any]
Floats = NDArray[np.float64]


def main() -> None:
    """Compute what is missing, then tell."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("kept", type=Path, nargs="?")
    parser.add_argument("--report", action="store_true")
    given = parser.parse_args()
    files = {kind: HERE / f"{kind}.csv" for kind in ("scores", "sets")}
    rows: dict[str, list[Row]] = {
        k: list(read_csv(file)) if file.exists() else [] for k, file in files.items()
    }
    if not given.report:
        torch.set_num_threads(1)
        given.kept.mkdir(parents=True, exist_ok=True)
        for name, task in tasks(given.data, given.kept):
            for split in range(SPLITS):
                if any((row["task"], int(row["split"])) == (name, split) for row in rows["sets"]):
                    continue
                scores, sets = measured(task, split)
                for kind, found in (("scores", scores), ("sets", sets)):
                    rows[kind] += [{"task": name, "split": split, **row} for row in found]
                    write_csv(files[kind], rows[kind])
    report(rows["scores"], rows["sets"])


def measured(task: Task, split: int) -> tuple[list[Row], list[Row]]:
    """What each score and each rule for sets comes to, in one split."""
    labels, classes = task.labels, int(task.labels.max()) + 1
    if task.learnt is None:
        train, rest = train_test_split(
            np.arange(len(labels)), test_size=0.5, stratify=labels, random_state=split
        )
    else:
        train, rest = np.flatnonzero(task.learnt), np.flatnonzero(~task.learnt)
    val, test = train_test_split(rest, test_size=0.5, stratify=labels[rest], random_state=split)
    head = task.head or solved(task, train, val, classes)
    logits = {"val": said(head, task.features[val]), "test": said(head, task.features[test])}
    logits |= {name: said(head, features) for name, features in task.unknown.items()}
    given = {"val": task.features[val], "test": task.features[test], **task.unknown}
    some = train[remembered(labels[train], classes)]
    learnt, of_learnt = task.features[some], labels[some]
    bank, _ = fit_score("knn", learnt, of_learnt)
    means, _ = fit_score("mahalanobis", learnt, of_learnt)
    ways = {
        **{f"knn, k={k}": {n: nearest(x, bank["bank"], k) for n, x in given.items()} for k in (1, 5, 10, 20)},
        "mahalanobis": {n: mahalanobis(x, means["means"], means["whitening"]) for n, x in given.items()},
        "energy": {n: energy(z) for n, z in logits.items()},
        "max softmax": {n: max_softmax(z) for n, z in logits.items()},
    }
    scores = []
    for way, found in ways.items():
        threshold = threshold_of(found["val"])
        assert threshold is not None
        passed = float((found["test"] >= threshold).mean())
        for name in task.unknown:
            told = unknown_metrics(found["test"], found[name], threshold)
            kept = {key: f"{told[key]:.4f}" for key in ("auroc", "fpr95", "told")}
            scores.append({"score": way, "unknown": name, **kept, "passed": f"{passed:.4f}"})
    temperature = fit_temperature(torch.from_numpy(logits["val"]), torch.from_numpy(labels[val])) or 1.0
    p = {name: softmax(logits[name], temperature) for name in ("val", "test")}
    sets = []
    for rule, members in rules(p["val"], labels[val], p["test"]).items():
        held, size = members[np.arange(len(test)), labels[test]], members.sum(1)
        numbers = {"covered": held.mean(), "size": size.mean(), "single": (size == 1).mean()}
        numbers |= {"empty": (size == 0).mean(), "accuracy": (p["test"].argmax(1) == labels[test]).mean()}
        sets.append({"rule": rule, **{key: f"{value:.4f}" for key, value in numbers.items()}})
    return scores, sets


def solved(task: Task, train: Any, val: Any, classes: int) -> nn.Module:
    """A head, as `freeze=frozen` solves it; its penalty is chosen by the samples that set the threshold."""
    head = linear(task.features.shape[1], classes, standardize=True)
    parts = (
        Labelled(torch.from_numpy(task.features[p]), torch.from_numpy(task.labels[p])) for p in (train, val)
    )
    solve(head, LBFGS(), *parts, task=SingleLabel([str(label) for label in range(classes)]))
    return head


@torch.inference_mode()
def said(head: nn.Module, features: NDArray[np.float32]) -> Floats:
    """Logits `(N, C)`."""
    logits: Floats = head(torch.from_numpy(features)).double().numpy()
    return logits


def rules(p: Floats, labels: NDArray[np.int64], tested: Floats) -> dict[str, NDArray[np.bool_]]:
    """The sets `(N, C)` of the tested probabilities by rules that are fitted to others `(M, C)`."""
    rows, rank = np.arange(len(labels)), int(np.ceil((len(labels) + 1) * COVERS))

    def limited(of_label: Floats, odd: Floats) -> NDArray[np.bool_]:
        within: NDArray[np.bool_] = odd <= np.sort(of_label)[rank - 1]
        return within

    def before(q: Floats) -> Floats:
        """The probability of the labels that are more probable, for each label."""
        order = np.argsort(-q, axis=1)
        ranked = np.take_along_axis(q, order, axis=1)
        mass = np.empty_like(q)
        np.put_along_axis(mass, order, np.cumsum(ranked, axis=1) - ranked, axis=1)
        return mass

    lac = limited((1 - p)[rows, labels], 1 - tested)
    with_top = lac.copy()
    with_top[np.arange(len(tested)), tested.argmax(1)] = True
    return {
        "Graft's": label_sets(tested, limit_of(p, labels)),
        "LAC": lac,
        "LAC, top added after": with_top,
        "APS, mass before": limited(before(p)[rows, labels], before(tested)),
        "APS, mass with": limited((before(p) + p)[rows, labels], before(tested) + tested),
    }


def report(scores: list[Row], sets: list[Row]) -> None:
    """Tables, and the figure."""
    pairs = list(dict.fromkeys((row["task"], row["unknown"]) for row in scores))
    ways = list(dict.fromkeys(row["score"] for row in scores))
    print("| classes | unknown | " + " | ".join(ways) + " |\n|---|---|" + "---|" * len(ways))
    for pair in pairs:
        cells = [f"{np.mean(found):.3f} / {np.mean(far):.3f}" for found, far in _of(scores, pair, ways)]
        print(f"| {pair[0]} | {pair[1]} | " + " | ".join(cells) + " |")
    print("\n| classes | score | known that passed |\n|---|---|---|")
    for name in dict.fromkeys(row["task"] for row in scores):
        for way in ways:
            found = [float(r["passed"]) for r in scores if r["task"] == name and r["score"] == way]
            print(f"| {name} | {way} | {np.mean(found):.3f} |")
    print("\n| classes | rule | covered, mean | least to most | labels | of one label | empty |")
    print("|---|---|---|---|---|---|---|")
    for name in dict.fromkeys(row["task"] for row in sets):
        for rule in dict.fromkeys(row["rule"] for row in sets):
            own = [row for row in sets if row["task"] == name and row["rule"] == rule]
            of = {key: [float(row[key]) for row in own] for key in ("covered", "size", "single", "empty")}
            print(
                f"| {name} ({np.mean([float(row['accuracy']) for row in own]):.3f} right) | {rule} | "
                f"{np.mean(of['covered']):.3f} | {min(of['covered']):.3f} to {max(of['covered']):.3f} | "
                f"{np.mean(of['size']):.2f} | {np.mean(of['single']):.2f} | {np.mean(of['empty']):.3f} |"
            )
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    for place, way in enumerate(ways):
        means = [np.mean(found) for found, _ in (next(_of(scores, pair, [way])) for pair in pairs)]
        axes.plot(
            means,
            np.arange(len(pairs)),
            MARKERS[place % len(MARKERS)],
            color=COLOURS[place % len(COLOURS)],
            label=way,
        )
    axes.set_yticks(range(len(pairs)), [f"{known} / {other}" for known, other in pairs])
    axes.axvline(0.95, linewidth=0.8, color="black", linestyle=":")
    axes.set(xlabel="AUROC, mean of 20 splits", title="Telling samples of the classes from others")
    axes.legend(fontsize="small")
    figure.savefig(HERE / "figure.png", dpi=120)


def _of(
    scores: list[Row], pair: tuple[str, str], ways: list[str]
) -> Iterator[tuple[list[float], list[float]]]:
    """AUROC and FPR at 95 % of each split, by score."""
    for way in ways:
        own = [r for r in scores if (r["task"], r["unknown"]) == pair and r["score"] == way]
        yield [float(row["auroc"]) for row in own], [float(row["fpr95"]) for row in own]


if __name__ == "__main__":
    main()
