"""What is special to sounds: the spectrogram that suits a backbone, and what can be wrong with a sound."""

from dataclasses import replace

import numpy as np
import pytest

from graft.backbones import LogMel, Preprocessing
from graft.backbones.preprocessings import read_preprocessing
from graft.backbones.waves import WavePreprocessing
from graft.data import Sound
from graft.data.image_kind import IMAGES
from graft.data.kinds import kind_of
from graft.data.samples import SampleError, Samples
from graft.data.sound_kind import SOUNDS, Sounds
from graft.errors import GraftError

PICTURE = Preprocessing(256, 224)


def test_a_network_of_images_gets_a_spectrogram_that_suits_the_sounds():
    telephone = Sounds(usual_rate=8000, usual_seconds=0.9).suited(PICTURE)
    assert telephone == LogMel(PICTURE, 8000, 256, 80, 64, 0.9, 0.0, 4000.0)
    assert telephone.side == telephone.crop == 224
    assert SOUNDS.suited(PICTURE) == LogMel(PICTURE, 16_000, 512, 160, 64, 1.0, 0.0, 8000.0)


def test_what_is_asked_for_goes_before_and_a_networks_own_before_what_is_usual():
    own = LogMel(PICTURE, 22_050, 1024, 256, 40, 2.0, 50.0, 9000.0)
    assert Sounds(usual_rate=8000, usual_seconds=0.3).suited(own) == own
    asked = Sounds(seconds=3.0, mels=50).suited(own)
    assert (asked.seconds, asked.mels, asked.sample_rate, asked.f_max) == (3.0, 50, 22_050, 9000.0)
    other = Sounds(sample_rate=8000).suited(own)
    assert (other.sample_rate, other.n_fft, other.f_max, other.seconds) == (8000, 256, 4000.0, 2.0)
    assert Sounds(sample_rate=8000).suited(other) == other


def test_a_preprocessing_is_read_back():
    suited = Sounds(usual_seconds=0.7).suited(PICTURE)
    assert read_preprocessing(suited.to_dict()) == suited
    assert kind_of(suited) is SOUNDS
    broken = suited.to_dict()
    del broken["mels"]
    with pytest.raises(GraftError, match=r"preprocessing of sounds must have exactly the keys .*; see mels"):
        read_preprocessing(broken)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            {"f_max": 9000.0},
            r"data\.f_max=9000: must lie above f_min=0 and at most at half of sample_rate=16000",
        ),
        ({"f_min": 8000.0}, r"data\.f_max=8000: must lie above f_min=8000"),
        ({"hop": 600}, r"data\.hop=600: must be from 1 to n_fft=512"),
        ({"seconds": 0.001}, r"data\.seconds=0\.001: must be longer"),
    ],
)
def test_settings_that_make_no_spectrogram_are_refused(asked, said):
    with pytest.raises(GraftError, match=said):
        Sounds(**asked).suited(PICTURE)


def test_kinds_do_not_mix():
    with pytest.raises(GraftError, match="backbone: it takes sounds, and data has images"):
        IMAGES.suited(SOUNDS.suited(PICTURE))


def test_an_encoder_hears_as_long_as_is_asked_for():
    wave = WavePreprocessing("Wav2Vec2FeatureExtractor", 16000, 10.0, {"sampling_rate": 16000})
    assert SOUNDS.suited(wave) == wave
    assert replace(SOUNDS, seconds=2.0).suited(wave).seconds == 2.0


def samples(*sounds):
    def load(index):
        if sounds[index] is None:
            raise SampleError("damaged")
        return sounds[index]

    return Samples([f"{i}.wav" for i in range(len(sounds))], [0] * len(sounds), load, lambda index: b"")


def noise(seconds=1.0, loud=0.1, rate=8000, channels=1):
    drawn = np.random.default_rng(0).normal(0, loud, int(seconds * rate)).astype(np.float32)
    return Sound(np.clip(drawn, -1, 1), rate, channels)


def test_a_look_says_what_can_be_wrong_with_a_sound():
    clipped = noise()
    clipped.samples[10:15] = 1.0
    clipped.samples[20:22] = 1.0
    held = samples(noise(channels=2), noise(loud=0.0001), clipped, noise(rate=16_000), noise(12.0), None)
    looks = [SOUNDS.look(held, index) for index in range(6)]
    assert looks[5] == "5.wav: damaged"
    assert (looks[0].seconds, looks[0].rate, looks[0].channels, looks[0].clipped) == (1.0, 8000, 2, 0)
    assert looks[2].clipped == 5
    assert list(SOUNDS.columns(looks[2]).values()) == ["1.000", 8000, 1, "1.0000", 5]
    assert SOUNDS.columns(None).keys() == SOUNDS.columns(looks[0]).keys()
    said = list(SOUNDS.warnings(held.names, dict(enumerate(looks[:5]))))
    assert [line.split(",")[0] for line in said] == [
        "1 sound is silent",
        "1 sound is clipped",
        "1 sound has another rate than the 8",
        "1 sound is more than ten times as long as the median",
    ]
    assert [line.rpartition("such as ")[2] for line in said] == [
        "1.wav",
        "2.wav (5 samples)",
        "3.wav (16,000)",
        "4.wav (12.0 s)",
    ]
    assert SOUNDS.lines(looks[:5])[1] == "samples a second: 8,000 4, 16,000 1"
    assert SOUNDS.summary(looks[:5]) == {
        "rates": {8000: 4, 16_000: 1},
        "channels": {2: 1, 1: 4},
        "seconds": 16.0,
    }


def test_copies_are_the_same_samples_at_the_same_rate():
    held = samples(noise(), noise(), Sound(noise().samples, 16_000))
    first, second, third = (SOUNDS.look(held, index).digest for index in range(3))
    assert first == second != third


def test_a_card_is_a_picture_of_the_whole_sound():
    short, long = (SOUNDS.card(noise(seconds)) for seconds in (0.01, 5.0))
    assert short.mode == long.mode == "RGB"
    assert short.size == long.size
    assert len(np.unique(np.asarray(long).reshape(-1, 3), axis=0)) > 100
