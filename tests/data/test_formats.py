"""Which files count as images: by suffix, or without one by their first bytes."""

import pytest
from PIL import Image

from graft.data.formats import formats, is_image, suffixes

FORMERLY = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")


def test_what_pillow_decodes_by_itself():
    assert suffixes().issuperset(FORMERLY)
    assert suffixes().issuperset((".gif", ".jfif", ".jp2", ".avif", ".mpo", ".tga", ".ico", ".apng"))
    # EPS starts Ghostscript, PDF can only be written, of the others Pillow knows no pixels.
    assert not suffixes() & {".eps", ".ps", ".pdf", ".mpg", ".h5", ".grib", ".wmf", ".emf", ".txt", ".heic"}
    assert not set(formats()) & {"EPS", "PDF", "MPEG", "HDF5", "WMF"}


def test_a_suffix_counts_whatever_the_content(tmp_path):
    (tmp_path / "x.JPG").touch()
    Image.new("RGB", (4, 4)).save(tmp_path / "y.png")
    (tmp_path / "y.png").rename(tmp_path / "y.txt")
    assert is_image(str(tmp_path / "x.JPG"))
    assert not is_image(str(tmp_path / "y.txt"))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP"])
def test_a_file_without_a_suffix_counts_by_its_content(tmp_path, form):
    Image.new("RGB", (4, 4)).save(tmp_path / "x", form)
    assert is_image(str(tmp_path / "x"))


def test_files_without_a_suffix_that_are_no_images(tmp_path, monkeypatch):
    for content in (
        b"",
        b"text",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        bytes(range(256)) * 9,
    ):
        (tmp_path / "x").write_bytes(content)
        assert not is_image(str(tmp_path / "x"))
    # One with too many pixels is one that cannot be read.
    Image.new("RGB", (10, 10)).save(tmp_path / "x", "PNG")
    for most in (99, 40):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
        assert is_image(str(tmp_path / "x"))
