"""A network for tables beside gradient-boosted trees, and one that starts from another task's.

    python experiments/other-kinds/tables.py [RUNS] [--report]

Two tables that scikit-learn ships, breast cancer and wine. Three splits of each; `table_mlp` learns from the
training rows and chooses its epoch by the validation rows, the others learn from both. Then the handwritten
digits with a column a pixel, 5 to 9 of them from 10 rows a class, three splits, nothing validating:
`table_mlp` from scratch, and from the network that learnt 0 to 4. A row a model and split in `tables.csv`;
what is there is not computed again. `--report` computes nothing.
"""

import argparse
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import graft
from graft.runs.files import read_csv, write_csv

FILE = Path(__file__).with_name("tables.csv")
LOADERS = {"breast_cancer": load_breast_cancer, "wine": load_wine, "digits": load_digits}
SPLITS, SHOTS, EPOCHS = 3, (10,), 20
MLP = (
    "backbone=table_mlp",
    "freeze=full",
    f"trainer.max_epochs={EPOCHS}",
    "data.batch_size=64",
    "trainer=cpu",
    "logger=none",
)
Rows = list[dict[str, Any]]


def write_table(path: Path, name: str, classes: range | None = None) -> Path:
    """One of scikit-learn's tables as a CSV file, or its rows of some classes."""
    bunch = LOADERS[name]()
    columns = [str(column) for column in bunch.feature_names]
    kept = [place for place, label in enumerate(bunch.target) if classes is None or label in classes]
    write_csv(
        path,
        [
            dict(
                zip(columns, bunch.data[place].tolist(), strict=True),
                label=str(bunch.target_names[bunch.target[place]]),
            )
            for place in kept
        ],
    )
    return path


def others() -> dict[str, Any]:
    """What is compared with the network, as scikit-learn ships it."""
    linear = LogisticRegressionCV(Cs=10, max_iter=2000, use_legacy_attributes=False, l1_ratios=(0,))
    return {
        "boosted trees": HistGradientBoostingClassifier(random_state=0),
        "logistic regression": make_pipeline(StandardScaler(), linear),
    }


def with_others(table: Path, run: Path, parts: tuple[str, ...]) -> Iterator[tuple[str, Mapping[str, float]]]:
    """What the others reach on the test rows of a run, having learnt from its rows of some parts."""
    rows, split = list(read_csv(table)), [row["split"] for row in read_csv(run / "split.csv")]
    x = np.array([[float(value) for column, value in row.items() if column != "label"] for row in rows])
    y = np.array([row["label"] for row in rows])
    learns, tested = (np.array([part in those for part in split]) for those in (parts, ("test",)))
    for name, model in others().items():
        p = model.fit(x[learns], y[learns]).predict_proba(x[tested])
        accuracy = float((model.classes_[p.argmax(1)] == y[tested]).mean())
        loss = float(log_loss(y[tested], p, labels=model.classes_))
        yield name, {"accuracy": accuracy, "log_loss": loss}


def trained(folder: Path, table: Path, *words: str) -> Mapping[str, float]:
    """What a run reaches; it stands in `folder`."""
    # What was stopped is done again.
    shutil.rmtree(folder, ignore_errors=True)
    run = graft.train(["data=table_csv", f"data.file={table}", *MLP, *words, f"hydra.run.dir={folder}"])
    metrics: Mapping[str, Any] = run.metrics
    return {"accuracy": metrics["test/accuracy"], "log_loss": metrics["test/log_loss"]}


def compute(runs: Path) -> None:
    """Everything that is missing."""
    rows: Rows = list(read_csv(FILE)) if FILE.exists() else []
    done = {(row["task"], row["rows a class"], int(row["split"])) for row in rows}

    def keep(task: str, shots: str, split: int, found: Mapping[str, Mapping[str, float]]) -> None:
        rows.extend(
            {"task": task, "rows a class": shots, "split": split, "model": m, **v} for m, v in found.items()
        )
        write_csv(FILE, rows)

    for name in ("breast_cancer", "wine"):
        table = write_table(runs / f"{name}.csv", name)
        for split in range(SPLITS):
            if (name, "all", split) in done:
                continue
            run = runs / f"{name}-{split}"
            found = {"table_mlp": trained(run, table, f"data.split_seed={split}")}
            keep(name, "all", split, found | dict(with_others(table, run, ("train", "val"))))
    source, target = (
        write_table(runs / f"digits-{classes[0]}-{classes[-1]}.csv", "digits", classes)
        for classes in (range(5), range(5, 10))
    )
    if not (runs / "source" / "model").exists():
        trained(runs / "source", source)
    for split, shots in [(split, shots) for split in range(SPLITS) for shots in SHOTS]:
        if ("digits 5 to 9", str(shots), split) in done:
            continue
        run = runs / f"few-{shots}-{split}"
        words = (
            f"data.split_seed={split}",
            f"data.shots={shots}",
            "data.val_fraction=0",
            "data.test_fraction=0.5",
        )
        start = f"backbone.weights={runs / 'source'}"
        found = {
            "table_mlp": trained(run, target, *words),
            "table_mlp of 0 to 4": trained(run.with_name(f"{run.name}-full"), target, *words, start),
            "table_mlp of 0 to 4, frozen": trained(
                run.with_name(f"{run.name}-frozen"), target, *words, start, "freeze=frozen"
            ),
        }
        keep("digits 5 to 9", str(shots), split, found | dict(with_others(target, run, ("train",))))


def report() -> None:
    """The tables of the README: a mean over splits, ± half its 95 % t interval."""
    rows = list(read_csv(FILE))
    for key in dict.fromkeys((row["task"], row["rows a class"]) for row in rows):
        for model in dict.fromkeys(row["model"] for row in rows if (row["task"], row["rows a class"]) == key):
            those = [r for r in rows if ((r["task"], r["rows a class"]), r["model"]) == (key, model)]
            cells = [mean_of([float(row[name]) for row in those]) for name in ("accuracy", "log_loss")]
            print(f"| {' | '.join((*key, model, *cells))} |")


def mean_of(values: list[float]) -> str:
    """Mean ± half a 95 % t interval."""
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5
    return f"{np.mean(values):.3f} ± {half:.3f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="?", default=Path("outputs/other-kinds-tables"))
    parser.add_argument("--report", action="store_true")
    asked = parser.parse_args()
    if not asked.report:
        asked.runs.mkdir(parents=True, exist_ok=True)
        compute(asked.runs)
    report()
