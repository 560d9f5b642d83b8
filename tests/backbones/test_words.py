"""Tokens of texts, the vocabulary, and how both are kept."""

import pytest
import yaml

from graft.backbones.preprocessings import read_preprocessing
from graft.backbones.words import TextPreprocessing, learnt, tokens_of
from graft.errors import GraftError


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("It isn't  GOOD,\n is it?", ["it", "is", "n't", "good", ",", "is", "it", "?"]),
        ("she’s here; we can't", ["she", "'s", "here", ";", "we", "ca", "n't"]),
        ("'quoted' 3.5 naïve", ["'", "quoted", "'", "3", ".", "5", "naïve"]),
        (" \t ", []),
    ],
)
def test_words(text, tokens):
    assert tokens_of(text, "words") == tokens


def test_characters():
    assert tokens_of(" AC \n gt", "characters") == ["a", "c", " ", "g", "t"]


def test_accents_in_two_spellings_are_one_word():
    assert tokens_of("café", "words") == tokens_of("cafe\u0301", "words") == ["café"]


def test_a_vocabulary_is_that_of_the_texts_most_frequent_first():
    found, cut = learnt(["b a a", "b c", "a"], "words", least=2, most=2)
    assert (found.vocabulary, found.length, found.size, cut) == (("a", "b"), 2, 4, 1)
    kept, _ = learnt(["x x x x"], "words", least=2, most=9, given=found)
    assert (kept.vocabulary, kept.length) == (("a", "b"), 4)
    with pytest.raises(GraftError, match=r"backbone.min_count=2: none of the 3 words"):
        learnt(["a b c"], "words", least=2, most=9)


@pytest.mark.parametrize("tokens", ["words", "characters"])
def test_what_is_kept_is_read_back(tokens):
    odd = ["no", "1", "null", ":", "'", '"', "#", "é", "\U0001f600", "\u0301", "\ufffd", "\x07"]
    vocabulary = tuple(odd if tokens == "words" else [*"no1: '\"#é\U0001f600\u0301\ufffd\x07"])
    given = TextPreprocessing(tokens, vocabulary, 7)
    written = yaml.safe_dump(given.to_dict(), allow_unicode=True)
    assert read_preprocessing(yaml.safe_load(written)) == given


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"tokens": "word"}, "did you mean words"),
        ({"length": 0}, "length=0"),
        ({"vocabulary": "a b a"}, "'a' twice"),
        ({"extra": 1}, "extra"),
    ],
)
def test_what_cannot_be_is_refused(changed, words):
    values = {"name": "words", "tokens": "words", "length": 3, "vocabulary": "a b"}
    with pytest.raises(GraftError, match=words):
        read_preprocessing({**values, **changed})
