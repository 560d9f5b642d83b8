"""`graft inspect`: what is wrong with some images before anything is trained on them. Imports no torch."""

from pathlib import Path

from graft.configuration.schema import Config
from graft.data.progress import progress
from graft.inspection import pictures
from graft.inspection.findings import find
from graft.inspection.inspection import Inspection, inspect_images
from graft.inspection.page import page
from graft.inspection.tables import class_rows, copy_rows, image_rows, show, summary
from graft.reporting.console import PlainConsole
from graft.runs.files import write_csv, write_figure, write_json, write_text
from graft.sources.opening import open_data, split_or_parts


class Leaks(RuntimeError):
    """Images of one split are in another, and `strict` asks for exit status 1; all was said already."""

    reported = True


def run(config: Config, path: Path, overrides: list[str]) -> Inspection:
    """Look at all images of `config["data"]` and write what was found to `path`.

    Raises:
        GraftError: there are no images.
        Leaks: train, val and test share images or groups, and `config["strict"]` is true.
    """
    data = open_data(config["data"])
    splits = split_or_parts(config["data"], data)
    print(splits.describe(), flush=True)
    with progress(len(data.images)) as report:
        inspection = inspect_images(data, splits, config["near"], config["data"].get("num_workers"), report)
    findings = find(inspection)
    write_csv(path / "images.csv", image_rows(inspection))
    write_csv(path / "classes.csv", class_rows(inspection))
    if inspection.exact or inspection.near:
        write_csv(path / "copies.csv", copy_rows(inspection))
    write_json(path / "inspect.json", summary(inspection, findings))
    drawn = {
        "sheet.png": pictures.sheet(inspection, config["samples"], config["seed"]),
        "copies.png": pictures.copies(inspection),
    }
    figures = {name: figure for name, figure in drawn.items() if figure is not None}
    for name, figure in figures.items():
        write_figure(path / name, figure)
    write_text(path / "inspect.md", page(inspection, findings, list(figures)))
    show(inspection, findings, PlainConsole())
    print(path / "inspect.md")
    if config["strict"] and any(finding.kind == "leak" for finding in findings):
        raise Leaks("train, val and test share images")
    return inspection
