"""Which files Pillow decodes by itself, by their suffix or their content. Imports no torch."""

import functools
import os
import warnings

from PIL import Image, ImageFile

# EPS starts Ghostscript, which runs the file as a program. Of MPEG Pillow reads the header only.
_NOT_BY_ITSELF = ("EPS", "MPEG")
# Opened as JPEG: it consists of several.
_IN_A_JPEG = "MPO"


@functools.cache
def formats() -> tuple[str, ...]:
    """Pillow's names of the formats that it decodes without another program, the usual ones first."""
    Image.preinit()
    Image.init()
    return tuple(
        name
        for name in Image.ID
        if name not in _NOT_BY_ITSELF
        and not (isinstance(made := Image.OPEN[name][0], type) and issubclass(made, ImageFile.StubImageFile))
    )


@functools.cache
def suffixes() -> frozenset[str]:
    """Those of `formats`, in small letters, with the dot."""
    known = (*formats(), _IN_A_JPEG)
    return frozenset(suffix for suffix, name in Image.registered_extensions().items() if name in known)


def is_image(path: str) -> bool:
    """Whether a file is an image: by its suffix or, where it has none, by its first bytes."""
    suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122
    return suffix in suffixes() if suffix not in ("", ".") else _begins_as_image(path)


@functools.cache
def _with_a_beginning() -> tuple[str, ...]:
    """Formats that can be told from their first bytes; the others take almost any file for theirs."""
    return tuple(name for name in formats() if Image.OPEN[name][1] is not None)


def _begins_as_image(path: str) -> bool:
    try:
        with warnings.catch_warnings():
            # An image with too many pixels is still an image.
            warnings.simplefilter("ignore")
            with Image.open(path, formats=_with_a_beginning()):
                return True
    except (Image.DecompressionBombError, PermissionError):
        # The code that reads it later reports it.
        return True
    # A parser may raise anything on a file that is no image.
    except Exception:
        return False
