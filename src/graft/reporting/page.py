"""The page of a comparison, and the rows of the files that it points to."""

from collections.abc import Iterator, Mapping, Sequence

from graft.configuration.plain_text import in_markdown
from graft.reporting.groups import Ranking
from graft.reporting.pairs import FEW, Difference, Images, recalls
from graft.reporting.tables import cells, difference_cells, markdown

# The first group against each other one: the pairs of runs, or why there are none.
Pairs = Mapping[str, tuple[list[Images], str]]
# Classes on the page; all of them stand in the CSV.
CLASSES = 5


def image_rows(first: str, pairs: Pairs) -> list[dict[str, object]]:
    """A pair of runs a row: how many images each had right alone, and McNemar's p."""
    return [
        {
            "first": first,
            "second": label,
            "repetition": pair.repetition,
            **{key: getattr(pair, key) for key in ("both", "only_first", "only_second", "neither", "p")},
            "first_run": str(pair.first.folder.path),
            "second_run": str(pair.second.folder.path),
        }
        for label, (compared, _) in pairs.items()
        for pair in compared
    ]


def recall_rows(first: str, pairs: Pairs) -> list[dict[str, object]]:
    """A class and comparison a row: recall of both, meaned over the pairs of runs, and the difference."""
    return [
        {
            "first": first,
            "second": label,
            "class": recall.name,
            "images": recall.images,
            "first_recall": recall.first,
            "second_recall": recall.second,
            "difference": recall.first - recall.second,
        }
        for label, (compared, _) in pairs.items()
        for recall in recalls(compared)
    ]


def disagreements(first: str, pairs: Pairs) -> list[dict[str, str]]:
    """An image a row on which the two runs of a pair gave different answers."""
    return [
        {
            "first": first,
            "second": label,
            "repetition": pair.repetition,
            "path": path,
            "label": answer.label,
            "first_predicted": answer.predicted,
            "second_predicted": other[path].predicted,
        }
        for label, (compared, _) in pairs.items()
        for pair in compared
        if (other := pair.second.answers) is not None
        for path, answer in (pair.first.answers or {}).items()
        if answer.predicted != other[path].predicted
    ]


def comparison_page(
    ranking: Ranking,
    title: str,
    lines: Sequence[str],
    ahead: Sequence[Difference],
    pairs: Pairs,
    figures: Sequence[str],
) -> str:
    """The whole comparison as Markdown."""
    shares = f"Mean ± standard deviation over {', '.join(ranking.over)}; best first by {ranking.sort}"
    order = "." if ranking.ranked else ", if there were any."
    page = [f"# {in_markdown(title)}", "", f"{shares}{order}", "", markdown(*cells(ranking)), ""]
    page += [f"- {in_markdown(line)}" for line in lines]
    page += ["", *(f"![{name.partition('.')[0]}]({name})" for name in figures)]
    if len(ranking.groups) > 1:
        page += ["", *_paired(ranking, ahead), "", *_by_image(ranking, pairs), "", *_classes(ranking, pairs)]
    return "\n".join(page).rstrip() + "\n"


def _paired(ranking: Ranking, ahead: Sequence[Difference]) -> Iterator[str]:
    first = ranking.groups[0].label
    yield f"## {in_markdown(first)}, paired by {', '.join(ranking.over)}"
    yield ""
    if not ahead:
        yield f"No other group shares a value of {', '.join(ranking.over)} with it."
        return
    yield f"Difference in {ranking.tested}, run by run; interval and test by Student's t; the last column is"
    yield f"corrected for {len(ahead)} comparison{'s' if len(ahead) != 1 else ''} (Holm)."
    yield "They say what other seeds would give on these test images, not what other images would."
    few = min(item.n for item in ahead)
    if few == 1:
        yield "One pair has no interval: repeat with more seeds to know more."
    elif few < FEW:
        yield f"{few} pairs hardly know their own spread, so the interval is wide."
    yield ""
    yield markdown(*difference_cells(ahead))


def _by_image(ranking: Ranking, pairs: Pairs) -> Iterator[str]:
    first = in_markdown(ranking.groups[0].label)
    yield "## The same test images"
    yield ""
    yield f"Images that one run of a pair has right and the other wrong, {first} first, and McNemar's exact"
    yield "test of each pair; `images.csv` has every pair, `disagreements.csv` the images on which two runs"
    yield "gave different answers."
    yield ""
    rows = []
    for label, (compared, reason) in pairs.items():
        if not compared:
            rows.append([label, "0", reason, "", ""])
            continue
        ps = [pair.p for pair in compared]
        spans = (
            _span([pair.only_first for pair in compared]),
            _span([pair.only_second for pair in compared]),
            f"{min(ps):.3g}" if len(ps) == 1 else f"{min(ps):.3g} to {max(ps):.3g}",
        )
        rows.append([label, str(len(compared)), *spans])
    yield markdown(["against", "pairs", "only the first right", "only the other right", "p"], rows)


def _span(counts: Sequence[int]) -> str:
    return str(min(counts)) if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"


def _classes(ranking: Ranking, pairs: Pairs) -> Iterator[str]:
    label = ranking.groups[1].label
    of_classes = recalls(pairs[label][0])
    if not of_classes:
        return
    yield f"## Classes: {in_markdown(ranking.groups[0].label)} against {in_markdown(label)}"
    yield ""
    yield "Recall, where it differs most (`classes.csv` has all classes and comparisons)."
    yield ""
    most = sorted(of_classes, key=lambda recall: -abs(recall.first - recall.second))[:CLASSES]
    yield markdown(
        ["class", "test images", "first", "other", "difference"],
        [
            [name, str(images), f"{first:.3f}", f"{second:.3f}", f"{first - second:+.3f}"]
            for name, images, first, second in most
        ],
    )
