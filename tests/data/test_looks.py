"""One look tells whether an image can be read, its size and mode, and what it is like."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from graft.data import SampleData, Samples, array_images, file_images, looks
from graft.data.looks import Look, all_looks, look_at, readable


def picture(seed: int = 0, side: int = 64) -> Image.Image:
    """Smooth, as photographs are: coloured noise of 6 x 6, scaled."""
    noise = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((side, side + 16), Image.Resampling.BICUBIC)


def saved(folder: Path, **images: Image.Image) -> Samples:
    for name, image in images.items():
        image.save(folder / f"{name}.png")
    return file_images(folder, [f"{name}.png" for name in images], [0] * len(images))


def seen(images: Samples, index: int) -> Look:
    look = look_at(images, index)
    assert isinstance(look, Look), look
    return look


def test_size_and_mode_are_those_of_the_file(tmp_path: Path) -> None:
    deep = Image.fromarray(np.arange(600, dtype=np.uint16).reshape(20, 30) * 100)
    images = saved(
        tmp_path, plain=picture(), grey=picture().convert("L"), deep=deep, p=picture().convert("P")
    )
    found = [seen(images, index) for index in range(4)]
    assert [look.mode for look in found] == ["RGB", "L", "I;16", "P"]
    assert [(look.width, look.height) for look in found] == [(64, 80), (64, 80), (30, 20), (64, 80)]


def test_a_turned_image_is_measured_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture().save(tmp_path / "turned.jpg", exif=exif)
    look = seen(file_images(tmp_path, ["turned.jpg"], [0]), 0)
    assert (look.width, look.height) == (80, 64)


def test_equal_pixels_have_one_digest_in_any_format(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.png")
    picture().save(tmp_path / "b.bmp")
    changed = np.asarray(picture()).copy()
    changed[-1, -1, -1] ^= 1
    Image.fromarray(changed).save(tmp_path / "c.png")
    images = file_images(tmp_path, ["a.png", "b.bmp", "c.png"], [0, 0, 0])
    first, same, other = (seen(images, index).digest for index in range(3))
    assert first == same != other


def test_the_same_bytes_in_another_shape_are_another_image() -> None:
    pixels = np.zeros((1, 4, 9), np.uint8)
    wide, tall = (array_images(["x"], [0], pixels.reshape(1, *shape)) for shape in ((4, 9), (9, 4)))
    assert seen(wide, 0).digest != seen(tall, 0).digest


def test_a_scaled_and_compressed_copy_has_nearly_the_same_hash(tmp_path: Path) -> None:
    picture(side=200).save(tmp_path / "a.png")
    picture(side=200).resize((90, 97)).save(tmp_path / "b.jpg", quality=40)
    picture(seed=1, side=200).save(tmp_path / "c.png")
    first, copy, other = all_looks(file_images(tmp_path, ["a.png", "b.jpg", "c.png"], [0] * 3), 1, print)
    assert isinstance(first, Look)
    assert isinstance(copy, Look)
    assert isinstance(other, Look)
    assert (first.bits != copy.bits).sum() <= 4
    assert (first.bits != other.bits).sum() > 16


def test_an_image_of_one_hue_is_not_blank() -> None:
    reds = np.zeros((1, 3, 4, 3), np.uint8)
    reds[..., 0] = np.arange(12).reshape(3, 4)
    assert not seen(array_images(["x"], [0], reds), 0).blank


@pytest.mark.parametrize(("pixels", "blank"), [([7] * 12, True), ([7] * 11 + [8], False)])
def test_blank_is_one_colour_all_over(pixels: list[int], blank: bool) -> None:
    array = np.array(pixels, np.uint8).reshape(1, 3, 4)
    assert seen(array_images(["x"], [0], array), 0).blank is blank


def test_what_cannot_be_read_is_told_with_its_reason_and_stops_nothing(tmp_path: Path) -> None:
    picture().save(tmp_path / "good.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "good.png").read_bytes()[:200])
    (tmp_path / "text.jpg").write_text("no image")
    images = file_images(tmp_path, ["cut.png", "good.png", "text.jpg", "gone.png"], [0] * 4)
    found = all_looks(images, None, print)
    assert [index for index, _ in readable(found)] == [1]
    assert [str(found[index]).rpartition("/")[2][:8] for index in (0, 2, 3)] == [
        "cut.png:",
        "text.jpg",
        "gone.png",
    ]


def test_looks_are_in_order_whatever_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "BATCH", 3)
    pixels = np.random.default_rng(0).integers(0, 256, (20, 5, 5), dtype=np.uint8)
    images = array_images([str(i) for i in range(20)], [0] * 20, pixels)
    told: list[int] = []
    one, several = all_looks(images, 1, told.append), all_looks(images, 4, lambda done: None)
    digests = [[look.digest for _, look in readable(found)] for found in (one, several)]
    assert digests[0] == digests[1] == [seen(images, index).digest for index in range(20)]
    assert told == [3, 6, 9, 12, 15, 18, 20]


def test_modes_survive_joining_and_new_labels(tmp_path: Path) -> None:
    train, test = (tmp_path / "train"), (tmp_path / "test")
    train.mkdir()
    test.mkdir()
    parts = {"train": saved(train, a=picture()), "test": saved(test, b=picture().convert("LA"))}
    data = SampleData(["x", "y"], parts).relabelled(np.array([1, 0]), ["y", "x"])
    assert [data.samples.mode(index) for index in (0, 1)] == ["RGB", "LA"]
