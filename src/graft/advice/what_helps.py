"""What would help the advised model: more labels, other labels, and for which classes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from matplotlib.figure import Figure
from torch import Tensor

from graft.advice.curve_figure import curve_figure
from graft.advice.learning_curve import LearningCurve, learning_curve
from graft.advice.rare_classes import ClassNote, class_notes
from graft.configuration.schema import Plain
from graft.data.samples import Indices
from graft.errors import GraftError
from graft.inspection import pictures
from graft.inspection.inspection import Inspection
from graft.inspection.suspects import Suspects, suspects_of
from graft.inspection.tables import confused_rows, suspect_rows
from graft.objective.out_of_fold import out_of_fold

# Of the suspects, as many as the page shows; all of them stand in the table.
SHOWN = 24
# Pairs of classes that are told.
PAIRS = 10
# The parts of `advice.json` that stand here.
ABOUT_LABELS = ("more_labels", "wrong_labels", "confused", "rare")


@dataclass(frozen=True)
class Helping:
    """What heads on one backbone's features say, each of images that it was no part of.

    Attributes:
        curve: the error against the number of images.
        notes: every class, the one with the fewest images first.
        looked: the inspection, with the suspects among the labels; without them where cleanlab is missing.
        without: why there are no suspects; empty where there are.
    """

    curve: LearningCurve
    notes: Sequence[ClassNote]
    looked: Inspection
    without: str = ""

    @property
    def suspects(self) -> Suspects | None:
        """All labels that were weighed, the most suspect first."""
        return self.looked.suspects


def what_would_help(
    looked: Inspection,
    features: Tensor,
    indices: Indices,
    by: str,
    trained: int,
    seed: int,
    check: Callable[[], None],
) -> Helping:
    """Measure on features that are there already.

    Args:
        looked: the inspection of the images.
        features: `(N, D)` of those that train and validate.
        indices: `(N,)` which these are.
        by: the backbone.
        trained: images that train, whose doubling is asked for.
        seed: of folds and draws.
        check: called now and then; may raise to stop.
    """
    data = looked.data
    labels, classes = data.samples.labels[indices], len(data.class_names)
    groups = looked.belonging(indices)
    said = out_of_fold(features.float(), labels, classes, groups, seed, check)
    notes = class_notes(labels, said, data.class_names)
    without = ""
    try:
        looked = replace(looked, suspects=suspects_of(labels, said, indices, by))
    except GraftError as error:
        without = str(error)
    curve = learning_curve(features.float(), labels, classes, groups, now=trained, seed=seed, check=check)
    return Helping(curve, notes, looked, without)


def figures_of(helping: Helping) -> dict[str, Figure]:
    """The pictures by the names of their files."""
    drawn = {"labels.png": curve_figure(helping.curve), "suspects.png": pictures.suspects(helping.looked)}
    return {name: figure for name, figure in drawn.items() if figure is not None}


def tables_of(helping: Helping) -> dict[str, list[dict[str, Any]]]:
    """The tables by the names of their files; without those that would be empty."""
    tables: dict[str, list[dict[str, Any]]] = {
        "labels.csv": list(helping.curve.points),
        "class_notes.csv": [note.row() for note in helping.notes],
    }
    if (found := helping.suspects) is not None and len(found.indices):
        tables["suspects.csv"] = list(suspect_rows(helping.looked))
        tables["confused.csv"] = list(confused_rows(helping.looked))
    return {name: rows for name, rows in tables.items() if rows}


def sections(helping: Helping, command: str) -> Plain:
    """The parts of `advice.json` that are about labels; `command` asks for the suspects again."""
    curve, names = helping.curve, helping.looked.data.class_names
    gain = curve.gain()
    said = curve.sentence()
    more: Plain = {
        "points": [{**row, "images": round(row["images"])} for row in curve.points],
        "gain": None,
        "low": None,
        "high": None,
        "told": curve.told,
        "sentence": f"{said[0].upper()}{said[1:]}.",
        "figure": None if curve.law is None else "labels.png",
        "command": "",
    }
    if gain is not None:
        more |= {"gain": gain.value, "low": gain.low, "high": gain.high}
    found = helping.suspects
    parts: Plain = {"more_labels": more, "wrong_labels": None, "confused": [], "rare": rare(helping.notes)}
    if found is None or not len(found.indices):
        reason = helping.without or (found.reason if found is not None else "")
        parts["wrong_labels"] = {"images": 0, "issues": 0, "suspects": [], "figure": None, "command": command}
        return parts | {"wrong_labels": {**parts["wrong_labels"], "sentence": reason}}
    issues = int(found.issue.sum())
    hard = f"; some may be hard {helping.looked.data.kind.plural}" if issues else ""
    parts["wrong_labels"] = {
        "images": len(found.indices),
        "issues": issues,
        "suspects": [
            {
                "path": row["path"],
                "given": row["label"],
                "suggested": row["suggested"],
                "quality": float(str(row["quality"])),
                "p_given": float(str(row["p_label"])),
                "p_suggested": float(str(row["p_suggested"])),
                "issue": row["issue"],
            }
            for row, _ in zip(suspect_rows(helping.looked), range(SHOWN), strict=False)
        ],
        "figure": "suspects.png",
        "sentence": f"{issues:,} of {len(found.indices):,} labels look wrong{hard}.",
        "command": command,
    }
    parts["confused"] = [
        {"given": names[pair.label], "predicted": names[pair.called], "count": pair.images, "of": pair.of}
        for pair in found.confusions[:PAIRS]
    ]
    return parts


def rare(notes: Sequence[ClassNote]) -> list[Plain]:
    """The classes with few images."""
    return [
        {
            "class": note.name,
            "images": note.images,
            "accuracy": note.right / note.judged if note.judged else None,
        }
        for note in notes
        if note.rare
    ]
