"""What is seen of a text: its length, what an encoding damaged, copies, and its picture."""

from pathlib import Path

import numpy as np
import pytest

from graft.backbones import Preprocessing
from graft.data import text_samples
from graft.data.pictures import with_copies_known
from graft.data.sample_data import SampleData
from graft.data.samples import SampleError
from graft.data.text_card import text_card
from graft.data.text_kind import TEXTS
from graft.errors import GraftError

SEEN = ["Good film", "good \n  FILM", "caf\ufffd", "itâ€™s", " ", "word " * 2001]


@pytest.fixture
def samples():
    return text_samples([f"line {i}" for i in range(len(SEEN))], [0] * len(SEEN), SEEN)


def test_a_look_counts_and_finds_damage(samples):
    looks = [TEXTS.look(samples, index) for index in range(len(SEEN))]
    assert [look.words for look in looks] == [2, 2, 1, 1, 0, 2001]
    assert looks[0].digest == looks[1].digest != looks[2].digest
    assert TEXTS.lines(looks)[0] == "words: 0 to 2,001, median 1.5"
    assert list(TEXTS.warnings(samples.names, dict(enumerate(looks)))) == [
        "1 text is empty, such as line 4",
        "1 text has characters that were lost (U+FFFD, control characters), such as line 2",
        "1 text looks like UTF-8 that was read as another encoding, such as line 3",
        "1 text has more than 2,000 words, and a network may see the first alone, such as line 5 (2,001)",
    ]


def test_plain_texts_are_warned_of_nothing():
    texts = ["Ärger, naïve café", "¿qué?", "â", "日本語"]
    plain = text_samples(list("abcd"), [0] * 4, texts)
    looks = {index: TEXTS.look(plain, index) for index in range(4)}
    assert not list(TEXTS.warnings(plain.names, looks))


def test_copies_look_the_same(samples):
    data = SampleData(["a"], {"all": samples}, kind=TEXTS)
    known = with_copies_known(data)
    assert known.pictures is not None
    assert known.pictures.tolist() == [0, 0, 2, 3, 4, 5]


def test_a_sample_is_a_string_or_a_file(tmp_path: Path):
    (tmp_path / "a.txt").write_text("\ufeffhello", encoding="utf-8")
    assert TEXTS.sample("a.txt") == "a.txt"
    assert TEXTS.sample(tmp_path / "a.txt") == "hello"
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe")
    for wrong in (3, tmp_path / "a.txt", tmp_path / "gone.txt"):
        with pytest.raises(SampleError):
            TEXTS.sample(wrong)


def test_a_backbone_of_another_kind_is_refused():
    with pytest.raises(GraftError, match="it takes images, and data has texts; give backbone=text_cnn"):
        TEXTS.suited(Preprocessing(8, 8))


@pytest.mark.parametrize("text", ["short", "word " * 50_000, "x" * 10_000, "", "日本語 Ω"])
def test_a_card_holds_what_goes_on_it(text):
    card = np.asarray(text_card(text))
    assert card.shape == (256, 256, 3)
    # Nothing is written over the margin.
    assert card[:, -4:].min() == card[-4:].min() == 255
    assert (card.min() < 128) == bool(text)
