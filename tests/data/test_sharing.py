"""An epoch is shared out evenly; processes see together what one would; each image validates once."""

import pytest
import torch
from torch import nn

from graft.data.sharing import EpochBatches, Share, batch_count, even_batches


def epoch(count, batch_size, index=0, processes=1, done=0, number=0, seed=0):
    return list(EpochBatches(count, batch_size, seed, lambda: (number, done), Share(index, processes)))


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 6, 7, 12, 32, 512])
def test_an_epoch_is_shared_out_evenly(batch_size: int, processes: int) -> None:
    # The least that `check_processes` lets several train on.
    least = 1 if processes == 1 else 2 * processes
    for count in (*range(least, 40), 6 * 32 + 3, 1000):
        shares = [epoch(count, batch_size, index, processes) for index in range(processes)]
        assert {len(share) for share in shares} == {batch_count(count, batch_size, processes)}
        # Nothing is left out, and nothing comes twice.
        assert sorted(p for share in shares for batch in share for _, p in batch) == list(range(count))
        whole = [sum(map(len, together)) for together in zip(*shares, strict=True)]
        assert max(whole) - min(whole) <= 1
        sizes = [len(batch) for share in shares for batch in share]
        assert max(sizes) - min(sizes) <= 1
        if batch_size >= 2 * processes:
            assert min(sizes) >= 2 or count == 1
        if batch_size >= 4 * processes or batch_size < 2 * processes:
            assert len(whole) == -(-count // batch_size)
            assert max(whole) <= batch_size


@pytest.mark.parametrize(
    ("count", "batch_size", "sizes"),
    [
        (195, 32, [28, 28, 28, 28, 28, 28, 27]),
        (6 * 8 + 3, 8, [8, 8, 7, 7, 7, 7, 7]),
        (64, 32, [32, 32]),
        (33, 32, [17, 16]),
        (5, 2, [3, 2]),
        (3, 1, [1, 1, 1]),
        (1, 32, [1]),
        (20, 512, [20]),
    ],
)
def test_the_sizes_of_batches(count: int, batch_size: int, sizes: list[int]) -> None:
    assert [len(batch) for batch in epoch(count, batch_size)] == sizes


def test_an_epoch_goes_on_after_the_batches_that_are_done() -> None:
    whole = epoch(51, 8, number=3)
    assert [epoch(51, 8, number=3, done=done) for done in range(8)] == [whole[done:] for done in range(8)]
    assert whole != epoch(51, 8, number=4)
    assert whole != epoch(51, 8, number=3, seed=1)
    assert {number for batch in whole for number, _ in batch} == {3}


def test_the_shares_of_a_batch_are_the_batch() -> None:
    shares = [epoch(99, 16, index, 4) for index in range(4)]
    for whole, *together in zip(epoch(99, 16), *shares, strict=True):
        assert sorted(key for share in together for key in share) == sorted(whole)


def losses_of_training(batches: EpochBatches, number: list[int], tiny_last: bool) -> list[float]:
    """What a network with BatchNorm makes of its training images, in evaluation mode, after each epoch."""
    count, size = batches.count, 32
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 3
    images = torch.rand(count, 3, 12, 12, generator=generator)
    # The channel that is brighter is the class.
    images[torch.arange(count), labels] += 0.15
    with torch.random.fork_rng():
        torch.manual_seed(0)
        blocks = [
            nn.Sequential(nn.Conv2d(wide, 32, 3, stride), nn.BatchNorm2d(32), nn.ReLU())
            for wide, stride in ((3, 2), (32, 1), (32, 1))
        ]
        network = nn.Sequential(*blocks, nn.Flatten(), nn.Linear(32, 3))
    optimizer = torch.optim.AdamW(network.parameters(), 0.01)
    found = []
    for number[0] in range(8):
        network.train()
        chosen = [torch.tensor([position for _, position in batch]) for batch in batches]
        for batch in torch.cat(chosen).split(size) if tiny_last else chosen:
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(images[batch]), labels[batch]).backward()
            optimizer.step()
        with torch.no_grad():
            found.append(nn.functional.cross_entropy(network.eval()(images), labels).item())
    return found


def test_batchnorm_is_not_spoiled_by_a_tiny_last_batch() -> None:
    """6 B + 3 images: a last batch of three keeps a network from what it reaches in even batches."""
    number = [0]
    batches = EpochBatches(6 * 32 + 3, 32, 0, lambda: (number[0], 0))
    even, tiny = (losses_of_training(batches, number, last) for last in (False, True))
    assert max(even[-3:]) < 0.02
    assert max(even[-3:]) < 0.2 * max(tiny[-3:])


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("batch_size", [1, 2, 4, 7, 64])
@pytest.mark.parametrize("count", [5, 6, 7, 21, 64])
def test_each_position_is_in_one_batch_of_one_process(count: int, batch_size: int, size: int) -> None:
    batches = [even_batches(count, batch_size, Share(index, size)) for index in range(size)]
    assert len({len(own) for own in batches}) == 1
    assert min(len(batch) for own in batches for batch in own) >= 1
    assert max(len(batch) for own in batches for batch in own) <= max(2, batch_size // size)
    assert sorted(item for own in batches for batch in own for item in batch) == list(range(count))


@pytest.mark.parametrize("done", [0, 3])
@pytest.mark.parametrize("steps", [2, 4, 5, 11])
def test_a_stream_goes_round_from_epoch_to_epoch(steps: int, done: int) -> None:
    """20 images in batches of 4, `steps` of them an epoch: one round after another, wherever it is cut."""

    def batches(number: int, done: int = 0) -> list[list[tuple[int, int]]]:
        return list(EpochBatches(20, 4, 7, lambda: (number, done), steps=steps))

    whole = [batch for number in range(10) for batch in batches(number)]
    assert len(EpochBatches(20, 4, 7, lambda: (0, 0), steps=steps)) == steps
    assert len(whole) == 10 * steps
    for turn in range(10 * steps // 5):
        of_turn = whole[5 * turn : 5 * turn + 5]
        assert of_turn == epoch(20, 4, number=turn, seed=7)
    assert batches(3, min(done, steps)) == batches(3)[done:]
