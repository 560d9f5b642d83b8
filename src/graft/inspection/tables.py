"""An inspection as rows of its CSV files, and as lines on the terminal."""

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from graft.data.splits import SPLITS
from graft.errors import visible
from graft.inspection.findings import Finding
from graft.inspection.inspection import Inspection
from graft.inspection.looks import readable

Row = dict[str, Any]
# Classes on the terminal and on the page; all of them stand in classes.csv.
CLASSES = 30
STYLES = {"leak": "bold red", "warning": "yellow", "note": "dim"}


def image_rows(inspection: Inspection) -> Iterator[Row]:
    """An image a row: path, split, label, width, height, mode, and why it cannot be read."""
    split_of = inspection.split_of
    for index, (name, look) in enumerate(zip(inspection.data.images.names, inspection.looks, strict=True)):
        row: Row = {"path": name, "split": split_of[index], "label": inspection.label(index)}
        if isinstance(look, str):
            yield {**row, "width": "", "height": "", "mode": "", "reason": look}
        else:
            yield {**row, "width": look.width, "height": look.height, "mode": look.mode, "reason": ""}


def class_rows(inspection: Inspection) -> list[Row]:
    """A class a row: images in each split that has any, and in all."""
    counts = {split: count.tolist() for split, count in inspection.counts.items() if count.sum()}
    return [
        {
            "class": name,
            **{split: count[label] for split, count in counts.items()},
            "all": sum(count[label] for count in counts.values()),
        }
        for label, name in enumerate(inspection.data.class_names)
    ]


def copy_rows(inspection: Inspection) -> Iterator[Row]:
    """An image a row that has a copy: the number of its set, its kind, whether that leaks, and the image."""
    names, split_of = inspection.data.images.names, inspection.split_of
    number = 0
    for kind, sets in (("exact", inspection.exact), ("near", inspection.near)):
        leaks = {tuple(members) for members in inspection.leaks(sets)}
        for members in sets:
            number += 1
            for index in members:
                yield {
                    "set": number,
                    "kind": kind,
                    "leak": tuple(members) in leaks,
                    "path": names[index],
                    "split": split_of[index],
                    "label": inspection.label(index),
                }


def size_lines(inspection: Inspection) -> list[str]:
    """Sizes and modes, a line each."""
    looks = [look for _, look in readable(inspection.looks)]
    if not looks:
        return ["no image can be read"]
    sides = ("width", [look.width for look in looks]), ("height", [look.height for look in looks])
    modes = ", ".join(f"{mode} {count:,}" for mode, count in inspection.modes.most_common())
    return [
        *(f"{side}: {min(pixels)} to {max(pixels)} px, median {median(pixels):g}" for side, pixels in sides),
        f"stored as: {modes}",
    ]


def show(inspection: Inspection, findings: Sequence[Finding], console: Console) -> None:
    """Print the classes, sizes, modes and findings."""
    rows = class_rows(inspection)
    table = Table("class", box=None)
    splits = [key for key in rows[0] if key != "class"]
    for split in splits:
        table.add_column(split, justify="right")
    for row in rows[:CLASSES]:
        table.add_row(row["class"], *(f"{row[split]:,}" for split in splits))
    if len(rows) > 1:
        table.add_row("all", *(f"{sum(row[split] for row in rows):,}" for split in splits), style="bold")
    console.print(table)
    if len(rows) > CLASSES:
        console.print(f"and {len(rows) - CLASSES} more classes, in classes.csv")
    for line in size_lines(inspection):
        console.print(line, soft_wrap=True)
    for finding in findings:
        text = Text.assemble((f"{finding.kind}:", STYLES[finding.kind]), f" {visible(finding.text)}")
        console.print(text, soft_wrap=True)


def summary(inspection: Inspection, findings: Sequence[Finding]) -> dict[str, Any]:
    """The same as plain values, for programs."""
    return {
        "images": len(inspection.data.images),
        "splits": {split: len(inspection.splits[split]) for split in SPLITS},
        "split_rule": inspection.splits.rule,
        "modes": dict(inspection.modes),
        "unreadable": len(inspection.unreadable),
        "exact_copies": {"sets": len(inspection.exact), "images": sum(map(len, inspection.exact))},
        "near_copies": {"sets": len(inspection.near), "images": sum(map(len, inspection.near))},
        "leaking_sets": sum(len(inspection.leaks(sets)) for sets in (inspection.exact, inspection.near)),
        "contradicting_labels": len(inspection.contradictions()),
        "divided_groups": len(inspection.divided_groups()),
        "leaks": any(finding.kind == "leak" for finding in findings),
        "findings": [finding._asdict() for finding in findings],
    }
