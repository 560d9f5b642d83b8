"""`graft compare`: runs side by side, from their folders alone. Imports no torch."""

from pathlib import Path

from graft.configuration.schema import Config
from graft.errors import GraftError
from graft.reporting import figures, tables
from graft.reporting.findings import verdict
from graft.reporting.groups import Ranking, rank
from graft.reporting.page import comparison_page, disagreements, image_rows, recall_rows
from graft.reporting.pairs import Images, differences, images
from graft.reporting.summary import show
from graft.runs.files import write_csv, write_figure, write_text
from graft.runs.recorded import metric_of_sweeps
from graft.runs.records import find_runs


def run(config: Config, path: Path, overrides: list[str]) -> Ranking:
    """Compare the runs of `config["runs"]` and write tables and figures to `path`.

    Raises:
        GraftError: there is no run, none is finished, or `sort` is no validation metric.
    """
    if config["runs"] is None:
        raise GraftError("runs=null: give a path or pattern, or several as [a,b]")
    runs, skipped = find_runs(config["runs"])
    ranking = rank(runs, config["sort"] or metric_of_sweeps(run.folder for run in runs), config["over"])
    if not ranking.groups:
        raise GraftError(f"runs={config['runs']}: none of the {len(runs)} is finished ({runs[0].reason})")
    groups = ranking.groups
    ahead = differences(groups, ranking.tested)
    pairs: dict[str, tuple[list[Images], str]] = {}
    for group in groups[1:]:
        pairs[group.label] = images(groups[0], group)
    title, lines = verdict(ranking, ahead), tables.left_out(ranking, skipped)

    write_csv(path / "compare.csv", tables.group_rows(ranking))
    write_csv(path / "runs.csv", tables.run_rows(ranking))
    for name, rows in (
        ("differences.csv", [vars(item) for item in ahead]),
        ("images.csv", image_rows(groups[0].label, pairs)),
        ("classes.csv", recall_rows(groups[0].label, pairs)),
        ("disagreements.csv", disagreements(groups[0].label, pairs)),
    ):
        if rows:
            write_csv(path / name, rows)
    drawn = {
        "bars.png": figures.bars(ranking, title),
        "curves.png": figures.curves(ranking),
        "costs.png": figures.costs(ranking),
    }
    pictures = {name: figure for name, figure in drawn.items() if figure is not None}
    for name, figure in pictures.items():
        write_figure(path / name, figure)
    write_text(path / "compare.md", comparison_page(ranking, title, lines, ahead, pairs, list(pictures)))
    show(ranking, title, lines)
    print(path / "compare.md")
    return ranking
