"""A file that is written batch by batch is one that safetensors reads, and holds a few batches at a time."""

import weakref
from collections import namedtuple

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file

from graft.errors import GraftError
from graft.features import tensor_file
from graft.features.tensor_file import write_tensor


def test_safetensors_reads_it(tmp_path) -> None:
    values = torch.randn(7, 3, 2, 2)
    path = tmp_path / "made" / "features.safetensors"
    about = {"stage": "layer2", "backbone": "caf\udce9 ü"}
    assert write_tensor(path, "features", 7, values.split(3), about) == (3, 2, 2)
    assert np.array_equal(load_file(path)["features"], values.numpy())
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"stage": "layer2", "backbone": "caf\ufffd ü"}
        # A part of it is read without the others.
        assert torch.equal(file.get_slice("features")[2:4], values[2:4])
    # What reads it without copying wants its values where the word of the machine begins.
    assert int.from_bytes(path.read_bytes()[:8], "little") % 8 == 0


def test_half_precision_is_written_as_single(tmp_path) -> None:
    values = torch.randn(4, 5).bfloat16()
    write_tensor(tmp_path / "f", "features", 4, [values], {})
    assert np.array_equal(load_file(tmp_path / "f")["features"], values.float().numpy())


@pytest.mark.parametrize("count", [20, 80])
def test_what_is_held_does_not_grow_with_the_number_of_images(tmp_path, count) -> None:
    alive: list[weakref.ref[torch.Tensor]] = []
    most = 0

    def batches():
        nonlocal most
        for _ in range(count):
            batch = torch.zeros(2, 100)
            alive.append(weakref.ref(batch))
            most = max(most, sum(ref() is not None for ref in alive))
            yield batch

    write_tensor(tmp_path / "f", "features", 2 * count, batches(), {})
    assert most <= 3
    assert load_file(tmp_path / "f")["features"].shape == (2 * count, 100)


def test_nothing_is_left_of_what_breaks_off(tmp_path) -> None:
    def batches():
        yield torch.zeros(1, 2)
        raise GraftError("photo.png cannot be read")

    with pytest.raises(GraftError, match=r"photo\.png"):
        write_tensor(tmp_path / "f", "features", 2, batches(), {})
    assert not list(tmp_path.iterdir())


def test_a_disk_without_room_is_told_before_all_is_computed(tmp_path, monkeypatch) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(tensor_file.shutil, "disk_usage", lambda path: usage(700))
    with pytest.raises(GraftError, match="f: 800 B are needed, but the disk has 700 B left"):
        write_tensor(tmp_path / "f", "features", 100, [torch.zeros(1, 2)], {})
    assert not list(tmp_path.iterdir())
