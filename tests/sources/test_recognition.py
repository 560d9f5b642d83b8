"""Images that a run knows are told by what they hold, never by their names or by where they lie."""

import json
from pathlib import Path

import numpy as np
import pytest

from graft.data import SampleData, array_images, data_facts, recorded_rows, split, split_rows
from graft.data.splits import SPLITS, to_test
from graft.errors import GraftError
from graft.runs import RunFolder
from graft.runs.files import write_csv, write_json
from graft.runs.seen import Seen, counted, read_seen, told
from graft.sources.recognition import anywhere, check_same_images, digests, in_place

# Of each of 20 images another colour, by its number.
NUMBERS = list(range(20))


def images(numbers, names=None, parts=("all",)):
    """Images that hold their number, in one part or in several of the same size."""
    pixels = np.array(numbers, np.uint8)[:, None, None].repeat(2, 1).repeat(2, 2)
    names = [f"{number:02d}.png" for number in numbers] if names is None else names
    labels = [number % 2 for number in numbers]
    size = len(numbers) // len(parts)
    cuts = [slice(size * place, size * (place + 1)) for place in range(len(parts))]
    made = {
        part: array_images(names[cut], labels[cut], pixels[cut])
        for part, cut in zip(parts, cuts, strict=True)
    }
    return SampleData(["even", "odd"], made)


def numbers(data, indices):
    """The numbers that these images hold."""
    return {int(np.asarray(data.samples[int(index)])[0, 0, 0]) for index in indices}


class Begun:
    """What a run on the 20 images leaves behind of them."""

    def __init__(self, path: Path) -> None:
        self.data = images(NUMBERS)
        self.splits = split(self.data)
        self.folder = RunFolder(path)
        write_csv(self.folder.split, recorded_rows(self.data, self.splits))
        write_json(
            self.folder.environment, {"data": {"fingerprint": data_facts(self.data, self.splits).fingerprint}}
        )
        train, val = (frozenset(digests(self.data, self.splits[name]).values()) for name in ("train", "val"))
        self.seen = Seen(train, val)

    def numbers(self, name):
        return numbers(self.data, self.splits[name])

    def older(self):
        """As a Graft left it that recorded no digests."""
        write_csv(self.folder.split, split_rows(self.data, self.splits))

    def known(self, data, seen="own"):
        return anywhere(self.folder, data, self.seen if seen == "own" else seen, lambda: to_test(data))


@pytest.fixture
def begun(tmp_path):
    return Begun(tmp_path / "run")


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        (None, ("all",)),
        ([f"other/{number}.png" for number in NUMBERS], ("all",)),
        # Shifted by one, so that each name is that of another image.
        ([f"{(number + 1) % 20:02d}.png" for number in NUMBERS], ("all",)),
        (None, ("train", "test")),
    ],
)
def test_the_same_images_are_split_as_they_were_wherever_they_lie(begun, names, parts):
    data = images(NUMBERS, names, parts)
    known = begun.known(data)
    for name in SPLITS:
        assert numbers(data, known.splits[name]) == begun.numbers(name)
    assert "the run's own images, known by content" in known.splits.describe()
    assert known.notes == []


def test_other_pictures_under_the_same_names_are_other_images(begun):
    data = images([number + 100 for number in NUMBERS], [f"{number:02d}.png" for number in NUMBERS])
    known = begun.known(data)
    assert len(known.splits["test"]) == 20
    assert known.roles == {}


def test_of_other_images_those_that_the_model_has_seen_are_not_tested(begun):
    mixed = [*NUMBERS, *range(100, 110)]
    data = images(mixed, [f"new/{number}" for number in mixed])
    known = begun.known(data)
    assert numbers(data, known.splits["train"]) == begun.numbers("train")
    assert numbers(data, known.splits["val"]) == begun.numbers("val")
    assert numbers(data, known.splits["test"]) == begun.numbers("test") | set(range(100, 110))
    words = "so every image is tested, but those that the model has seen: 12 in training and 4 in validation"
    assert words in known.splits.describe()
    everything = counted(known.roles.get(index) for index in range(len(mixed)))
    assert everything == {"seen/train": 12, "seen/val": 4}
    assert told(everything, "these 30 images") == (
        "warning: 12 of these 30 images are seen in training and 4 in validation, so this is no test on "
        "unseen images alone"
    )
    assert told(counted(known.roles.get(int(index)) for index in known.splits["test"]), "these 14") == ""


def test_some_of_the_images_are_what_they_were(begun):
    few = sorted(begun.numbers("test") | begun.numbers("train"))
    data = images(few)
    known = begun.known(data)
    assert numbers(data, known.splits["test"]) == begun.numbers("test")
    assert numbers(data, known.splits["train"]) == begun.numbers("train")


def test_what_a_part_of_others_calls_test_is_not_tested_if_it_was_trained_on(begun):
    trained = sorted(begun.numbers("train"))[:5]
    data = images([*range(100, 105), *trained], parts=("train", "test"))
    known = begun.known(data)
    assert len(known.splits["test"]) == 0
    assert numbers(data, known.splits["train"]) == {*range(100, 105), *trained}


def test_a_copy_of_a_training_image_counts_as_seen_and_is_tested_where_the_run_tested_it(tmp_path):
    run = Begun(tmp_path / "run")
    run.data = images([0] * 10 + [1] * 10, [f"{place:02d}" for place in range(20)])
    run.splits = split(run.data)
    write_csv(run.folder.split, recorded_rows(run.data, run.splits))
    run.seen = Seen(frozenset(digests(run.data, run.splits["train"]).values()))
    known = run.known(run.data)
    assert all(np.array_equal(known.splits[name], run.splits[name]) for name in SPLITS)
    assert counted(known.roles.get(int(index)) for index in known.splits["test"])["seen/train"] == 4


def test_an_older_run_is_known_by_the_digest_of_all_its_images(begun):
    begun.older()
    known = begun.known(images(NUMBERS), seen=None)
    assert numbers(begun.data, known.splits["test"]) == begun.numbers("test")
    assert known.notes == []
    others = images([number + 100 for number in NUMBERS], [f"{number:02d}.png" for number in NUMBERS])
    known = begun.known(others, seen=None)
    assert len(known.splits["test"]) == 20
    assert "has no record of the images that its model has seen" in known.notes[0]


def test_in_place_names_count_and_what_changed_is_told(begun):
    changed = [number + 100 if number in begun.numbers("test") else number for number in NUMBERS]
    data = images(changed, [f"{number:02d}.png" for number in NUMBERS])
    known = in_place(begun.folder, data, begun.seen, "test")
    assert all(np.array_equal(known.splits[name], begun.splits[name]) for name in SPLITS)
    assert known.notes[0].startswith("warning: 4 of these images are no longer what they were, such as ")
    assert in_place(begun.folder, begun.data, begun.seen, "all").notes == []
    with pytest.raises(GraftError, match=r"1 images of the data are not listed.*; give data=… to"):
        in_place(begun.folder, images([*NUMBERS, 100]), begun.seen, "test")
    # Of an older run it is the name alone that tells.
    begun.older()
    assert counted(in_place(begun.folder, begun.data, None, "all").roles.values())["seen/train"] == 12


def test_a_run_goes_on_with_its_own_images_alone(begun):
    check_same_images(begun.folder, images(NUMBERS), begun.splits)
    other = images([*NUMBERS[:-1], 99], [f"{number:02d}.png" for number in NUMBERS])
    with pytest.raises(GraftError, match=r"19\.png is another image than the one that .*split\.csv recorded"):
        check_same_images(begun.folder, other, begun.splits)
    with pytest.raises(GraftError, match="the split is no longer that of"):
        check_same_images(begun.folder, begun.data, split(begun.data, seed=1))
    begun.older()
    check_same_images(begun.folder, images(NUMBERS), begun.splits)
    with pytest.raises(GraftError, match=r"the images, or their split, are not those of .*env"):
        check_same_images(begun.folder, other, begun.splits)


def test_what_was_seen_is_written_and_read(tmp_path):
    seen = Seen(frozenset("ab"), frozenset("c")).with_(Seen(frozenset("c"), frozenset("ad")))
    assert seen == Seen(frozenset("abc"), frozenset("d"))
    seen.write(tmp_path / "seen.csv")
    assert read_seen(tmp_path / "seen.csv") == seen
    Seen().write(tmp_path / "none.csv")
    assert read_seen(tmp_path / "none.csv") == Seen()
    assert read_seen(tmp_path / "gone.csv") is None
    assert [seen.role(digest) for digest in "adx"] == ["train", "val", None]
    assert json.dumps(counted(["train", None, "val", "train", "test"])) == '{"seen/train": 2, "seen/val": 1}'
