"""A picture of a text, so that a person can look at samples of texts as at images."""

from bisect import bisect_left
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

# A card is square, of so many px, so that cards can stand in a grid; letters and margins, px.
SIDE = 256
LETTERS = 16
MARGIN = 8
# A line's height, px.
STEP = 20


def text_card(text: str) -> Image.Image:
    """As much of a text as goes on a card, in lines, RGB."""
    card = Image.new("RGB", (SIDE, SIDE), "white")
    draw = ImageDraw.Draw(card)
    for place, line in enumerate(_lines(text)):
        draw.text((MARGIN, MARGIN + place * STEP), line, font=card_font(LETTERS), fill="black")
    return card


@cache
def card_font(letters: int) -> ImageFont.FreeTypeFont:
    """What cards are written in, in letters of so many px."""
    # Slow to import, and only pictures need it. Pillow's own font has fewer alphabets.
    import matplotlib

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(str(path), letters, layout_engine=ImageFont.Layout.BASIC)


def _lines(text: str) -> list[str]:
    """The first lines of a text, an ellipsis where more is left of it; words longer than a line are cut."""
    most = (SIDE - 2 * MARGIN) // STEP
    # No letter but a combining one is narrower than 3 px, so the rest cannot go on a card.
    left = text[: most * SIDE // 3].split()
    lines: list[str] = []
    while left and len(lines) < most:
        line = left.pop(0)
        if not _fits(line):
            fitting = max(1, bisect_left(range(len(line)), True, key=lambda end: not _fits(line[: end + 1])))
            left.insert(0, line[fitting:])
            line = line[:fitting]
        while left and _fits(f"{line} {left[0]}"):
            line = f"{line} {left.pop(0)}"
        lines.append(line)
    if left:
        lines[-1] = f"{lines[-1][:-1]}…"
    return lines


def _fits(line: str) -> bool:
    return card_font(LETTERS).getlength(line) <= SIDE - 2 * MARGIN
