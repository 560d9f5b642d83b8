"""Pictures as text inside a page: as they are where they are small, drawn smaller where they are not."""

import base64
import io
from pathlib import Path

from PIL import Image, UnidentifiedImageError

# Bytes of one picture: with the five that are no drawings a page stays below 5 MB.
MOST = 480_000
# Pixels of the longer side from which on a picture is drawn smaller, whatever its bytes.
LONGEST = 2400


def data_uri(picture: bytes | Path, most: int = MOST) -> str | None:
    """The picture, an SVG or what Pillow reads, as a `data:` address; None where there is no picture.

    Args:
        picture: its bytes, or its file.
        most: bytes; a larger one becomes a JPEG, if need be of fewer pixels.
    """
    try:
        found = picture if isinstance(picture, bytes) else picture.read_bytes()
    except OSError:
        return None
    if found.lstrip()[:5] in (b"<?xml", b"<svg ", b"<svg/", b"<svg>"):
        return _uri("svg+xml", found)
    try:
        with Image.open(io.BytesIO(found)) as image:
            image.load()
            kind = (image.format or "").lower()
            if len(found) > most or max(image.size) > LONGEST or kind not in ("png", "jpeg"):
                kind, found = "jpeg", _smaller(image, most)
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        return None
    return _uri(kind, found)


def _smaller(image: Image.Image, most: int) -> bytes:
    """As a JPEG of at most so many bytes, of the highest quality and then size for which it fits."""
    whole = Image.new("RGB", image.size, "white")
    shown = image.convert("RGBA")
    whole.paste(shown, mask=shown.getchannel("A"))
    whole.thumbnail((LONGEST, LONGEST))
    for quality in (88, 75, 60):
        if len(found := _jpeg(whole, quality)) <= most:
            return found
    while len(found) > most:
        whole = whole.resize([max(1, int(0.8 * side)) for side in whole.size])
        found = _jpeg(whole, 75)
    return found


def _jpeg(image: Image.Image, quality: int) -> bytes:
    written = io.BytesIO()
    image.save(written, "jpeg", quality=quality, optimize=True)
    return written.getvalue()


def _uri(kind: str, found: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(found).decode('ascii')}"
