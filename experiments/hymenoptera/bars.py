"""The study's figure, from `results.csv`.

.venv/bin/python experiments/hymenoptera/bars.py
"""

from pathlib import Path
from statistics import mean

from matplotlib.figure import Figure

from graft.runs.files import read_csv

HERE = Path(__file__).parent
# Three colours that most colour-blind people tell apart, after Okabe and Ito.
COLOURS = ("#999999", "#56B4E9", "#0072B2")


def main() -> None:
    """Means as bars, seeds as points."""
    accuracies: dict[str, list[float]] = {}
    for row in read_csv(HERE / "results.csv"):
        accuracies.setdefault(row["way"], []).append(float(row["test/accuracy"]))
    figure = Figure(figsize=(6.5, 3.8), layout="constrained")
    axes = figure.subplots()
    axes.bar(list(accuracies), list(map(mean, accuracies.values())), color=COLOURS, width=0.6)
    for place, values in enumerate(accuracies.values()):
        axes.plot([place] * len(values), values, "o", color="black", markersize=4)
        axes.annotate(f"{mean(values):.3f}", (place, 0.02), ha="center", color="white", weight="bold")
    axes.set(ylim=(0, 1), ylabel="test accuracy (dots: 5 seeds)")
    axes.set_title("Ants and bees, SqueezeNet 1.0, shipped defaults")
    figure.savefig(HERE / "figure.png", dpi=120)


if __name__ == "__main__":
    main()
