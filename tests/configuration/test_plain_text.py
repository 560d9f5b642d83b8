"""What people named is only its characters, on a terminal, in a figure and in Markdown."""

import io
import warnings

import pytest
from matplotlib.figure import Figure
from rich.table import Table

from graft.configuration.plain_text import encodable, in_figure, in_markdown
from graft.errors import visible
from graft.reporting.console import PlainConsole

NAMES = [
    "G[/y]",
    "G2 [abc]",
    "[red]x",
    ":smile:",
    "a$b$",
    r"a\$b$",
    "100%",
    "{x}",
    "p|q",
    "<b>",
    "**b**",
    "中文",
]


def test_control_characters_are_written_out() -> None:
    assert visible("\x1b[31mred\x07\x9b") == r"\x1b[31mred\x07\x9b"
    assert visible("two\nlines\tand a tab é") == "two\nlines\tand a tab é"


@pytest.mark.parametrize("name", NAMES)
def test_a_table_shows_a_name_as_it_is(name: str) -> None:
    out = io.StringIO()
    table = Table("name", box=None)
    table.add_row(name)
    PlainConsole(file=out, width=80).print(table)
    PlainConsole(file=out, width=80).print(name)
    assert [line.strip() for line in out.getvalue().splitlines()[1:]] == [name, name]


def test_a_table_gives_a_terminal_no_commands() -> None:
    out = io.StringIO()
    table = Table("name", box=None)
    table.add_row("\x1b[31mred")
    PlainConsole(file=out, width=80, force_terminal=True).print(table)
    assert r"\x1b[31mred" in out.getvalue()
    assert "\x1b[31m" not in out.getvalue()


@pytest.mark.parametrize("name", [*NAMES, "_hidden", "caf\udce9", "\x1b[31mred", "$x^{$"])
def test_a_figure_draws_every_name(name: str) -> None:
    figure = Figure(figsize=(2, 2))
    axes = figure.subplots()
    axes.plot([0, 1], label=in_figure(name))
    axes.set_title(in_figure(name))
    axes.set_xticks([0], [in_figure(name)])
    legend = axes.legend()
    with warnings.catch_warnings():
        # The font lacks Chinese, which is no fault of the name.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(io.BytesIO(), format="png")
    text, is_formula = axes.title._preprocess_math(axes.title.get_text())  # type: ignore[attr-defined]
    assert not is_formula
    assert text.lstrip(" ") == visible(encodable(name))
    assert len(legend.get_texts()) == 1


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("p|q", r"p\|q"),
        ("<b>x</b>", r"\<b\>x\</b\>"),
        ("**b** _i_ `c`", r"\*\*b\*\* \_i\_ \`c\`"),
        ("[a](b)", r"\[a\](b)"),
        ("a$b$ ~~c~~ &amp;", r"a\$b\$ \~\~c\~\~ \&amp;"),
        ("back\\slash", r"back\\slash"),
        ("two\nlines", "two lines"),
        ("caf\udce9", "caf\ufffd"),
        ("freeze=last_k lr 0.001 ± 0.1 – x", "freeze=last_k lr 0.001 ± 0.1 – x"),
    ],
)
def test_markdown(name: str, shown: str) -> None:
    assert in_markdown(name) == shown
