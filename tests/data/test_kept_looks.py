"""Kept looks are those of the images as they are now, whatever they are called, and spare the decoding."""

import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from graft.data import Samples, array_images, file_images, kept_looks
from graft.data.kept_bytes import kept_file
from graft.data.looks import Look, all_looks, look_at


def noise(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (20, 24, 3), dtype=np.uint8))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAFT_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def photos(tmp_path: Path) -> Samples:
    names = [f"{i}.png" for i in range(6)]
    for seed, name in enumerate(names):
        noise(seed).save(tmp_path / name)
    return file_images(tmp_path, names, [0] * 6)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The index of each image that is looked at."""
    found: list[int] = []

    def look(images: Samples, index: int) -> Look | str:
        found.append(index)
        return look_at(images, index)

    monkeypatch.setattr(kept_looks, "look_at", look)
    return found


def looked(images: Samples, threads: int | None = 1) -> list[Look | str]:
    """Anew, so that no digest is remembered from before."""
    if images.some_files(1):
        images = file_images(images.some_files(1)[0].parent, images.names, images.labels)
    return kept_looks.kept_looks(images, threads)


def same(first: list[Look | str], second: list[Look | str]) -> bool:
    def plain(look: Look | str) -> object:
        return look if isinstance(look, str) else [x.tolist() if hasattr(x, "tolist") else x for x in look]

    return [plain(look) for look in first] == [plain(look) for look in second]


def test_what_is_kept_is_what_a_look_gives_and_no_image_is_decoded_twice(
    photos: Samples, seen: list[int]
) -> None:
    fresh = all_looks(photos, 1, lambda done: None)
    assert same(looked(photos), fresh)
    assert seen == [0, 1, 2, 3, 4, 5]
    seen.clear()
    assert same(looked(photos), fresh)
    assert seen == []


def test_images_that_are_no_files_are_kept_too(seen: list[int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 8), dtype=np.uint8)
    digits = array_images([str(i) for i in range(5)], [0] * 5, pixels)
    first = looked(digits)
    assert len(seen) == 5
    assert same(looked(array_images(digits.names, digits.labels, pixels)), first)
    assert len(seen) == 5


def test_another_image_under_the_same_name_date_and_size_is_looked_at(
    photos: Samples, seen: list[int]
) -> None:
    path = photos.some_files(6)[2]
    Image.fromarray(np.zeros((20, 24, 3), np.uint8)).save(path.with_suffix(".bmp"))
    bmp = file_images(path.parent, ["2.bmp"], [0])
    before = looked(bmp)
    state, seen[:] = path.with_suffix(".bmp").stat(), []
    noise(9).save(path.with_suffix(".bmp"))
    os.utime(path.with_suffix(".bmp"), ns=(state.st_atime_ns, state.st_mtime_ns))
    assert path.with_suffix(".bmp").stat().st_size == state.st_size
    assert not same(looked(bmp), before)
    assert seen == [0]


def test_a_renamed_image_is_known_and_a_new_one_looked_at(photos: Samples, seen: list[int]) -> None:
    before, path = looked(photos), photos.some_files(6)[0]
    path.rename(path.with_name("z.png"))
    noise(7).save(path.with_name("new.png"))
    seen.clear()
    found = looked(file_images(path.parent, ["new.png", "z.png"], [0, 0]))
    assert seen == [0]
    assert same(found[1:], before[:1])


def test_other_code_looks_anew(photos: Samples, seen: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    looked(photos)
    monkeypatch.setattr(kept_looks.imagehash, "__version__", "0")
    looked(photos)
    assert len(seen) == 12


@pytest.mark.parametrize("damage", [b"", b"x" * 40, None])
def test_a_damaged_look_is_taken_anew(photos: Samples, seen: list[int], damage: bytes | None) -> None:
    before = looked(photos)
    with sqlite3.connect(kept_file()) as file:
        (whole,) = file.execute("SELECT value FROM kept LIMIT 1").fetchone()
        # Where nothing else is given, one bit of the small picture is another.
        other = bytes([*whole[:100], whole[100] ^ 1, *whole[101:]]) if damage is None else damage
        file.execute("UPDATE kept SET value = ? WHERE value = ?", (other, whole))
    file.close()
    seen.clear()
    assert same(looked(photos), before)
    assert len(seen) == 1


def test_a_cache_that_is_none_is_told_and_every_image_is_looked_at(
    photos: Samples, seen: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    kept_file().parent.mkdir()
    kept_file().write_text(
        "no database, but a text that is long enough to be taken for the header of one" * 9
    )
    assert same(looked(photos), all_looks(photos, 1, lambda done: None))
    said = capsys.readouterr().out.splitlines()
    assert [line.partition(" (")[0] for line in said] == [
        f"warning: {kept_file()} cannot be {done}" for done in ("read", "written")
    ]


def test_what_cannot_be_read_has_its_reason_and_is_not_kept(photos: Samples, seen: list[int]) -> None:
    cut, gone = photos.some_files(6)[1:3]
    cut.write_bytes(cut.read_bytes()[:60])
    gone.unlink()
    found = looked(photos)
    assert [isinstance(look, str) for look in found] == [False, True, True, False, False, False]
    assert str(cut) in str(found[1])
    assert str(gone) in str(found[2])
    noise(1).save(cut)
    seen.clear()
    assert isinstance(looked(photos)[1], Look)
    assert seen == [1]


def test_what_is_stopped_has_kept_what_it_saw(
    photos: Samples, seen: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_looks, "STEP", 2)

    def stop(what: str, done: int) -> None:
        if (what, done) == ("looked at", 6):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept_looks.kept_looks(photos, 1, stop)
    seen.clear()
    looked(photos)
    assert seen == [4, 5]


def test_all_are_told_and_threads_change_nothing(
    photos: Samples, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(kept_looks, "STEP", 4)
    told: list[tuple[str, int]] = []
    one = kept_looks.kept_looks(photos, 1, lambda *words: told.append(words))
    assert told == [("read", 6), ("looked at", 4), ("looked at", 6)]
    monkeypatch.setenv("GRAFT_CACHE_DIR", str(tmp_path / "other"))
    assert same(looked(photos, 4), one)
