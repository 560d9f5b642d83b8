"""Reading weight files into plain dictionaries of tensors. No pickle is trusted, whatever it says it is."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from safetensors.torch import load, load_file
from torch import Tensor

from graft.backbones.fetching import fetched
from graft.backbones.preprocessings import read_preprocessing
from graft.configuration.paths import expanded
from graft.configuration.plain_text import encodable
from graft.configuration.weights_place import file_and_place, is_address
from graft.errors import GraftError, did_you_mean
from graft.runs.bundles import DESCRIPTION, bundle_in, weights_file
from graft.runs.files import digest_of

# Lightning's checkpoints are known by this key.
LIGHTNING = "pytorch-lightning_version"
# How many keys may lead to a state dict.
DEEPEST = 5
StateDicts = dict[str, dict[str, Tensor]]


class Weights(NamedTuple):
    """Weights in memory, and what a bundle says of them.

    Attributes:
        origin: the key and where they came from, such as `backbone.weights=file.pth`, for messages.
        states: place to names with tensors: each mapping in the file that has tensors of its own, by the keys
            that lead to it, such as `model.state_dict`; what is not under any key is at the empty place.
        description: the bundle's; None where they are no bundle's.
    """

    origin: str
    states: StateDicts
    description: Mapping[str, Any] | None

    def preprocessing(self) -> Any:
        """What the bundle records, as `read_preprocessing` gives it; None where they are no bundle's.

        Raises:
            GraftError: the bundle's description is damaged.
        """
        if self.description is None:
            return None
        try:
            return read_preprocessing(self.description["preprocessing"])
        except (KeyError, TypeError) as error:
            raise GraftError(f"{self.origin}: its {DESCRIPTION} records no preprocessing") from error


def read_weights(given: str | Path | Weights, sha256: str | None = None) -> Weights:
    """Read every tensor of a weights file, on the CPU, and what a bundle says of them.

    Args:
        given: a file of safetensors or of `torch.save`, whatever its suffix, with a state dict in it, alone
            or under any key, as scripts save it beside other things; a bundle; or a run folder, whose bundle
            is read. `file.pth:KEY` means what is under that key alone. An address is fetched once. What was
            read already is given back.
        sha256: of the file, 64 hexadecimal digits; an address is not read without it.

    Raises:
        GraftError: there is no such file, it is no weights file, it is damaged, it has another checksum, it
            is a pickle that holds more than tensors and plain values, the key is not in it, or a bundle's
            description is damaged.
    """
    if isinstance(given, Weights):
        return given
    key = f"backbone.weights={given}"
    if is_address(given):
        return Weights(key, _read_states(fetched(str(given), sha256), key), None)
    if sha256 is not None:
        _check_sum(file_and_place(given)[0], key, sha256)
    return Weights(key, _read_states(given, key), _read_description(given, key))


def _check_sum(path: Path, key: str, sha256: str) -> None:
    file = weights_file(path, key)
    if file.is_file() and (there := digest_of(file)) != sha256:
        raise GraftError(f"{key} has the checksum {there}, not backbone.sha256={sha256}")


def _read_states(given: str | Path, key: str) -> StateDicts:
    path, place = file_and_place(given)
    file = weights_file(path, f"backbone.weights={path}")
    if not file.is_file():
        raise GraftError(f"{key}: there is no such file")
    if file.stat().st_size == 0:
        raise GraftError(f"{key}: the file is empty")
    # Damaged bytes raise anything from KeyError to RuntimeError in the readers.
    try:
        if _is_safetensors(file):
            content: object = read_safetensors(file)
        else:
            content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        raise GraftError(f"{key}: {_reason(error)}") from error
    states = _state_dicts(content)
    if not states:
        raise GraftError(f"{key}: the file holds no state dict (names with tensors)")
    if place is None:
        return states
    if not (state := _under(states, place)):
        largest = sorted(states, key=lambda name: -len(states[name]))[:3]
        names = ", ".join(name or "no key" for name in largest)
        hint = did_you_mean(place, states) or f"; there are {names}"
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


def _read_description(given: str | Path, key: str) -> Mapping[str, Any] | None:
    """What a bundle, or a run folder's, says of its weights; None for any other path."""
    bundle = bundle_in(expanded(given))
    if bundle is None or not bundle.description.is_file():
        return None
    try:
        return dict(bundle.read_description())
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, TypeError) as error:
        file = bundle.description
        raise GraftError(f"{key}: {file} is damaged and tells no preprocessing") from error


def _is_safetensors(file: Path) -> bool:
    """By its content: safetensors begins with the length of a JSON text, and then the text."""
    with file.open("rb") as opened:
        return opened.read(9)[8:] == b"{"


def _under(states: StateDicts, place: str) -> dict[str, Tensor]:
    """The state dict at a place, or the part of one whose keys begin with the place."""
    if place in states:
        return states[place]
    for above, state in states.items():
        start = place.removeprefix(f"{above}.") + "."
        if (not above or start != f"{place}.") and any(key.startswith(start) for key in state):
            return {key: tensor for key, tensor in state.items() if key.startswith(start)}
    return {}


def _state_dicts(content: object, place: str = "", depth: int = 0) -> StateDicts:
    """Every mapping with tensors of its own, by the keys that lead to it."""
    if not isinstance(content, Mapping) or depth > DEEPEST:
        return {}
    if LIGHTNING in content and isinstance(content.get("state_dict"), Mapping):
        # Everything else in it is for going on with training.
        content = {"state_dict": content["state_dict"]}
    tensors = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
    states = {place: tensors} if tensors else {}
    for key, value in content.items():
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
