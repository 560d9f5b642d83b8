"""From a model of transformers to a `Backbone`: its modules in stages, checked to give its features."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor, nn

from graft.backbones.backbone import Backbone
from graft.backbones.carving import names_in
from graft.backbones.encoder_stages import LAYERS, How, Whole, cut
from graft.backbones.groups import grouped
from graft.backbones.inputs import Input
from graft.backbones.pooling import Pool
from graft.backbones.preprocessings import AnyPreprocessing
from graft.backbones.torchvision_stages import Stages
from graft.errors import GraftError, first_line
from graft.runs.log import say


def usual_pooling(model: Any, how: How) -> tuple[str, int]:
    """The pooling of a model that says nothing of it, and of how many tokens its own is the mean."""
    if how.masked:
        return "mean", 1
    own = getattr(model, "embeddings", model)._parameters
    if how.kind == "image" and "cls_token" in own and getattr(model, "pooler", None) is None:
        return "cls", 1
    return "model", 2 if "distillation_token" in own else 1


def carved(
    model: Any,
    name: str,
    preprocessing: AnyPreprocessing,
    how: How,
    pool: Pool,
    rebuilt: Mapping[str, object],
) -> Backbone:
    """The backbone of a model's own modules, which gives the model's own features.

    Raises:
        GraftError: it gives none.
    """
    # Its address, and what ran it, would tell networks apart that are equal.
    for module in model.modules():
        if hasattr(module, "config"):
            module.config._name_or_path = ""
    whole = Whole(model, how, pool)
    given = _example(model, preprocessing, how)
    try:
        expected = _run({"all": whole}, given)
    except Exception as error:
        raise GraftError(f"backbone.name={name} gives no features: {first_line(error)}") from error
    if expected.ndim != 2:
        raise GraftError(f"backbone.name={name} gives no features, one row a sample")
    stages = cut(model, how, pool)
    if stages is not None and not (_whole(stages, model) and _gives(stages, given, expected)):
        stages = None
    blocks: tuple[type[nn.Module], ...] = ()
    splits = stages is not None
    if stages is None:
        stages = grouped(model, _places(model), whole)
        told = f"freezes in {len(stages)} groups" if len(stages) > 1 else "freezes whole or not at all"
        say(f"backbone: {name} is of no structure that is known here: it {told}, and runs as one block")
    else:
        blocks = (_layer_class(model),)
    names = names_in(stages, model, ())
    # Settled by its library's version too: what a layer calls is not all in the layer's own module.
    for stage in stages.values():
        stage.library = f"transformers {version('transformers')}"  # type: ignore[assignment]
    return Backbone(
        stages,
        expected.shape[1],
        preprocessing,
        names,
        blocks=blocks,
        splits=splits,
        rebuilt=rebuilt,
        auxiliary=("pooler",),
    )


def _layer_class(model: Any) -> type[nn.Module]:
    known = dict(model.named_modules())
    return type(next(known[path] for path in LAYERS if path in known)[0])


def _example(model: Any, preprocessing: Any, how: How) -> Input:
    """Two inputs, the second of which is shorter where that can be, to compare with."""
    drawn = torch.Generator().manual_seed(0)
    if how.kind == "image":
        return torch.rand(2, 3, preprocessing.crop, preprocessing.crop, generator=drawn)
    if how.kind == "text":
        length = min(preprocessing.length, 16)
        mask = torch.ones(2, length, dtype=torch.int64)
        mask[1, -(-length // 2) :] = 0
        tokens = torch.randint(0, model.config.vocab_size, (2, length), generator=drawn)
        return {"tokens": torch.where(mask == 1, tokens, preprocessing.padding), "mask": mask}
    if not how.masked:
        settings = preprocessing.settings
        return torch.rand(2, settings["max_length"], settings["num_mel_bins"], generator=drawn)
    length = max(1600, min(preprocessing.length, 8000))
    mask = torch.ones(2, length, dtype=torch.int64)
    mask[1, length // 2 :] = 0
    return {"values": torch.randn(2, length, generator=drawn) * mask, "mask": mask}


def _whole(stages: Stages, model: nn.Module) -> bool:
    """Whether every parameter is in a stage, which those are not that several layers share."""
    held = {id(parameter) for stage in stages.values() for parameter in stage.parameters()}
    return all(id(parameter) in held for parameter in model.parameters())


def _gives(stages: Stages, given: Input, expected: Tensor) -> bool:
    """Whether stages that were found by their names alone give what the model gives."""
    try:
        features = _run(stages, given)
    except Exception:
        # Of modules that are called in another way.
        return False
    close = features.shape == expected.shape
    return close and torch.allclose(features, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))


def _places(model: nn.Module) -> dict[int, int]:
    """The group of each parameter: the layers of the largest list of modules, and the rest around them.

    What stands before them, and all that they share, is of the first group; a norm behind them of the last.
    """
    lists = {name: m for name, m in model.named_modules() if isinstance(m, nn.ModuleList) and len(m) > 1}
    if not lists:
        return {}
    largest = max(lists, key=lambda name: sum(p.numel() for p in lists[name].parameters()))
    places = {}
    behind = False
    for name, parameter in model.named_parameters():
        if name.startswith(f"{largest}."):
            places[id(parameter)] = 1 + int(name.removeprefix(f"{largest}.").partition(".")[0])
            behind = True
        elif behind and "norm" in name.lower():
            places[id(parameter)] = len(lists[largest])
    return places


@torch.no_grad()
def _run(stages: Mapping[str, nn.Module], given: Any) -> Tensor:
    for stage in stages.values():
        given = stage(given)
    result: Tensor = given
    return result
