"""The adapter to timm: any of its image classifiers, with any of its weights or of a hub's."""

import math
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from graft.backbones.backbone import Backbone
from graft.backbones.carving import names_in
from graft.backbones.depth import depths
from graft.backbones.preprocessing import Preprocessing
from graft.backbones.timm_groups import timm_groups
from graft.backbones.timm_origins import Origin, timm_origin
from graft.backbones.timm_stages import FAMILIES, SPECIAL, cut, layers, recorded
from graft.backbones.weight_files import Weights, read_weights
from graft.backbones.weight_packages import packaged_weights
from graft.backbones.weights import load_weights
from graft.configuration.network_names import PACKAGE, PRETRAINED, usual_weights
from graft.configuration.version import DISTRIBUTION
from graft.errors import GraftError, first_line
from graft.runs.log import say

# What timm, or a network's own code, raises where a size or an argument does not suit it.
REFUSALS = (RuntimeError, ValueError, TypeError, AssertionError, AttributeError, KeyError, IndexError)


def timm_backbone(
    name: str,
    weights: str | Weights | None = None,
    image_size: int | None = None,
    drop_path: float | None = None,
    sha256: str | None = None,
    model_args: Mapping[str, Any] | None = None,
) -> Backbone:
    """Build one of timm's image classifiers as a backbone: in stages, without its classifier.

    Args:
        name: timm's, such as `resnet18` or, with the tag of its weights, `resnet18.a1_in1k`; or
            `hf-hub:owner/name@commit`, a repository of the Hugging Face Hub.
        weights: a tag of timm's, fetched once into the hub's own cache; `package`, of an installed package;
            `hub`, of the repository that the name names; `pretrained`, what the name says of these, or else
            the usual tag; a file, folder or address (see `read_weights`), or what was read from it; or None
            for random initialisation.
        image_size: pixels of the square that the backbone sees; None takes the weights' own.
        drop_path: timm's `drop_path_rate`; None takes timm's own.
        sha256: of a file or an address.
        model_args: more arguments of timm's constructor.

    Returns:
        The backbone. Its preprocessing is timm's for these weights; a bundle's own record for a bundle. A
        model whose structure no map knows is one block of stages, which freeze apart but run together.

    Raises:
        GraftError: timm is not installed; the name, weights or image size are not to be had, or do not fit;
            or the model takes no RGB squares, or gives no features `(N, D)`.
    """
    timm = _library()
    if weights == PRETRAINED:
        weights = usual_weights(name)
    origin = timm_origin(timm, name, weights)
    # Weights are read before the model is built, so that wrong ones are refused at once.
    source = None if weights in (None, PACKAGE) or origin.pretrained else read_weights(weights, sha256)
    noted = None if source is None else source.preprocessing()
    given = dict(model_args or {})
    size = image_size or (noted.crop if noted is not None and "img_size" not in given else None)
    model = _made(timm, name, origin, size, drop_path, given)
    preprocessing = noted or timm_preprocessing(timm, model, name)
    if image_size is not None:
        preprocessing = preprocessing.scaled(image_size)
    state: dict[str, Tensor] = dict(model.state_dict())
    if weights == PACKAGE:
        state = packaged_weights(model.pretrained_cfg["architecture"], state)
    if source is None and weights is not None:
        source = Weights(f"backbone.weights={weights}", {"": state}, None)
    rebuilt = dict(origin.rebuilt)
    if rebuilt:
        rebuilt["model_args"] = {**rebuilt["model_args"], **given}
    backbone = _carved(model, name, preprocessing, rebuilt)
    if source is not None:
        load_weights(backbone, source)
    return backbone


def _library() -> ModuleType:
    try:
        import timm
    except ModuleNotFoundError as error:
        if error.name != "timm":
            raise
        raise GraftError(f"this backbone needs timm: pip install '{DISTRIBUTION}[timm]'") from None
    library: ModuleType = timm
    return library


def _made(
    timm: ModuleType,
    name: str,
    origin: Origin,
    size: int | None,
    drop_path: float | None,
    given: Mapping[str, Any],
) -> Any:
    """Timm's model, in evaluation mode, with its classifier.

    Raises:
        GraftError: it does not take one of the arguments, or its weights cannot be had.
    """
    arguments = dict(given)
    if (channels := arguments.get("in_chans", 3)) != 3:
        raise GraftError(f"backbone.name={name} takes images of {channels} channels, and Graft's have 3")
    if drop_path is not None:
        arguments["drop_path_rate"] = drop_path
    told = {**origin.rebuilt.get("model_args", {}), **given}
    # As timm itself does it: what its record does not call fixed may have been built for a size all the same.
    if size is not None and (origin.fixed_size or "img_size" in told):
        arguments["img_size"] = size
    overlay = {"pretrained_cfg_overlay": dict(origin.overlay)} if origin.overlay else {}
    try:
        return timm.create_model(origin.name, pretrained=origin.pretrained, **overlay, **arguments).eval()
    # Damaged weights raise anything in the readers.
    except Exception as error:
        what = "".join(f", {key}={value}" for key, value in arguments.items())
        raise GraftError(f"backbone.name={name}{what}: {first_line(error)}") from error


def timm_preprocessing(timm: ModuleType, model: nn.Module, name: str) -> Preprocessing:
    """What timm's evaluation transform of these weights does, as data."""
    settings = timm.data.resolve_model_data_config(model)
    channels, height, width = settings["input_size"]
    if channels != 3:
        raise GraftError(f"backbone.name={name} takes images of {channels} channels, and Graft's have 3")
    if height != width:
        raise GraftError(
            f"backbone.name={name} takes images of {height} x {width} px, and Graft's are square"
        )
    if settings["crop_mode"] not in ("center", "squash"):
        raise GraftError(f"backbone.name={name} pads its images to a square, which Graft does not")
    return Preprocessing(
        resize=math.floor(height / settings["crop_pct"]),
        crop=height,
        interpolation=settings["interpolation"],
        mean=settings["mean"],
        std=settings["std"],
        squash=settings["crop_mode"] == "squash",
    )


def _carved(model: Any, name: str, preprocessing: Preprocessing, rebuilt: Mapping[str, object]) -> Backbone:
    """The backbone of a model's own modules, which gives timm's own features bit for bit.

    Raises:
        GraftError: the model gives no features, or not of images of this size.
    """
    side = preprocessing.crop
    images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    family = type(model).__module__.rpartition(".")[2]
    try:
        expected, extras = recorded(model, family, images)
    except REFUSALS as error:
        raise GraftError(f"backbone.name={name} takes no images of {side} px: {first_line(error)}") from error
    if not isinstance(expected, Tensor) or expected.ndim != 2:
        raise GraftError(f"backbone.name={name} gives no features, one row an image")
    dropped = _unused(model, images)
    blocks, levels = layers(model, family)
    for path in dropped:
        model.set_submodule(path, nn.Identity())
    splits = family in FAMILIES or family in SPECIAL
    stages = cut(model, family, extras) if splits else timm_groups(model)
    if splits and not torch.equal(_run(stages, images), expected):
        # Of a version of timm whose models are made otherwise.
        stages, splits = timm_groups(model), False
    if not splits:
        how = f"freezes in {len(stages)} groups" if len(stages) > 1 else "freezes whole or not at all"
        say(f"backbone: {name} is of no structure that is known here: it {how}, and runs as one block")
    if not splits or depths(stages, blocks)[1] != levels:
        # A stage is a level then.
        blocks = ()
    names, width = names_in(stages, model, ()), expected.shape[1]
    return Backbone(
        stages, width, preprocessing, names, dropped, blocks=blocks, splits=splits, rebuilt=rebuilt
    )


def classifiers(model: Any) -> tuple[str, ...]:
    """Paths of the layers that give a timm model's logits: two of a distilled one, none where it has none."""
    paths = model.pretrained_cfg.get("classifier") or ()
    paths = (paths,) if isinstance(paths, str) else tuple(paths)
    known = dict(model.named_modules())
    return tuple(path for path in paths if any(True for _ in known.get(path, nn.Identity()).parameters()))


@torch.no_grad()
def _unused(model: Any, images: Tensor) -> list[str]:
    """For each classifier, the outermost module around it that has no part in the features."""
    paths = [path.split(".") for path in classifiers(model)]
    called: set[nn.Module] = set()
    hooks = [
        module.register_forward_pre_hook(lambda module, _: called.add(module))
        for outermost in {around[0] for around in paths}
        for module in model.get_submodule(outermost).modules()
    ]
    model.forward_head(model.forward_features(images), pre_logits=True)
    for hook in hooks:
        hook.remove()
    outer = ([".".join(around[:length]) for length in range(1, len(around) + 1)] for around in paths)
    return [
        next(name for name in names if called.isdisjoint(model.get_submodule(name).modules()))
        for names in outer
    ]


@torch.no_grad()
def _run(stages: Mapping[str, nn.Module], tensor: Tensor) -> Tensor:
    for stage in stages.values():
        tensor = stage(tensor)
    return tensor
