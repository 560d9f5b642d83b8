"""The log-mel spectrogram, held against other implementations and against what a pure tone must give."""

import numpy as np
import pytest

from graft.data.mel import LEAST, SILENCE, decibels, mel_filters, mel_power, to_hertz, to_mel
from graft.errors import GraftError

RATE, N_FFT, HOP, MELS = 16_000, 512, 160, 64


def noise(seconds=0.5, rate=RATE):
    """Noise with a tone in it, `(T,)` float32."""
    times = np.arange(int(seconds * rate)) / rate
    drawn = np.random.default_rng(0).normal(0, 0.05, len(times))
    return (drawn + 0.3 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)


def test_the_scale_is_slaneys_and_its_own_inverse():
    assert to_mel(np.array([0.0, 500.0, 1000.0, 6400.0])) == pytest.approx([0, 7.5, 15, 42])
    frequencies = np.geomspace(20, 20_000, 50)
    assert to_hertz(to_mel(frequencies)) == pytest.approx(frequencies)


def test_each_band_weighs_its_frequencies_to_an_area_of_one():
    filters = mel_filters(RATE, 4096, 40, 100.0, 7000.0)
    assert filters.sum(1) * RATE / 4096 == pytest.approx(np.ones(40), abs=0.01)


def test_a_tone_is_loudest_in_the_band_around_it():
    times = np.arange(RATE) / RATE
    for hertz in (300.0, 1500.0, 5000.0):
        power = mel_power(
            np.sin(2 * np.pi * hertz * times).astype(np.float32), RATE, N_FFT, HOP, MELS, 0, 8000
        )
        loudest = power.sum(1).argmax()
        middles = to_hertz(np.linspace(to_mel(0.0), to_mel(8000.0), MELS + 2))[1:-1]
        assert loudest == np.abs(middles - hertz).argmin()


@pytest.mark.parametrize("length", [1, 100, 511, 512, 8000, 8001])
def test_there_is_a_window_on_every_hop(length):
    assert mel_power(np.ones(length, np.float32), RATE, N_FFT, HOP, MELS, 0, 8000).shape == (
        MELS,
        1 + length // HOP,
    )


def test_silence_has_a_level():
    assert decibels(np.array([0.0, LEAST, 1.0])).tolist() == [SILENCE, SILENCE, 0.0]


def test_bands_that_hold_no_frequency_are_refused():
    with pytest.raises(GraftError, match=r"data\.mels=200: \d+ of the bands would be empty at n_fft=256"):
        mel_filters(8000, 256, 200, 0.0, 4000.0)


@pytest.mark.parametrize(
    ("rate", "n_fft", "hop", "mels", "f_min", "f_max"),
    [
        (16_000, 512, 160, 64, 0.0, 8000.0),
        (8000, 256, 80, 40, 50.0, 3800.0),
        (44_100, 2048, 512, 128, 0, 22050),
    ],
)
def test_as_librosa_has_it(rate, n_fft, hop, mels, f_min, f_max):
    librosa = pytest.importorskip("librosa")
    samples = noise(rate=rate)
    ours = decibels(mel_power(samples, rate, n_fft, hop, mels, f_min, f_max))
    theirs = librosa.feature.melspectrogram(
        y=samples.astype(np.float64),
        sr=rate,
        n_fft=n_fft,
        hop_length=hop,
        n_mels=mels,
        fmin=f_min,
        fmax=f_max,
        pad_mode="constant",
    )
    theirs = librosa.power_to_db(theirs, amin=LEAST, top_db=None)
    assert np.abs(ours - theirs).max() < 1e-4


@pytest.mark.parametrize(("rate", "n_fft", "hop", "mels"), [(16_000, 512, 160, 64), (8000, 256, 80, 40)])
def test_as_transformers_has_it(rate, n_fft, hop, mels):
    theirs = pytest.importorskip("transformers.audio_utils")
    samples = noise(rate=rate)
    filters = theirs.mel_filter_bank(
        n_fft // 2 + 1, mels, 0.0, rate / 2, rate, norm="slaney", mel_scale="slaney"
    )
    power = theirs.spectrogram(
        samples.astype(np.float64),
        theirs.window_function(n_fft, "hann", periodic=True),
        frame_length=n_fft,
        hop_length=hop,
        power=2.0,
        pad_mode="constant",
        mel_filters=filters,
        mel_floor=LEAST,
    )
    ours = mel_power(samples, rate, n_fft, hop, mels, 0.0, rate / 2)
    assert np.abs(decibels(ours) - decibels(power)).max() < 1e-4
