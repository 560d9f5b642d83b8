"""The quick start: does a network trained on drawn digits help to read handwritten ones, from five of each?

    make quickstart

Trains the small LeNet-like network on `glyphs` (digits in many fonts), grafts it on `digits` (handwritten)
with 5 labelled images a class, and compares from scratch, frozen and fine-tuned over 3 seeds. A seed chooses
the labelled images, the test images, the new weights and the order; the three ways share it, so they can be
compared seed by seed. Nothing is validated: five images a class are all the labels there are.
"""

import statistics
from datetime import datetime
from pathlib import Path

from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

import graft

SEEDS = (0, 1, 2)
SHOTS = 5
WAYS = {
    "from scratch": ["freeze=full", "backbone.weights=null"],
    "frozen": ["freeze=frozen"],
    "fine-tuned": ["freeze=full"],
}
TARGET = [
    "data=digits",
    f"data.shots={SHOTS}",
    "data.val_fraction=0",
    "data.test_fraction=0.5",
    "data.batch_size=10",
    "trainer.max_epochs=60",
    "callbacks=learning_rate",
]


def main() -> None:
    """Train, compare, and say where to look next."""
    folder = Path("outputs/quickstart") / datetime.now().strftime("%Y-%m-%d-%H-%M-%S")
    print("1. The source: the small network learns 10,000 drawn digits")
    words = ["data=glyphs", "data.batch_size=100", "trainer.max_epochs=8", f"hydra.run.dir={folder}/source"]
    source = graft.train(words)

    print(f"2. The target: handwritten digits, {SHOTS} labelled images of each")
    accuracies: dict[str, list[float]] = {}
    for way, own in WAYS.items():
        for seed in SEEDS:
            run = folder / f"{way.replace(' ', '-')}-seed{seed}"
            words = [
                f"backbone.weights={source.path}",
                *own,
                *TARGET,
                f"seed={seed}",
                f"data.split_seed={seed}",
            ]
            metrics = graft.train([*words, f"hydra.run.dir={run}"]).metrics
            accuracies.setdefault(way, []).append(metrics["test/accuracy"])

    figure = folder / "quickstart.png"
    draw(accuracies).savefig(figure, dpi=120)
    Console().print(table(accuracies))
    print(f"Figure:       {figure}")
    print(f"TensorBoard:  .venv/bin/tensorboard --logdir {folder}")
    print(f"Use a model:  .venv/bin/graft predict run={folder}/fine-tuned-seed0 source=<image or folder>")


def table(accuracies: dict[str, list[float]]) -> Table:
    """Mean ± standard deviation over the seeds, a way a row."""
    rows = Table("", "test accuracy", "seeds", title=f"digits from glyphs, {SHOTS} labelled images a class")
    for way, values in accuracies.items():
        spread = f"{statistics.mean(values):.3f} ± {statistics.stdev(values):.3f}"
        rows.add_row(way, spread, "  ".join(f"{value:.3f}" for value in values))
    return rows


def draw(accuracies: dict[str, list[float]]) -> Figure:
    """The means as bars, the seeds as points."""
    means = {way: statistics.mean(values) for way, values in accuracies.items()}
    gain = means["fine-tuned"] - means["from scratch"]
    figure = Figure(figsize=(6.5, 3.8), layout="constrained")
    axes = figure.subplots()
    axes.bar(list(means), list(means.values()), color=["#999999", "#56b4e9", "#0072b2"], width=0.6)
    for place, values in enumerate(accuracies.values()):
        axes.plot([place] * len(values), values, "o", color="black", markersize=4)
        axes.annotate(
            f"{means[list(means)[place]]:.3f}", (place, 0.02), ha="center", color="white", weight="bold"
        )
    axes.set(ylim=(0, 1), ylabel="test accuracy (dots: 3 seeds)")
    axes.set_title(
        f"Fine-tuning drawn digits' network gains {gain:+.3f}\non handwritten ones ({SHOTS} labels a class)"
    )
    return figure


if __name__ == "__main__":
    main()
