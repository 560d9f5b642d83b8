"""The one error a person at the keyboard can cause, and how the nearest right word is found."""

import difflib
from collections.abc import Iterable


class GraftError(Exception):
    """A mistake of the user's: one line that names the key or file, what was given and what is right.

    The command line prints it without a traceback and exits with status 2.
    """


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word most like `word`, or nothing when none is near."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)), "")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A closing clause such as ``; did you mean resnet18?``, or nothing when no known word is near."""
    near = nearest(word, known)
    return f"; did you mean {near}?" if near else ""
