"""Sounds in folders and CSV files: which are found, and what is usual among them."""

import numpy as np
import pytest

from graft.data.sound_kind import Sounds
from graft.errors import GraftError
from graft.sources import audio_csv, audio_folder, find_sounds, image_folder

soundfile = pytest.importorskip("soundfile")


def write(path, seconds=0.5, rate=8000):
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(len(str(path))).normal(0, 0.1, int(seconds * rate))
    soundfile.write(path, samples, rate)
    return path


@pytest.fixture
def folder(tmp_path):
    """Two classes of six sounds each, of which one is longer than the others."""
    for name in ("cat", "dog"):
        for index in range(6):
            write(tmp_path / "sounds" / name / f"{index}.{'wav' if index % 2 else 'flac'}")
    return tmp_path / "sounds"


def test_class_folders_are_found_as_those_of_images_are(folder):
    (folder / "cat" / "notes.txt").write_text("no sound")
    data = audio_folder(str(folder))
    assert data.class_names == ["cat", "dog"]
    assert data.samples.names[:2] == ["cat/0.flac", "cat/1.wav"]
    assert data.samples.labels.tolist() == [0] * 6 + [1] * 6
    assert data.samples[0].samples.shape == (4000,)
    said = "left out: 1 file that is no sound that libsndfile decodes (.txt 1), such as cat/notes.txt"
    assert data.notes == [said]
    assert data.kind == Sounds(usual_rate=8000, usual_seconds=0.5)


def test_parts_are_what_their_folders_say(folder, tmp_path):
    for part in ("train", "test"):
        for name in ("cat", "dog"):
            write(tmp_path / "parted" / part / name / "0.wav", 0.3 if part == "train" else 3.0)
    data = audio_folder(str(tmp_path / "parted"))
    assert list(data.parts) == ["train", "test"]
    # What is usual is learnt from what trains.
    assert data.kind.usual_seconds == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("seconds", "rate", "usual"), [(25.0, 8000, (10.0, 8000)), (0.02, 48_000, (0.1, 16_000))]
)
def test_what_is_usual_has_bounds(tmp_path, seconds, rate, usual):
    for name in ("a", "b"):
        write(tmp_path / name / "0.wav", seconds, rate)
    kind = audio_folder(str(tmp_path)).kind
    assert (kind.usual_seconds, kind.usual_rate) == usual


def test_what_is_asked_for_is_handed_on(folder):
    kind = audio_folder(str(folder), seconds=2.0, sample_rate=4000, mels=20).kind
    assert (kind.seconds, kind.sample_rate, kind.mels, kind.hop) == (2.0, 4000, 20, None)


def test_no_sounds_are_one_line(folder, tmp_path, paint):
    paint(tmp_path / "photos" / "cat" / "0.png")
    paint(tmp_path / "photos" / "dog" / "0.png")
    with pytest.raises(GraftError, match=r"data\.root=.*photos: no sounds in folders of classes"):
        audio_folder(str(tmp_path / "photos"))
    with pytest.raises(GraftError, match="no images in folders of classes"):
        image_folder(str(folder))
    with pytest.raises(GraftError, match=r"data\.root=nowhere"):
        audio_folder("nowhere")


def test_a_csv_gives_labels_parts_and_groups(folder, tmp_path):
    rows = ["path,label,split,group"]
    rows += [
        f"cat/{i}.{'wav' if i % 2 else 'flac'},meow,{'test' if i < 2 else 'train'},g{i % 3}" for i in range(6)
    ]
    rows += [
        f"dog/{i}.{'wav' if i % 2 else 'flac'},bark,{'test' if i < 2 else 'train'},g{i % 3}" for i in range(6)
    ]
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    data = audio_csv(str(tmp_path / "labels.csv"), root=str(folder))
    assert data.class_names == ["bark", "meow"]
    assert {part: len(held) for part, held in data.parts.items()} == {"train": 8, "test": 4}
    assert data.groups[:2] == ["g2", "g0"]
    assert data.notes == ["warning: 2 groups are in more than one part, such as g0"]
    (tmp_path / "labels.csv").write_text("path,label\ncat/0.flac,meow\ncat/9.wav,meow\n")
    with pytest.raises(GraftError, match=r"1 of 2 sounds are not below .*, the first in line 3: cat/9\.wav"):
        audio_csv(str(tmp_path / "labels.csv"), root=str(folder))


def test_sounds_to_predict_are_found_by_file_folder_and_pattern(folder):
    assert len(find_sounds(str(folder)).files) == 12
    assert [path.name for path in find_sounds(str(folder / "cat" / "*.wav")).files] == [
        "1.wav",
        "3.wav",
        "5.wav",
    ]
    assert find_sounds(str(folder / "cat" / "0.flac")).files == [folder / "cat" / "0.flac"]
    with pytest.raises(GraftError, match="there are no sounds"):
        find_sounds(str(folder / "cat" / "*.txt"))
