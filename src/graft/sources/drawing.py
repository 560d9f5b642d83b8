"""The source task that needs no download: printed digits, warped until they resemble handwriting."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from graft.data.image_samples import array_images
from graft.data.sample_data import SampleData

# Those of matplotlib's fonts that draw the ten digits. Left out: old-style numerals (cmmi10), DejaVu
# Mono, whose dotted zero is an eight at this size, and cmti10, which came with matplotlib 3.11 only.
_FONTS = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique"),
    *("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic"),
    *("STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta"),
    *("cmr10", "cmb10", "cmss10", "cmtt10"),
)
_MASTER = 64  # px a side of a printed digit before it is warped
_DRAWN = 32  # px a side of the warped bitmap, as the 1,797 real digits had
_CELLS = 8  # px a side of the image: each counts the ink of 4x4 pixels, again as the real digits
_CHUNK = 500  # glyphs warped at once; keeps the arrays within a few MB
_KNOTS = 4  # points a side at which the elastic warp is drawn

Floats = NDArray[np.float32]


def glyphs(size: int = 10_000, seed: int = 0) -> SampleData:
    """Digits in matplotlib's fonts, randomly turned, sheared, stretched, moved, thickened and bent.

    Every class has as many images as the others, give or take one. Image `i` depends on `seed` and `i`
    alone, so a smaller set is the beginning of a larger one.

    Args:
        size: how many images to draw, at least 1.
        seed: of all randomness.

    Returns:
        One part "all" of 8x8 greyscale images, made as scikit-learn's digits were made from handwriting.
    """
    labels = np.arange(size, dtype=np.int64) % 10
    masters = _masters()
    pixels = np.concatenate(
        [_draw(masters, labels[start : start + _CHUNK], start, seed) for start in range(0, size, _CHUNK)]
    )
    names = [f"glyphs/{index:05d}" for index in range(size)]
    return SampleData([str(digit) for digit in range(10)], {"all": array_images(names, labels, pixels)})


def _masters() -> Floats:
    """Each font's digits, `(fonts, 10, 64, 64)` in 0-1, blurred so that a threshold sets the stroke."""
    # Slow to import, and no other source needs it.
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    masters = np.zeros((len(_FONTS), 10, _MASTER, _MASTER), np.float32)
    for index, name in enumerate(_FONTS):
        # The basic layout engine draws the same everywhere; Raqm is not in every build of Pillow.
        font = ImageFont.truetype(str(folder / f"{name}.ttf"), _MASTER, layout_engine=ImageFont.Layout.BASIC)
        for digit in range(10):
            masters[index, digit] = _master(font, str(digit))
    return masters


def _master(font: ImageFont.FreeTypeFont, digit: str) -> Floats:
    """One digit, `(64, 64)`, centred, 3/4 of the canvas high."""
    left, top, right, bottom = font.getbbox(digit)
    ink = Image.new("L", (int(right - left), int(bottom - top)), 0)
    ImageDraw.Draw(ink).text((-left, -top), digit, font=font, fill=255)
    height = 3 * _MASTER // 4
    ink = ink.resize((max(1, round(ink.width * height / ink.height)), height), Image.Resampling.BILINEAR)
    canvas = Image.new("L", (_MASTER, _MASTER), 0)
    canvas.paste(ink, ((_MASTER - ink.width) // 2, (_MASTER - height) // 2))
    blurred: Floats = np.asarray(canvas.filter(ImageFilter.GaussianBlur(2.5)), np.float32) / np.float32(255)
    return blurred


def _draw(masters: Floats, labels: NDArray[np.int64], start: int, seed: int) -> NDArray[np.uint8]:
    """Glyphs `start` to `start + N` as `(N, 8, 8)`."""
    streams = [np.random.default_rng([seed, start + i]) for i in range(len(labels))]
    uniform = np.stack([stream.random(8, np.float32) for stream in streams])
    bends = np.stack([stream.standard_normal((2, _KNOTS, _KNOTS), np.float32) for stream in streams])
    fonts = (uniform[:, 0] * len(_FONTS)).astype(np.int64)
    ink = _thicken(_sample(masters[fonts, labels], _origins(uniform[:, 1:7], bends)), uniform[:, 7])
    block = _DRAWN // _CELLS
    cells = ink.reshape(-1, _CELLS, block, _CELLS, block).mean(axis=(2, 4))
    # 17 grey levels, as there are from 0 to 16 inked pixels in a block.
    levels: NDArray[np.uint8] = np.round(np.round(cells * 16) * (255 / 16)).astype(np.uint8)
    return levels


def _origins(uniform: Floats, bends: Floats) -> Floats:
    """Where in its master, `(N, 2, 32, 32)` as y and x in px, each pixel of a glyph comes from."""
    signed = 2 * uniform - 1
    angle, shear = 0.26 * signed[:, 0], 0.3 * signed[:, 1]
    wide, high = np.exp(0.25 * signed[:, 2]), np.exp(0.12 * signed[:, 3])
    line = (np.arange(_DRAWN, dtype=np.float32) + 0.5) / _DRAWN - 0.5
    grid = np.stack(np.meshgrid(line, line, indexing="ij"))[None] + 0.08 * _smooth(bends)
    grid[:, 0] += (0.03 * signed[:, 4])[:, None, None]
    grid[:, 1] += (0.08 * signed[:, 5])[:, None, None]
    cos, sin = np.cos(angle), np.sin(angle)
    turned = np.stack([cos, -sin, sin + shear * cos, cos - shear * sin], 1).reshape(-1, 2, 2)
    turned /= np.stack([high, wide], 1)[:, :, None]
    origins: Floats = np.einsum("nij,njyx->niyx", turned, grid).astype(np.float32)
    return origins * (_MASTER * 0.78) + (_MASTER - 1) / 2


def _smooth(knots: Floats) -> Floats:
    """Values at 4x4 knots, `(N, 2, 4, 4)`, spread over the bitmap, `(N, 2, 32, 32)`, linearly."""
    positions = np.linspace(0, _KNOTS - 1, _DRAWN, dtype=np.float32)
    weights = np.clip(1 - np.abs(positions[:, None] - np.arange(_KNOTS, dtype=np.float32)), 0, 1)
    spread: Floats = weights @ knots @ weights.T
    return spread


def _sample(images: Floats, points: Floats) -> Floats:
    """Images `(N, H, H)` read at `(N, 2, h, w)` by linear interpolation; beyond the border, the border."""
    points = np.clip(points, 0, images.shape[-1] - 1.001)
    low = points.astype(np.int64)
    (y, x), (v, u) = np.moveaxis(low, 1, 0), np.moveaxis(points - low, 1, 0)
    n = np.arange(len(images))[:, None, None]
    upper = images[n, y, x] * (1 - u) + images[n, y, x + 1] * u
    lower = images[n, y + 1, x] * (1 - u) + images[n, y + 1, x + 1] * u
    blended: Floats = upper * (1 - v) + lower * v
    return blended


def _thicken(blurred: Floats, uniform: Floats) -> Floats:
    """Blurred digits `(N, H, W)` with strokes so wide that ink covers 14-48 % of the bitmap.

    Handwriting has one pen's width where print has hairlines and bold stems, so the area is what is drawn
    at random, and the threshold follows from it.
    """
    share = 0.14 + 0.34 * uniform
    ranked = np.sort(blurred.reshape(len(blurred), -1), axis=1)
    place = ((1 - share) * ranked.shape[1]).astype(np.int64)
    # A slim digit cannot cover that much: below 0.12 the paper itself would turn grey.
    threshold = np.maximum(ranked[np.arange(len(ranked)), place], 0.12)[:, None, None]
    inked: Floats = np.clip((blurred - threshold) * 6 + 0.5, 0, 1)
    return inked
