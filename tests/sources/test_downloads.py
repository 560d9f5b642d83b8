"""torchvision's data sets in their official parts, from files made here; nothing is fetched."""

import pickle
import struct
import urllib.error

import numpy as np
import pytest
from torchvision import datasets
from torchvision.datasets import cifar, flowers102, utils

from graft.errors import GraftError
from graft.sources import torchvision_data


@pytest.fixture
def trusting(monkeypatch):
    """Every file that is there counts as whole."""
    for module in (cifar, flowers102):
        monkeypatch.setattr(module, "check_integrity", lambda path, md5=None: utils.os.path.isfile(path))


def write_cifar(folder, label_key, meta_key, train, test):
    folder.mkdir()
    for place, name in enumerate([*train, *test]):
        entry = {"data": np.full((4, 3072), place, np.uint8), label_key: [0, 1, 2, 1]}
        (folder / name).write_bytes(pickle.dumps(entry))
    (folder / "meta").write_bytes(pickle.dumps({meta_key: ["x", "y", "z"]}))


def test_cifar10(tmp_path, trusting):
    batches = [f"data_batch_{index}" for index in range(1, 6)]
    write_cifar(tmp_path / "cifar-10-batches-py", "labels", "label_names", batches, ["test_batch"])
    (tmp_path / "cifar-10-batches-py" / "meta").rename(tmp_path / "cifar-10-batches-py" / "batches.meta")
    data = torchvision_data("cifar10", str(tmp_path), download=False)
    assert data.class_names == ["x", "y", "z"]
    assert {part: len(images) for part, images in data.parts.items()} == {"train": 20, "test": 4}
    assert data.samples.names[:1] + data.samples.names[-1:] == ["train/00000", "test/00003"]
    assert data.samples.labels.tolist() == [0, 1, 2, 1] * 6
    assert data.samples[23].getpixel((0, 0)) == (5, 5, 5)
    assert data.samples[0].size == (32, 32)


def test_cifar100(tmp_path, trusting):
    write_cifar(tmp_path / "cifar-100-python", "fine_labels", "fine_label_names", ["train"], ["test"])
    data = torchvision_data("cifar100", str(tmp_path))
    assert {part: len(images) for part, images in data.parts.items()} == {"train": 4, "test": 4}


def test_fashion_mnist(tmp_path):
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for word, count in (("train", 5), ("t10k", 2)):
        images = np.arange(count, dtype=np.uint8).repeat(28 * 28).tobytes()
        (raw / f"{word}-images-idx3-ubyte").write_bytes(struct.pack(">4i", 2051, count, 28, 28) + images)
        labels = bytes(range(count))
        (raw / f"{word}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 2049, count) + labels)
    data = torchvision_data("fashion_mnist", str(tmp_path))
    assert data.class_names[0] == "T-shirt/top"
    assert data.parts["train"].labels.tolist() == [0, 1, 2, 3, 4]
    assert data.parts["test"].labels.tolist() == [0, 1]
    assert data.samples[4].getpixel((0, 0)) == (4, 4, 4)


def test_flowers102(tmp_path, trusting, paint):
    from scipy.io import savemat

    folder = tmp_path / "flowers-102"
    for index in range(1, 7):
        paint(folder / "jpg" / f"image_{index:05d}.jpg")
    savemat(folder / "setid.mat", {"trnid": [1, 2], "valid": [3, 4], "tstid": [5, 6]})
    savemat(folder / "imagelabels.mat", {"labels": [1, 2, 2, 1, 102, 3]})
    data = torchvision_data("flowers102", str(tmp_path), download=False)
    assert {part: images.labels.tolist() for part, images in data.parts.items()} == {
        "train": [0, 1],
        "val": [1, 0],
        "test": [101, 2],
    }
    assert data.samples.names[0] == "flowers-102/jpg/image_00001.jpg"
    assert len(data.class_names) == 102
    assert data.samples[5].mode == "RGB"


def test_oxford_pets(tmp_path, paint):
    folder = tmp_path / "oxford-iiit-pet"
    lists = {"trainval": ["Abyssinian_1 1 1 1", "great_pyrenees_2 2 2 1"], "test": ["Abyssinian_3 1 1 1"]}
    (folder / "annotations").mkdir(parents=True)
    for word, lines in lists.items():
        (folder / "annotations" / f"{word}.txt").write_text("\n".join(lines))
        for line in lines:
            paint(folder / "images" / f"{line.split()[0]}.jpg")
    data = torchvision_data("oxford_pets", str(tmp_path))
    assert data.class_names == ["Abyssinian", "Great Pyrenees"]
    assert data.parts["train"].labels.tolist() == [0, 1]
    assert data.parts["test"].names == ["oxford-iiit-pet/images/Abyssinian_3.jpg"]


def test_eurosat(tmp_path, paint):
    for name in ("Forest", "River"):
        paint(tmp_path / "eurosat" / "2750" / name / f"{name}_1.jpg")
    data = torchvision_data("eurosat", str(tmp_path))
    assert list(data.parts) == ["all"]
    assert data.class_names == ["Forest", "River"]
    assert data.samples.names[1] == "eurosat/2750/River/River_1.jpg"


def refused(*arguments):
    with pytest.raises(GraftError) as caught:
        torchvision_data(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_not_there(tmp_path):
    text = refused("cifar10", str(tmp_path), False)
    assert "data=cifar10: is not there, and data.download is false" in text
    assert "data.root=FOLDER" in text


@pytest.mark.parametrize("error", [urllib.error.URLError("no route"), RuntimeError("no route\nat all")])
def test_what_cannot_be_fetched(tmp_path, monkeypatch, error):
    def fail(self):
        raise error

    monkeypatch.setattr(datasets.CIFAR10, "download", fail)
    text = refused("cifar100", str(tmp_path))
    assert "data=cifar100: could not be fetched" in text
    assert "no route" in text
    assert str(tmp_path) in text


def test_an_unknown_name(tmp_path):
    assert "did you mean cifar10?" in refused("cifar_10", str(tmp_path))
