"""`graft cache`: what is kept of computed features, and making room."""

import time
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from graft.configuration.paths import existing
from graft.data.cache_location import cache_folder
from graft.data.kept_bytes import kept_file
from graft.errors import GraftError, did_you_mean
from graft.features.folder import Entry, chosen, entries, remove, sized, unreadable
from graft.reporting.console import PlainConsole

ACTIONS = ("list", "prune")
USAGE = """Usage: graft cache list [dir=FOLDER]
       graft cache prune all | KEY… | older_than=DAYS [dir=FOLDER]

What frozen stages gave for images is kept in $GRAFT_CACHE_DIR, else in the user's cache folder, or in the
cache.dir of a run, which is given here as dir. An entry's KEY may be shortened; `older_than` counts the days
since a run last used it. Looks at images are kept there too, in looks.sqlite, whose KEY is looks. Nothing is
lost but time: a run that lacks an entry computes it again.
"""
# The KEY of the file of looks.
LOOKS = "looks"


def manage(words: Sequence[str]) -> None:
    """List or remove entries, as the words say.

    Raises:
        GraftError: a word is wrong, or means no entry.
    """
    if not words or {"-h", "--help"} & set(words):
        print(USAGE, end="")
        return
    action, *rest = words
    if action not in ACTIONS:
        raise GraftError(f"graft cache {action}: there are list and prune{did_you_mean(action, ACTIONS)}")
    given = next((word.partition("=")[2] for word in rest if word.startswith("dir=")), None)
    rest = [word for word in rest if not word.startswith("dir=")]
    if given is not None:
        existing("dir", given, "folder")
    if action == "list" and rest:
        raise GraftError(f"graft cache list takes dir=FOLDER and no more, not {' '.join(rest)}")
    if action == "prune" and not rest:
        raise GraftError("graft cache prune: say what: all, the keys of entries, or older_than=DAYS")
    features = cache_folder(given) / "features"
    others = unreadable(features)
    looks = kept_file(given)
    if action == "list":
        show(features, entries(features))
        if looks.is_file():
            kept = looks.stat()
            print(
                f"{LOOKS}: looks at images, {sized(kept.st_size)}, last used {_ago(kept.st_mtime)}, {looks}"
            )
    else:
        # First, so that a wrong word removes nothing.
        meant = chosen(features, [word for word in rest if word != LOOKS])
        if looks.is_file() and means_looks(rest, looks):
            size = sized(looks.stat().st_size)
            try:
                looks.unlink()
                print(f"removed {LOOKS}, {size}")
            except OSError as error:
                print(f"{LOOKS} stays: it cannot be removed ({error.strerror})")
        prune(meant)
    if others:
        print(f"{others} entries more are another user's, who keeps them to himself")


def means_looks(words: Sequence[str], looks: Path) -> bool:
    """Whether words that `chosen` takes mean the file of looks."""
    days = [float(value) for key, _, value in (word.partition("=") for word in words) if key == "older_than"]
    old = any(time.time() - looks.stat().st_mtime > 86400 * least for least in days)
    return old or not {"all", LOOKS}.isdisjoint(words)


def prune(meant: Sequence[Entry]) -> None:
    """Remove entries, and say which stay."""
    tried = [(entry, remove(entry)) for entry in meant]
    for entry, why in tried:
        if why:
            print(f"{entry.key[:12]} stays: {why}")
    removed = [entry for entry, why in tried if not why]
    print(f"removed {len(removed)} of {len(tried)}, {sized(sum(entry.bytes for entry in removed))}")


def show(features: Path, listed: Sequence[Entry]) -> None:
    """A table of entries, that used last first, and their total."""
    table = Table("key", "backbone", "after", "precision", "images", "size", "last used", box=None)
    for entry in reversed(listed):
        about = entry.about
        words = [str(about.get(key, "?")) for key in ("backbone", "after", "precision")]
        table.add_row(entry.key[:12], *words, f"{entry.images:,}", sized(entry.bytes), _ago(entry.used))
    if listed:
        PlainConsole().print(table)
    print(f"{len(listed)} entries, {sized(sum(entry.bytes for entry in listed))}, in {features}")


def _ago(used: float) -> str:
    days = (time.time() - used) / 86400
    return "today" if days < 1 else f"{days:.0f} days ago"
