"""The source task that needs no download: printed digits, warped until they resemble handwriting."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from graft.data.image_data import ImageData, array_images

# Those of matplotlib's fonts that hold all ten digits, old-style numerals (cmmi10) left out.
_FONTS = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique"),
    *("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic"),
    *("STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta"),
    *("cmr10", "cmb10", "cmss10", "cmti10", "cmtt10"),
)
_MASTER = 64  # px a side of a printed digit before it is warped
_DRAWN = 32  # px a side of the warped bitmap, as the 1,797 real digits had
_CELLS = 8  # px a side of the image: each counts the ink of 4x4 pixels, again as the real digits
_CHUNK = 500  # glyphs warped at once; keeps the arrays within a few MB
_KNOTS = 4  # points a side at which the elastic warp is drawn

Floats = NDArray[np.float32]


def glyphs(size: int = 10_000, seed: int = 0) -> ImageData:
    """Digits in matplotlib's fonts, randomly turned, sheared, stretched, thickened and bent.

    Every class has as many images as the others, give or take one. Image `i` depends on `seed` and `i`
    alone, so a smaller set is the beginning of a larger one.

    Args:
        size: how many images to draw.
        seed: of all randomness.

    Returns:
        One part "all" of 8x8 greyscale images, made as scikit-learn's digits were made from handwriting.
    """
    labels = np.arange(size, dtype=np.int64) % 10
    masters = _masters()
    chunks = [_draw(masters, labels[i : i + _CHUNK], i, seed) for i in range(0, size, _CHUNK)]
    pixels = np.concatenate(chunks) if chunks else np.zeros((0, _CELLS, _CELLS), np.uint8)
    names = [f"glyphs/{i:05d}" for i in range(size)]
    return ImageData([str(digit) for digit in range(10)], {"all": array_images(names, labels, pixels)})


def _masters() -> Floats:
    """Each font's digits, `(fonts, 10, 64, 64)` in 0-1, blurred so that a threshold sets the stroke's width."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    masters = np.zeros((len(_FONTS), 10, _MASTER, _MASTER), np.float32)
    for font_index, name in enumerate(_FONTS):
        # The basic layout engine draws the same everywhere; Raqm is not in every build of Pillow.
        font = ImageFont.truetype(str(folder / f"{name}.ttf"), _MASTER, layout_engine=ImageFont.Layout.BASIC)
        for digit in range(10):
            masters[font_index, digit] = _master(font, str(digit))
    return masters


def _master(font: ImageFont.FreeTypeFont, digit: str) -> Floats:
    """One digit, centred, 3/4 of the canvas high."""
    left, top, right, bottom = font.getbbox(digit)
    ink = Image.new("L", (int(right - left), int(bottom - top)), 0)
    ImageDraw.Draw(ink).text((-left, -top), digit, font=font, fill=255)
    height = 3 * _MASTER // 4
    ink = ink.resize((max(1, round(ink.width * height / ink.height)), height), Image.Resampling.BILINEAR)
    canvas = Image.new("L", (_MASTER, _MASTER), 0)
    canvas.paste(ink, ((_MASTER - ink.width) // 2, (_MASTER - height) // 2))
    return np.asarray(canvas.filter(ImageFilter.GaussianBlur(2.5)), np.float32) / 255


def _draw(masters: Floats, labels: NDArray[np.int64], start: int, seed: int) -> NDArray[np.uint8]:
    """Glyphs `start` to `start + N` as `(N, 8, 8)`."""
    streams = [np.random.default_rng([seed, start + i]) for i in range(len(labels))]
    uniform = np.stack([stream.random(8, np.float32) for stream in streams])
    bends = np.stack([stream.standard_normal((2, _KNOTS, _KNOTS), np.float32) for stream in streams])
    fonts = (uniform[:, 0] * len(_FONTS)).astype(np.int64)
    ink = _sample(masters[fonts, labels], _coordinates(uniform[:, 1:7], bends))
    share = 0.14 + 0.34 * uniform[:, 7]
    flat = np.sort(ink.reshape(len(ink), -1), axis=1)
    at = ((1 - share) * flat.shape[1]).astype(np.int64)
    threshold = np.maximum(flat[np.arange(len(ink)), at], 0.12)[:, None, None]
    ink = np.clip((ink - threshold) * 6 + 0.5, 0, 1)
    block = _DRAWN // _CELLS
    cells = ink.reshape(-1, _CELLS, block, _CELLS, block).mean(axis=(2, 4))
    return np.round(np.round(cells * 16) * (255 / 16)).astype(np.uint8)


def _coordinates(uniform: Floats, bends: Floats) -> Floats:
    """Where in its master, `(N, 2, 32, 32)` as y and x in pixels, each pixel of a glyph comes from."""
    signed = 2 * uniform - 1
    angle, shear = 0.26 * signed[:, 0], 0.3 * signed[:, 1]
    wide, high = np.exp(0.25 * signed[:, 2]) , np.exp(0.12 * signed[:, 3] )
    line = (np.arange(_DRAWN, dtype=np.float32) + 0.5) / _DRAWN - 0.5
    y, x = np.meshgrid(line, line, indexing="ij")
    grid = np.stack([y, x])[None] + 0.08 * _smooth(bends)
    grid[:, 0] += (0.03 * signed[:, 4])[:, None, None]
    grid[:, 1] += (0.08 * signed[:, 5])[:, None, None]
    cos, sin = np.cos(angle), np.sin(angle)
    rows = np.stack([np.stack([cos, -sin], 1), np.stack([sin + shear * cos, cos - shear * sin], 1)], 1)
    rows = rows / np.stack([high, wide], 1)[:, :, None]
    warped: Floats = np.einsum("nij,njyx->niyx", rows, grid).astype(np.float32)
    return warped * (_MASTER * 0.78) + (_MASTER - 1) / 2


def _smooth(knots: Floats) -> Floats:
    """Values at 4x4 knots, `(N, 2, 4, 4)`, spread over the bitmap, `(N, 2, 32, 32)`, by linear interpolation."""
    at = np.linspace(0, _KNOTS - 1, _DRAWN, dtype=np.float32)
    weights = np.clip(1 - np.abs(at[:, None] - np.arange(_KNOTS, dtype=np.float32)), 0, 1)
    spread: Floats = weights @ knots @ weights.T
    return spread


def _sample(images: Floats, at: Floats) -> Floats:
    """Images `(N, H, W)` read at `(N, 2, h, w)` by linear interpolation; black outside."""
    size = images.shape[-1]
    at = np.clip(at, 0, size - 1.001)
    low = at.astype(np.int64)
    part = at - low
    y, x = low[:, 0], low[:, 1]
    v, u = part[:, 0], part[:, 1]
    n = np.arange(len(images))[:, None, None]
    top = images[n, y, x] * (1 - u) + images[n, y, x + 1] * u
    bottom = images[n, y + 1, x] * (1 - u) + images[n, y + 1, x + 1] * u
    blended: Floats = top * (1 - v) + bottom * v
    return blended
