"""The study's table and figure, from the run folders of `run.sh`.

    .venv/bin/python experiments/few-shot/few_shot.py outputs/few-shot

Prints the table as Markdown; writes `results.csv` and `figure.png` beside this file.
"""

import sys
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from graft.reporting.figures import COLOURS, GREY, LINES, MARKERS
from graft.reporting.groups import Spread, spread
from graft.runs.files import write_csv
from graft.runs.records import find_runs

HERE = Path(__file__).parent
SHOTS, SEEDS = (1, 3, 10, 30, 100), 5
WAYS = {"scratch": "from scratch", "frozen": "frozen", "fine-tuned": "fine-tuned"}
# What the panel is called, and the share that guessing gets right.
PAIRS = {
    "digits": ("handwritten digits from drawn ones", 1 / 10),
    "photos": ("ants and bees from ImageNet", 1 / 2),
    "cifar10": ("5 classes of CIFAR-10 from the other 5", 1 / 5),
}
Cells = dict[tuple[str, str, int], Spread]


def main(runs: str) -> None:
    """Read, tabulate and draw."""
    rows = [row for pair in PAIRS for way in WAYS for row in read(Path(runs), pair, way)]
    found = cells(rows)
    write_csv(HERE / "results.csv", rows)
    print(f"| target | way | {' | '.join(map(str, SHOTS))} |")
    print(f"|---|---|{'---|' * len(SHOTS)}")
    for pair in PAIRS:
        for way, named in WAYS.items():
            line = [found[pair, way, shots] for shots in SHOTS]
            print(f"| {pair} | {named} | {' | '.join(f'{s.mean:.3f} ± {s.deviation:.3f}' for s in line)} |")
    figure(found).savefig(HERE / "figure.png", dpi=120)


def read(runs: Path, pair: str, way: str) -> list[dict[str, Any]]:
    """One row a finished run: what was done, what came out, and how well the last epoch fitted its images."""
    rows = [
        {
            "pair": pair,
            "way": way,
            "shots": run.config["data.shots"],
            "seed": run.config["seed"],
            "test/accuracy": run.metrics["test/accuracy"],
            "train/accuracy": run.epochs[-1]["train/accuracy"],
            "seconds": run.metrics["seconds"],
        }
        for run in find_runs(str(runs / pair / way))[0]
        if run.status == "finished"
    ]
    return sorted(rows, key=lambda row: (row["shots"], row["seed"]))


def cells(rows: list[dict[str, Any]]) -> Cells:
    """The accuracies over the seeds, of every pair, way and number of images.

    Raises:
        SystemExit: a run is missing.
    """
    found = {}
    for key in [(pair, way, shots) for pair in PAIRS for way in WAYS for shots in SHOTS]:
        own = [row for row in rows if (row["pair"], row["way"], row["shots"]) == key]
        if len({row["seed"] for row in own}) < SEEDS:
            raise SystemExit(f"{key}: {len(own)} of {SEEDS} seeds are there; run.sh does the rest")
        found[key] = spread([row["test/accuracy"] for row in own])
    return found


def figure(found: Cells) -> Figure:
    """A panel a pair, a line a way: means over the seeds, with a band of one deviation."""
    drawn = Figure(figsize=(11, 5), layout="constrained")
    panels = drawn.subplots(1, len(PAIRS), sharey=True)
    for axes, (pair, (name, guessing)) in zip(panels, PAIRS.items(), strict=True):
        panel(axes, pair, found)
        axes.axhline(guessing, color=GREY, linewidth=1, linestyle=":", label="guessing")
        axes.set_title(f"{name}\n{crossing(pair, found)}", fontsize=10)
    panels[0].set_ylabel("test accuracy (share of images)")
    panels[1].set_xlabel(
        f"labelled images a class (log scale); lines are means of {SEEDS} seeds, each with its own labelled "
        "images, bands ± 1 deviation"
    )
    handles, labels = panels[0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower center", ncols=len(handles))
    drawn.suptitle("A source saves labels, most where they are few; freeze first, fine-tune with more")
    return drawn


def panel(axes: Axes, pair: str, found: Cells) -> None:
    """The lines of one pair."""
    for place, (way, named) in enumerate(WAYS.items()):
        line = [found[pair, way, shots] for shots in SHOTS]
        middle = [s.mean for s in line]
        low = [s.mean - (s.deviation or 0.0) for s in line]
        high = [s.mean + (s.deviation or 0.0) for s in line]
        style: dict[str, Any] = {"color": COLOURS[place], "marker": MARKERS[place], "linestyle": LINES[place]}
        axes.plot(SHOTS, middle, label=named, **style)
        axes.fill_between(SHOTS, low, high, color=COLOURS[place], alpha=0.2)
    axes.set(xscale="log", ylim=(0, 1))
    axes.xaxis.set_major_locator(FixedLocator(SHOTS))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:.0f}")
    axes.grid(alpha=0.3)


def crossing(pair: str, found: Cells) -> str:
    """How few labelled images a source makes as good as the most without one, in words."""
    goal = found[pair, "scratch", SHOTS[-1]].mean
    for shots in SHOTS:
        best = max(("frozen", "fine-tuned"), key=lambda way: found[pair, way, shots].mean)
        if found[pair, best, shots].mean >= goal:
            return f"{best} on {shots} beats scratch on {SHOTS[-1]}"
    return f"no source beats scratch on {SHOTS[-1]}"


if __name__ == "__main__":
    main(*sys.argv[1:])
