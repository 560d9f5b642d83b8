"""A ranking of backbones as a table, a page and a figure.

A row is a mapping: `backbone`, `weights`, the scores, `features`, `parameters`, `gmacs`, `images_per_second`,
`fine_tuned`, `runs`; of a backbone that failed, `reason`. Of one stage of a backbone also `stage`, and
`stages`, how many there are up to it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from graft.configuration.plain_text import in_figure, in_markdown
from graft.reporting.figures import COLOURS, MARKERS
from graft.reporting.tables import markdown
from graft.transferability.scores import NAMES

Row = Mapping[str, Any]
# Key of a row, heading, and how its value is written.
COLUMNS = (
    ("probe", "probe", "{:.3f}"),
    ("knn", "k-NN", "{:.3f}"),
    ("logme", "LogME", "{:.3f}"),
    ("h_score", "H-score", "{:.3f}"),
    ("leep", "LEEP", "{:.3f}"),
    ("nce", "NCE", "{:.3f}"),
    ("transrate", "TransRate", "{:.2f}"),
    ("fine_tuned", "fine-tuned", "{:.3f}"),
    ("parameters", "parameters", "{:,}"),
    ("gmacs", "GMACs", "{:.3g}"),
    ("images_per_second", "images/s", "{:.0f}"),
)
HEADINGS = {key: heading for key, heading, _ in COLUMNS}
NOTES = """\
- **probe**: accuracy of a ridge classifier on standardised features, 5-fold stratified cross-validation;
  **k-NN**: of the 20 nearest neighbours by cosine, leave-one-out. Both are shares of images.
- **LogME**, **H-score** (Ledoit-Wolf shrinkage), **TransRate**: scores of the features; **LEEP**, **NCE**: of
  what the source's head says, empty where the weights hold none. More is better, on these images alone.
- **fine-tuned**: the highest validation accuracy that runs on these images and splits reached from this
  backbone and these weights, as the mean over the seeds of one way to train.
- **parameters**: of the backbone; **GMACs**: 10⁹ multiply-adds an image, of convolutions, matrix products and
  attention; **images/s**: forward passes on this machine, without reading and decoding."""


STAGE_NOTE = """\
- A row is a **stage**: the scores are of the mean over the places of what it gives, the costs of all stages
  up to it. What the source's head says, and what fine-tuning reached, are of the last stage."""


def label_of(row: Row) -> str:
    """What a row is called: its backbone, and the stage where it is one's."""
    return f"{row['backbone']} {row['stage']}" if row.get("stage") else str(row["backbone"])


def csv_rows(rows: Iterable[Row]) -> list[dict[str, object]]:
    """The rows with numbers of six digits; what is not known is left empty."""
    return [{key: _six_digits(value) for key, value in row.items()} for row in rows]


def _six_digits(value: object) -> object:
    return f"{value:.6g}" if isinstance(value, float) else "" if value is None else value


def _cells(row: Row, columns: Iterable[tuple[str, str, str]]) -> list[str]:
    return ["" if row.get(key) is None else how.format(row[key]) for key, _, how in columns]


def _filled(rows: Sequence[Row]) -> list[tuple[str, str, str]]:
    """The columns that any row has something in."""
    return [column for column in COLUMNS if any(row.get(column[0]) is not None for row in rows)]


def show(rows: Sequence[Row], correlations: Sequence[Row], console: Console) -> None:
    """Print the ranking, what failed, and how the scores agree with what was reached."""
    ranked, failed = [row for row in rows if not row["reason"]], [row for row in rows if row["reason"]]
    columns = _filled(ranked)
    scores = [column for column in columns if column[0] in NAMES]
    # Two tables, so that both fit a terminal of 80 columns.
    for part in (scores, [column for column in columns if column not in scores]):
        table = Table("backbone", box=None)
        for _, heading, _ in part:
            table.add_column(heading, justify="right", no_wrap=True)
        for row in ranked:
            table.add_row(label_of(row), *_cells(row, part))
        console.print(table)
    for row in failed:
        console.print(f"not ranked: {_failure(row)}", soft_wrap=True)
    if correlations:
        agreement = Table("score", "weighted tau", "Spearman", "backbones", box=None)
        for row in correlations:
            agreement.add_row(*_agreement(row))
        console.print("\nagreement with what fine-tuning reached")
        console.print(agreement)


def _failure(row: Row) -> str:
    return f"{row['backbone']}: {row['reason']}"


def _agreement(row: Row) -> list[str]:
    name, tau, rho = HEADINGS[row["score"]], row["weighted_tau"], row["spearman"]
    return [name, f"{tau:.3f}", f"{rho:.3f}", str(row["backbones"])]


def page(rows: Sequence[Row], correlations: Sequence[Row], data: str) -> str:
    """The ranking as Markdown; `data` says on what it was made."""
    ranked, failed = [row for row in rows if not row["reason"]], [row for row in rows if row["reason"]]
    columns = _filled(ranked)
    head = ["backbone", *(heading for _, heading, _ in columns)]
    table = markdown(head, [[label_of(row), *_cells(row, columns)] for row in ranked])
    picture = "![Score against cost](figure.png)"
    of_stages = any(row.get("stage") for row in ranked)
    what = "Backbones, stage by stage," if of_stages else "Backbones"
    lines = [
        f"# {what} ranked on {data}",
        "",
        table,
        "",
        picture,
        "",
        NOTES,
        *([STAGE_NOTE] if of_stages else []),
        "",
    ]
    if failed:
        lines += ["Not ranked:", "", *(f"- {in_markdown(_failure(row))}" for row in failed), ""]
    if correlations:
        head = ["score", "weighted Kendall tau", "Spearman", "backbones"]
        lines += ["Rank correlation of each score with what fine-tuning reached:", ""]
        lines += [markdown(head, [_agreement(row) for row in correlations]), ""]
    return "\n".join(lines)


def figure(rows: Sequence[Row], images: int, largest: float) -> Figure:
    """The probe's accuracy against operations and against time, a point a backbone or a stage of one.

    A line joins the stages of a backbone.

    Args:
        rows: the ranking, best first.
        images: how many there were, for the standard errors.
        largest: the share of the largest class, which answers without a look at the image reach; drawn where
            it is near.
    """
    ranked = [row for row in rows if not row["reason"]]
    names = list(dict.fromkeys(row["backbone"] for row in ranked))
    # The legend below has three names a line.
    drawn = Figure(figsize=(9.5, 4.2 + 0.2 * (len(names) // 3)), layout="constrained")
    best = ranked[0]
    finding = f"{label_of(best)} has the best linear probe, {best['probe']:.3f}, at {best['gmacs']:.3g} GMACs"
    drawn.suptitle(in_figure(finding))
    left, right = drawn.subplots(1, 2, sharey=True)
    for place, name in enumerate(names):
        points = sorted(
            (row for row in ranked if row["backbone"] == name), key=lambda row: row.get("stages") or 0
        )
        probes = [row["probe"] for row in points]
        errors = [(probe * (1 - probe) / images) ** 0.5 for probe in probes]
        # Both marker and colour, for people who tell few colours apart.
        look: dict[str, Any] = {
            "color": COLOURS[place % len(COLOURS)],
            "fmt": f"{MARKERS[place % len(MARKERS)]}-",
            "capsize": 3,
            "linewidth": 1,
        }
        left.errorbar([row["gmacs"] for row in points], probes, errors, **look, label=in_figure(name))
        right.errorbar([1000 / row["images_per_second"] for row in points], probes, errors, **look)
    for axes, cost in ((left, "operations, GMACs an image"), (right, "time here, ms an image")):
        axes.set(xscale="log", xlabel=cost)
        axes.margins(x=0.1, y=0.1)
        axes.grid(alpha=0.3)
    low, high = left.get_ylim()
    # A line far below the points would press them together.
    if largest > low - (high - low):
        for axes in (left, right):
            axes.axhline(largest, color="black", linestyle=":", linewidth=1)
        left.lines[-1].set_label("share of the largest class")
    left.set_ylabel("linear probe, accuracy ± standard error")
    drawn.legend(loc="outside lower center", ncols=3, fontsize=8)
    return drawn
