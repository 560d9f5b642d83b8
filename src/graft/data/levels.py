"""Images of more than 8 bits: which of their values is black, and which white. Imports no torch."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from graft.data.deep_images import FLOAT, WHOLE
from graft.errors import GraftError

# Bits that cameras and scanners give, whatever type they are stored in.
_BITS = (8, 10, 12, 14, 16)
# Share of the values that may lie beyond a level that is not the end of a range: pixels that are stuck.
_STUCK = 1e-4
# Share of a range that must be used for its ends to be the levels.
_USED = 1 / 8
# The number of values of an image that are looked at.
_VALUES = 4096


class Levels(NamedTuple):
    """The value that becomes black and the one that becomes white; what lies beyond is cut off.

    `AS_DECLARED` stands for the ends of what a mode can hold: 0 and 65535, or 0 and 1 for floats.
    """

    black: float
    white: float


AS_DECLARED = Levels(0, math.inf)
# Levels for each kind of values.
AllLevels = Mapping[str, Levels]


def eight_bits(values: NDArray[Any], kind: str, levels: AllLevels | None) -> NDArray[np.uint8]:
    """Values as 8 bits, black 0 and white 255.

    Args:
        values: any shape.
        kind: `whole` or `float`.
        levels: of the data set; None: those of these values alone.

    Raises:
        ValueError: a value is no number, or more of them than not lie beyond black and white.
    """
    lowest, highest = float(values.min()), float(values.max())
    if not (math.isfinite(lowest) and math.isfinite(highest)):
        raise ValueError(f"holds values from {lowest} to {highest}")
    black, white = (levels or {}).get(kind) or fitting(lowest, highest, _some(values))
    if (black, white) == AS_DECLARED:
        white = 65535.0 if kind == WHOLE else 1.0
        if lowest < 0 or highest > white:
            raise ValueError(f"holds values from {lowest:g} to {highest:g}, not 0 to {white:g}")
    beyond = float(np.mean((values < black) | (values > white)))
    if beyond > 0.5:
        raise ValueError(
            f"holds values from {lowest:g} to {highest:g}, of which {beyond:.0%} lie beyond black "
            f"({black:g}) and white ({white:g}) of the data set"
        )
    scaled = (np.clip(values, black, white) - black) * (255.0 / ((white - black) or 1.0))
    pixels: NDArray[np.uint8] = np.rint(scaled).astype(np.uint8)
    return pixels


def fitting(lowest: float, highest: float, sample: NDArray[np.float64]) -> Levels:
    """The levels for values: 0 and the end of the least range of 8 to 16 bits (or 0 to 1) that holds all.

    Where that is hardly used, or there is none, they are the values but for those of stuck pixels.
    """
    ends = [1.0, *(2.0**bits - 1 for bits in _BITS)]
    end = next((end for end in ends if lowest >= 0 and highest <= end), None)
    whole = Levels(lowest, highest) if end is None else Levels(0.0, end)
    low, high = np.quantile(sample, [_STUCK, 1 - _STUCK]).tolist()
    used = high - low >= _USED * (whole.white - whole.black) or high <= low
    return whole if used else Levels(low, high)


def _some(values: NDArray[Any]) -> NDArray[np.float64]:
    flat = values.reshape(-1)
    return flat[:: max(1, len(flat) // _VALUES)].astype(np.float64)


class Seen(NamedTuple):
    """The least and greatest values of some images, and the levels that suit them."""

    lowest: float
    highest: float
    levels: Levels


def find_levels(
    deep: Sequence[Path], values_of: Callable[[Path], tuple[str, NDArray[Any]]]
) -> dict[str, Seen]:
    """What some images of more than 8 bits hold, by the kind of their values."""
    seen: dict[str, list[tuple[float, float, NDArray[np.float64]]]] = {}
    for path in deep:
        try:
            kind, values = values_of(path)
        # What reads it says what is wrong with it.
        except GraftError:
            continue
        if np.isfinite(values).all():
            seen.setdefault(kind, []).append((float(values.min()), float(values.max()), _some(values)))
    levels_of = {}
    for kind, images in seen.items():
        lowest, highest = min(low for low, _, _ in images), max(high for _, high, _ in images)
        levels = fitting(lowest, highest, np.concatenate([sample for _, _, sample in images]))
        levels_of[kind] = Seen(lowest, highest, levels)
    return levels_of


def chosen_levels(
    seen_levels: Mapping[str, Seen], model: AllLevels | None
) -> tuple[AllLevels | None, list[str]]:
    """The levels to read some images by, and what is to be said of them.

    Args:
        seen_levels: what the images hold.
        model: the levels that a model's own images were read by; they go before, so that it sees the same.
    """
    levels = {kind: (model or {}).get(kind, seen.levels) for kind, seen in seen_levels.items()}
    notes = []
    for kind, (lowest, highest, fitting_levels) in seen_levels.items():
        black, white = levels[kind]
        values = f"images of more than 8 bits: their values run from {lowest:g} to {highest:g}"
        if levels[kind] == fitting_levels:
            notes.append(f"{values}; {black:g} is taken as black, {white:g} as white")
        elif levels[kind] != AS_DECLARED:
            said = f"{black:g} is taken as black, {white:g} as white, as the model was trained"
            notes.append(f"warning: {values}; {said}")
    return levels or None, notes


def levels_from(description: Mapping[str, Any]) -> AllLevels | None:
    """The levels that a model's description holds; one of an older version read images as they declare.

    Raises:
        TypeError, ValueError, AttributeError: what stands there are no levels.
    """
    if "levels" not in description:
        return {WHOLE: AS_DECLARED, FLOAT: AS_DECLARED}
    if description["levels"] is None:
        return None
    return {
        str(kind): Levels(float(black), float(white))
        for kind, (black, white) in description["levels"].items()
    }
