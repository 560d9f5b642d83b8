"""The one error a person at the keyboard can cause, how it is said, and the nearest right word."""

import difflib
import os
import re
import sys
import traceback
from collections.abc import Iterable

# Read once: `graft.cli.hydra_run.run_hydra` sets the variable for Hydra's own ends.
WANTS_TRACEBACKS = os.environ.get("HYDRA_FULL_ERROR") == "1"

# But for the end of a line and the tabulator: a terminal would obey the others.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class GraftError(Exception):
    """A mistake of the user's: one line that names the key or file, what was given and what is right.

    The command line prints it without a traceback and exits with status 2.
    """


def visible(text: str) -> str:
    r"""The text with control characters written out, as `\x1b`, so that no terminal obeys them."""
    return _CONTROLS.sub(lambda control: f"\\x{ord(control[0]):02x}", text)


def report(error: Exception) -> None:
    """Say an error on stderr, once: one line for the user's own, the traceback for ours."""
    if getattr(error, "reported", False):
        return
    error.reported = True  # type: ignore[attr-defined]
    if isinstance(error, GraftError) and not WANTS_TRACEBACKS:
        print(visible(f"graft: {error}"), file=sys.stderr)
    else:
        traceback.print_exception(error)


def first_line(error: BaseException) -> str:
    """The first line of an error's message that says something; of one without, its kind."""
    lines = (line.strip() for line in str(error).splitlines())
    return next(filter(None, lines), type(error).__name__)


def reason_of(error: BaseException) -> str:
    """An error as one line; its kind too where it is not the user's own."""
    first, kind = first_line(error), type(error).__name__
    return first if isinstance(error, GraftError) or first == kind else f"{kind}: {first}"


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word most like `word`, or nothing when none is near."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)), "")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A closing clause such as ``; did you mean resnet18?``, or nothing when no known word is near."""
    near = nearest(word, known)
    return f"; did you mean {near}?" if near else ""
