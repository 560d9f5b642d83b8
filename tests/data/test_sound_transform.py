"""From sounds to pictures: where a sound is cut, how loud is bright, and what augmentation draws."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from graft.backbones import LogMel, Preprocessing
from graft.data import Sound, sound_augmentation
from graft.data.sound_transform import SoundTransform
from graft.errors import GraftError

HOW = LogMel(Preprocessing(40, 32, mean=(0.5,) * 3, std=(0.5,) * 3), 8000, 256, 80, 32, 0.5, 0.0, 4000.0)
EPOCHS, INDICES = np.array([0]), np.array([0])


def tone(hertz=440.0, seconds=0.5, loud=0.5, rate=8000):
    times = np.arange(int(seconds * rate)) / rate
    return Sound((loud * np.sin(2 * np.pi * hertz * times)).astype(np.float32), rate)


def plain(transform, sound):
    """The picture's brightness `(H, W)`, from 0 to 1."""
    return (transform(sound)[0] * 0.5 + 0.5).numpy()


def test_a_picture_has_the_backbones_size_and_scale_whatever_the_sound():
    transform = SoundTransform(HOW)
    for seconds in (0.01, 0.5, 7.3):
        picture = transform(tone(seconds=seconds))
        assert picture.shape == (3, 32, 32)
        assert torch.equal(picture[0], picture[2])
        assert -1 <= picture.min() < picture.max() <= 1
    assert transform.blank(2).shape == (2, 3, 32, 32)
    assert transform.shown(transform.blank(2))[1].getpixel((3, 3)) == (128, 128, 128)


def test_high_tones_are_at_the_top():
    transform = SoundTransform(HOW)
    rows = [plain(transform, tone(hertz)).sum(1).argmax() for hertz in (200, 1000, 3500)]
    assert rows == sorted(rows, reverse=True)
    assert rows[0] > 28
    assert rows[-1] < 4


def test_how_loud_the_whole_is_makes_no_difference():
    transform = SoundTransform(HOW)
    assert plain(transform, tone(loud=0.5)) == pytest.approx(plain(transform, tone(loud=0.005)), abs=1e-3)


def test_silence_is_black():
    assert plain(SoundTransform(HOW), Sound(np.zeros(4000, np.float32), 8000)).max() == 0


def test_a_short_sound_stands_in_the_middle_and_a_long_one_is_cut_where_it_is_loudest():
    transform = SoundTransform(HOW)
    columns = plain(transform, tone(seconds=0.1)).sum(0)
    assert np.flatnonzero(columns > columns.max() / 2).mean() == pytest.approx(15.5, abs=2)
    quiet = np.random.default_rng(0).normal(0, 0.001, 24_000).astype(np.float32)
    quiet[17_000:19_000] += tone(seconds=0.25).samples
    loud = Sound(quiet[15_500:20_500], 8000)
    assert plain(transform, Sound(quiet, 8000)).max(0).argmax() == pytest.approx(
        plain(transform, loud).max(0).argmax(), abs=16
    )
    assert (plain(transform, Sound(quiet, 8000)).max(0) > 0.9).sum() >= 14


def test_any_rate_gives_the_same_picture():
    pytest.importorskip("soxr")
    transform = SoundTransform(HOW)
    lower, higher = plain(transform, tone()), plain(transform, tone(rate=48_000))
    assert np.abs(lower - higher)[:, 4:-4].mean() < 0.03


def test_one_sound_or_many_together_give_the_same_bits():
    transform = SoundTransform(HOW, 0.2, 6.0, 1, 0.3, 1, 0.3)
    prepared = [transform.prepare(tone(hertz)) for hertz in (200, 400, 800)]
    epochs, indices = np.array([4, 5, 6]), np.array([7, 8, 9])
    together = transform.finish(prepared, 3, epochs, indices)
    for place in range(3):
        one = slice(place, place + 1)
        alone = transform.finish(prepared[one], 3, epochs[one], indices[one])
        assert torch.equal(alone[0], together[place])


def test_draws_depend_on_seed_epoch_and_index_alone():
    transform = SoundTransform(HOW, 0.2, 6.0, 1, 0.3, 1, 0.3)
    drawn = {
        (seed, epoch, index): transform(tone(), seed=seed, epoch=epoch, index=index)
        for seed in (0, 1)
        for epoch in (0, 1)
        for index in (0, 1)
    }
    assert torch.equal(drawn[0, 1, 1], transform(tone(), seed=0, epoch=1, index=1))
    for one, first in drawn.items():
        assert all(not torch.equal(first, second) for other, second in drawn.items() if other != one)


def test_a_shift_moves_a_sound_and_shows_what_lies_beside_it():
    transform = SoundTransform(HOW, time_shift=0.3)
    columns = [plain_of(transform, tone(seconds=0.1), index).sum(0).argmax() for index in range(40)]
    assert min(columns) < 10
    assert max(columns) > 22
    # All of a long tone is loud, so no shift brings silence.
    for index in range(20):
        assert plain_of(transform, tone(seconds=3), index).max(0).min() > 0.95


def plain_of(transform, sound, index):
    return (transform(sound, index=index)[0] * 0.5 + 0.5).numpy()


def test_gain_makes_brighter_and_darker():
    transform = SoundTransform(HOW, gain=20.0)
    sound = Sound(np.random.default_rng(0).normal(0, 0.1, 4000).astype(np.float32), 8000)
    means = [plain_of(transform, sound, index).mean() for index in range(40)]
    before = plain(SoundTransform(HOW), sound).mean()
    assert min(means) < before - 0.15
    assert max(means) > before + 0.05


def test_masks_hide_spans_no_wider_than_they_may_be():
    big = replace(HOW, picture=Preprocessing(50, 50, mean=(0,) * 3, std=(1,) * 3), mels=50)
    sound = Sound(np.random.default_rng(0).normal(0, 0.1, 4000).astype(np.float32), 8000)
    for axis, settings in ((0, (1, 0.4, 0, 0.0)), (1, (0, 0.0, 1, 0.4))):
        transform = SoundTransform(big, 0.0, 0.0, *settings)
        hidden = []
        for index in range(30):
            picture = transform(sound, index=index)[0].numpy()
            flat = np.ptp(picture, axis=axis) == 0
            hidden.append(int(flat.sum()))
        assert max(hidden) <= 20
        assert max(hidden) > 12
        assert min(hidden) < 5


def test_what_takes_no_spectrogram_is_refused():
    with pytest.raises(GraftError, match="augment=audio: it alters spectrograms, and the data have images"):
        sound_augmentation(Preprocessing(32, 32), 0.1, 6.0, 1, 0.2, 1, 0.2)


def test_what_is_prepared_has_another_form_where_it_is_another():
    forms = [
        SoundTransform(HOW).form,
        SoundTransform(HOW, time_shift=0.2).form,
        SoundTransform(replace(HOW, mels=40)).form,
    ]
    assert len(set(forms)) == 3
    assert SoundTransform(HOW, gain=3.0).form == SoundTransform(HOW.scaled(64)).form == forms[0]
