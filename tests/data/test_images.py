"""Whatever an image file holds, it becomes upright 8-bit RGB, or one line that names the file."""

import numpy as np
import pytest
from PIL import Image

from graft.data import SampleError, read_image, to_rgb
from graft.errors import GraftError


def pixels(image):
    assert image.mode == "RGB"
    return np.asarray(image)


def message(path):
    with pytest.raises(GraftError) as caught:
        read_image(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_rgb_stays_as_it_is(tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    Image.fromarray(array).save(tmp_path / "a.png")
    assert np.array_equal(pixels(read_image(tmp_path / "a.png")), array)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_undone(tmp_path, orientation):
    upright = Image.fromarray(np.arange(60, dtype=np.uint8).reshape(4, 5, 3))
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation in undo else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(pixels(read_image(tmp_path / "a.png")), np.asarray(upright))


def test_a_broken_exif_block_does_not_cost_the_image(tmp_path):
    Image.new("RGB", (4, 4), (9, 8, 7)).save(tmp_path / "a.png", exif=b"Exif\0\0no such thing")
    assert (pixels(read_image(tmp_path / "a.png")) == (9, 8, 7)).all()


def test_grey_and_black_and_white():
    assert (pixels(to_rgb(Image.new("L", (2, 2), 77))) == 77).all()
    assert (pixels(to_rgb(Image.new("1", (2, 2), 1))) == 255).all()


@pytest.mark.parametrize("mode", ["I;16", "I"])
def test_16_bit_grey_is_scaled_not_clipped(tmp_path, mode):
    values = np.array([[0, 257, 1000], [32896, 65278, 65535]], dtype=np.uint16)
    image = Image.fromarray(values)
    if mode == "I":
        image = Image.fromarray(values.astype(np.int32))
    assert image.mode == mode
    image.save(tmp_path / "a.tiff")
    expected = np.rint(values / 257).astype(np.uint8)
    for found in (to_rgb(image), read_image(tmp_path / "a.tiff")):
        assert np.array_equal(pixels(found)[..., 0], expected)


def test_a_16_bit_png_file(tmp_path):
    Image.fromarray(np.array([[0, 32896, 65535]], dtype=np.uint16)).save(tmp_path / "a.png")
    assert pixels(read_image(tmp_path / "a.png"))[0, :, 1].tolist() == [0, 128, 255]


def test_floats_from_0_to_1_are_scaled_and_what_is_no_number_is_refused(tmp_path):
    image = Image.fromarray(np.array([[0.0, 0.5, 1.0]], dtype=np.float32))
    assert pixels(to_rgb(image))[0, :, 2].tolist() == [0, 128, 255]
    for wrong in (np.nan, np.inf):
        with pytest.raises(SampleError, match="mode F holds values"):
            to_rgb(Image.fromarray(np.array([[0.0, wrong]], dtype=np.float32)))
    Image.fromarray(np.array([[0.0, np.nan]], dtype=np.float32)).save(tmp_path / "a.tiff")
    assert "mode F" in message(tmp_path / "a.tiff")


def test_alpha_lies_on_white():
    clear, half = (10, 20, 30, 0), (0, 0, 0, 128)
    image = Image.new("RGBA", (2, 1))
    image.putdata([clear, half])
    found = pixels(to_rgb(image))[0]
    assert found[0].tolist() == [255, 255, 255]
    assert found[1].tolist() == [127, 127, 127]
    assert (pixels(to_rgb(Image.new("LA", (1, 1), (0, 0)))) == 255).all()


def test_palette_with_and_without_a_transparent_colour(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putdata([0, 1])
    image.save(tmp_path / "plain.png")
    image.save(tmp_path / "clear.png", transparency=1)
    assert pixels(read_image(tmp_path / "plain.png"))[0].tolist() == [[255, 0, 0], [0, 0, 255]]
    assert pixels(read_image(tmp_path / "clear.png"))[0].tolist() == [[255, 0, 0], [255, 255, 255]]


def test_cmyk(tmp_path):
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=100)
    red, green, blue = pixels(read_image(tmp_path / "a.jpg"))[4, 4]
    assert red > 240
    assert max(green, blue) < 15


def test_a_mode_without_a_meaning_in_rgb():
    with pytest.raises(SampleError, match="mode La"):
        to_rgb(Image.new("La", (2, 2)))


@pytest.mark.parametrize("suffix", ["png", "jpg", "tiff", "webp"])
def test_a_truncated_file_is_named(tmp_path, suffix):
    path = tmp_path / f"half.{suffix}"
    stream = np.random.default_rng(0)
    Image.fromarray(stream.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "cannot be read as an image" in message(path)


def test_files_that_are_no_images_are_named(tmp_path):
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "empty.jpg").touch()
    assert "cannot be read as an image" in message(tmp_path / "text.png")
    assert "cannot be read as an image" in message(tmp_path / "empty.jpg")
    assert "no such image" in message(tmp_path / "gone.png")


@pytest.mark.parametrize("most", [99, 40])
def test_more_pixels_than_pillow_allows(tmp_path, monkeypatch, paint, most):
    # Pillow only warns up to twice its limit.
    path = paint(tmp_path / "huge.png", size=(10, 10))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
    assert f"more than {most} pixels" in message(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    read_image(path)


def test_a_workers_traceback_is_cut_to_the_message():
    text = 'Caught SampleError in DataLoader worker process 0.\nOriginal Traceback:\n  File "x"\n'
    error = SampleError(f"{text}graft.data.samples.SampleError: a.png: cannot be read\n")
    assert str(error) == "a.png: cannot be read"


def test_a_program_for_another_interpreter_is_no_image(tmp_path):
    text = "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(x) run\n"
    (tmp_path / "a.png").write_text(text)
    assert "cannot be read as an image" in message(tmp_path / "a.png")


def test_an_image_without_pixels_is_named(tmp_path):
    (tmp_path / "a.gif").write_bytes(b"GIF89a\0\0\0\0\0\0\0,\0\0\0\0\0\0\0\0\0\x02\0;")
    assert "cannot be read as an image" in message(tmp_path / "a.gif")
    with pytest.raises(SampleError, match="0 x 5 px hold nothing"):
        to_rgb(Image.new("L", (0, 5)))
