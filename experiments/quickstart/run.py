"""The quick start: does a network trained on drawn digits help to read handwritten ones, from five of each?

    make quickstart

Trains the small LeNet-like network on `glyphs` (digits in many fonts), grafts it on `digits` (handwritten)
with 5 labelled images a class, and compares from scratch, frozen and fine-tuned over 3 seeds. A seed chooses
the labelled images, the test images, the new weights and the order; the three ways share it, so they can be
compared seed by seed. Nothing is validated: five images a class are all the labels there are.
"""

from datetime import datetime
from pathlib import Path
from statistics import mean, stdev

from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

import graft
from graft.runs.files import write_csv

SEEDS = (0, 1, 2)
SHOTS = 5
COLOURS = ("#999999", "#56b4e9", "#0072b2")
# A second thread gains nothing on so small a network, and on a busy machine the two wait for each other.
THREADS = "threads=1"
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
    THREADS,
]


def main() -> None:
    """Train, compare, and say where to look next."""
    folder = Path("outputs/quickstart") / datetime.now().strftime("%Y-%m-%d-%H-%M-%S")
    print("1. The source: the small network learns 10,000 drawn digits")
    words = [
        "data=glyphs",
        "data.batch_size=100",
        "trainer.max_epochs=8",
        THREADS,
        f"hydra.run.dir={folder}/source",
    ]
    source = graft.train(words)

    print(f"2. The target: handwritten digits, {SHOTS} labelled images of each")
    accuracies: dict[str, list[float]] = {}
    for way, own in WAYS.items():
        for seed in SEEDS:
            chosen = [f"backbone.weights={source.path}", *own, f"seed={seed}", f"data.split_seed={seed}"]
            run = folder / f"{way.replace(' ', '-')}-seed{seed}"
            metrics = graft.train([*TARGET, *chosen, f"hydra.run.dir={run}"]).metrics
            accuracies.setdefault(way, []).append(metrics["test/accuracy"])

    rows = [
        {"way": way, "seed": seed, "test/accuracy": value}
        for way, values in accuracies.items()
        for seed, value in zip(SEEDS, values, strict=True)
    ]
    write_csv(folder / "results.csv", rows)
    figure = folder / "quickstart.png"
    gain = mean(accuracies["fine-tuned"]) - mean(accuracies["from scratch"])
    title = f"Digits from glyphs, {SHOTS} labels a class: fine-tuning gains {gain:+.3f}"
    drawn(title, accuracies).savefig(figure, dpi=120)
    Console().print(table(title, accuracies))
    print(f"Figure:       {figure}")
    print(f"Compare:      .venv/bin/graft compare runs={folder} over=[seed,data.split_seed]")
    print(f"TensorBoard:  .venv/bin/tensorboard --logdir {folder}")
    print(f"Use a model:  .venv/bin/graft predict run={folder}/fine-tuned-seed0 source=<image or folder>")


def table(title: str, accuracies: dict[str, list[float]]) -> Table:
    """A way a row: mean ± standard deviation over the seeds, and each seed's accuracy."""
    rows = Table("", "test accuracy", "seeds", title=title)
    for way, values in accuracies.items():
        each = "  ".join(f"{value:.3f}" for value in values)
        rows.add_row(way, f"{mean(values):.3f} ± {stdev(values):.3f}", each)
    return rows


def drawn(title: str, accuracies: dict[str, list[float]]) -> Figure:
    """The means as bars, the seeds as points."""
    figure = Figure(figsize=(6.5, 3.8), layout="constrained")
    axes = figure.subplots()
    # Three of Okabe and Ito's colours, which most colour-blind people tell apart.
    axes.bar(list(accuracies), list(map(mean, accuracies.values())), color=COLOURS, width=0.6)
    for place, values in enumerate(accuracies.values()):
        axes.plot([place] * len(values), values, "o", color="black", markersize=4)
        axes.annotate(f"{mean(values):.3f}", (place, 0.02), ha="center", color="white", weight="bold")
    axes.set(ylim=(0, 1), ylabel=f"test accuracy (dots: {len(SEEDS)} seeds)", title=title)
    return figure


if __name__ == "__main__":
    main()
