"""Heads on the frozen features of one task: solved as Graft does, and trained as it did before.

    .venv/bin/python experiments/solved-head/draws.py outputs/solved-head/photos

Reads what `graft extract` left in the folder; writes a row a head to `outputs/solved-head/photos.csv`. The
trained head is a plain loop with the settings that `optimizer=adamw` ships: 20 epochs, batches of at most 32,
AdamW at 3e-3, a cosine after half an epoch of warm-up, the epoch with the lowest validation loss.
"""

import copy
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from graft.evaluation.calibration import fit_temperature
from graft.evaluation.metrics import expected_calibration_error
from graft.models import linear
from graft.objective.solving import Labelled, solve
from graft.optim import LBFGS
from graft.runs.files import read_csv, write_csv
from graft.tasks import SingleLabel

SHOTS, DRAWS, EPOCHS = (1, 2, 3, 5, 10, 30, 100), 10, 20


def main(folder: Path) -> None:
    """Every draw, size and way of one task."""
    torch.set_num_threads(1)
    rows = read_csv(folder / "features.csv")
    features = load_file(folder / "features.safetensors")["features"].float()
    names = sorted({row["label"] for row in rows})
    labels = torch.tensor([names.index(row["label"]) for row in rows])
    tested = np.array([row["split"] == "test" for row in rows])
    test, pool = of(features, labels, np.flatnonzero(tested)), np.flatnonzero(~tested)
    results: list[dict[str, Any]] = []
    for draw in range(DRAWS):
        for fraction in (0.2, 0.0):
            learn, judge = pool, np.array([], np.int64)
            if fraction:
                learn, judge = train_test_split(
                    pool, test_size=fraction, random_state=draw, stratify=labels[pool]
                )
            order = np.random.default_rng(draw).permutation(learn)
            for shots in SHOTS:
                few = [order[labels[order].numpy() == label][:shots] for label in range(len(names))]
                train, val = of(features, labels, np.concatenate(few)), of(features, labels, judge)
                known = {"task": folder.name, "validated": fraction, "shots": shots, "draw": draw}
                for way in ("solved", "trained"):
                    head = linear(features.shape[1], len(names), standardize=way == "solved")
                    penalty: float | str = ""
                    if way == "solved":
                        penalty = solve(head, LBFGS(), train, val, task=SingleLabel(names), seed=draw).penalty
                    else:
                        head = trained(train, val, len(names), draw)
                    results.append({**known, "way": way, "penalty": penalty, **measured(head, val, test)})
        print(f"{folder.name}: draw {draw + 1} of {DRAWS}", flush=True)
    write_csv(folder.with_suffix(".csv"), results)


def of(features: Tensor, labels: Tensor, chosen: np.ndarray) -> Labelled:
    """The features and labels of some images."""
    return Labelled(features[chosen], labels[chosen])


def trained(train: Labelled, val: Labelled, classes: int, seed: int) -> nn.Sequential:
    """A head trained by steps."""
    torch.manual_seed(seed)
    head = linear(train.features.shape[1], classes)
    dense = head[-1]
    steps = math.ceil(len(train.labels) / 32)
    warm_up, total = 0.5 * steps, EPOCHS * steps
    groups = [{"params": [dense.weight], "weight_decay": 0.01}, {"params": [dense.bias], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=3e-3)

    def share(step: int) -> float:
        if step < warm_up:
            return (step + 1) / warm_up
        return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1.0, total - warm_up)))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, share)
    best, kept = math.inf, head
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(train.labels)).tensor_split(steps):
            optimizer.zero_grad()
            cross_entropy(head(train.features[batch]), train.labels[batch]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        if len(val.labels):
            with torch.no_grad():
                loss = float(cross_entropy(head(val.features), val.labels))
            if loss < best:
                best, kept = loss, copy.deepcopy(head)
    return kept


@torch.no_grad()
def measured(head: nn.Module, val: Labelled, test: Labelled) -> dict[str, float | str]:
    """The test's numbers, and log loss and ECE with a temperature fitted on validation."""
    logits = head(test.features).double()
    found: dict[str, float | str] = {"accuracy": float((logits.argmax(1) == test.labels).double().mean())}
    temperature = fit_temperature(head(val.features), val.labels) if len(val.labels) else None
    for suffix, scale in (("", 1.0), (" with temperature", temperature)):
        if scale is None:
            found |= {f"log loss{suffix}": "", f"ECE{suffix}": ""}
            continue
        said = torch.softmax(logits / scale, 1).numpy()
        found[f"log loss{suffix}"] = float(cross_entropy(logits / scale, test.labels))
        found[f"ECE{suffix}"] = expected_calibration_error(test.labels.numpy(), said, said.argmax(1))
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]))
