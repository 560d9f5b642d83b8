"""A picture of a row of a table, so that a person can look at samples of rows as at images."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

# A card is square, of so many px, so that cards can stand in a grid; letters, margins, a line's height.
SIDE, LETTERS, MARGIN, STEP = 256, 15, 8, 20
# Where the values begin, px.
VALUES = 132
# Characters of a cell; more would not fit.
LONGEST = 16


def row_card(row: Mapping[str, object]) -> Image.Image:
    """As many columns as go on a card, a line each, name and value; RGB."""
    card = Image.new("RGB", (SIDE, SIDE), "white")
    draw = ImageDraw.Draw(card)
    lines = [(_short(column), _short(_told(value))) for column, value in row.items()]
    most = (SIDE - 2 * MARGIN) // STEP
    if len(lines) > most:
        lines[most - 1 :] = [(f"and {len(lines) - most + 1} more", "")]
    for place, (column, value) in enumerate(lines):
        top = MARGIN + place * STEP
        draw.text((MARGIN, top), column, font=_font(), fill="#666666")
        draw.text((VALUES, top), value, font=_font(), fill="black")
    return card


def _told(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


@cache
def _font() -> ImageFont.FreeTypeFont:
    # Slow to import, and only pictures need it. Pillow's own font has fewer alphabets.
    import matplotlib

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(str(path), LETTERS, layout_engine=ImageFont.Layout.BASIC)
