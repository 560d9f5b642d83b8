"""Images named on the command line: found, and read without stopping at one that cannot be."""

import pytest
import torch
from torchvision.transforms import v2

from graft.data import PathImages, collate_readable, find_images
from graft.errors import GraftError


@pytest.fixture
def folder(tmp_path, paint):
    for name in ("b.png", "a.JPG", "below/c.png"):
        paint(tmp_path / name)
    (tmp_path / "notes.txt").touch()
    return tmp_path


def test_one_file_a_folder_or_a_pattern(folder):
    assert find_images(str(folder / "b.png")) == [folder / "b.png"]
    assert find_images(str(folder)) == [folder / "a.JPG", folder / "b.png", folder / "below" / "c.png"]
    assert find_images(str(folder / "*.png")) == [folder / "b.png"]
    assert find_images(str(folder / "**" / "*.png")) == [folder / "b.png", folder / "below" / "c.png"]


@pytest.mark.parametrize("source", ["gone.png", "*.gif", "empty"])
def test_nothing_found(folder, source):
    (folder / "empty").mkdir()
    with pytest.raises(GraftError, match="source="):
        find_images(str(folder / source))


def test_what_cannot_be_read_is_reported_and_the_rest_goes_on(folder):
    (folder / "b.png").write_text("no image")
    files = [*find_images(str(folder)), folder / "gone.png"]
    items = PathImages(files, v2.PILToTensor())
    assert len(items) == 4
    indices, images, failures = collate_readable([items[index] for index in range(4)])
    assert indices == [0, 2]
    assert images.shape == (2, 3, 10, 12)
    assert images.dtype == torch.uint8
    assert [index for index, _ in failures] == [1, 3]
    assert "b.png: cannot be read as an image" in failures[0][1]
    assert "no such image" in failures[1][1]


def test_a_batch_of_nothing_but_failures(folder):
    indices, images, failures = collate_readable([PathImages([folder / "gone.png"], v2.PILToTensor())[0]])
    assert (indices, len(images), len(failures)) == ([], 0, 1)
