"""Processes that train together see what one would see; those that validate see each image once."""

import pytest

from graft.data.sharing import Share, SharedBatches, even_batches


@pytest.mark.parametrize("drop_last", [False, True])
def test_the_shares_of_a_batch_are_the_batch(drop_last: bool) -> None:
    shares = [list(SharedBatches(range(23), 8, drop_last, Share(rank, 4))) for rank in range(4)]
    assert {len(share) for share in shares} == {2 if drop_last else 3}
    assert {len(SharedBatches(range(23), 8, drop_last, Share(rank, 4))) for rank in range(4)} == {
        len(shares[0])
    }
    for number, together in enumerate(zip(*shares, strict=True)):
        whole = range(23)[number * 8 : number * 8 + 8]
        assert sorted(item for own in together for item in own) == list(whole)
        assert min(map(len, together)) >= 1


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("batch_size", [1, 2, 4, 7, 64])
@pytest.mark.parametrize("count", [5, 6, 7, 21, 64])
def test_each_position_is_in_one_batch_of_one_process(count: int, batch_size: int, size: int) -> None:
    batches = [even_batches(count, batch_size, Share(rank, size)) for rank in range(size)]
    assert len({len(own) for own in batches}) == 1
    assert min(len(batch) for own in batches for batch in own) >= 1
    assert max(len(batch) for own in batches for batch in own) <= max(2, batch_size // size)
    assert sorted(item for own in batches for batch in own for item in batch) == list(range(count))
