"""An inspection as rows of its CSV files, and as lines on the terminal."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from graft.data.splits import SPLITS
from graft.errors import visible
from graft.inspection.domain_gap import DomainGap
from graft.inspection.findings import Finding
from graft.inspection.inspection import Inspection

Row = dict[str, object]
# Classes on the terminal and on the page; all of them stand in classes.csv.
CLASSES = 30
STYLES = {"leak": "bold red", "warning": "yellow", "note": "dim"}


def image_rows(inspection: Inspection) -> Iterator[Row]:
    """A sample a row: path, split, label, of an image width, height and mode, and why it cannot be read."""
    columns = inspection.data.kind.columns
    for index, look in enumerate(inspection.looks):
        row = _row(inspection, index)
        if isinstance(look, str):
            yield {**row, **columns(None), "reason": look}
        else:
            yield {**row, **columns(look), "reason": ""}


def _row(inspection: Inspection, index: int) -> Row:
    """Which image a row is about."""
    return {
        "path": inspection.data.samples.names[index],
        "split": inspection.split_of[index],
        "label": inspection.label(index),
    }


def class_rows(inspection: Inspection) -> list[Row]:
    """A class a row: images in each split that has any, and in all."""
    counts = _counts(inspection)
    return [
        {"class": name, **{split: count[label] for split, count in counts.items()}}
        for label, name in enumerate(inspection.data.class_names)
    ]


def _counts(inspection: Inspection) -> dict[str, list[int]]:
    """Images of each class in each split that has any, and in all."""
    counts = {split: count.tolist() for split, count in inspection.counts.items() if count.sum()}
    return {**counts, "all": [sum(of_class) for of_class in zip(*counts.values(), strict=True)]}


def copy_rows(inspection: Inspection) -> Iterator[Row]:
    """An image a row that has a copy: the number of its set, its kind, whether that leaks, and the image."""
    number = 0
    for kind, sets in (("exact", inspection.exact), ("near", inspection.near)):
        leaks = {tuple(members) for members in inspection.leaks(sets)}
        for members in sets:
            number += 1
            about = {"set": number, "kind": kind, "leak": tuple(members) in leaks}
            for index in members:
                yield {**about, **_row(inspection, index)}


def suspect_rows(inspection: Inspection) -> Iterator[Row]:
    """An image a row, the most suspect label first: label, suggestion, score, probabilities, verdict."""
    suspects, names = inspection.suspects, inspection.data.class_names
    assert suspects is not None
    for place, index in enumerate(suspects.indices.tolist()):
        yield {
            "rank": place + 1,
            "path": inspection.data.samples.names[index],
            "split": inspection.split_of[index],
            "label": names[suspects.given[place]],
            "suggested": names[suspects.suggested[place]],
            "quality": f"{suspects.quality[place]:.6f}",
            "p_label": f"{suspects.p_given[place]:.6f}",
            "p_suggested": f"{suspects.p_suggested[place]:.6f}",
            "issue": bool(suspects.issue[place]),
        }


def confused_rows(inspection: Inspection) -> Iterator[Row]:
    """A class and what its images are taken for a row, most images first."""
    assert inspection.suspects is not None
    names = inspection.data.class_names
    for label, called, images, of in inspection.suspects.confusions:
        yield {"class": names[label], "called": names[called], "images": images, "of": of}


def share_rows(gap: DomainGap) -> list[Row]:
    """A class a row: its share of the source and of the target."""
    return [
        {"class": name, "source": f"{source:.3f}", "target": f"{target:.3f}"}
        for name, (source, target) in gap.shares.items()
    ]


def size_lines(inspection: Inspection) -> list[str]:
    """Sizes and the like, a line each."""
    kind, looks = inspection.data.kind, list(inspection.readable.values())
    return kind.lines(looks) if looks else [f"no {kind.noun} can be read"]


def show(inspection: Inspection, findings: Sequence[Finding], console: Console) -> None:
    """Print the classes, sizes, modes and findings."""
    names, counts = inspection.data.class_names, _counts(inspection)
    table = Table("class", box=None)
    for split in counts:
        table.add_column(split, justify="right")
    for label, name in enumerate(names[:CLASSES]):
        table.add_row(name, *(f"{count[label]:,}" for count in counts.values()))
    if len(names) > 1:
        table.add_row("all", *(f"{sum(count):,}" for count in counts.values()), style="bold")
    console.print(table)
    if len(names) > CLASSES:
        console.print(f"and {len(names) - CLASSES} more classes, in classes.csv")
    for line in size_lines(inspection):
        console.print(line, soft_wrap=True)
    for finding in findings:
        text = Text.assemble((f"{finding.kind}:", STYLES[finding.kind]), f" {visible(finding.text)}")
        console.print(text, soft_wrap=True)


def summary(inspection: Inspection, findings: Sequence[Finding]) -> dict[str, object]:
    """The same as plain values, for programs."""
    return {
        "images": len(inspection.data.samples),
        "splits": {split: len(inspection.splits[split]) for split in SPLITS},
        "split_rule": inspection.splits.rule,
        **inspection.data.kind.summary(list(inspection.readable.values())),
        "unreadable": len(inspection.unreadable),
        "exact_copies": {"sets": len(inspection.exact), "images": sum(map(len, inspection.exact))},
        "near_copies": {"sets": len(inspection.near), "images": sum(map(len, inspection.near))},
        "leaking_sets": sum(len(inspection.leaks(sets)) for sets in (inspection.exact, inspection.near)),
        "contradicting_labels": len(inspection.contradictions()),
        "divided_groups": len(inspection.divided_groups()),
        **_of_labels(inspection),
        **_of_domains(inspection),
        "leaks": any(finding.kind == "leak" for finding in findings),
        "findings": [finding._asdict() for finding in findings],
    }


def _of_domains(inspection: Inspection) -> dict[str, object]:
    """How far the target is; nothing without one."""
    if (gap := inspection.gap) is None:
        return {}
    return {
        "target": {
            "backbone": gap.by,
            "tested": gap.of,
            "told_apart": gap.accuracy,
            "told_apart_ci": list(gap.interval),
            "a_distance": gap.a_distance,
            "shares": {name: {"source": s, "target": t} for name, (s, t) in gap.shares.items()},
        }
    }


def _of_labels(inspection: Inspection) -> dict[str, object]:
    """What a backbone says of the labels; nothing where none was asked."""
    if (suspects := inspection.suspects) is None:
        return {}
    return {
        "labels": {
            "backbone": suspects.by,
            "judged": len(suspects.indices),
            "suspect": int(suspects.issue.sum()),
            "known": suspects.known if len(suspects.indices) else None,
            "confused": list(confused_rows(inspection)),
        }
    }
