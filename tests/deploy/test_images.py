"""The images that an export is checked with: the files themselves, and others as files without loss."""

from pathlib import Path

import numpy as np
from PIL import Image

from graft.data import SampleData, file_images
from graft.deploy.images import files_of


def test_what_is_no_file_is_written_without_loss(noise, photos: Path, tmp_path: Path) -> None:
    drawn = noise({"train": [2, 3]})
    names = ["red/00.png", "blue/01.png"]
    parts = {"train": drawn.parts["train"], "val": file_images(photos, names, [0, 1])}
    data = SampleData(drawn.class_names, parts)
    files = files_of(data, [6, 0, 4], tmp_path)
    assert list(files) == [6, 0, 4]
    assert files[6] == str(photos / "blue/01.png")
    for index in (0, 4):
        assert Path(files[index]).parent == tmp_path
        with Image.open(files[index]) as image:
            np.testing.assert_array_equal(np.asarray(image), np.asarray(data.samples[index]))
    # Without a place to write to, what is no file is left out.
    assert files_of(data, [6, 0, 4], None) == {6: files[6]}
