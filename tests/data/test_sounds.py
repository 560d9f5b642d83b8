"""Sound files: formats, channels, rates and damage."""

import numpy as np
import pytest

from graft.data.samples import SampleError
from graft.data.sounds import is_sound, rate_and_seconds, read_sound, resampled
from graft.errors import GraftError

soundfile = pytest.importorskip("soundfile")
RATE = 16_000


def tone(hertz, seconds=0.5, rate=RATE):
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


@pytest.mark.parametrize(("suffix", "off"), [("wav", 1e-4), ("flac", 1e-4), ("ogg", 0.05), ("mp3", 0.05)])
def test_each_format_gives_its_samples_back(tmp_path, suffix, off):
    file = tmp_path / f"tone.{suffix}"
    soundfile.write(file, tone(440), RATE)
    sound = read_sound(file)
    assert sound.rate == RATE
    assert sound.samples.dtype == np.float32
    assert sound.seconds == pytest.approx(0.5, abs=0.01)
    middle = slice(2000, 6000)
    assert np.abs(sound.samples[middle] - tone(440)[middle]).max() < off
    assert is_sound(str(file))
    assert rate_and_seconds(file) == (RATE, pytest.approx(0.5, abs=0.01))


def test_channels_are_mixed_down(tmp_path):
    left, right = tone(440), tone(660)
    soundfile.write(tmp_path / "two.wav", np.stack([left, right], 1), RATE, subtype="FLOAT")
    sound = read_sound(tmp_path / "two.wav")
    assert sound.channels == 2
    assert sound.samples == pytest.approx((left + right) / 2, abs=1e-6)


def test_a_lower_rate_keeps_what_it_can_hold_and_nothing_else():
    pytest.importorskip("soxr")
    from graft.data.sounds import Sound

    lower = resampled(Sound(tone(440, rate=96_000), 96_000), RATE)
    assert lower.rate == RATE
    assert np.abs(lower.samples[2000:6000] - tone(440)[2000:6000]).max() < 1e-3
    # 20 kHz would come back as 4 kHz.
    assert np.abs(resampled(Sound(tone(20_000, rate=96_000), 96_000), RATE).samples[2000:6000]).max() < 1e-3
    assert resampled(lower, RATE) is lower


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "cannot be read as a sound"),
        (b"this is no sound at all" * 20, "cannot be read as a sound"),
        ("cut", "is cut off after|cannot be read as a sound"),
        ("empty", "holds 0 samples"),
        ("nan", "NaN or infinity"),
    ],
)
def test_what_cannot_be_used_is_one_line_with_the_file(tmp_path, content, said):
    file = tmp_path / "bad.flac"
    if content == "cut":
        soundfile.write(file, tone(440), RATE)
        file.write_bytes(file.read_bytes()[:1000])
    elif content in ("empty", "nan"):
        samples = np.full(0 if content == "empty" else 100, np.nan, np.float32)
        soundfile.write(file, samples, RATE, format="WAV", subtype="FLOAT")
    else:
        file.write_bytes(content)
    with pytest.raises(SampleError, match=said) as raised:
        read_sound(file)
    assert str(raised.value).count("bad.flac") == 1
    assert "\n" not in str(raised.value)
    assert "object at" not in str(raised.value)


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(SampleError, match=r"gone\.wav: there is no such sound"):
        read_sound(tmp_path / "gone.wav")
    assert rate_and_seconds(tmp_path / "gone.wav") is None


def test_too_long_a_sound_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr("graft.data.sounds.MOST", 1000)
    soundfile.write(tmp_path / "long.wav", tone(440), RATE)
    with pytest.raises(SampleError, match="too long; cut it into pieces"):
        read_sound(tmp_path / "long.wav")


@pytest.mark.parametrize("package", ["soundfile", "soxr"])
def test_a_missing_extra_says_what_to_install(tmp_path, monkeypatch, package):
    soundfile.write(tmp_path / "tone.wav", tone(440), RATE)
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(GraftError, match=rf"sounds need {package}: pip install 'graft-transfer\[audio\]'"):
        resampled(read_sound(tmp_path / "tone.wav"), 8000)
