"""`graft predict`: what a run or bundle says of samples, as a CSV; unreadable files never stop the others."""

from pathlib import Path

from rich.table import Table

from graft.configuration.schema import Config
from graft.data.kinds import Kind
from graft.errors import GraftError
from graft.models import load_bundle
from graft.reporting.console import PlainConsole
from graft.runs.files import write_csv
from graft.runs.recorded import trusted_config
from graft.sources import find_samples
from graft.sources.opening import levelled
from graft.training.checks import check_device
from graft.training.predicting import Row, predict_samples, seen_before
from graft.training.testing import make_tester

# Rows shown in the terminal; all of them stand in the CSV.
SHOWN = 10


def run(config: Config, path: Path, overrides: list[str]) -> Path:
    """Predict every sample of `config["source"]`.

    Returns:
        The CSV's path, inside the folder `path`.

    Raises:
        GraftError: there is no model, no sample, none that can be read, or no such device.
    """
    check_device(config["accelerator"], key="accelerator")
    bundle = load_bundle(config["run"], config["trust"])
    recorded = trusted_config(config["run"], config["trust"]).get("data") or {}
    found, notes = find_samples(config["source"], bundle.kind, recorded)
    samples, said = levelled(found, bundle.levels)
    rows, unreadable = predict_samples(
        bundle,
        samples,
        make_tester(bundle, config["accelerator"], path),
        batch_size=config["batch_size"],
        num_workers=config["num_workers"],
        top_k=config["top_k"],
    )
    show(rows, unreadable, [*notes, *said], bundle.kind)
    if not rows:
        none = f"none of {len(samples)} {bundle.kind.plural} could be read"
        raise GraftError(f"source={config['source']}: {none}")
    if line := seen_before(bundle, samples):
        print(line)
    target = path / "predictions.csv"
    write_csv(target, rows)
    print(target)
    return target


def show(rows: list[Row], unreadable: list[tuple[str, str]], notes: list[str], kind: Kind) -> None:
    """The first rows as a table, then what could not be read, and what was left out."""
    if rows:
        table = Table(kind.noun, "predicted", "probability", box=None)
        for row in rows[:SHOWN]:
            probability = max(float(value) for key, value in row.items() if key.startswith("p_"))
            table.add_row(str(row["path"]), str(row["predicted"]), f"{probability:.3f}")
        PlainConsole().print(table)
    if len(rows) > SHOWN:
        print(f"… and {len(rows) - SHOWN} more")
    for file, reason in unreadable:
        print(f"unreadable: {reason if file in reason else f'{file}: {reason}'}")
    for note in notes:
        print(note)
    if any(row["none_of_these"] for row in rows):
        none = sum(row["none_of_these"] == "true" for row in rows)
        print(f"{none} of {len(rows)} {kind.plural} are none of these classes, as far as the model can tell")
    print(f"{len(rows)} {kind.plural} predicted, {len(unreadable)} unreadable")
