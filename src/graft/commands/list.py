"""`graft list`: what there is to choose, a name and a line each."""

from collections.abc import Sequence
from fnmatch import fnmatch

from rich.table import Table

from graft.composition.options import described_options, groups
from graft.errors import GraftError, did_you_mean
from graft.reporting.console import PlainConsole


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
    pattern = words[1] if len(words) == 2 else "*"
    rows = described_options(group)
    if group == "backbone":
        # The only part that imports torch.
        from graft.backbones import supported_names

        for name in supported_names():
            rows.setdefault(name, f"torchvision: backbone=torchvision backbone.name={name}")
    # A plain word matches anywhere in the name.
    wanted = pattern if any(sign in pattern for sign in "*?[") else f"*{pattern}*"
    rows = {name: text for name, text in rows.items() if fnmatch(name, wanted)}
    if not rows:
        raise GraftError(f"graft list {words[0]} {pattern}: nothing matches")
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, text in rows.items():
        table.add_row(name, text)
    PlainConsole(soft_wrap=False).print(table)
