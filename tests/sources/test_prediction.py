"""Images named on the command line: found, and read without stopping at one that cannot be."""

from pathlib import Path

import pytest
import torch
from torchvision.transforms import v2

from graft.data import file_images
from graft.data.image_kind import IMAGES
from graft.errors import GraftError
from graft.sources import ReadableSamples, collate_readable, find_images, find_samples, image_folder


@pytest.fixture
def folder(tmp_path, paint):
    for name in ("b.png", "a.JPG", "below/c.png"):
        paint(tmp_path / name)
    (tmp_path / "notes.txt").touch()
    return tmp_path


def test_one_file_a_folder_or_a_pattern(folder):
    assert find_images(str(folder / "b.png")) == ([folder / "b.png"], [])
    found = find_images(str(folder))
    assert found.files == [folder / "a.JPG", folder / "b.png", folder / "below" / "c.png"]
    assert found.notes == [
        "left out: 1 file that is no image that Pillow decodes (.txt 1), such as notes.txt"
    ]
    assert find_images(str(folder / "*.png")).files == [folder / "b.png"]
    assert find_images(str(folder / "**" / "*.png")).files == [folder / "b.png", folder / "below" / "c.png"]


@pytest.mark.parametrize("source", ["gone.png", "*.gif", "empty"])
def test_nothing_found(folder, source):
    (folder / "empty").mkdir()
    with pytest.raises(GraftError, match="source="):
        find_images(str(folder / source))


def test_a_folder_is_walked_as_in_training(tmp_path, paint):
    for suffix in ("gif", "jfif", "jp2", "avif", "PNG"):
        paint(tmp_path / "photos" / "a" / f"x.{suffix}")
    paint(tmp_path / "photos" / "b" / "._x.jpg")
    paint(tmp_path / "photos" / "b" / "x.jpg" / "inner.png")
    paint(tmp_path / "photos" / "b" / "y.png").rename(tmp_path / "photos" / "b" / "y")
    (tmp_path / "photos" / "b" / "README").write_text("no image")
    (tmp_path / "photos" / "b" / "Thumbs.db").touch()
    paint(tmp_path / "elsewhere" / "z.png")
    (tmp_path / "photos" / "b" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "photos" / "b" / "up").symlink_to("..")
    found = find_images(str(tmp_path / "photos"))
    names = [file.relative_to(tmp_path / "photos").as_posix() for file in found.files]
    assert names == [
        *("a/x.PNG", "a/x.avif", "a/x.gif", "a/x.jfif", "a/x.jp2"),
        *("b/linked/z.png", "b/x.jpg/inner.png", "b/y"),
    ]
    assert found.notes == [
        "left out: 1 file that is no image that Pillow decodes (no suffix 1), such as b/README",
        "left out: 2 hidden or system files and folders, such as b/._x.jpg",
        "left out: 1 link to what is found elsewhere, such as b/up",
    ]
    trained = image_folder(str(tmp_path / "photos"))
    assert trained.samples.names == names
    assert trained.notes == found.notes


def test_what_a_pattern_matches_is_accounted_for(folder):
    (folder / "again.png").symlink_to("b.png")
    (folder / "._b.png").touch()
    found = find_images(str(folder / "*"))
    assert found.files == [folder / "a.JPG", folder / "b.png"]
    assert [note.split(" ", 4)[4] for note in found.notes] == [
        f"that is no image that Pillow decodes (.txt 1), such as {folder}/notes.txt",
        f"to what is found elsewhere, such as {folder}/again.png",
        f"that was matched, such as {folder}/below",
    ]
    (folder / "below" / "up").symlink_to("..")
    assert len(find_images(str(folder / "**")).files) == 3


def test_what_cannot_be_read_is_reported_and_the_rest_goes_on(folder):
    (folder / "b.png").write_text("no image")
    found = find_samples(str(folder), IMAGES, {})
    names = [*found.samples.names, str(folder / "gone.png")]
    items = ReadableSamples(file_images(Path(), names, [0] * 4), v2.PILToTensor())
    assert len(items) == 4
    indices, images, failures = collate_readable([items[index] for index in range(4)])
    assert indices == [0, 2]
    assert images.shape == (2, 3, 10, 12)
    assert images.dtype == torch.uint8
    assert [index for index, _ in failures] == [1, 3]
    assert "b.png: cannot be read as an image" in failures[0][1]
    assert "no such image" in failures[1][1]


def test_a_batch_of_nothing_but_failures(folder):
    items = ReadableSamples(file_images(folder, ["gone.png"], [0]), v2.PILToTensor())
    indices, images, failures = collate_readable([items[0]])
    assert (indices, len(images), len(failures)) == ([], 0, 1)
