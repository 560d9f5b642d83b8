"""The quick start: does a network trained on drawn digits help to read handwritten ones, from five of each?

    make quickstart

Trains the small LeNet-like network on `glyphs` (digits in many fonts), grafts it on `digits` (handwritten)
with 5 labelled images a class, and compares from scratch, frozen and fine-tuned over 3 seeds. A seed chooses
the labelled images, the test images, the new weights and the order; the three ways share it, so they can be
compared seed by seed. Nothing is validated: five images a class are all the labels there are.
"""

from datetime import datetime
from pathlib import Path
from statistics import mean

from rich.console import Console

import graft
from graft.reporting import seed_figure, seed_table

SEEDS = (0, 1, 2)
SHOTS = 5
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

    figure = folder / "quickstart.png"
    gain = mean(accuracies["fine-tuned"]) - mean(accuracies["from scratch"])
    title = f"Digits from glyphs, {SHOTS} labels a class: fine-tuning gains {gain:+.3f}"
    seed_figure(title, accuracies).savefig(figure, dpi=120)
    Console().print(seed_table(title, accuracies))
    print(f"Figure:       {figure}")
    print(f"TensorBoard:  .venv/bin/tensorboard --logdir {folder}")
    print(f"Use a model:  .venv/bin/graft predict run={folder}/fine-tuned-seed0 source=<image or folder>")


if __name__ == "__main__":
    main()
