"""The tables behind two recipes: `imbalanced` from runs of `run.sh`, `many_classes` from published curves.

    .venv/bin/python experiments/recipes/recipes_report.py RUNS CURVES

Prints them as Markdown; writes `results.csv` (a run a row) and `published.csv` (a value of a setting a row).
"""

import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from graft.reporting.groups import Spread, spread
from graft.runs.files import read_csv, write_csv
from graft.runs.records import find_runs

HERE = Path(__file__).parent
RARE = 2  # of five classes
MANY = 70  # classes
# Settings that a recipe could take from the published fine-tunings, and the values that are tabulated.
SETTINGS = {
    "pct_to_freeze": ("0.0", "0.2", "0.4", "0.6", "0.8", "1.0"),
    "batch_size": ("4", "8", "16", "32", "64", "128", "256"),
    "opt": ("adamw", "adamp", "adam", "sgd", "momentum"),
    "smoothing": ("0.0", "0.05", "0.1"),
}


def main(runs: str, curves: str) -> None:
    """Read, tabulate, write."""
    rows = imbalanced(Path(runs))
    write_csv(HERE / "results.csv", rows)
    print(imbalance_table(rows))
    settings = of_settings(published(Path(curves)))
    write_csv(HERE / "published.csv", settings)
    print(published_table(settings))


def imbalanced(runs: Path) -> list[dict[str, Any]]:
    """A row a run: its accuracy on balanced test images, and that on the two rarest of its classes."""
    rows = []
    for run in find_runs(str(runs / "runs"))[0]:
        draw = int(str(run.config["seed"]))
        counts: dict[str, int] = defaultdict(int)
        for row in read_csv(runs / "lists" / f"{draw}.csv"):
            counts[row["label"]] += row["split"] == "train"
        rare = sorted(counts, key=lambda name: counts[name])[:RARE]
        recalls = {row["class"]: float(row["recall"]) for row in read_csv(run.folder.path / "per_class.csv")}
        rows.append(
            {
                "freeze": run.config["freeze"],
                "class_weights": run.config["loss.class_weights"] or "none",
                "draw": draw,
                "test/accuracy": run.metrics["test/accuracy"],
                "rare/recall": sum(recalls[name] for name in rare) / RARE,
            }
        )
    return sorted(rows, key=lambda row: (row["freeze"], str(row["class_weights"]), row["draw"]))


def imbalance_table(rows: list[dict[str, Any]]) -> str:
    """Means with and without weights, and the paired difference over draws."""
    lines = [
        "| trains | macro recall, plain | weighed | difference | rarest two, plain | weighed | difference |"
    ]
    lines.append(f"|{'---|' * 7}")
    for freeze in ("frozen", "full"):
        cells = []
        for metric in ("test/accuracy", "rare/recall"):
            plain, weighed = (
                values(rows, metric, freeze=freeze, class_weights=w) for w in ("none", "balanced")
            )
            gain = spread([after - before for before, after in zip(plain, weighed, strict=True)])
            cells += [
                shown(spread(plain)),
                shown(spread(weighed)),
                f"{gain.mean:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]",
            ]
        lines.append(f"| `{freeze}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def published(folder: Path) -> list[dict[str, Any]]:
    """A row a fine-tuning of a task with many classes: its settings, its best accuracy over its task's."""
    many = {row["task"] for row in read_csv(folder / "tasks.csv") if int(row["classes"]) >= MANY}
    best: dict[str, float] = defaultdict(float)
    for row in read_csv(folder / "curves.csv"):
        best[row["run"]] = max(best[row["run"]], float(row["accuracy"]))
    runs = [row for row in read_csv(folder / "runs.csv") if row["task"] in many]
    top = {task: max(best[row["run"]] for row in runs if row["task"] == task) for task in many}
    return [
        {
            "task": row["task"],
            "run": row["run"],
            **{key: row[key] for key in SETTINGS},
            "share": round(best[row["run"]] / top[row["task"]], 4),
        }
        for row in runs
    ]


def of_settings(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row a value of a setting: how near its runs came to their task's best."""
    found = []
    for key, listed in SETTINGS.items():
        for value in listed:
            share = spread(values(rows, "share", **{key: value}))
            found.append({"setting": key, "value": value, "runs": share.n, **interval(share)})
    return found


def interval(share: Spread) -> dict[str, float | None]:
    """A mean and its 95 % interval, as a CSV has them."""
    return {"share": share.mean, "low": share.low, "high": share.high}


def published_table(rows: list[dict[str, Any]]) -> str:
    """The rows of `of_settings`."""
    lines = ["| setting | value | runs | share of the task's best, 95 % interval |", "|---|---|---|---|"]
    for row in rows:
        share = f"{row['share']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
        lines.append(f"| {row['setting']} | {row['value']} | {row['runs']} | {share} |")
    return "\n".join(lines)


def values(rows: Sequence[dict[str, Any]], metric: str, **where: str) -> list[float]:
    """The metric of the rows that have these values."""
    return [float(row[metric]) for row in rows if all(row[key] == value for key, value in where.items())]


def shown(found: Spread) -> str:
    """Mean ± deviation."""
    return f"{found.mean:.3f} ± {found.deviation:.3f}"


if __name__ == "__main__":
    main(*sys.argv[1:])
