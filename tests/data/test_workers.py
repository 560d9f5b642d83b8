"""Worker processes of every start method load the same; none are started in vain, or where they cannot be."""

import multiprocessing
import pickle
import subprocess
import sys
from functools import partial
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from graft.data import ImageSamples, TransformedSamples, make_loader, training_transform
from graft.data import kept_images as kept_images_module
from graft.data import workers as workers_module
from graft.data.image_cache import keep
from graft.data.kept_images import in_memory, on_disk
from graft.data.sharing import EpochBatches
from graft.data.workers import check_workers, default_workers, obstacle, worker_count
from graft.errors import GraftError

# From Python 3.12 on, forking workers beside torch's threads warns.
pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork\\(\\) may lead to deadlocks")

METHODS = multiprocessing.get_all_start_methods()
OWN = """
import numpy as np
from PIL import Image

class Noise:
    def __init__(self, side):
        self.side = side
    def __call__(self, index):
        pixels = np.random.default_rng(index).integers(0, 256, (self.side, self.side + index, 3), np.uint8)
        return Image.fromarray(pixels)
"""


@pytest.fixture
def begin_by():
    """Make a start method the program's own; afterwards it is as it was."""
    before = multiprocessing.get_start_method(allow_none=True)
    yield partial(multiprocessing.set_start_method, force=True)
    multiprocessing.set_start_method(before, force=True)


@pytest.fixture
def own_images(tmp_path, monkeypatch):
    """A list of 9 images of different sizes whose loader stands in a package of the user's."""
    (tmp_path / "own_noise.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    import own_noise

    yield ImageSamples([f"{index}" for index in range(9)], [0, 1, 2] * 3, own_noise.Noise(10))
    sys.modules.pop("own_noise")


def loaded(items, workers):
    """Two epochs of batches."""
    epoch = [0]
    batches = EpochBatches(len(items), 4, 0, lambda: (epoch[0], 0))
    loader = make_loader(items, batch_size=4, num_workers=workers, batches=batches)
    assert loader.num_workers == workers
    found = []
    for epoch[0] in range(2):
        found += list(loader)
    if workers:
        loader._iterator._shutdown_workers()
    return found


@pytest.mark.parametrize("method", METHODS)
def test_workers_of_every_start_method_load_the_same(method, begin_by, own_images, preprocessing):
    # As Hydra builds an augmentation: a partial, with a policy of torchvision's.
    augment = partial(
        training_transform, crop_scale=(0.5, 1.0), horizontal_flip=0.5, policy=v2.TrivialAugmentWide()
    )
    items = TransformedSamples(own_images, np.arange(9), augment(preprocessing), 0)
    alone = loaded(items, 0)
    begin_by(method)
    # Decoded by workers, kept in memory, and sent to others.
    items.kept = keep(items, "ram", 1)
    for one, other in zip(loaded(items, 1), alone, strict=True):
        assert all(torch.equal(one[key], other[key]) for key in ("input", "target", "index"))
    # Sent or not, what is kept is still whole here.
    assert all(np.array_equal(items.kept[i], np.array(own_images[i])) for i in range(9))


def sent(value):
    """As it arrives in another process."""
    return pickle.loads(bytes(ForkingPickler.dumps(value)))


@pytest.mark.parametrize("where", ["disk", "shared", "short"])
def test_kept_images_arrive_whole(where, tmp_path, monkeypatch):
    pictures = [np.full((3 + i, 4, 3), i, np.uint8) for i in range(5)]
    kept = on_disk(tmp_path / "kept", pictures) if where == "disk" else in_memory(pictures, 10**6)
    if where == "short":
        # As in a container whose /dev/shm has 64 MB.
        monkeypatch.setattr(kept_images_module, "_shareable", lambda: kept.pixels.nbytes - 1)
    arrived = [sent(kept), sent(kept)]
    for one in (kept, *arrived):
        assert len(one) == 5
        assert all(np.array_equal(one[i], picture) for i, picture in enumerate(pictures))
    assert (kept._shared is not None) == (where == "shared")
    if where == "shared":
        # One memory for all, and none beside it.
        kept.pixels[:] = 7
        assert all((one.pixels == 7).all() for one in arrived)


def test_what_cannot_be_sent_is_loaded_here(begin_by, own_images, capsys):
    items = TransformedSamples(
        own_images, np.arange(9), v2.Lambda(lambda image: v2.functional.pil_to_tensor(image)[:, :8, :8])
    )
    begin_by("spawn")
    loader = make_loader(items, batch_size=5, num_workers=2)
    assert [len(batch["target"]) for batch in loader] == [5, 4]
    said = capsys.readouterr().out
    assert said.startswith("warning: no worker processes load, for the images cannot be sent to them: ")
    assert len(said.splitlines()) == 1
    assert len(list(loader)) == 2


@pytest.mark.parametrize(
    ("asked", "batches", "count"), [(5, 2, 2), (5, 9, 5), (0, 9, 0), (None, 3, 3), (None, 99, 7)]
)
def test_no_worker_is_started_that_would_have_nothing_to_do(asked, batches, count, monkeypatch):
    monkeypatch.setattr(workers_module, "cores", lambda: 8)
    assert worker_count(asked, batches) == count


def test_a_daemon_starts_none(monkeypatch):
    monkeypatch.setattr(workers_module, "cores", lambda: 8)
    assert default_workers() == 7
    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)
    assert default_workers() == 0
    check_workers(0)
    with pytest.raises(
        GraftError, match=r"^data\.num_workers=2: this process is a daemon .*; data\.num_workers=0 loads"
    ):
        check_workers(2, key="data.num_workers")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("text", "guarded"), [("import graft\n", False), ('if __name__ == "__main__":\n    1\n', True)]
)
def test_a_script_that_would_run_again_starts_none(method, text, guarded, tmp_path, begin_by, monkeypatch):
    script = tmp_path / "program.py"
    script.write_text(text)
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(script), raising=False)
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    begin_by(method)
    why = obstacle()
    if guarded or method == "fork":
        assert why is None
    else:
        assert str(script) in why
        assert 'if __name__ == "__main__":' in why


def test_to_ask_settles_no_start_method():
    code = (
        "import multiprocessing; from graft.data.workers import default_workers; default_workers(); "
        "multiprocessing.set_start_method('spawn')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
