"""What a few labels of the target add to a network that adapted to it without any.

    .venv/bin/python experiments/adaptation/few_labels.py DIGITS outputs/adaptation
    .venv/bin/python experiments/adaptation/few_labels.py --report

The folders are those of `adaptation.py`, whose runs are the starts: adapted (what infomax chose), and from
the source alone, each with a new head and with its own; and nothing. A row a run in `few_labels.csv`; what
is there is not computed again. Then the table as Markdown and `few_labels.png`.
"""

import shutil
import sys
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

import graft
from adaptation import COMMON, candidates, case_of, chosen, drawn, folder
from adaptation import FILE as CHOICES
from graft.reporting.figures import COLOURS, LINES, MARKERS
from graft.reporting.groups import spread
from graft.runs import RunFolder
from graft.runs.files import read_csv, write_csv

FILE = Path(__file__).with_name("few_labels.csv")
SHOTS = (1, 3, 10)
# So many steps of so many samples; nothing validates, for that would be labels too.
STEPS, BATCH = 150, 20
STARTS = {
    "adapted": "adapted without labels, new head",
    "source": "the source alone, new head",
    "nothing": "from nothing",
    "adapted, its head": "adapted without labels, its head",
    "source, its head": "the source alone, its head",
}
Row = dict[str, Any]


def main(words: Sequence[str]) -> None:
    """Compute what is missing, then tell."""
    rows: list[Row] = list(read_csv(FILE)) if FILE.exists() else []
    if words[0] != "--report":
        done = {(row["task"], row["start"], int(row["shots"]), int(row["seed"])) for row in rows}
        for row in missing(Path(words[0]).resolve(), Path(words[1]).resolve(), done):
            rows.append(row)
            write_csv(FILE, rows)
    print("\n".join(table(rows)))
    figure(rows).savefig(FILE.with_suffix(".png"), dpi=120)


def missing(data: Path, runs: Path, done: set[tuple[str, str, int, int]]) -> Iterator[Row]:
    """Rows that are not there, of the tasks and seeds whose starts are."""
    choices = read_csv(CHOICES)
    for task in ("mnist → usps", "glyphs → digits"):
        for some, best in zip(candidates(choices, task), chosen(choices, task, "infomax"), strict=True):
            seed = int(best["seed"])
            alone = next(row for row in some if (row["method"], row["setting"]) == ("none", "plain"))
            starts = {"adapted": best, "source": alone}
            for start, shots in product(STARTS, SHOTS):
                if (task, start, shots, seed) not in done:
                    row = starts.get(start.partition(",")[0])
                    weights = None if row is None else folder(runs, case_of(row))
                    name = f"few-{task}-{start}-{shots}-{seed}".replace(" → ", "-to-").replace(", ", "-")
                    head = "source" if start.endswith("its head") else "linear"
                    run = trained(runs / name.replace(" ", "-"), task, weights, head, shots, seed, data, runs)
                    yield {
                        "task": task,
                        "start": start,
                        "shots": shots,
                        "seed": seed,
                        "accuracy": f"{run.metrics['test/accuracy']:.4f}",
                    }


def trained(
    path: Path,
    task: str,
    weights: Path | None,
    head: str,
    shots: int,
    seed: int,
    data: Path,
    runs: Path,
) -> RunFolder:
    """A run on so many labels a class of the target, or the one that is there."""
    if (path / "metrics.json").is_file():
        return RunFolder.open(path)
    # One that was stopped begins again.
    shutil.rmtree(path, ignore_errors=True)
    if task == "mnist → usps":
        words = ["data=csv", f"data.file={drawn(data, 'usps', seed, runs)}", f"data.root={data}"]
    else:
        words = ["data=digits"]
    batches = -(-10 * shots // BATCH)
    rate = 0.001 if weights is None else 0.0003
    return graft.train(
        [
            *(word for word in COMMON if not word.startswith("adapt.")),
            "backbone=simple_cnn",
            *words,
            f"data.shots={shots}",
            "data.val_fraction=0",
            f"data.batch_size={BATCH}",
            f"data.split_seed={seed}",
            f"seed={seed}",
            "optimizer=adamw",
            f"optimizer.lr={rate}",
            "optimizer.head_lr=null",
            f"trainer.max_epochs={-(-STEPS // batches)}",
            f"backbone.weights={'null' if weights is None else weights}",
            f"head={head}",
            f"hydra.run.dir={path}",
        ]
    )


def accuracies(rows: Sequence[Row], task: str, start: str, shots: int) -> list[float]:
    """Of each seed."""
    return [
        float(row["accuracy"])
        for row in rows
        if (row["task"], row["start"], int(row["shots"])) == (task, start, shots)
    ]


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Lines of Markdown."""
    for task in dict.fromkeys(row["task"] for row in rows):
        yield f"| {task}, test, % | {' | '.join(f'{shots} a class' for shots in SHOTS)} |"
        yield f"|---|{'---|' * len(SHOTS)}"
        for start, name in STARTS.items():
            cells = [told(accuracies(rows, task, start, shots)) for shots in SHOTS]
            yield f"| {name} | {' | '.join(cells)} |"
        yield ""


def told(found: Sequence[float]) -> str:
    """Mean and deviation, in %."""
    of = spread([100 * value for value in found])
    return "–" if not found else f"{of.mean:.1f}" + ("" if of.deviation is None else f" ± {of.deviation:.1f}")


def figure(rows: Sequence[Row]) -> Figure:
    """Accuracy against labels a class, a panel a task: means with a band of one deviation."""
    tasks, choices = list(dict.fromkeys(row["task"] for row in rows)), read_csv(CHOICES)
    drawn_figure = Figure(figsize=(4.5 * len(tasks), 4), layout="constrained")
    for axes, task in zip(drawn_figure.subplots(1, len(tasks), squeeze=False)[0], tasks, strict=True):
        for place, (start, name) in enumerate(STARTS.items()):
            of = [spread(accuracies(rows, task, start, shots)) for shots in SHOTS]
            style: Any = {"color": COLOURS[place], "marker": MARKERS[place], "linestyle": LINES[place]}
            axes.plot(SHOTS, [value.mean for value in of], label=name, **style)
            low, high = ([v.mean + sign * (v.deviation or 0) for v in of] for sign in (-1, 1))
            axes.fill_between(SHOTS, low, high, color=COLOURS[place], alpha=0.2)
        without = spread([float(row["target"]) for row in chosen(choices, task, "infomax")]).mean
        axes.axhline(without, color="black", linewidth=1, linestyle=":", label="adapted, no label at all")
        axes.set(title=task, xscale="log", ylim=(0, 1), xlabel="labels of the target a class (log scale)")
        axes.set_ylabel("test accuracy on the target")
        axes.set_xticks(SHOTS, [str(shots) for shots in SHOTS])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.legend(loc="lower right")
    return drawn_figure


if __name__ == "__main__":
    main(sys.argv[1:])
