"""The study's rows and tables, from the runs of `graft_runs.py` and the lines of `peer.py`.

    python tuning_report.py RUNS [STAGE …]

Writes `results.csv` beside this file and prints the stages' tables.

A difference is paired: the same network, labelled images and seed, today's default against the setting,
averaged over the draws of a pair; its interval is a t interval over the pairs, so it says what another pair
would show.
"""

import csv
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy import stats
from settings import STAGES

from graft.reporting.figures import COLOURS, GREY, MARKERS
from graft.runs import RunFolder
from graft.runs.files import write_csv

HERE = Path(__file__).parent
REFERENCE = "lr1e-4-head3e-3"
# torchvision's networks have the old rates by default, all others the chosen ones.
SHIPPED = {
    "glyphs": "chosen",
    "cifar": "chosen",
    "resnet": "chosen",
    "lite0": "chosen",
    "squeezenet": "today",
}
Row = dict[str, Any]
COLUMNS = (
    "stage",
    "pair",
    "setting",
    "draw",
    "tool",
    "commit",
    "train/loss",
    "val/accuracy",
    "val/loss",
    "test/accuracy",
    "test/loss",
    "seconds",
)


def main(runs: str, *stages: str) -> None:
    """Gather, write, print."""
    rows = [*search_rows(Path(runs)), *(row for stage in STAGES for row in graft_rows(Path(runs), stage))]
    rows += peer_rows(Path(runs))
    rows = [{column: row.get(column) for column in COLUMNS} for row in rows]
    write_csv(HERE / "results.csv", rows)
    for stage in stages or STAGES:
        own = [row for row in rows if row["stage"] == stage]
        if own:
            print(f"\n{stage}\n")
            metric = "test/accuracy" if STAGES[stage].kind == "final" else "val/accuracy"
            table(own, next(iter(STAGES[stage].settings)), metric)
    peers = sorted({row["setting"] for row in rows if row["stage"] == "fastai, final"})
    final = [row for row in rows if row["stage"] in ("final", "fastai, final")]
    shipped = [
        row | {"setting": "as shipped"}
        for row in final
        if row["setting"] == SHIPPED[str(row["pair"]).split("/")[0]]
    ]
    for peer in peers:
        print(f"\ntest accuracy, against fastai's {peer}\n")
        table([*final, *shipped], peer, "test/accuracy")
        for setting in (*STAGES["final"].settings, "as shipped"):
            said = by_draws([*final, *shipped], setting, peer)
            print(f"\n{setting}, pair by pair, 95 % over the draws: {said}")
    if final:
        figure(rows, final, peers).savefig(HERE / "figure.png", dpi=120)


def search_rows(runs: Path) -> list[Row]:
    """One row a training of `search.py`."""
    file = runs / "search.jsonl"
    lines = map(json.loads, file.read_text().splitlines()) if file.exists() else ()
    return [{**line, "tool": "search.py"} for line in lines]


def graft_rows(runs: Path, stage: str) -> list[Row]:
    """One row a finished run of a stage."""
    rows = []
    for file in sorted((runs / stage).glob("*/*/[0-9]*.json")):
        folder = RunFolder.open(file.with_suffix(""))
        pair, setting, draw = file.parent.parent.name, file.parent.name, int(file.stem)
        epochs = read(folder.epochs)
        last = next(epoch for epoch in reversed(epochs) if epoch.get("val/accuracy"))
        metrics = folder.metrics
        rows.append(
            {
                "stage": stage,
                "pair": pair.replace("_", "/", 1),
                "setting": setting,
                "draw": draw,
                "tool": "graft",
                "commit": json.loads(file.read_text())["commit"],
                "train/loss": epochs[-1]["train/loss"],
                "val/accuracy": float(last["val/accuracy"]),
                "val/loss": float(last["val/loss"]),
                "test/accuracy": metrics.get("test/accuracy"),
                "test/loss": metrics.get("test/loss"),
                "seconds": metrics.get("seconds"),
            }
        )
    return rows


def peer_rows(runs: Path) -> list[Row]:
    """One row a run of fastai's."""
    rows = []
    for file in sorted(runs.glob("fastai-*.jsonl")):
        kind = file.stem.split("-")[1]
        part = "val" if kind == "search" else "test"
        for line in map(json.loads, file.read_text().splitlines()):
            rows.append(
                {
                    "stage": f"fastai, {kind}",
                    "pair": line["pair"],
                    "setting": f"fine_tune({line['epochs'] - 1}), batch {line['batch']}",
                    "draw": line["draw"],
                    "tool": "fastai",
                    f"{part}/accuracy": line["accuracy"],
                    f"{part}/loss": line["loss"],
                    "seconds": round(line["seconds"], 1),
                }
            )
    return rows


def table(rows: list[Row], reference: str, metric: str = "val/accuracy") -> None:
    """Each setting against the reference: mean difference over pairs, interval, and each pair's."""
    pairs = list(dict.fromkeys(row["pair"] for row in rows))
    print(f"| setting | mean | difference, 95 % over pairs | loss | {' | '.join(pairs)} |")
    print(f"|---|---|---|---|{'---|' * len(pairs)}")
    for setting in dict.fromkeys(row["setting"] for row in rows):
        by_pair = {pair: difference(rows, pair, setting, reference, metric) for pair in pairs}
        kept = {pair: value for pair, value in by_pair.items() if value is not None}
        losses = [
            difference(rows, pair, setting, reference, metric.replace("accuracy", "loss")) for pair in kept
        ]
        mean, half = interval([value[0] for value in kept.values()])
        level = np.mean([value[1] for value in kept.values()]) if kept else float("nan")
        loss = np.mean([value[0] for value in losses if value])
        cells = [f"{value[0]:+.3f}" if (value := by_pair[pair]) else "" for pair in pairs]
        print(f"| {setting} | {level:.3f} | {mean:+.4f} ± {half:.4f} | {loss:+.3f} | {' | '.join(cells)} |")


def difference(
    rows: list[Row], pair: str, setting: str, reference: str, metric: str
) -> tuple[float, float] | None:
    """The setting's mean advantage over the draws that both have, and its own mean; or None."""
    chosen = {(row["setting"], row["draw"]): row[metric] for row in rows if row["pair"] == pair}
    draws = [draw for (name, draw) in chosen if name == setting and (reference, draw) in chosen]
    if not draws:
        return None
    ours = [float(chosen[setting, draw]) for draw in draws]
    theirs = [float(chosen[reference, draw]) for draw in draws]
    return float(np.mean(ours) - np.mean(theirs)), float(np.mean(ours))


def by_draws(rows: list[Row], setting: str, peer: str) -> str:
    """Each pair's difference to the peer, with an interval over its draws."""
    said = []
    for pair in dict.fromkeys(row["pair"] for row in rows):
        chosen = {(row["setting"], row["draw"]): row["test/accuracy"] for row in rows if row["pair"] == pair}
        shared = [draw for (name, draw) in chosen if name == setting and (peer, draw) in chosen]
        if shared:
            mean, half = interval(
                [float(chosen[setting, draw]) - float(chosen[peer, draw]) for draw in shared]
            )
            said.append(f"{pair} {mean:+.3f} ± {half:.3f}")
    return ", ".join(said)


def figure(rows: list[Row], final: list[Row], peers: list[str]) -> Figure:
    """Left: what the backbone's rate is worth, a line a pair. Right: test accuracy, a mark a way."""
    drawn = Figure(figsize=(11, 6), layout="constrained")
    left, right = drawn.subplots(1, 2)
    searched = [row for row in rows if row["stage"] in ("rates", "large_rates")]
    pairs = list(dict.fromkeys(row["pair"] for row in final))
    for place, pair in enumerate(pairs):
        points = []
        for lr in ("1e-4", "3e-4", "1e-3", "3e-3"):
            value = difference(searched, pair, f"lr{lr}-head1e-2", REFERENCE, "val/accuracy")
            if value:
                points.append((float(lr), value[0]))
        style: dict[str, Any] = {
            "color": COLOURS[place % len(COLOURS)],
            "marker": MARKERS[place % len(MARKERS)],
        }
        if points:
            left.plot([x for x, _ in points], [y for _, y in points], label=pair, linewidth=1, **style)
    left.axhline(0, color=GREY, linewidth=1)
    left.set(xscale="log", xlabel="optimizer.lr (log scale), with optimizer.head_lr=1e-2")
    left.set(ylabel="development accuracy, less that of 1e-4 and 3e-3")
    left.set_title(f"The backbone's rate ({draws(searched)})")
    left.legend(fontsize=7, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.12))
    for place, setting in enumerate([*STAGES["final"].settings, *peers]):
        found = [(index, [r["test/accuracy"] for r in final if (r["pair"], r["setting"]) == (pair, setting)])
                 for index, pair in enumerate(pairs)]  # fmt: skip
        kept = [(index, np.mean([float(value) for value in values])) for index, values in found if values]
        name = setting if setting in STAGES["final"].settings else f"fastai, {setting}"
        places = [index + 0.12 * place - 0.2 for index, _ in kept]
        if kept:
            right.plot([mean for _, mean in kept], places, MARKERS[place], color=COLOURS[place], label=name)
    right.set_yticks(range(len(pairs)), pairs)
    right.set(xlabel="test accuracy, mean of the draws", title=f"Graft and fastai ({draws(final)})")
    right.legend(fontsize=7, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.12))
    for axes in (left, right):
        axes.grid(alpha=0.3)
    return drawn


def draws(rows: list[Row]) -> str:
    """How many draws there are of each pair, in words."""
    counts = [
        len({row["draw"] for row in rows if row["pair"] == pair}) for pair in {row["pair"] for row in rows}
    ]
    most, least = max(counts, default=0), min(counts, default=0)
    return f"draws of each pair: {least}" if least == most else f"draws of each pair: {least} to {most}"


def interval(values: list[float]) -> tuple[float, float]:
    """Mean and half the width of a 95 % t interval."""
    if len(values) < 2:
        return (float(np.mean(values)) if values else float("nan")), float("nan")
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return float(np.mean(values)), float(half)


def read(file: Path) -> list[dict[str, str]]:
    """A CSV file's rows."""
    with file.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


if __name__ == "__main__":
    main(*sys.argv[1:])
