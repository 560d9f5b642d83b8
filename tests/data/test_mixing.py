"""Mixed batches: images and labels share by one λ, which comes from torch's global stream alone."""

import random

import numpy as np
import pytest
import torch

from graft.data import cutmix, mixup, mixup_or_cutmix, unmixed
from graft.data.mixing import check_mixable
from graft.errors import GraftError

LABELS = torch.tensor([0, 1, 2, 1])


def images():
    return torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_mixup_blends_images_and_labels_by_one_share():
    torch.manual_seed(1)
    before = images()
    mixed, shares = mixup(3, 1.0)(before, LABELS)
    share = float(shares[0, 0])
    assert 0 < share < 1
    torch.testing.assert_close(mixed, share * before + (1 - share) * before.roll(1, 0))
    hot = torch.nn.functional.one_hot(LABELS, 3).float()
    torch.testing.assert_close(shares, share * hot + (1 - share) * hot.roll(1, 0))
    assert torch.equal(before, images())


def test_cutmix_shares_labels_by_the_area_that_came_from_each():
    torch.manual_seed(1)
    before = images()
    mixed, shares = cutmix(3, 1.0)(before, LABELS)
    own = (mixed == before).float().mean(dim=(1, 2, 3))
    assert 0 < float(own[0]) < 1
    torch.testing.assert_close(shares[0, 0], own[0])
    torch.testing.assert_close(shares.sum(1), torch.ones(4))


@pytest.mark.parametrize(
    "mix", [mixup(3, 0.4), cutmix(3, 1.0), mixup_or_cutmix(3, 0.4, 1.0)], ids=["mixup", "cutmix", "both"]
)
def test_nothing_but_torchs_stream_decides(mix):
    found = []
    for other in (1, 2):
        np.random.seed(other)
        random.seed(other)
        torch.manual_seed(7)
        found.append([mix(images(), LABELS) for _ in range(5)])
    for (one, shares), (two, same) in zip(*found, strict=True):
        assert torch.equal(one, two)
        assert torch.equal(shares, same)
    # And a state that is put back repeats the draws.
    state = torch.get_rng_state()
    one, _ = mix(images(), LABELS)
    torch.set_rng_state(state)
    assert torch.equal(one, mix(images(), LABELS)[0])


def test_both_are_drawn():
    torch.manual_seed(0)
    before = images()
    cut = [bool((mixup_or_cutmix(3, 1.0, 1.0)(before, LABELS)[0] == before).any()) for _ in range(20)]
    assert 4 < sum(cut) < 17


def test_none_is_nothing():
    assert unmixed(3) is None


def test_what_is_no_image_is_not_mixed():
    check_mixable(torch.zeros(1, 3, 8, 8), "images")
    for given in (
        torch.zeros(1, 9),
        torch.zeros(1, 3, 8, 8, dtype=torch.int64),
        {"numbers": torch.zeros(1, 2)},
    ):
        with pytest.raises(GraftError, match="mix: it blends images, and data has rows; give mix=none"):
            check_mixable(given, "rows")
