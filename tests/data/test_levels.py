"""Images of more than 8 bits are never silently black or white, and all of a data set by one rule."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from graft.data import SampleError, read_image, to_rgb
from graft.data.headers import is_deep
from graft.data.images import read_values, stored_mode
from graft.data.levels import AS_DECLARED, Levels, chosen_levels, find_levels, fitting, levels_from
from graft.sources.opening import open_data


def png(path, values):
    """Write `(H, W, C)` as a PNG of 16 bits, which Pillow cannot write in colour."""
    height, width, channels = values.shape

    def chunk(name, content):
        whole = name + content
        return struct.pack(">I", len(content)) + whole + struct.pack(">I", zlib.crc32(whole))

    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0))
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )
    return path


@pytest.fixture
def noise():
    def noise(end, *shape, begin=0, seed=0):
        return np.random.default_rng(seed).integers(begin, end, shape).astype(np.uint16)

    return noise


@pytest.fixture
def photos(tmp_path, noise):
    """Two classes of 12 bits in 16, of which one is dark, as microscopes leave them."""
    for place, (name, end) in enumerate((("dark", 900), ("light", 4000))):
        for index in range(3):
            png(tmp_path / "photos" / name / f"{index}.png", noise(end, 8, 9, 1, seed=10 * place + index))
    return tmp_path / "photos"


def opened(root, model=None):
    return open_data({"_target_": "graft.sources.image_folder", "root": str(root)}, model)


@pytest.mark.parametrize(
    ("begin", "end", "levels"),
    [
        (0, 200, (0, 255)),
        (0, 1000, (0, 1023)),
        (5, 3976, (0, 4095)),
        (0, 16000, (0, 16383)),
        (0, 65536, (0, 65535)),
    ],
)
def test_the_least_range_that_holds_all(noise, begin, end, levels):
    values = noise(end, 99, 99, begin=begin).astype(float)
    assert fitting(values.min(), values.max(), values.ravel()) == levels


def test_a_range_that_is_hardly_used_is_drawn_out(noise):
    values = noise(34_000, 99, 99, begin=30_000).astype(float)
    assert fitting(values.min(), values.max(), values.ravel()) == pytest.approx((30_000, 34_000), abs=5)
    # One stuck pixel turns nothing black.
    values = noise(3000, 200, 200).astype(float)
    values[0, 0] = 65_535
    assert fitting(0, 65_535, values.ravel()) == pytest.approx((0, 3000), abs=5)
    # A few bright spots are what there is to see.
    values = noise(200, 100, 100, begin=100).astype(float)
    values[50, 50:55] = 4000
    assert fitting(100, 4000, values.ravel()) == (0, 4095)
    assert fitting(-1024, 3071, np.linspace(-1024, 3071, 999)) == (-1024, 3071)
    assert fitting(0, 1, np.linspace(0, 1, 99)) == (0, 1)
    assert fitting(7, 7, np.full(9, 7.0)) == (0, 255)


def test_all_images_of_a_data_set_have_one_rule_and_it_is_told(photos, noise):
    data = opened(photos)
    assert data.levels == {"whole": (0, 4095)}
    assert data.notes == [
        "images of more than 8 bits: their values run from 2 to 3978; 0 is taken as black, 4095 as white"
    ]
    for index, name in enumerate(data.samples.names):
        expected = np.rint(np.asarray(Image.open(photos / name)) * (255 / 4095)).astype(np.uint8)
        assert np.array_equal(np.asarray(data.samples[index])[..., 0], expected)
    assert np.asarray(data.samples[0]).max() == pytest.approx(56, abs=1)
    # What keeps features or pixels does so for these levels.
    digest = data.samples.digest(0)
    assert digest != data.levelled({"whole": Levels(0, 65535)}).samples.digest(0)
    png(photos / "light" / "3.png", noise(60_000, 8, 9, 1))
    assert opened(photos).levels == {"whole": (0, 65535)}


def test_a_model_sees_other_images_by_its_own_levels(photos, noise):
    model = {"whole": Levels(0, 16383)}
    data = opened(photos, model)
    assert data.levels == model
    assert np.asarray(data.samples[5]).max() < 64
    assert data.notes == [
        "warning: images of more than 8 bits: their values run from 2 to 3978; 0 is taken as black, "
        "16383 as white, as the model was trained"
    ]
    assert opened(photos, {"whole": Levels(0, 4095)}).notes == opened(photos).notes


def test_what_would_be_white_is_named(photos, tmp_path, noise):
    path = png(tmp_path / "bright.png", noise(60_000, 8, 9, 1))
    with pytest.raises(SampleError, match=r"bright.png: mode I;16 holds .* lie beyond black"):
        read_image(path, levels=opened(photos).levels)
    assert np.asarray(read_image(path)).max() > 200


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_colours_of_16_bits(tmp_path, noise, channels):
    values = noise(4096, 6, 7, channels)
    values[0, 0] = 4095
    if channels in (2, 4):
        values[..., -1] = 65535
    path = png(tmp_path / "a.png", values)
    colours = np.rint(values[..., : 3 if channels > 2 else 1] * (255 / 4095))
    assert is_deep(path)
    assert stored_mode(path) == {2: "RGBA;16", 3: "RGB;16", 4: "RGBA;16"}[channels]
    assert np.array_equal(np.asarray(read_image(path)), np.broadcast_to(colours, (6, 7, 3)))
    kind, found = read_values(path)
    assert kind == "whole"
    assert np.array_equal(found, np.broadcast_to(values[..., : 3 if channels > 2 else 1], (6, 7, 3)))
    # Of the whole range they are what they were.
    path = png(tmp_path / "b.png", np.dstack([values[..., :-1] << 4, values[..., -1:]]))
    with Image.open(path) as image:
        upper = np.asarray(image.convert("RGB")).astype(int)
    assert abs(np.asarray(read_image(path)).astype(int) - upper).max() <= 1


@pytest.mark.parametrize("compression", [None, "tiff_adobe_deflate"])
def test_tiff_files(tmp_path, noise, compression):
    values = noise(4096, 6, 7)
    values[0, 0] = 4095
    Image.fromarray(values).save(tmp_path / "a.tiff", compression=compression)
    assert np.array_equal(np.asarray(read_image(tmp_path / "a.tiff"))[..., 0], np.rint(values * (255 / 4095)))
    Image.fromarray(values.astype(np.float32) - 1024).save(tmp_path / "b.tiff", compression=compression)
    assert read_values(tmp_path / "b.tiff")[0] == "float"
    assert np.asarray(read_image(tmp_path / "b.tiff")).max() == 255


def test_images_of_8_bits_are_left_alone(tmp_path, paint):
    dark = np.arange(16, dtype=np.uint8).reshape(4, 4)
    for name in ("a/x.png", "b/x.tif"):
        paint(tmp_path / "photos" / name)
        Image.fromarray(dark).save(tmp_path / "photos" / name)
    data = opened(tmp_path / "photos")
    assert (data.levels, data.notes) == (None, [])
    assert np.array_equal(np.asarray(data.samples[0])[..., 0], dark)
    assert not is_deep(tmp_path / "photos/a/x.png")
    assert not is_deep(tmp_path / "gone.png")


def test_a_damaged_file_decides_nothing(photos):
    (photos / "light" / "0.png").write_bytes((photos / "light" / "0.png").read_bytes()[:60])
    assert opened(photos).levels == {"whole": (0, 4095)}


def test_a_model_of_an_older_version_reads_as_it_did(noise):
    old = levels_from({})
    assert old == {"whole": AS_DECLARED, "float": AS_DECLARED}
    values = noise(4096, 5, 5)
    found = np.asarray(to_rgb(Image.fromarray(values), old))[..., 0]
    assert np.array_equal(found, np.rint(values / 257))
    for wrong in (2.0, -1.0):
        with pytest.raises(SampleError, match=r"mode F holds values from .*, not 0 to 1"):
            to_rgb(Image.fromarray(np.array([[0.0, wrong]], dtype=np.float32)), old)
    assert levels_from({"levels": None}) is None
    assert levels_from({"levels": {"whole": [0, 4095]}}) == {"whole": (0, 4095)}


def test_nothing_is_found_in_nothing():
    assert chosen_levels(find_levels([], read_values), None) == (None, [])


def test_a_file_that_pillow_would_misread_is_refused(tmp_path, noise):
    planes = [noise(4096, 5, 7, seed=seed).tobytes() for seed in range(3)]
    begin = 8 + 2 + 12 * 10 + 4
    entries = [
        *((256, 4, 1, 7), (257, 4, 1, 5), (258, 3, 3, begin), (259, 3, 1, 1), (262, 3, 1, 2)),
        *((273, 4, 3, begin + 6), (277, 3, 1, 3), (278, 4, 1, 5), (279, 4, 3, begin + 18), (284, 3, 1, 2)),
    ]
    starts = [begin + 30 + len(planes[0]) * place for place in range(3)]
    content = b"II*\0" + struct.pack("<IH", 8, 10) + b"".join(struct.pack("<HHII", *one) for one in entries)
    content += struct.pack("<I3H3I3I", 0, 16, 16, 16, *starts, *map(len, planes)) + b"".join(planes)
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(SampleError, match=r"a.tif: 16-bit colours, one after the other, are not read"):
        read_image(tmp_path / "a.tif")
