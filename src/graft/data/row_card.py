"""A picture of a row of a table, so that a person can look at samples of rows as at images."""

from collections.abc import Mapping

from PIL import Image, ImageDraw

from graft.data.text_card import MARGIN, SIDE, STEP, card_font

# Letters, px; smaller than a text's, since two columns share a line.
LETTERS = 15
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
        draw.text((MARGIN, top), column, font=card_font(LETTERS), fill="#666666")
        draw.text((VALUES, top), value, font=card_font(LETTERS), fill="black")
    return card


def _told(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
