"""Log-mel spectrograms. Imports no torch.

On one thread, and in double precision: the same sound gives the same bits in every process.
"""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graft.errors import GraftError

# Slaney's mel scale (Auditory Toolbox, 1998): linear up to 1,000 Hz, logarithmic above.
_HZ_A_MEL = 200 / 3
_BREAK = 1000.0
_STEP = np.log(6.4) / 27
# Power below which there is silence: of 16 bits the last one's noise is a million times louder.
LEAST = 1e-16
SILENCE = -160.0


def to_mel(hertz: Any) -> Any:
    """Frequencies on Slaney's mel scale."""
    above = np.maximum(hertz, _BREAK)
    return np.where(hertz < _BREAK, hertz / _HZ_A_MEL, _BREAK / _HZ_A_MEL + np.log(above / _BREAK) / _STEP)


def to_hertz(mel: Any) -> Any:
    """The inverse of `to_mel`."""
    knee = _BREAK / _HZ_A_MEL
    return np.where(mel < knee, mel * _HZ_A_MEL, _BREAK * np.exp(_STEP * (np.maximum(mel, knee) - knee)))


@cache
def mel_filters(rate: int, n_fft: int, mels: int, f_min: float, f_max: float) -> NDArray[np.float64]:
    """`(mels, n_fft // 2 + 1)`: triangles over the Fourier transform's frequencies, each of area 1 (per Hz).

    Raises:
        GraftError: a band lies between two frequencies, so that it would always be empty.
    """
    ends = to_hertz(np.linspace(to_mel(f_min), to_mel(f_max), mels + 2))
    low, middle, high = ends[:-2, None], ends[1:-1, None], ends[2:, None]
    frequencies = np.fft.rfftfreq(n_fft, 1 / rate)
    rising, falling = (frequencies - low) / (middle - low), (high - frequencies) / (high - middle)
    filters: NDArray[np.float64] = np.clip(np.minimum(rising, falling), 0, None) * 2 / (high - low)
    if empty := int((filters.max(1) == 0).sum()):
        raise GraftError(
            f"data.mels={mels}: {empty} of the bands would be empty at n_fft={n_fft}; give fewer mels, or a "
            "larger n_fft"
        )
    return filters


def mel_power(
    samples: NDArray[np.float32], rate: int, n_fft: int, hop: int, mels: int, f_min: float, f_max: float
) -> NDArray[np.float64]:
    """`(mels, 1 + T // hop)`: the power in each band, of samples `(T,)`.

    Window `i`, a periodic Hann window of `n_fft` samples, stands with its middle on sample `i * hop`; beyond
    both ends there is silence.
    """
    # Slow to import, and needed for sounds alone.
    from scipy.fft import rfft
    from scipy.signal.windows import hann
    from scipy.sparse import csr_array

    padded = np.pad(samples.astype(np.float64), n_fft // 2)
    if len(padded) < n_fft:
        padded = np.pad(padded, (0, n_fft - len(padded)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop]
    spectrum = rfft(windows * hann(n_fft, sym=False), axis=1, workers=1)
    power = spectrum.real**2 + spectrum.imag**2
    # Sparse, because a product of dense matrices rounds by the number of threads.
    filters = csr_array(mel_filters(rate, n_fft, mels, f_min, f_max))
    banded: NDArray[np.float64] = filters @ power.T
    return banded


def decibels(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ten times the logarithm of power to the base of 10; of silence, `SILENCE`."""
    return 10 * np.log10(np.maximum(power, LEAST))
