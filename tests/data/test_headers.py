"""Before anything is decoded: which files hold more than 8 bits, and which several pictures."""

import numpy as np
import pytest
from PIL import Image

from graft.data.headers import holds_several, is_deep, said_of_several, some_of


@pytest.fixture
def noise():
    return np.random.default_rng(0).integers(0, 256, (20, 20), dtype=np.uint8)


def test_depth(tmp_path, noise):
    for name in ("a.png", "a.tif", "a.jpg", "a.pgm"):
        Image.fromarray(noise).save(tmp_path / name)
        assert not is_deep(tmp_path / name)
    for name in ("b.png", "b.tif", "b.pgm"):
        Image.fromarray(noise.astype(np.uint16) * 9).save(tmp_path / name)
        assert is_deep(tmp_path / name)
    (tmp_path / "c.png").touch()
    assert not is_deep(tmp_path / "c.png")
    assert not is_deep(tmp_path / "gone.tif")


def test_files_with_several_pictures_are_told(tmp_path, noise):
    plain, other = Image.fromarray(noise), Image.fromarray(255 - noise)
    names = ("moves.gif", "stack.tif", "moves.webp")
    for name in names:
        plain.save(tmp_path / f"one-{name}")
        plain.save(tmp_path / name, save_all=True, append_images=[other])
        assert not holds_several(tmp_path / f"one-{name}")
        assert holds_several(tmp_path / name)
    # A photograph with its preview is one picture.
    plain.save(tmp_path / "phone.mpo", save_all=True, append_images=[other])
    assert not holds_several(tmp_path / "phone.mpo")
    assert said_of_several([tmp_path / "phone.mpo", tmp_path / "gone.gif"], 2) == []
    assert said_of_several([tmp_path / name for name in names], 3) == [
        f"3 files hold several pictures, of which the first is used, such as {tmp_path}/moves.gif"
    ]
    assert said_of_several([tmp_path / "moves.gif", tmp_path / "one-moves.gif"], 9) == [
        f"1 of 2 files looked at holds several pictures, of which the first is used, such as "
        f"{tmp_path}/moves.gif"
    ]


def test_of_many_some_are_looked_at():
    assert some_of(list(range(10)), 4) == [0, 2, 5, 7]
    assert some_of([1, 2], 2) == some_of([1, 2], 9) == [1, 2]
