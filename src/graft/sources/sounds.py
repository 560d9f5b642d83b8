"""Sounds in folders, a folder a class, or listed in a CSV file. Imports no torch."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from graft.data.headers import MOST, some_of
from graft.data.sample_data import SampleData
from graft.data.sound_kind import RATE, Sounds
from graft.data.sound_samples import file_sounds
from graft.data.sounds import SUFFIXES, rate_and_seconds
from graft.sources.folders import data_folder, find_classes
from graft.sources.manifests import listed_files
from graft.sources.parts import NamedFiles, number_classes
from graft.sources.walk import SOUND_FILES, Walk

# Of all sounds, in percent, those that are shown whole where nobody says how many seconds are; and at most.
WHOLE, LONGEST = 98, 10.0


def audio_folder(
    root: str,
    nested: bool = False,
    seconds: float | None = None,
    sample_rate: int | None = None,
    n_fft: int | None = None,
    hop: int | None = None,
    mels: int | None = None,
    f_min: float | None = None,
    f_max: float | None = None,
) -> SampleData:
    """Sounds below `root`, whose folder says their class, found as `image_folder` finds images.

    Args:
        root: the folder.
        nested: whether class folders may hold nothing but folders of the same names, such as years.
        seconds: that a network hears; longer sounds are cut to where they are loudest, shorter ones padded.
            None: a trained network's own, else what 98 of 100 sounds do not exceed, at most 10.
        sample_rate: Hz; None, as for all that follow: a network's own, else the rate that most sounds have,
            at most 16,000.
        n_fft: samples of the spectrogram's window; else 25 ms, made a power of two.
        hop: samples from one window to the next; else 10 ms.
        mels: bands; else 64.
        f_min: lower end of the lowest, Hz; else 0.
        f_max: upper end of the highest, Hz; else half of the rate.

    Raises:
        GraftError: as `image_folder`, of sounds; or soundfile is not installed.
    """
    source, folder = f"data.root={root}", data_folder(root)
    parts, notes, untrainable = find_classes(Walk(folder, source, SOUND_FILES), nested)
    kind = _kind(folder, parts, Sounds(sample_rate, n_fft, hop, mels, seconds, f_min, f_max))
    return number_classes(source, folder, parts, notes, untrainable, file_sounds, kind)


def audio_csv(
    file: str,
    root: str | None = None,
    label: str | None = "label",
    seconds: float | None = None,
    sample_rate: int | None = None,
    n_fft: int | None = None,
    hop: int | None = None,
    mels: int | None = None,
    f_min: float | None = None,
    f_max: float | None = None,
) -> SampleData:
    """Sounds listed in a CSV file, as `csv_manifest` reads one of images; the rest as `audio_folder`.

    Raises:
        GraftError: as `csv_manifest`, of sounds; or soundfile is not installed.
    """
    source = f"data.file={file}"
    folder, parts, notes = listed_files(source, file, root, label, "sounds", SUFFIXES)
    kind = _kind(folder, parts, Sounds(sample_rate, n_fft, hop, mels, seconds, f_min, f_max))
    return number_classes(source, folder, parts, notes, None, file_sounds, kind, label is not None)


def _kind(folder: Path, parts: Mapping[str, NamedFiles], asked: Sounds) -> Sounds:
    """What is asked for, and what is usual among the sounds to learn from, as the headers of some say."""
    learnt = parts.get("train") or parts.get("all") or next(iter(parts.values()))
    said = [known for name in some_of(learnt.names, MOST) if (known := rate_and_seconds(folder / name))]
    if not said:
        return asked
    rates, lengths = zip(*said, strict=True)
    usual = Counter(rates).most_common(1)[0][0]
    # In steps of a tenth of a second, so that a sound more or less makes no other network's input.
    seconds = float(np.ceil(10 * np.percentile(lengths, WHOLE)) / 10)
    return replace(asked, usual_rate=min(usual, RATE), usual_seconds=min(max(seconds, 0.1), LONGEST))
