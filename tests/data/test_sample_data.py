"""What a source may return, and the one list that its parts make."""

import hashlib
import pickle

import numpy as np
import pytest
from PIL import Image

from graft.data import ImageSamples, SampleData, SampleError, array_images, file_images
from graft.errors import GraftError


def test_a_list_of_images_is_rgb_whatever_is_loaded():
    images = ImageSamples(["a", "b"], [0, 1], lambda index: Image.new("L", (3, 2), index))
    assert len(images) == 2
    assert images.labels.dtype == np.int64
    assert images[1].mode == "RGB"
    assert images[1].getpixel((0, 0)) == (1, 1, 1)
    assert images.content(1) == bytes([1] * 18) + b"(3, 2)"


def test_an_image_in_memory_that_cannot_be_used_is_named():
    images = ImageSamples(
        ["slide/7"], [0], lambda index: Image.fromarray(np.full((2, 2), np.nan, np.float32))
    )
    with pytest.raises(SampleError, match=r"^slide/7: mode F"):
        images[0]


def test_files(tmp_path, paint):
    paint(tmp_path / "a" / "x.png", (1, 2, 3))
    images = file_images(tmp_path, ["a/x.png"], [0])
    assert images[0].getpixel((0, 0)) == (1, 2, 3)
    assert images.content(0) == (tmp_path / "a" / "x.png").read_bytes()


def test_parts_are_joined_in_order():
    pixels = np.arange(5, dtype=np.uint8)[:, None, None].repeat(2, 1).repeat(2, 2)
    train = array_images(["a", "b", "c"], [0, 1, 0], pixels[:3])
    test = array_images(["d", "e"], [1, 0], pixels[3:])
    data = SampleData(["x", "y"], {"train": train, "test": test})
    assert data.samples.names == ["a", "b", "c", "d", "e"]
    assert data.samples.labels.tolist() == [0, 1, 0, 1, 0]
    assert [data.samples[index].getpixel((0, 0))[0] for index in range(5)] == [0, 1, 2, 3, 4]
    assert [data.samples.content(index)[0] for index in range(5)] == [0, 1, 2, 3, 4]


def test_images_can_be_sent_to_worker_processes(noise, tmp_path, paint):
    paint(tmp_path / "x.png")
    for images in (noise({"train": [2, 2], "val": [1, 1]}).samples, file_images(tmp_path, ["x.png"], [0])):
        again = pickle.loads(pickle.dumps(images))
        assert again[0].tobytes() == images[0].tobytes()


def test_relabelled(noise):
    data = noise({"all": [2, 3]})
    changed = data.relabelled(np.array([2, 0]), ["p", "q", "r"])
    assert changed.class_names == ["p", "q", "r"]
    assert changed.samples.labels.tolist() == [[2, 0][label] for label in data.samples.labels]
    assert changed.samples[3].tobytes() == data.samples[3].tobytes()


@pytest.mark.parametrize("parts", [(), ("all", "train"), ("train", "dev"), ("all", "test")])
def test_other_parts_are_refused(parts):
    images = {part: ImageSamples([part], [0], lambda index: Image.new("L", (1, 1))) for part in parts}
    with pytest.raises(GraftError, match="the parts are"):
        SampleData(["x", "y"], images)


@pytest.mark.parametrize(
    ("class_names", "names", "labels", "match"),
    [
        ([], ["a"], [0], "no classes"),
        (["x", "x"], ["a"], [0], "class name occurs twice"),
        (["x", "y"], ["a", "a"], [0, 1], "two images are called a"),
        (["x", "y"], ["a", "b"], [0, 2], "labels run from 0 to 2"),
        (["x", "y"], ["a", "b"], [-1, 0], "labels run from -1 to 0"),
        (["x", "y"], ["a", "b"], [0], "2 samples have 1 labels"),
    ],
)
def test_what_does_not_fit_is_refused(class_names, names, labels, match):
    with pytest.raises(GraftError, match=match):
        SampleData(class_names, {"all": ImageSamples(names, labels, lambda index: Image.new("L", (1, 1)))})


def test_a_digest_is_the_contents_and_is_computed_once():
    asked = []

    def content(index):
        asked.append(index)
        return bytes([index])

    images = ImageSamples(["a", "b"], [0, 1], lambda index: Image.new("L", (1, 1)), content)
    digests = [images.digest(index) for index in (0, 1, 0)]
    assert digests[0] == digests[2] == hashlib.sha256(b"\0").digest() != digests[1]
    assert asked == [0, 1]


def test_what_reads_the_images_is_told_through_parts():
    def own(index):
        return Image.new("L", (1, 1))

    parts = {
        "train": ImageSamples(["a"], [0], own),
        "test": array_images(["b"], [1], np.zeros((1, 2, 2), np.uint8)),
    }
    loaders = SampleData(["x", "y"], parts).samples.loaders()
    assert loaders[0] is own
    assert loaders[1].__name__ == "_load_array"


@pytest.mark.parametrize(
    ("class_names", "parts", "match"),
    [
        (["x"], ["all"], "one class only, x"),
        (["x", "y"], ["val", "test"], "val and test found, but no train"),
    ],
)
def test_what_can_only_be_tested_is_refused_where_something_trains(class_names, parts, match):
    images = {part: ImageSamples([part], [0], lambda index: Image.new("L", (1, 1))) for part in parts}
    with pytest.raises(GraftError, match=match):
        SampleData(class_names, images).check_trainable()
