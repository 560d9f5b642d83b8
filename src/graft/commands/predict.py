"""`graft predict`: what a run or bundle sees in images, as a CSV; unreadable files never stop the others."""

from pathlib import Path

from rich.table import Table

from graft.configuration.schema import Config
from graft.data.headers import MOST, said_of_several, some_of
from graft.errors import GraftError
from graft.models import load_bundle
from graft.reporting.console import PlainConsole
from graft.runs.files import write_csv
from graft.sources import find_images
from graft.sources.opening import levels_of
from graft.training.checks import check_device
from graft.training.predicting import Row, predict_files, seen_before
from graft.training.testing import make_tester

# Rows shown in the terminal; all of them stand in the CSV.
SHOWN = 10


def run(config: Config, path: Path, overrides: list[str]) -> Path:
    """Predict every image of `config["source"]`.

    Returns:
        The CSV's path, inside the folder `path`.

    Raises:
        GraftError: there is no model, no image, none that can be read, or no such device.
    """
    check_device(config["accelerator"], key="accelerator")
    files, notes = find_images(config["source"])
    bundle = load_bundle(config["run"], config["trust"])
    looked = some_of(files, MOST)
    bundle.levels, levels_said = levels_of(looked, bundle.levels)
    rows, unreadable = predict_files(
        bundle,
        files,
        make_tester(bundle, config["accelerator"], path),
        batch_size=config["batch_size"],
        num_workers=config["num_workers"],
        top_k=config["top_k"],
    )
    show(rows, unreadable, [*notes, *said_of_several(looked, len(files)), *levels_said])
    if not rows:
        raise GraftError(f"source={config['source']}: none of {len(files)} images could be read")
    if line := seen_before(bundle, files):
        print(line)
    target = path / "predictions.csv"
    write_csv(target, rows)
    print(target)
    return target


def show(rows: list[Row], unreadable: list[tuple[str, str]], notes: list[str]) -> None:
    """The first rows as a table, then what could not be read, and what was left out."""
    if rows:
        table = Table("image", "predicted", "probability", box=None)
        for row in rows[:SHOWN]:
            probability = max(value for value in row.values() if isinstance(value, float))
            table.add_row(str(row["path"]), str(row["predicted"]), f"{probability:.3f}")
        PlainConsole().print(table)
    if len(rows) > SHOWN:
        print(f"… and {len(rows) - SHOWN} more")
    for file, reason in unreadable:
        print(f"unreadable: {reason if file in reason else f'{file}: {reason}'}")
    for note in notes:
        print(note)
    print(f"{len(rows)} images predicted, {len(unreadable)} unreadable")
