"""`graft rank`: which backbone suits some images, told from its features before anything is trained."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from graft.backbones import Backbone, source_network
from graft.commands.extract import features_of
from graft.data import ImageData, data_facts
from graft.data.image_data import Indices
from graft.errors import GraftError
from graft.models.source_head import known_source_head
from graft.processes.ranks import lone_trainer
from graft.ranking.candidates import Candidate, candidates
from graft.ranking.costs import cost_of
from graft.ranking.reached import fine_tuned, reached_by
from graft.reporting import ranking
from graft.reporting.console import PlainConsole
from graft.runs.files import write_csv, write_figure, write_text
from graft.runs.records import Run, find_runs
from graft.sources.opening import open_data, split_data
from graft.training import assembly
from graft.training.checks import check_device
from graft.training.trainer import quiet_lightning
from graft.transferability import all_scores, rank_correlations
from graft.transferability.scores import NAMES

Config = dict[str, Any]
Row = dict[str, Any]
# Where runs are looked for unless it is said.
OUTPUTS = "outputs"


def run(config: Config, path: Path, overrides: list[str]) -> Path:
    """Rank backbones on the training and validation images; write table, page and figure to `path`.

    Returns:
        `rank.csv`, a backbone a row, the best linear probe first.

    Raises:
        GraftError: the data or the device cannot be had, or none of the backbones could be ranked.
    """
    check_device(config["accelerator"], key="accelerator")
    quiet_lightning()
    found = candidates(config["options"], config["backbones"], config["weights"])
    runs = runs_of(config["runs"])
    data = open_data(config["data"])
    splits = split_data(config["data"], data)
    # The test images are for the end: to choose a backbone by them would be to choose by the test.
    indices = np.sort(np.concatenate([splits["train"], splits["val"]]))
    ranked_on = f"ranked on {len(indices)} images, train and val, never test"
    print("\n".join([f"{splits.describe()}; {ranked_on}", *data.notes]), flush=True)
    rows = [ranked(config, one, data, indices) for one in found]
    if all(row["reason"] for row in rows):
        reasons = "; ".join(f"{row['backbone']}: {row['reason']}" for row in rows)
        raise GraftError(f"no backbone could be ranked: {reasons}")
    # Of equal probes LogME decides, which goes on where all images are told apart.
    rows.sort(key=lambda row: (row["probe"] is None, -(row["probe"] or 0), -(row["logme"] or 0)))
    for place, row in enumerate(rows, start=1):
        row["place"] = None if row["reason"] else place
    tuned = fine_tuned(runs, data_facts(data, splits).fingerprint) if runs else []
    add_reached(rows, {one.label: one for one in found}, tuned)
    correlations = correlated(rows)
    labels = data.images.labels[indices]
    said = f"{len(indices)} images of {len(np.unique(labels))} classes, train and validation"
    write_csv(path / "rank.csv", ranking.csv_rows(rows))
    if correlations:
        write_csv(path / "correlations.csv", correlations)
    write_text(path / "rank.md", ranking.page(rows, correlations, said))
    largest = float(np.bincount(labels).max() / len(labels))
    write_figure(path / "figure.png", ranking.figure(rows, len(labels), largest))
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


def ranked(config: Config, one: Candidate, data: ImageData, indices: Indices) -> Row:
    """All that is said of a backbone; of one that fails, the reason alone, so that the others go on."""
    row: Row = {"place": None, "backbone": one.label, "weights": one.weights, **dict.fromkeys(NAMES)}
    try:
        if one.problem is not None:
            raise GraftError(one.problem)
        print(f"{one.label}:", flush=True)
        return {**row, **measured(config, one, data, indices), "reason": None}
    # What a network, its weights, its files or the memory may do; anything else is a fault of ours.
    except (GraftError, RuntimeError, MemoryError, OSError, ValueError) as error:
        text = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        reason = text if isinstance(error, GraftError) else f"{type(error).__name__}: {text}"
        print(f"{one.label} is left out: {reason}", flush=True)
        return {**row, "reason": reason}
    finally:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def measured(config: Config, one: Candidate, data: ImageData, indices: Indices) -> Row:
    """Scores and costs of one backbone.

    Raises:
        GraftError: the weights cannot be had, or an image cannot be read.
    """
    with torch.random.fork_rng(devices=[]):
        # An untrained network too is the same every time.
        torch.manual_seed(config["seed"])
        backbone = assembly.make_backbone(one.node)
    how = {"accelerator": config["accelerator"], "precision": "float32", "cache": config["cache"]}
    how |= {"batch_size": None, "num_workers": None}

    def given_by(network: Backbone, label: str) -> Tensor:
        return features_of(how, network, label, data, config["data"], indices).float()

    features, probabilities = given_by(backbone, one.name), None
    if (head := known_source_head(backbone, one.node.get("weights"))) is not None:
        with torch.no_grad():
            logits = head.layers.cpu()(features) if not head.replaces else None
            # A head that takes no features costs a pass over the images of its own.
            if logits is None:
                logits = given_by(source_network(backbone, head), f"{one.name} with its source's head")
        probabilities = torch.softmax(logits.double(), 1).numpy()
    labels = data.images.labels[indices]
    scores = all_scores(features.double().numpy(), labels, probabilities, config["seed"])
    device = lone_trainer(config["accelerator"]).strategy.root_device
    # No more at a time than there will ever be.
    cost = cost_of(backbone, device, min(config["data"].get("batch_size", 32), len(data.images)))
    return {**scores, "features": backbone.width, **cost._asdict()}


def add_reached(
    rows: list[Row], found: Mapping[str, Candidate], runs: list[tuple[dict[str, Any], float]]
) -> None:
    """Write into each row what fine-tuning its backbone reached, `fine_tuned`, and in how many runs."""
    for row in rows:
        reached = reached_by(found[row["backbone"]].node, runs)
        row["fine_tuned"], row["runs"] = reached if reached else (None, None)


def correlated(rows: list[Row]) -> list[Row]:
    """How well each score's order is that of what fine-tuning reached; nothing where too few were."""
    table = []
    for name in NAMES:
        both = [row for row in rows if row[name] is not None and row["fine_tuned"] is not None]
        if agrees := rank_correlations([row[name] for row in both], [row["fine_tuned"] for row in both]):
            table.append({"score": name, **agrees._asdict()})
    return table
