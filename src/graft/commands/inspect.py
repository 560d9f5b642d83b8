"""`graft inspect`: what is wrong with some images before anything is trained on them.

Imports no torch, unless a backbone is asked for its opinion of the labels.
"""

from collections.abc import Callable
from pathlib import Path

from graft.configuration.schema import Config
from graft.data.domains import TargetDomain
from graft.data.progress import progress
from graft.data.sample_data import SampleData
from graft.data.splits import Splits
from graft.inspection import pictures
from graft.inspection.findings import find
from graft.inspection.inspection import Inspection, inspect_images
from graft.inspection.page import page
from graft.inspection.tables import (
    class_rows,
    confused_rows,
    copy_rows,
    image_rows,
    show,
    summary,
    suspect_rows,
)
from graft.reporting.console import PlainConsole
from graft.runs.files import write_csv, write_figure, write_json, write_text
from graft.sources.opening import open_data, split_or_parts
from graft.sources.target import open_target


class Leaks(RuntimeError):
    """Images of one split are in another, and `strict` asks for exit status 1; all was said already."""

    reported = True


def run(config: Config, path: Path, overrides: list[str]) -> Inspection:
    """Look at all images of `config["data"]` and write what was found to `path`.

    Raises:
        GraftError: there are no images, or the backbone or the device cannot be had.
        Leaks: train, val and test share images or groups, and `config["strict"]` is true.
    """
    data = open_data(config["data"])
    splits = split_or_parts(config["data"], data)
    print(splits.describe(), flush=True)
    target = None if config.get("target") is None else open_target(config["target"], data)
    ask = None if config.get("backbone") is None else _asking(config, data, splits, target)
    with progress(len(data.samples)) as report:
        inspection = inspect_images(data, splits, config["near"], config["data"].get("num_workers"), report)
    if ask is not None:
        inspection = ask(inspection)
    findings = find(inspection)
    write_csv(path / "images.csv", image_rows(inspection))
    write_csv(path / "classes.csv", class_rows(inspection))
    if inspection.exact or inspection.near:
        write_csv(path / "copies.csv", copy_rows(inspection))
    if inspection.suspects is not None and len(inspection.suspects.indices):
        write_csv(path / "suspects.csv", suspect_rows(inspection))
        if inspection.suspects.confusions:
            write_csv(path / "confused.csv", confused_rows(inspection))
    write_json(path / "inspect.json", summary(inspection, findings))
    drawn = {
        "sheet.png": pictures.sheet(inspection, config["samples"], config["seed"]),
        "copies.png": pictures.copies(inspection),
        "suspects.png": pictures.suspects(inspection),
    }
    figures = {name: figure for name, figure in drawn.items() if figure is not None}
    for name, figure in figures.items():
        write_figure(path / name, figure)
    write_text(path / "inspect.md", page(inspection, findings, list(figures)))
    show(inspection, findings, PlainConsole())
    print(path / "inspect.md")
    if config["strict"] and any(finding.kind == "leak" for finding in findings):
        raise Leaks(f"train, val and test share {data.kind.plural}")
    return inspection


def _asking(
    config: Config, data: SampleData, splits: Splits, target: TargetDomain | None
) -> Callable[[Inspection], Inspection]:
    """What asks the backbone about labels and domains; made first of all, to say at once what is wrong.

    Raises:
        GraftError: the backbone, its weights, the device or cleanlab cannot be had.
    """
    from graft.backbones.making import backbone_name
    from graft.data.backbone_for import backbone_for
    from graft.inspection.asking import with_gap, with_suspects
    from graft.inspection.suspects import check_installed, is_installed
    from graft.training.checks import check_device

    if target is None:
        check_installed()
    check_device(config["accelerator"], key="accelerator")
    backbone = backbone_for(config["backbone"], data, splits["train"], config["seed"])
    label = backbone_name(config["backbone"])
    judges = is_installed()
    if judges:
        print(f"labels are judged by {label} on train and val, never test", flush=True)

    def ask(inspection: Inspection) -> Inspection:
        if judges:
            inspection = with_suspects(inspection, backbone, label, config)
        return inspection if target is None else with_gap(inspection, target, backbone, label, config)

    return ask
