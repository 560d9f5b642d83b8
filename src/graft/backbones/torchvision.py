"""The adapter to torchvision: any of its classifiers that has a stage map, with any of its weights."""

import pickle
from collections.abc import Mapping
from http.client import HTTPException

from torch import Tensor, nn
from torchvision import models
from torchvision.models import WeightsEnum
from torchvision.ops import StochasticDepth

from graft.backbones.backbone import Backbone
from graft.backbones.carving import carve
from graft.backbones.preprocessing import Preprocessing
from graft.backbones.torchvision_stages import FAMILIES, Family
from graft.backbones.weight_files import Weights, read_weights
from graft.backbones.weights import load_weights
from graft.configuration.network_names import no_such_network
from graft.configuration.weights_place import file_and_place, is_address
from graft.errors import GraftError, did_you_mean, first_line


def torchvision_backbone(
    name: str,
    weights: str | Weights | None = None,
    image_size: int | None = None,
    drop_path: float | None = None,
    sha256: str | None = None,
) -> Backbone:
    """Build one of torchvision's classifiers as a backbone: in stages, without its last layer.

    Args:
        name: torchvision's name, such as `resnet18`.
        weights: a name that torchvision lists for the model, such as `IMAGENET1K_V1`, fetched once and
            then kept in torch's cache; or a file or folder (see `load_weights`), or what was read from it; or
            None for random initialisation.
        image_size: pixels of the square that the backbone sees; None takes the weights' own.
        drop_path: probability that the last residual block is left out for an image in training, those
            below it linearly less; None takes torchvision's own.
        sha256: of a file or an address in `weights` (see `read_weights`).

    Returns:
        The backbone. Its preprocessing is that of the named weights; a bundle's own record for a bundle;
        for other files and for None, that of the first weights torchvision lists for the model.

    Raises:
        GraftError: the name, the weights or the image size are not to be had, or the weights do not fit, or
            there is no stochastic depth to set.
    """
    if name not in models.list_models(module=models):
        raise GraftError(no_such_network("torchvision", name, models.list_models(module=models)))
    module = models.get_model_builder(name).__module__.rpartition(".")[2]
    if module not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise GraftError(
            f"backbone.name={name} has no stage map; these families of torchvision's have: {known}"
        )
    family = FAMILIES[module]
    entry = None if isinstance(weights, Weights) else _named_weights(name, weights)
    # Weights are read before the model is built, so that wrong ones are refused at once.
    source = None
    if entry is not None:
        source = Weights(f"backbone.weights={weights}", {"": dict(_fetch(entry, name))}, None)
    elif weights is not None:
        source = read_weights(weights, sha256)
    recorded = None if source is None else source.preprocessing()
    listed = entry or next(iter(models.get_model_weights(name)))
    preprocessing = recorded or preprocessing_of(listed)
    if image_size is not None:
        _check_size(image_size, name, family, preprocessing.crop, listed)
        preprocessing = preprocessing.scaled(image_size)
    # Only the vision transformer is built for one size; its other weights are for other sizes.
    size = {"image_size": preprocessing.crop} if module == "vision_transformer" else {}
    model = models.get_model(name, weights=None, **size, **dict.fromkeys(family.arguments, False))
    if drop_path is not None:
        _set_drop_path(model, drop_path, name)
    stages = family.stages(model)
    backbone = carve(
        model, stages, family.last, preprocessing, family.pooling, family.blocks, family.auxiliary
    )
    if source is not None:
        load_weights(backbone, source)
    return backbone


def preprocessing_of(entry: WeightsEnum) -> Preprocessing:
    """What `entry.transforms()` does, as data."""
    transforms = entry.transforms()
    return Preprocessing(
        resize=transforms.resize_size[0],
        crop=transforms.crop_size[0],
        interpolation=transforms.interpolation.value,
        mean=transforms.mean,
        std=transforms.std,
    )


def _named_weights(name: str, weights: str | None) -> WeightsEnum | None:
    """The member of the model's weights enum that `weights` names; None if it is a path or None."""
    listed = models.get_model_weights(name).__members__
    names = [key for key, entry in listed.items() if entry.name == key]
    if weights is None or weights in names:
        return listed[weights] if weights else None
    if weights in listed:
        why = "it stands for other weights in another version of torchvision"
        raise GraftError(f"backbone.weights={weights} is refused: {why}; name one of {', '.join(names)}")
    if is_address(weights):
        return None
    path, _ = file_and_place(weights)
    if path.suffix or path.name != weights or path.exists():
        return None
    near = did_you_mean(weights, names)
    raise GraftError(f"backbone.weights={weights} is no file, and {name} has {', '.join(names)}{near}")


def _fetch(entry: WeightsEnum, name: str) -> Mapping[str, Tensor]:
    """The weights from torch's cache, or from the network into it."""
    try:
        state: Mapping[str, Tensor] = entry.get_state_dict(
            progress=True, check_hash=True, map_location="cpu", weights_only=True
        )
    except (OSError, HTTPException, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        why = first_line(error)
        raise GraftError(
            f"backbone.weights={entry.name}: the weights of {name} could not be fetched ({why});"
            f" backbone.weights=<file> takes a copy of {entry.url}, backbone.weights=null starts untrained"
        ) from error
    return state


def _check_size(image_size: int, name: str, family: Family, native: int, listed: WeightsEnum) -> None:
    if family.sizes == "one" and image_size != native:
        raise GraftError(
            f"backbone.image_size={image_size}: {name} takes {native} only, its positions are fixed"
        )
    smallest = listed.meta["min_size"][0]
    if family.sizes == "least" and image_size < smallest:
        raise GraftError(f"backbone.image_size={image_size} is below {smallest}, the smallest {name} takes")


def _set_drop_path(model: nn.Module, drop_path: float, name: str) -> None:
    """Scale the rates of stochastic depth (arXiv:1603.09382) so that the highest, the last, is `drop_path`.

    torchvision's builders of Swin and MaxViT take no rate.
    """
    layers = [module for module in model.modules() if isinstance(module, StochasticDepth)]
    if not layers:
        raise GraftError(f"backbone.drop_path={drop_path}: {name} has no stochastic depth; give null")
    highest = max(layer.p for layer in layers)
    for layer in layers:
        layer.p *= drop_path / highest


def supported_names() -> list[str]:
    """Every name that `torchvision_backbone` takes."""
    return [
        name
        for name in models.list_models(module=models)
        if models.get_model_builder(name).__module__.rpartition(".")[2] in FAMILIES
    ]
