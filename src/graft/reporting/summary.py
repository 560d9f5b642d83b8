"""What a sweep came to: `summary.csv`, `summary.md`, `summary.png` in its folder, and the table as text."""

from collections.abc import Sequence
from pathlib import Path

from graft.configuration.metric_names import USUAL
from graft.configuration.plain_text import in_markdown
from graft.reporting.console import PlainConsole
from graft.reporting.figures import bars
from graft.reporting.findings import verdict
from graft.reporting.groups import Ranking, rank
from graft.reporting.pairs import differences
from graft.reporting.tables import cells, group_rows, left_out, markdown, printed
from graft.runs.files import write_csv, write_figure, write_text
from graft.runs.records import find_runs


def summarize(folder: Path, sort: str = USUAL, over: Sequence[str] = ("seed",)) -> Ranking | None:
    """Summarise the runs below a sweep's folder; None, and nothing written, where there is none.

    Raises:
        GraftError: `sort` is no validation metric.
    """
    if not any(folder.rglob("status.json")):
        return None
    runs, skipped = find_runs(str(folder))
    ranking = rank(runs, sort, over)
    title = verdict(ranking, differences(ranking.groups, ranking.tested) if ranking.ranked else [])
    lines = left_out(ranking, skipped)
    page = [
        f"# {in_markdown(title)}",
        "",
        markdown(*cells(ranking)),
        "",
        *(f"- {in_markdown(line)}" for line in lines),
    ]
    if ranking.groups:
        write_figure(folder / "summary.png", bars(ranking, title))
        page += ["", "![The table as bars](summary.png)"]
    write_csv(folder / "summary.csv", group_rows(ranking))
    write_text(folder / "summary.md", "\n".join(page) + "\n")
    show(ranking, title, lines)
    print(folder / "summary.md")
    return ranking


def show(ranking: Ranking, title: str, lines: list[str]) -> None:
    """Print the table, then what is not in it."""
    console = PlainConsole()
    print()
    console.print(title, style="italic")
    console.print(printed(ranking))
    for line in lines:
        print(line)
