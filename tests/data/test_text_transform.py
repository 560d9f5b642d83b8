"""Texts as rows of numbers, and what word dropout draws."""

import numpy as np
import pytest
import torch

from graft.backbones import Preprocessing
from graft.backbones.words import TextPreprocessing
from graft.data import evaluation_transform, training_transform, word_dropout
from graft.errors import GraftError
from graft.features.keys import same_transform

WORDS = TextPreprocessing("words", ("good", "film", "."), 6)
NOTHING = np.zeros(2, np.int64)


def rows(transform, texts, seed=None, epoch=0, indices=None):
    prepared = [transform.prepare(text) for text in texts]
    indices = np.arange(len(texts)) if indices is None else np.array(indices)
    return transform.finish(prepared, seed, np.full(len(texts), epoch), indices)


def test_a_row_has_numbers_unknown_words_and_zeros_behind():
    found = rows(evaluation_transform(WORDS), ["A good  FILM.", "film " * 9, ""])
    assert found.tolist() == [[1, 2, 3, 4, 0, 0], [3] * 6, [0] * 6]
    assert found.dtype == torch.int64


def test_without_augmentation_training_is_evaluation():
    assert training_transform(WORDS, None, 0.0, None) == evaluation_transform(WORDS)
    with pytest.raises(GraftError, match=r"augment.horizontal_flip=0.5 alters images, and data has texts"):
        training_transform(WORDS, None, 0.5, None)


def test_words_are_dropped_by_seed_epoch_and_text_alone():
    transform = word_dropout(WORDS, 0.5)
    texts = ["good film . good film ."] * 40
    first = rows(transform, texts, seed=1)
    assert torch.equal(first, rows(transform, texts, seed=1))
    assert torch.equal(first[[7]], rows(transform, texts[:1], seed=1, indices=[7]))
    assert not torch.equal(first, rows(transform, texts, seed=1, epoch=1))
    share = (first == 1).float().mean()
    assert 0.4 < share < 0.6
    # Nothing is drawn in evaluation, and padding is never a word.
    assert not (rows(transform, texts) == 1).any()
    assert rows(word_dropout(WORDS, 0.9), ["film"] * 40, seed=0)[:, 1:].sum() == 0


def test_word_dropout_is_for_tokens():
    with pytest.raises(GraftError, match=r"augment=words drops words of backbone=text_cnn"):
        word_dropout(Preprocessing(8, 8))


def test_use_does_not_change_what_a_key_of_the_feature_cache_is_made_of():
    used = evaluation_transform(WORDS)
    rows(used, ["film"])
    assert same_transform(used, evaluation_transform(WORDS))


def test_rows_are_shown_as_texts():
    transform = evaluation_transform(WORDS)
    cards = transform.shown(rows(transform, ["a good film", ""]))
    assert [card.size for card in cards] == [cards[0].size] * 2
    assert np.asarray(cards[0]).min() < 128
    assert np.asarray(cards[1]).min() == 255
    assert transform.blank(3).tolist() == [[0] * 6] * 3
