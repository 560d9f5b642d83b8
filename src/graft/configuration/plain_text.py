"""Names of classes, files and runs are people's own: shown as they are, and read as nothing else.

Not as commands to a terminal, as a formula in a figure, or as Markdown.
"""

import re

from graft.errors import visible

# These stand for the bytes of a name that is not UTF-8.
_SURROGATES = re.compile("[\ud800-\udfff]")
# Everything that begins something in Markdown. An underscore inside a word begins nothing.
_MARKDOWN = re.compile(r"[\\`*\[\]<>&|~$]|(?<![^\W_])_|_(?![^\W_])")


def encodable(text: str) -> str:
    """The text with the replacement character for bytes of a file's name that are not UTF-8."""
    return _SURROGATES.sub("\ufffd", text)


def in_figure(text: str) -> str:
    """The text for matplotlib, where a dollar begins a formula and a leading underscore hides a name."""
    text = visible(encodable(str(text))).replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


def in_markdown(text: str) -> str:
    """The text for one line or cell of Markdown."""
    return _MARKDOWN.sub(r"\\\g<0>", " ".join(visible(encodable(str(text))).splitlines()))
