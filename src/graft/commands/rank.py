"""`graft rank`: which backbone suits some images, by its features, before anything is trained."""

from functools import partial
from pathlib import Path

import numpy as np

from graft.configuration.schema import Config
from graft.data import data_facts
from graft.data.backbone_for import backbone_for
from graft.data.grouping import one_of_each_picture, together_of
from graft.features.whole_backbone import features_of, features_of_stages
from graft.ranking.candidates import candidates
from graft.ranking.measuring import row_of, stage_rows
from graft.ranking.reached import fine_tuned
from graft.ranking.table import correlated, placed, with_reached
from graft.reporting import ranking
from graft.reporting.console import PlainConsole
from graft.runs.files import write_csv, write_figure, write_text
from graft.runs.records import Run, find_runs
from graft.sources.opening import open_data, split_data
from graft.training.checks import check_device

# Where runs are looked for by default.
OUTPUTS = "outputs"


def run(config: Config, path: Path, overrides: list[str]) -> Path:
    """Rank backbones on the training and validation images; write table, page and figure to `path`.

    Returns:
        `rank.csv`, a row a backbone, or a stage of one, the best linear probe first.

    Raises:
        GraftError: the data or the device cannot be had, or none of the backbones could be ranked.
    """
    check_device(config["accelerator"], key="accelerator")
    asked = candidates(config["options"], config["backbones"], config["weights"], config["image_size"])
    runs = runs_of(config["runs"])
    node = config["data"]
    data = open_data(node)
    splits = split_data(node, data)
    # The test images are for the end: to choose a backbone by them would be to choose by the test.
    both = np.sort(np.concatenate([splits["train"], splits["val"]]))
    # One image of each picture, since scores divide these images anew, or ask for neighbours.
    indices = one_of_each_picture(data, both)
    spared = f", without {len(both) - len(indices)} copies" if len(indices) < len(both) else ""
    ranked_on = f"ranked on {len(indices)} {data.kind.plural}, train and val{spared}, never test"
    print("\n".join([f"{splits.describe()}; {ranked_on}", *data.notes]), flush=True)
    labels, batch_size = data.samples.labels[indices], node.get("batch_size", 32)
    seed, accelerator = config["seed"], config["accelerator"]
    how = {
        "data": data,
        "indices": indices,
        "accelerator": accelerator,
        "cache": config["cache"],
        "batch_size": batch_size,
        "num_workers": node.get("num_workers"),
    }
    features, each_stage = partial(features_of, **how), partial(features_of_stages, **how)
    # No more at a time than there will ever be.
    most = min(batch_size, len(data.samples))
    make = partial(backbone_for, data=data, trained=splits["train"], seed=seed)
    groups = together_of(data, indices)
    settled = (labels, seed, accelerator, most, groups)
    if config["stages"]:
        found = [stage_rows(candidate, make, features, each_stage, *settled) for candidate in asked]
    else:
        found = [[row_of(candidate, make, features, *settled)] for candidate in asked]
    rows = placed([row for rows in found for row in rows])
    tuned = fine_tuned(runs, data_facts(data, splits).fingerprint) if runs else []
    rows = with_reached(rows, asked, tuned)
    correlations = correlated(rows)
    counts = np.bincount(labels)
    images = f"{len(indices)} {data.kind.plural} of {np.count_nonzero(counts)} classes, train and validation"
    write_csv(path / "rank.csv", ranking.csv_rows(rows))
    if correlations:
        write_csv(path / "correlations.csv", correlations)
    write_text(path / "rank.md", ranking.page(rows, correlations, images))
    write_figure(path / "figure.png", ranking.figure(rows, len(indices), float(counts.max() / len(indices))))
    ranking.show(rows, correlations, PlainConsole())
    print(path)
    return path / "rank.csv"


def runs_of(asked: str | list[str] | None) -> list[Run]:
    """The runs that are asked for; those below `outputs`, which may be none, where nothing is asked.

    Raises:
        GraftError: what is asked for holds no run.
    """
    if asked is None:
        return find_runs(OUTPUTS)[0] if any(Path(OUTPUTS).rglob("status.json")) else []
    runs, skipped = find_runs(asked)
    for path, reason in skipped:
        print(f"skipped {path}: {reason}", flush=True)
    return runs
