"""Tables and lines for the terminal, in which what people named is only its characters."""

from typing import Any

from rich.console import Console
from rich.text import Text

from graft.errors import visible


class PlainConsole(Console):
    """Rich's console, to which a string is only its characters.

    It writes to standard output, whatever that is when it writes.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **settings)

    def render_str(self, text: str, **settings: Any) -> Text:
        """As Rich's, without control characters."""
        return super().render_str(visible(text), **settings)
