"""Pictures of an inspection: some images of each class, copies side by side, suspect labels."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageOps

from graft.configuration.plain_text import in_figure
from graft.inspection.inspection import Inspection

# Side of a tile, and room around it, px.
TILE, GAP = 96, 4
# Classes and sets of copies in a picture: more could not be read.
CLASSES, SETS = 40, 12
# Images of a set that are shown.
SHOWN = 3
# Suspect labels are shown in so many rows of so many, a larger tile of this side in px each.
ROWS, IN_A_ROW, LARGE = 4, 5, 256


def sheet(inspection: Inspection, samples: int, seed: int) -> Figure:
    """A row of images for each class, drawn at random."""
    shown = np.array(list(inspection.readable), np.int64)
    labels = inspection.data.samples.labels
    names = inspection.data.class_names[:CLASSES]
    drawn = np.random.default_rng(seed).permutation(shown)
    rows = [[int(i) for i in drawn[labels[drawn] == label][:samples]] for label in range(len(names))]
    left_out = len(inspection.data.class_names) - len(names)
    data = inspection.data
    title = f"{len(labels):,} {data.kind.plural} of {len(data.class_names)} classes; up to {samples} of each"
    title += f", of the first {CLASSES} classes" if left_out else ""
    canvas = _canvas(inspection, rows, samples)
    figure = Figure(figsize=(canvas.shape[1] / 90 + 1.8, canvas.shape[0] / 90 + 0.5), layout="constrained")
    axes = figure.subplots()
    axes.imshow(canvas)
    middles = [(TILE + GAP) * (row + 0.5) for row in range(len(rows))]
    axes.set_yticks(middles, [_plain(name, 24) for name in names])
    axes.tick_params(left=False, bottom=False, labelbottom=False)
    axes.spines[:].set_visible(False)
    figure.suptitle(title)
    return figure


def copies(inspection: Inspection) -> Figure | None:
    """Sets of copies: some of those that leak, else of all; None where there are none."""
    sets = [*inspection.exact, *inspection.near]
    if not sets:
        return None
    leaks = inspection.leaks(sets)
    pool = leaks or sets
    # From all over the list, which is in the order of the classes.
    places = np.unique(np.linspace(0, len(pool) - 1, min(SETS, len(pool))).round().astype(int))
    shown = [pool[place] for place in places.tolist()]
    height = 2.1 * -(-len(shown) // 2) + 0.9
    figure = Figure(figsize=(12, height))
    grid = figure.subplots(-(-len(shown) // 2), 2 * SHOWN, squeeze=False)
    figure.subplots_adjust(0.01, 0.01, 0.99, 1 - 1.05 / height, wspace=0.05, hspace=0.35)
    for axes in grid.ravel():
        axes.set_axis_off()
    exact = {tuple(members) for members in inspection.exact}
    for place, members in enumerate(shown):
        kind = "same pixels" if tuple(members) in exact else "near copies"
        for column, index in enumerate(_chosen(inspection, members)):
            axes = grid[place // 2, place % 2 * SHOWN + column]
            axes.imshow(np.asarray(_tile(inspection, index)))
            where = f"{inspection.split_of[index]}, {inspection.label(index)}"
            name = inspection.data.samples.names[index]
            lines = (kind if column == 0 else "", _plain(where, 28), _plain(name[-28:], 28))
            axes.set_title("\n".join(lines), fontsize=8, pad=2)
    title = f"{len(sets):,} sets of copies, {len(leaks):,} of them across train, val and test"
    figure.suptitle(title + (f"; {len(shown)} of these" if len(shown) < len(pool) else ""))
    return figure


def suspects(inspection: Inspection) -> Figure | None:
    """The images whose labels are the most suspect, with label and suggestion; None where none was judged."""
    found = inspection.suspects
    if found is None or not len(found.indices):
        return None
    places = range(min(ROWS * IN_A_ROW, len(found.indices)))
    lines = -(-len(places) // IN_A_ROW)
    height = 2.75 * lines + 0.6
    figure = Figure(figsize=(2.3 * IN_A_ROW, height))
    panels = figure.subplots(lines, IN_A_ROW, squeeze=False).ravel().tolist()
    figure.subplots_adjust(0.01, 0.01, 0.99, 1 - 1.05 / height, wspace=0.05, hspace=0.28)
    for axes in panels:
        axes.set_axis_off()
    names, files = inspection.data.class_names, inspection.data.samples.names
    for axes, place in zip(panels, places, strict=False):
        index = int(found.indices[place])
        axes.imshow(np.asarray(_tile(inspection, index, LARGE)))
        given, suggested = names[found.given[place]], names[found.suggested[place]]
        turn = f"{_plain(given, 14)} → {_plain(suggested, 14)}" if given != suggested else _plain(given, 28)
        how = f"p {found.p_given[place]:.2f} → {found.p_suggested[place]:.2f}"
        # In words, not by a colour alone.
        verdict = "suspect" if found.issue[place] else "in doubt"
        lines_of = (_plain(files[index][-28:], 28), turn, f"{verdict}, {how}")
        colour = "#d55e00" if found.issue[place] else "black"
        axes.set_title("\n".join(lines_of), fontsize=8, pad=2, color=colour)
    figure.suptitle(
        f"{int(found.issue.sum()):,} of {len(found.indices):,} labels of train and val look wrong to "
        f"{_plain(found.by, 40)}; the first {len(places)}: file, label → what it looks like"
    )
    return figure


def _chosen(inspection: Inspection, members: Sequence[int]) -> list[int]:
    """Some images of a set: one of each split and class first."""
    kinds: dict[tuple[str, str], list[int]] = {}
    for index in members:
        kinds.setdefault((inspection.split_of[index], inspection.label(index)), []).append(index)
    firsts = [indices[0] for indices in kinds.values()]
    return (firsts + [index for index in members if index not in firsts])[:SHOWN]


def _canvas(inspection: Inspection, rows: Sequence[Sequence[int]], columns: int) -> np.ndarray:
    """Tiles in rows, `(H, W, 3)` uint8, white where there is none."""
    side = TILE + GAP
    whole = Image.new("RGB", (columns * side, len(rows) * side), "white")
    for row, indices in enumerate(rows):
        for column, index in enumerate(indices):
            whole.paste(_tile(inspection, index), (column * side + GAP // 2, row * side + GAP // 2))
    return np.asarray(whole)


def _tile(inspection: Inspection, index: int, side: int = TILE) -> Image.Image:
    """A sample as a square of so many px, whole, on white."""
    data = inspection.data
    image = data.kind.card(data.samples[index])
    # The pixels of a small image are what there is to see.
    how = Image.Resampling.NEAREST if max(image.size) < side else Image.Resampling.BICUBIC
    return ImageOps.pad(image, (side, side), how, color="white")


def _plain(text: str, width: int) -> str:
    return in_figure(text if len(text) <= width else f"{text[: width - 1]}…")
