"""Batches are the same for any number of workers, and an error leaves a worker as one line."""

import os
import random
import signal

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from graft.data import SampleError, TransformedSamples, file_images, make_loader
from graft.data.randomness import random_stream
from graft.data.sharing import EpochBatches

# From Python 3.12 on, forking workers beside torch's threads warns.
pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork\\(\\) may lead to deadlocks")


def draw_from_all(image):
    """A transform that draws from each of the three streams."""
    noise = torch.rand(3, 4, 4) + float(np.random.random()) + random.random()
    return v2.functional.pil_to_tensor(image)[:, :4, :4] / 255 + noise


def batches(data, workers, epochs, seed=0, batch_size=4, size=None):
    images = data.samples
    indices = np.arange(1, len(images), dtype=np.int64)[:size]
    epoch = [0]
    items = TransformedSamples(images, indices, draw_from_all, seed)
    shuffled = EpochBatches(len(indices), batch_size, seed, lambda: (epoch[0], 0))
    loader = make_loader(items, batch_size=batch_size, num_workers=workers, batches=shuffled)
    found = []
    for epoch[0] in epochs:
        found.append(list(loader))
    return found


def equal(one, other):
    return all(
        torch.equal(first[key], second[key])
        for epoch, again in zip(one, other, strict=True)
        for first, second in zip(epoch, again, strict=True)
        for key in ("input", "target", "index")
    )


def test_a_batch(noise):
    data = noise({"all": [10, 11]})
    batch = batches(data, 0, [0])[0][0]
    assert set(batch) == {"input", "target", "index"}
    assert batch["input"].shape == (4, 3, 4, 4)
    assert batch["input"].dtype == torch.float32
    assert batch["target"].dtype == batch["index"].dtype == torch.int64
    assert batch["target"].tolist() == data.samples.labels[batch["index"].numpy()].tolist()


def test_workers_change_nothing(noise):
    data = noise({"all": [8, 9]})
    alone = batches(data, 0, [0, 1])
    assert equal(alone, batches(data, 2, [0, 1]))
    assert equal(alone, batches(data, 1, [0, 1]))


def test_seed_and_epoch_change_order_and_noise(noise):
    data = noise({"all": [8, 9]})
    (first, second) = batches(data, 0, [0, 1])
    assert equal([second], batches(data, 0, [1]))
    orders = [torch.cat([batch["index"] for batch in epoch]).tolist() for epoch in (first, second)]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(1, 17))
    assert orders[0] != orders[1]
    images = [
        {
            int(index): image
            for batch in epoch
            for index, image in zip(batch["index"], batch["input"], strict=True)
        }
        for epoch in (first, second, *batches(data, 0, [0], seed=1))
    ]
    assert all(not torch.equal(images[0][3], other[3]) for other in images[1:])


def test_an_images_noise_does_not_depend_on_which_others_train(noise):
    data = noise({"all": [8, 9]})
    more, fewer = batches(data, 0, [0])[0], batches(data, 0, [0], size=6)[0]
    found = {int(i): image for batch in more for i, image in zip(batch["index"], batch["input"], strict=True)}
    assert all(
        torch.equal(found[int(i)], image)
        for batch in fewer
        for i, image in zip(batch["index"], batch["input"], strict=True)
    )


def test_loading_draws_nothing_from_the_streams_of_training(noise):
    data = noise({"all": [8, 9]})
    states = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    for workers in (0, 1):
        batches(data, workers, [0])
        list(
            make_loader(
                TransformedSamples(data.samples, np.arange(4), v2.PILToTensor()), batch_size=2, num_workers=0
            )
        )
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.random.get_state()[1].tolist() == states[1]
    assert random.getstate() == states[2]


def test_a_stream_is_given_back_after_an_error():
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()

    def fail():
        with random_stream(1, 2, 3):
            torch.rand(3)
            np.random.random(3)
            random.random()
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        fail()
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]
    assert random.getstate() == before[2]


@pytest.mark.parametrize(("count", "sizes"), [(9, [4, 4, 1]), (3, [3]), (8, [4, 4])])
def test_in_order_batches_are_full_and_the_last_has_the_rest(noise, count, sizes):
    items = TransformedSamples(noise({"all": [6, 6]}).samples, np.arange(count), v2.PILToTensor())
    found = list(make_loader(items, batch_size=4, num_workers=0))
    assert [len(batch["index"]) for batch in found] == sizes
    assert torch.cat([batch["index"] for batch in found]).tolist() == list(range(count))


def test_plain_positions_are_taken_for_epoch_0(noise):
    # Lightning's overfit_batches puts a sampler of plain positions in place of ours.
    items = TransformedSamples(noise({"all": [8, 9]}).samples, np.arange(3, 9), draw_from_all, 5)
    plain, keyed, later = items[2], items[(0, 2)], items[(1, 2)]
    assert plain["index"] == keyed["index"] == 5
    assert torch.equal(plain["input"], keyed["input"])
    assert not torch.equal(plain["input"], later["input"])


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_image_is_named_in_one_line(tmp_path, paint, workers):
    for name in ("a.png", "b.png", "c.png"):
        paint(tmp_path / name)
    (tmp_path / "b.png").write_bytes((tmp_path / "b.png").read_bytes()[:40])
    images = file_images(tmp_path, ["a.png", "b.png", "c.png"], [0, 1, 0])
    loader = make_loader(
        TransformedSamples(images, np.arange(3), v2.PILToTensor()), batch_size=3, num_workers=workers
    )
    iterator = iter(loader)
    with pytest.raises(SampleError) as caught:
        next(iterator)
    assert str(caught.value).startswith(f"{tmp_path / 'b.png'}: cannot be read as an image (")
    assert "\n" not in str(caught.value)
    if workers:
        # The traceback holds the iterator in a cycle; left to the collector, its workers take 5 s to end.
        iterator._shutdown_workers()


@pytest.mark.parametrize(("cores", "workers"), [(1, 0), (2, 0), (3, 2), (8, 7), (64, 8)])
def test_workers_by_cores(monkeypatch, noise, cores, workers):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cores)), raising=False)
    items = TransformedSamples(noise({"all": [9, 9]}).samples, np.arange(18), v2.PILToTensor())
    # torch warns of more workers than this machine has cores; none is started here.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("torch.utils.data.DataLoader.check_worker_number_rationality", lambda self: None)
        loader = make_loader(items, batch_size=2)
        assert make_loader(items, batch_size=2, num_workers=5).num_workers == 5
    assert loader.num_workers == workers
    assert loader.persistent_workers == (workers > 0)


def test_a_signal_to_all_processes_leaves_the_loading_ones_to_the_main_one(noise):
    data = noise({"all": [40, 40]})
    items = TransformedSamples(data.samples, np.arange(80), draw_from_all, 0)
    loader = iter(make_loader(items, batch_size=2, num_workers=1))
    found = [next(loader)]
    os.kill(loader._workers[0].pid, signal.SIGTERM)
    found += list(loader)
    assert len(found) == 40
