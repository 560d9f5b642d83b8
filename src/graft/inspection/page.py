"""An inspection as a page of Markdown."""

from collections.abc import Mapping, Sequence

from graft.configuration.plain_text import in_markdown
from graft.inspection.findings import Finding
from graft.inspection.inspection import Inspection
from graft.inspection.tables import class_rows, confused_rows, copy_rows, share_rows, size_lines, suspect_rows
from graft.reporting.tables import markdown

# Rows of a table on the page; all of them stand in the CSV.
ROWS = 40
# Of the suspect ones, which are all images in order.
SUSPECTS = 20


def page(inspection: Inspection, findings: Sequence[Finding], pictures: Sequence[str]) -> str:
    """The findings, sizes, classes and copies, with the pictures of these names."""
    data = inspection.data
    lines = [f"# {len(data.samples):,} {data.kind.plural} of {len(data.class_names)} classes", ""]
    lines += [f"- **{finding.kind}**: {in_markdown(finding.text)}" for finding in findings]
    lines += [
        f"- {in_markdown(inspection.splits.describe())}",
        *(f"- {line}" for line in size_lines(inspection)),
    ]
    lines += ["", *_table(class_rows(inspection), "classes.csv")]
    if copies := list(copy_rows(inspection)):
        lines += ["## Copies", "", *_table(copies, "copies.csv")]
    if inspection.gap is not None and inspection.gap.shares:
        lines += ["## Shares of the classes", "", *_table(share_rows(inspection.gap), "inspect.json")]
    if inspection.suspects is not None and len(inspection.suspects.indices):
        worst = list(suspect_rows(inspection))
        lines += ["## Suspect labels", "", *_table(worst, "suspects.csv", SUSPECTS)]
        if confused := list(confused_rows(inspection)):
            lines += ["## Classes that are taken for others", "", *_table(confused, "confused.csv")]
    if unreadable := inspection.unreadable:
        rows = [{"path": data.samples.names[index], "reason": reason} for index, reason in unreadable]
        lines += [f"## {data.kind.plural.capitalize()} that cannot be read", "", *_table(rows, "images.csv")]
    lines += [f"![{name.removesuffix('.png')}]({name})" for name in pictures]
    return "\n".join(lines) + "\n"


def _table(rows: Sequence[Mapping[str, object]], where: str, most: int = ROWS) -> list[str]:
    cells = [[str(value) for value in row.values()] for row in rows[:most]]
    more = [f"{len(rows) - most} more rows are in {where}.", ""] if len(rows) > most else []
    return [markdown(list(rows[0]), cells), "", *more]
