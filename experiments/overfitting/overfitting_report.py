"""The study's tables and figure, from the run folders of `run.sh`.

    .venv/bin/python experiments/overfitting/overfitting_report.py outputs/overfitting

Prints the tables as Markdown; writes `results.csv` and `figure.png` beside this file. A draw counts once all
its runs of a way and a target are there.
"""

import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from graft.reporting.figures import COLOURS, GREY, MARKERS
from graft.reporting.groups import Spread, spread
from graft.runs.files import write_csv
from graft.runs.records import find_runs

HERE = Path(__file__).parent
LABELS = (5, 20, 100)
ALL = 0  # any number of labels
WAYS = {"frozen": "the head alone", "full": "everything"}
# What each remedy is called, and what it is measured against.
REMEDIES = {
    "decay_1": ("weight decay 1.0", "plain"),
    "l2_sp": ("L2-SP", "plain"),
    "smoothing": ("label smoothing 0.1", "plain"),
    "crop": ("augmentation: crops", "plain"),
    "dropout": ("dropout 0.5 in a hidden layer", "mlp"),
    "mlp": ("a hidden layer", "plain"),
    "holdout": ("a fifth chooses the epoch", "plain"),
    "early_stopping": ("a fifth stops the run", "plain"),
    "epochs_10": ("10 epochs", "plain"),
    "epochs_20": ("20 epochs", "plain"),
    "solved_0.001": ("solved, λ = 0.001", "plain"),
    "solved_0.01": ("solved, λ = 0.01", "plain"),
    "solved_0.1": ("solved, λ = 0.1", "plain"),
}
Row = dict[str, Any]
Differences = dict[tuple[str, str, int], Spread]


def main(runs: str) -> None:
    """Read, tabulate and draw."""
    rows = sorted(read(Path(runs)), key=lambda row: [str(value).zfill(4) for value in list(row.values())[:5]])
    write_csv(HERE / "results.csv", rows)
    found = differences(rows)
    for way, trained in WAYS.items():
        print(f"\n{trained} trains\n\n{table(way, rows, found)}")
    figure(found).savefig(HERE / "figure.png", dpi=120)


def read(runs: Path) -> list[Row]:
    """One row a finished run."""
    rows = []
    for done in sorted(path for way in WAYS for path in runs.glob(f"{way}-*-*.done")):
        folder = done.with_suffix("")
        way, target, draw = folder.name.split("-")
        for run in find_runs(str(folder))[0]:
            words = dict(word.split("=", 1) for word in run.words)
            rows.append(
                {
                    "way": way,
                    "target": target,
                    "labels": int(Path(words["data.file"]).stem.split("-")[0]),
                    "remedy": words["experiment"],
                    "draw": int(draw),
                    "test/accuracy": run.metrics["test/accuracy"],
                    "test/loss": run.metrics["test/loss"],
                    "train/accuracy": run.epochs[-1]["train/accuracy"],
                }
            )
    return rows


def differences(rows: list[Row]) -> Differences:
    """Way, remedy and labels to the paired differences of accuracy, over targets and draws."""
    at = {(r["way"], r["target"], r["labels"], r["remedy"], r["draw"]): r["test/accuracy"] for r in rows}
    pairs: dict[tuple[str, str, int], list[float]] = defaultdict(list)
    for (way, target, labels, remedy, draw), accuracy in at.items():
        if remedy in REMEDIES:
            against = at[way, target, labels, REMEDIES[remedy][1], draw]
            for column in (labels, ALL):
                pairs[way, remedy, column].append(accuracy - against)
    return {key: spread(values) for key, values in pairs.items()}


def table(way: str, rows: list[Row], found: Differences) -> str:
    """A remedy a row: by how many points accuracy rises, with a 95 % interval, for each number of labels."""
    columns = [*LABELS, ALL]
    heads = [f"{labels} labels a class" if labels else "all" for labels in columns]
    plain = [r for r in rows if (r["way"], r["remedy"]) == (way, "plain")]
    means = [spread([r["test/accuracy"] for r in plain if n in (r["labels"], ALL)]).mean for n in columns]
    lines = [f"| | {' | '.join(heads)} |", f"|---|{'---|' * len(columns)}"]
    lines.append(f"| nothing: accuracy | {' | '.join(f'{value:.3f}' for value in means)} |")
    for remedy, (named, _) in REMEDIES.items():
        if (way, remedy, ALL) in found:
            lines.append(f"| {named} | {' | '.join(cell(found[way, remedy, n]) for n in columns)} |")
    return "\n".join(lines)


def cell(difference: Spread) -> str:
    """Points with their interval; bold where it leaves out 0."""
    if difference.low is None or difference.high is None:
        return f"{100 * difference.mean:+.1f}"
    text = f"{100 * difference.mean:+.1f} [{100 * difference.low:+.1f}, {100 * difference.high:+.1f}]"
    return text if difference.low <= 0 <= difference.high else f"**{text}**"


def figure(found: Differences) -> Figure:
    """A panel a way, a remedy a line: the gain at each number of labels, with its interval."""
    drawn = Figure(figsize=(11, 5.2), layout="constrained")
    panels = drawn.subplots(1, len(WAYS), sharex=True)
    for axes, (way, trained) in zip(panels, WAYS.items(), strict=True):
        remedies = [remedy for remedy in REMEDIES if (way, remedy, ALL) in found]
        for place, labels in enumerate(LABELS):
            for line, remedy in enumerate(remedies):
                gain = found[way, remedy, labels]
                low = gain.mean if gain.low is None else gain.low
                high = gain.mean if gain.high is None else gain.high
                height = line + 0.22 * (place - 1)
                axes.plot([100 * low, 100 * high], [height] * 2, color=COLOURS[place], linewidth=2)
                label = f"{labels} labels a class" if line == 0 else None
                axes.plot(
                    *(100 * gain.mean, height),
                    MARKERS[place],
                    color=COLOURS[place],
                    markersize=5,
                    label=label,
                )
        axes.axvline(0, color=GREY, linewidth=1)
        axes.set_yticks(range(len(remedies)), [REMEDIES[remedy][0] for remedy in remedies])
        axes.invert_yaxis()
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:+.0f}"))
        axes.set_title(f"{trained} trains", fontsize=10)
        axes.grid(axis="x", alpha=0.3)
        # Wider intervals say nothing, and would hide the others.
        axes.set_xlim(-20, 20)
    drawn.supxlabel(
        "points of test accuracy above the same run without it (95 % interval over targets and draws)"
    )
    handles, names = panels[0].get_legend_handles_labels()
    drawn.legend(handles, names, loc="outside upper center", ncols=len(handles))
    return drawn


if __name__ == "__main__":
    main(*sys.argv[1:])
