"""`graft list`: what there is to choose, a name and a line each."""

from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatch
from typing import TypeVar

from rich.table import Table

from graft.composition.options import described_options, groups
from graft.configuration.keys import conf_dir, option_nodes
from graft.configuration.network_names import classifiers
from graft.errors import GraftError, did_you_mean
from graft.ranking.listing import Listed, listed
from graft.reporting.console import PlainConsole

# Below the table of backbones.
CLOSING = (
    "M: million parameters. GMACs: of one image. MB: of the weights. %: of ImageNet, as published; timm's"
    " are in its results folder."
)
Row = TypeVar("Row")


def list_options(words: Sequence[str]) -> None:
    """Print the options of a group, those that match a pattern where one is given.

    Raises:
        GraftError: there is no such group, or nothing matches.
    """
    known = groups()
    if not words or words[0] in ("-h", "--help"):
        print("Usage: graft list GROUP [pattern]\nGroups: " + ", ".join(known))
        return
    if len(words) > 2:
        raise GraftError(f"graft list takes a group and a pattern, not {' '.join(words)}")
    group = words[0] if words[0] in known else words[0].removesuffix("s")
    if group not in known:
        hint = did_you_mean(words[0], known)
        raise GraftError(f"graft list {words[0]}: no such group{hint}; there are {', '.join(known)}")
    described, pattern = described_options(group), words[1] if len(words) == 2 else "*"
    table, closing = Table(box=None, show_header=False, pad_edge=False), ""
    if group == "backbone":
        options = option_nodes("backbone", [conf_dir()])
        libraries = (None, "torchvision", "timm") if len(words) == 2 else (None, "torchvision")
        rows = [row for library in libraries for row in listed(described, options, library)]
        table, closing = _backbones(_matching(rows, pattern, lambda row: row.name)), CLOSING
        if len(words) == 1:
            closing += f" The {len(classifiers('timm')):,} of timm: graft list backbones '*'."
    else:
        for name in _matching(described, pattern, str):
            table.add_row(name, described[name])
    if not table.row_count:
        raise GraftError(f"graft list {words[0]} {pattern}: nothing matches")
    PlainConsole(soft_wrap=False).print(table)
    if closing:
        print(closing)


def _matching(rows: Iterable[Row], pattern: str, name_of: Callable[[Row], str]) -> list[Row]:
    # A plain word matches anywhere in the name.
    wanted = pattern if any(sign in pattern for sign in "*?[") else f"*{pattern}*"
    return [row for row in rows if fnmatch(name_of(row), wanted)]


def _backbones(rows: Iterable[Listed]) -> Table:
    table = Table("backbone", "what it is", box=None, pad_edge=False)
    for heading in ("M", "GMACs", "MB", "%"):
        table.add_column(heading, justify="right")
    table.add_column("at hand")
    for row in rows:
        table.add_row(row.name, row.text, *row.costs, row.at_hand)
    return table
