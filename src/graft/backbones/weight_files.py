"""Reading weight files into plain dictionaries of tensors. No pickle is trusted, whatever it says it is."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import load, load_file
from torch import Tensor

from graft.backbones.preprocessing import Preprocessing
from graft.configuration.paths import expanded
from graft.configuration.plain_text import encodable
from graft.configuration.weights_place import file_and_place
from graft.errors import GraftError, did_you_mean

# By which Lightning's checkpoints are known.
LIGHTNING = "pytorch-lightning_version"
# How many keys may lead to a state dict.
DEEPEST = 5
StateDicts = dict[str, dict[str, Tensor]]
BUNDLE_WEIGHTS = "model.safetensors"
BUNDLE_DESCRIPTION = "model.yaml"


def read_weights(path: str | Path) -> StateDicts:
    """Read every tensor of a weights file, on the CPU.

    Args:
        path: a file of safetensors or of `torch.save`, whatever its suffix, with a state dict in it, alone or
            under any key, as scripts save it beside other things; a bundle; or a run folder, whose bundle
            is read. `file.pth:KEY` means what is under that key alone.

    Returns:
        Place to names with tensors: each mapping in the file that has tensors of its own, by the keys that
        lead to it, such as `model.state_dict`; what is not under any key is at the empty place.

    Raises:
        GraftError: there is no such file, it is no weights file, it is damaged, it is a pickle that holds
            more than tensors and plain values, or the key is not in it.
    """
    file, place = file_and_place(path)
    file = _weights_file(file)
    key = f"backbone.weights={path}"
    if not file.is_file():
        raise GraftError(f"{key}: there is no such file")
    if file.stat().st_size == 0:
        raise GraftError(f"{key}: the file is empty")
    # Damaged bytes raise anything from KeyError to RuntimeError in the readers.
    try:
        if _is_safetensors(file):
            found: Any = read_safetensors(file)
        else:
            found = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        raise GraftError(f"{key}: {_reason(error)}") from error
    states = _state_dicts(found)
    if not states:
        raise GraftError(f"{key}: the file holds no state dict (names with tensors)")
    if place is None:
        return states
    if not (state := _under(states, place)):
        there = sorted(states, key=lambda name: -len(states[name]))[:3]
        hint = (
            did_you_mean(place, list(states))
            or f"; there are {', '.join(name or 'no key' for name in there)}"
        )
        raise GraftError(f"{key}: nothing in the file is under {place}{hint}")
    return {place: state}


def read_safetensors(file: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, on the CPU; the library opens no path that is not UTF-8.

    Raises:
        SafetensorError: the file is damaged.
    """
    if str(file) == encodable(str(file)):
        return load_file(file)
    return load(file.read_bytes())


def recorded_preprocessing(path: str | Path) -> Preprocessing | None:
    """The preprocessing that a bundle, or a run folder's, records; None for any other path.

    Raises:
        GraftError: the bundle's description is damaged.
    """
    found = _described(path)
    if found is None:
        return None
    try:
        return Preprocessing.from_dict(found["preprocessing"])
    except (KeyError, TypeError) as error:
        raise GraftError(
            f"backbone.weights={path}: its {BUNDLE_DESCRIPTION} records no preprocessing"
        ) from error


def recorded_backbone(path: str | Path) -> dict[str, Any]:
    """What the backbone of a bundle, or of a run folder's, was built from; empty for any other path.

    Raises:
        GraftError: the bundle's description is damaged.
    """
    found = _described(path) or {}
    return dict(found.get("backbone") or {})


def _described(path: str | Path) -> dict[str, Any] | None:
    """A bundle's description; None where there is none."""
    folder = _bundle(expanded(path))
    file = folder / BUNDLE_DESCRIPTION if folder else None
    if file is None or not file.is_file():
        return None
    try:
        return dict(yaml.safe_load(file.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, TypeError) as error:
        raise GraftError(f"backbone.weights={path}: {file} is damaged and tells no preprocessing") from error


def _bundle(folder: Path) -> Path | None:
    """The bundle that `folder` is or, as a run folder, holds."""
    return next((f for f in (folder, folder / "model") if (f / BUNDLE_WEIGHTS).is_file()), None)


def _weights_file(path: Path) -> Path:
    if not path.is_dir():
        return path
    bundle = _bundle(path)
    if bundle is None:
        raise GraftError(f"backbone.weights={path}: the folder holds no bundle (no {BUNDLE_WEIGHTS} in it)")
    return bundle / BUNDLE_WEIGHTS


def _is_safetensors(file: Path) -> bool:
    """Told by the content: the length of a JSON text stands before it."""
    with file.open("rb") as opened:
        return opened.read(9)[8:] == b"{"


def _under(states: StateDicts, place: str) -> dict[str, Tensor]:
    """What is at a place: a whole state dict, or of one the keys that go on from there."""
    if place in states:
        return states[place]
    for above, state in states.items():
        start = place.removeprefix(f"{above}.") + "."
        if (not above or start != f"{place}.") and any(key.startswith(start) for key in state):
            return {key: tensor for key, tensor in state.items() if key.startswith(start)}
    return {}


def _state_dicts(found: Any, place: str = "", depth: int = 0) -> StateDicts:
    """Every mapping with tensors of its own, by the keys that lead to it."""
    if not isinstance(found, Mapping) or depth > DEEPEST:
        return {}
    if LIGHTNING in found and isinstance(found.get("state_dict"), Mapping):
        # All else in it is what training goes on from.
        found = {"state_dict": found["state_dict"]}
    tensors = {str(key): value for key, value in found.items() if isinstance(value, Tensor)}
    states = {place: tensors} if tensors else {}
    for key, value in found.items():
        states |= _state_dicts(value, f"{place}.{key}" if place else str(key), depth + 1)
    return states


def _reason(error: Exception) -> str:
    refused = re.search(r"GLOBAL ([\w.]+)", str(error))
    if refused:
        return (
            f"it is a pickle that names {refused[1]}, and Graft runs no code from a weights file;"
            " save the state dict alone"
        )
    return f"the file is damaged or no weights file ({type(error).__name__})"
