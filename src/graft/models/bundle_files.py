"""How a bundle is written and read: weights as safetensors, the rest as YAML; nothing is unpickled."""

import math
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from graft.backbones.preprocessings import read_preprocessing
from graft.backbones.weight_files import Weights, read_safetensors
from graft.configuration.building import build, build_later, check_trusted
from graft.configuration.schema import Config
from graft.data.levels import levels_from
from graft.errors import GraftError, first_line
from graft.evaluation.knowing import packed
from graft.models.bundle import Bundle, HowTested
from graft.models.ensemble import ensemble
from graft.models.known import ARRAYS_OF, Known, read_settings
from graft.runs.bundles import BundleFolder, model_folders
from graft.runs.files import whole, write_yaml
from graft.runs.seen import read_seen


def save_bundle(folder: Path, bundle: Bundle, config: Config) -> None:
    """Write weights, description and, where it is known, what the model has seen into `folder`.

    The nodes `backbone` and `head` of the run's configuration rebuild the model.
    """
    files = BundleFolder(folder)
    state = {key: value.detach().cpu().contiguous() for key, value in bundle.model.state_dict().items()}
    with whole(files.weights) as part:
        save_file(state, part)
    if bundle.seen is not None:
        bundle.seen.write(files.seen)
    if bundle.known is not None and bundle.known.arrays:
        remembered = {key: torch.from_numpy(value) for key, value in packed(bundle.known.arrays).items()}
        with whole(files.known) as part:
            save_file(remembered, part)
    # One of the hub's is built again without it.
    backbone = {**config["backbone"], **getattr(bundle.backbone, "rebuilt", {})}
    for key in {"weights", "sha256"} & set(backbone):
        # They are in the file beside this one, so nothing must be fetched to load it.
        backbone[key] = None
    description = {
        "backbone": backbone,
        # The source's own is built as it was there.
        "head": getattr(bundle.head, "rebuilt", config["head"]),
        "preprocessing": bundle.preprocessing.to_dict(),
        "class_names": bundle.class_names,
        "tested": asdict(bundle.tested),
        "temperature": bundle.temperature,
        "levels": None if bundle.levels is None else {key: list(ends) for key, ends in bundle.levels.items()},
        "known": None if bundle.known is None else asdict(bundle.known.settings),
        "trained_from": config["backbone"].get("weights"),
    }
    write_yaml(files.description, description)


def load_bundle(path: str | Path, trust: Iterable[str] = ()) -> Bundle:
    """Load a bundle, or a run folder's, on the CPU; needs nothing else. All folds of a crossval are one.

    Args:
        path: a bundle, a run folder or a cross-validation's.
        trust: packages of your own that the model's backbone or head come from.

    Raises:
        GraftError: there is no bundle, its files do not fit, or it names code that is not trusted.
    """
    folders = model_folders(path)
    bundles = [_load(folder, trust) for folder in folders]
    return bundles[0] if len(bundles) == 1 else ensemble(bundles, f"run={path}")


def _load(folder: BundleFolder, trust: Iterable[str]) -> Bundle:
    parts = read_description(folder)
    check_trusted(parts, trust, str(folder.description))
    state = _tensors(folder.weights)
    backbone = _backbone(folder, parts, state)
    names = [str(name) for name in parts["class_names"]]
    head = build_later(parts["head"], "head")(backbone.width, len(names))
    preprocessing = read_preprocessing(parts["preprocessing"])
    # Bundles of older versions have none.
    temperature = parts.get("temperature", 1.0)
    tested, levels, seen = HowTested(**parts["tested"]), levels_from(parts), read_seen(folder.seen)
    known = _known(folder, parts)
    bundle = Bundle(backbone, head, names, preprocessing, tested, temperature, levels, seen, known)
    # As it was trained, which need not be single precision.
    bundle.model.to(next(value.dtype for value in state.values() if value.is_floating_point()))
    try:
        bundle.model.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split()[:40])
        described = folder.description.name
        raise GraftError(f"{folder.weights} does not fit {described} beside it: {reason}") from error
    return bundle


def read_description(folder: BundleFolder) -> dict[str, Any]:
    """The description that `save_bundle` wrote, its shape checked; nothing in it is trusted yet.

    Raises:
        GraftError: names the file and what is wrong with it.
    """
    file = folder.description
    try:
        description = folder.read_description()
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise GraftError(f"{file} is damaged: {' '.join(str(error).split())}") from error
    right: dict[str, Callable[[object], bool]] = {
        "backbone": lambda value: isinstance(value, dict) and "_target_" in value,
        "head": lambda value: isinstance(value, dict) and "_target_" in value,
        "preprocessing": lambda value: isinstance(value, dict),
        "class_names": lambda value: isinstance(value, list) and len(value) > 1,
        "tested": lambda value: isinstance(value, dict) and set(value) <= set(asdict(HowTested())),
    }
    for key, test in right.items():
        if not isinstance(description, dict) or not test(description.get(key)):
            raise GraftError(f"{file} is damaged: {key} is missing or not what a bundle has there")
    try:
        levels_from(description)
    except (TypeError, ValueError, AttributeError):
        raise GraftError(f"{file} is damaged: levels={description['levels']} are none") from None
    temperature = description.get("temperature", 1.0)
    number = isinstance(temperature, int | float) and not isinstance(temperature, bool)
    if not (number and 0 < temperature < math.inf):
        raise GraftError(f"{file} is damaged: temperature={temperature} is no number above 0")
    return dict(description)


def _tensors(file: Path) -> dict[str, Tensor]:
    try:
        return read_safetensors(file)
    except SafetensorError as error:
        raise GraftError(f"{file} is damaged: {first_line(error)}") from error
    except OSError as error:
        # Safetensors says that a file does not exist which this user may not read.
        raise GraftError(f"{file} cannot be read ({first_line(error)})") from error


def _known(folder: BundleFolder, parts: Config) -> Known | None:
    """How the bundle says that a sample is none of its classes; None where it cannot, as older ones."""
    if parts.get("known") is None:
        return None
    settings = read_settings(parts["known"], str(folder.description))
    wanted = ARRAYS_OF[settings.score]
    tensors = _tensors(folder.known) if wanted else {}
    shapes = [tensor.ndim for tensor in tensors.values()]
    if set(tensors) != wanted or shapes != [2] * len(wanted):
        raise GraftError(f"{folder.known} does not fit known.score={settings.score} in the file beside it")
    return Known(settings, {key: tensor.double().numpy() for key, tensor in tensors.items()})


def _backbone(folder: BundleFolder, parts: Config, state: dict[str, Tensor]) -> Any:
    """The backbone; one of Graft's own takes tensors, size and preprocessing from what was read.

    Size matters: a transformer trained at another resolution than its first weights' cannot be built without
    knowing it.
    """
    node = parts["backbone"]
    if not str(node["_target_"]).startswith("graft.backbones.") or "weights" not in node:
        return build(node, "backbone")
    weights = Weights(f"backbone.weights={folder.path.absolute()}", {"": state}, parts)
    return build_later(node, "backbone")(weights=weights)
