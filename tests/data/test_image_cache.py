"""What is kept gives the pixels of the files, is found by content, and is made anew where it is damaged."""

import multiprocessing
import pickle
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from graft.data import SampleError, TransformedSamples, evaluation_transform, file_images, training_transform
from graft.data import image_cache as image_cache_module
from graft.data.image_cache import keep
from graft.data.kept_images import KeptImages, in_memory, on_disk, opened
from graft.errors import GraftError

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork\\(\\) may lead to deadlocks")

SIZES = [(60, 40), (33, 71), (20, 20), (90, 30), (16, 50)]


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    monkeypatch.setenv("GRAFT_CACHE_DIR", str(tmp_path / "caches"))
    return tmp_path / "caches" / "images"


@pytest.fixture
def images(tmp_path):
    """Five JPEG files of different sizes, a third of whose pixels differ from their neighbours."""
    stream = np.random.default_rng(0)
    for index, size in enumerate(SIZES):
        pixels = stream.integers(0, 256, (size[1] // 4 + 1, size[0] // 4 + 1, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC).save(tmp_path / f"{index}.jpg")

    def images():
        return file_images(tmp_path, [f"{index}.jpg" for index in range(5)], [0, 1, 0, 1, 0])

    return images


def items(images, transform, seed=None):
    return TransformedSamples(images, np.array([4, 0, 1, 3]), transform, seed)


def all_of(found, epoch=3):
    return found.__getitems__([(epoch, position) for position in range(len(found))])


TRANSFORMS = {
    "evaluation": evaluation_transform,
    "flip": lambda p: training_transform(p, None, 0.5, None),
    "crop": lambda p: training_transform(p, None, 0.5, None, crop_padding=2),
    "resized crop": lambda p: training_transform(p, (0.3, 1.0), 0.5, None),
    "policy": lambda p: training_transform(p, (0.3, 1.0), 0.5, v2.TrivialAugmentWide()),
    "own": lambda p: v2.Compose([v2.RandomCrop(12, pad_if_needed=True), v2.PILToTensor()]),
}


@pytest.mark.parametrize("where", ["auto", "ram", "disk"])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_what_is_kept_gives_the_same_bits(images, preprocessing, name, where):
    plain = items(images(), TRANSFORMS[name](preprocessing), 5)
    kept = items(images(), TRANSFORMS[name](preprocessing), 5)
    kept.kept = keep(kept, where, 0)
    assert len(kept.kept) == 4
    # No file is read any more.
    kept.samples = SimpleNamespace(labels=plain.samples.labels)
    for epoch in (0, 1):
        assert torch.equal(all_of(plain, epoch)["input"], all_of(kept, epoch)["input"])
    assert not torch.equal(all_of(kept, 0)["input"], all_of(kept, 1)["input"]) or name == "evaluation"


@pytest.mark.parametrize("where", ["off", "auto", "disk"])
def test_evaluation_sees_the_whole_file(images, preprocessing, where):
    # To 20 px, the file of 60 x 40 px could be decoded at half its size, to slightly other pixels.
    transform = evaluation_transform(preprocessing)
    found = items(images(), transform)
    found.kept = keep(found, where, 0)
    expected = torch.stack([transform(images()[index]) for index in found.indices])
    assert torch.equal(all_of(found)["input"], expected)


def test_only_crops_from_a_shrunk_image_are_decoded_smaller(images, preprocessing):
    whole = training_transform(preprocessing, (0.3, 1.0), 0.5, None)
    shrunk = items(images(), replace(whole, shrinks=True))
    assert shrunk.prepared(1).shape == (20, 30, 3)
    decoded = np.asarray(images().read(0, 20))
    assert (shrunk.prepared(1) == replace(whole, shrinks=True).prepare(Image.fromarray(decoded))).all()
    assert (items(images(), whole).prepared(1) == np.asarray(images()[0])).all()


@pytest.mark.parametrize("where", ["ram", "disk"])
def test_workers_keep_the_same(images, preprocessing, where, monkeypatch, tmp_path):
    found = []
    for workers in (0, 1, 2):
        monkeypatch.setenv("GRAFT_CACHE_DIR", str(tmp_path / f"caches{workers}"))
        found.append(keep(items(images(), evaluation_transform(preprocessing)), where, workers))
    assert all((kept.pixels == found[0].pixels).all() for kept in found)
    assert [kept[3].shape for kept in found] == [(20, 60, 3)] * 3


def test_off_keeps_nothing(images, preprocessing):
    assert keep(items(images(), evaluation_transform(preprocessing)), "off", 0) is None
    nothing = TransformedSamples(images(), np.zeros(0, np.int64), evaluation_transform(preprocessing))
    assert keep(nothing, "ram", 0) is None


def test_auto_keeps_within_its_bound(images, preprocessing, monkeypatch):
    whole = items(images(), training_transform(preprocessing, (0.5, 1.0), 0.0, None))
    size = sum(3 * SIZES[index][0] * SIZES[index][1] for index in whole.indices)
    assert keep(whole, "auto", 0, size).pixels.nbytes == size
    assert keep(whole, "auto", 0, size - 1) is None
    # Where the first ones are small, what is foreseen is too little; the bound holds all the same.
    monkeypatch.setattr(image_cache_module, "_foreseen", lambda items, workers: (0.0, foreseen(items)))
    assert keep(whole, "auto", 0, size - 1) is None


def foreseen(items):
    return (items.prepared(position) for position in range(len(items)))


def test_no_room_is_told_before_anything_is_written(images, preprocessing, monkeypatch, caches):
    some = items(images(), evaluation_transform(preprocessing))
    monkeypatch.setattr(image_cache_module, "_memory", lambda: 100.0)
    with pytest.raises(GraftError, match=r"data\.cache_images=ram: the images take about 0\.0 GB"):
        keep(some, "ram", 0)
    monkeypatch.setattr(image_cache_module.shutil, "disk_usage", lambda path: SimpleNamespace(free=100))
    with pytest.raises(
        GraftError, match=r"data\.cache_images=disk: .*images.*GRAFT_CACHE_DIR says where else"
    ):
        keep(some, "disk", 0)
    assert list(caches.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(images, preprocessing, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("GRAFT_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(GraftError, match=r"data\.cache_images=disk: .*file/images cannot be written \(Not a"):
        keep(items(images(), evaluation_transform(preprocessing)), "disk", 0)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_image_is_named_and_leaves_nothing(images, preprocessing, tmp_path, caches, workers):
    (tmp_path / "1.jpg").write_bytes((tmp_path / "1.jpg").read_bytes()[:200])
    for where in ("auto", "disk"):
        with pytest.raises(SampleError) as caught:
            keep(items(images(), evaluation_transform(preprocessing)), where, workers)
        assert str(caught.value).startswith(f"{tmp_path / '1.jpg'}: cannot be read as an image (")
    assert list(caches.iterdir()) == []


@pytest.fixture
def decoded(monkeypatch):
    """How many images were decoded since."""
    count = []
    prepared = TransformedSamples.prepared
    monkeypatch.setattr(
        TransformedSamples, "prepared", lambda self, position: count.append(1) or prepared(self, position)
    )
    return count


def test_a_file_is_found_again_by_content(images, preprocessing, tmp_path, caches, decoded):
    def kept(transform, indices=(4, 0, 1, 3)):
        decoded.clear()
        found = TransformedSamples(images(), np.array(indices), transform)
        return keep(found, "disk", 0), len(decoded)

    evaluation = evaluation_transform(preprocessing)
    first, count = kept(evaluation)
    assert count == 4
    again, count = kept(evaluation)
    assert count == 0
    assert (again.pixels == first.pixels).all()
    # Another name, another time, the same content.
    (tmp_path / "1.jpg").write_bytes((tmp_path / "1.jpg").read_bytes())
    assert kept(evaluation)[1] == 0
    # What begins alike shares; what does not, does not.
    assert kept(training_transform(preprocessing, None, 0.5, None, crop_padding=0))[1] == 0
    whole = training_transform(preprocessing, (0.5, 1.0), 0.5, None)
    assert kept(whole)[1] == kept(replace(whole, shrinks=True))[1] == 4
    assert kept(evaluation, (4, 0, 3, 1))[1] == kept(evaluation, (4, 0, 1))[1] + 1 == 4
    for change in ({"resize": 21}, {"interpolation": "bicubic"}):
        other = replace(preprocessing, **change)
        assert kept(evaluation_transform(other))[1] == 4
    # One level of one pixel, the size and the time of the file kept.
    before = (tmp_path / "1.jpg").stat()
    content = bytearray((tmp_path / "1.jpg").read_bytes())
    content[-20] ^= 1
    (tmp_path / "1.jpg").write_bytes(content)
    image_cache_module.os.utime(tmp_path / "1.jpg", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert kept(evaluation)[1] == 4
    assert len(list(caches.iterdir())) == 8


def test_other_code_misses(images, preprocessing, decoded, monkeypatch):
    keep(items(images(), evaluation_transform(preprocessing)), "disk", 0)
    monkeypatch.setattr(image_cache_module.PIL, "__version__", "0")
    decoded.clear()
    keep(items(images(), evaluation_transform(preprocessing)), "disk", 0)
    assert len(decoded) == 4


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "pixels").write_bytes((folder / "pixels").read_bytes()[:-1]),
        lambda folder: (folder / "pixels").write_bytes(b""),
        lambda folder: (folder / "pixels").write_bytes(b"\0" + (folder / "pixels").read_bytes()[1:]),
        lambda folder: (folder / "pixels").unlink(),
        lambda folder: (folder / "index.npz").write_bytes((folder / "index.npz").read_bytes()[:-9]),
        lambda folder: (folder / "index.npz").write_bytes(b""),
        lambda folder: np.savez(folder / "index.npz", sizes=np.array([[1, 1]]), checksum=0),
        lambda folder: np.savez(folder / "index.npz", sizes=np.array([[1, 1]])),
        lambda folder: (folder / "index.npz").unlink(),
    ],
)
def test_what_is_damaged_is_made_anew(images, preprocessing, caches, decoded, damage):
    whole = keep(items(images(), evaluation_transform(preprocessing)), "disk", 0).pixels.copy()
    (folder,) = caches.iterdir()
    damage(folder)
    decoded.clear()
    assert (keep(items(images(), evaluation_transform(preprocessing)), "disk", 0).pixels == whole).all()
    assert len(decoded) == 4
    assert list(caches.iterdir()) == [folder]
    assert opened(folder) is not None


def test_of_two_writers_the_first_to_end_is_kept(tmp_path):
    def slow():
        yield np.full((2, 3, 3), 1, np.uint8)
        # Meanwhile another process writes the same.
        on_disk(tmp_path / "key", [np.full((2, 3, 3), 1, np.uint8), np.full((1, 1, 3), 2, np.uint8)])
        first.append((tmp_path / "key" / "pixels").stat().st_ino)
        yield np.full((1, 1, 3), 2, np.uint8)

    first = []
    kept = on_disk(tmp_path / "key", slow())
    assert kept[1].tolist() == [[[2, 2, 2]]]
    assert (tmp_path / "key" / "pixels").stat().st_ino == first[0]
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_a_writer_that_fails_leaves_nothing(tmp_path):
    def full():
        yield np.zeros((2, 3, 3), np.uint8)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        on_disk(tmp_path / "key", full())
    assert list(tmp_path.iterdir()) == []


def test_training_cannot_change_what_is_kept(tmp_path):
    kept = on_disk(tmp_path / "key", [np.full((2, 3, 3), 7, np.uint8)])
    kept[0][:] = 9
    assert (opened(tmp_path / "key")[0] == 7).all()


def test_a_file_goes_to_another_process_by_name(tmp_path):
    kept = on_disk(tmp_path / "key", [np.full((200, 300, 3), 7, np.uint8)])
    sent = pickle.dumps(kept)
    assert len(sent) < 1000
    assert (pickle.loads(sent)[0] == 7).all()


def test_memory_is_shared_with_a_process_that_does_not_inherit_it():
    kept = in_memory([np.full((2, 2, 3), 1, np.uint8), np.full((300, 200, 3), 7, np.uint8)], 1e9)
    sent = multiprocessing.reduction.ForkingPickler.dumps(kept)
    assert len(sent) < 2000
    found = multiprocessing.reduction.ForkingPickler.loads(sent)
    assert isinstance(found, KeptImages)
    assert (found[1] == 7).all()


def test_a_jpeg_is_decoded_smaller_only_where_that_is_enough(tmp_path):
    stream = np.random.default_rng(0)
    coarse = Image.fromarray(stream.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    coarse.resize((800, 600), Image.Resampling.BICUBIC).save(tmp_path / "0.jpg")
    coarse.resize((800, 600)).save(tmp_path / "1.png")
    images = file_images(tmp_path, ["0.jpg", "1.png"], [0, 1])
    assert [images.read(0, side).size for side in (None, 301, 300, 150, 20)] == [
        *((800, 600), (800, 600), (400, 300), (200, 150), (100, 75))
    ]
    assert images.read(1, 20).size == (800, 600)
    small = np.asarray(images.read(0, 300)).astype(int)
    assert abs(small - np.asarray(images[0].resize((400, 300), Image.Resampling.BOX))).mean() < 2
