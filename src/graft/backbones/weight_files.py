"""Reading weight files into plain dictionaries of tensors. No pickle is trusted, whatever it says it is."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import load_file
from torch import Tensor

from graft.backbones.preprocessing import Preprocessing
from graft.errors import GraftError

SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt")
WRAPPERS = ("state_dict", "model")
BUNDLE_WEIGHTS = "model.safetensors"
BUNDLE_DESCRIPTION = "model.yaml"


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read every tensor of a weights file, on the CPU.

    Args:
        path: a `.safetensors` file; a `.pth`, `.pt` or `.ckpt` file that holds a state dict, alone or
            under `state_dict` or `model` as Lightning and many scripts save it; a Graft bundle; or a
            Graft run folder, whose bundle is read.

    Raises:
        GraftError: there is no such file, it is no weights file, it is damaged, or it is a pickle that
            holds more than tensors and plain values.
    """
    file = _weights_file(Path(path).expanduser())
    key = f"backbone.weights={path}"
    if file.suffix not in SUFFIXES:
        raise GraftError(f"{key}: a weights file ends in one of {', '.join(SUFFIXES)}")
    if not file.is_file():
        raise GraftError(f"{key}: there is no such file")
    if file.stat().st_size == 0:
        raise GraftError(f"{key}: the file is empty")
    # Damaged bytes raise anything from KeyError to RuntimeError in the readers.
    try:
        if file.suffix == ".safetensors":
            found: Any = load_file(file)
        else:
            found = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        raise GraftError(f"{key}: {_reason(error)}") from error
    tensors = _tensors(found)
    if not tensors:
        raise GraftError(f"{key}: the file holds no state dict (names with tensors)")
    return tensors


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
    folder = _bundle(Path(path).expanduser())
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


def _tensors(found: Any) -> dict[str, Tensor]:
    """The tensors of a state dict, unwrapped; empty if it is none."""
    if not isinstance(found, Mapping):
        return {}
    for key in WRAPPERS:
        if isinstance(found.get(key), Mapping):
            return _tensors(found[key])
    return {str(key): value for key, value in found.items() if isinstance(value, Tensor)}


def _reason(error: Exception) -> str:
    refused = re.search(r"GLOBAL ([\w.]+)", str(error))
    if refused:
        return (
            f"it is a pickle that names {refused[1]}, and Graft runs no code from a weights file;"
            " save the state dict alone"
        )
    return f"the file is damaged or no weights file ({type(error).__name__})"
