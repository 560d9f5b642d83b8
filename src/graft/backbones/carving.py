"""From a library's model to a `Backbone` and back: the same modules, in stages, without the last layer."""

from collections.abc import Mapping, Sequence

from torch import nn

from graft.backbones.backbone import Backbone, named_tensors
from graft.backbones.depth import Blocks
from graft.backbones.preprocessing import Preprocessing
from graft.backbones.source_head import SourceHead
from graft.errors import GraftError


def carve(
    model: nn.Module,
    stages: Mapping[str, nn.Module],
    last: str,
    preprocessing: Preprocessing,
    pooling: int = 0,
    blocks: Blocks = (),
    auxiliary: Sequence[str] = (),
) -> Backbone:
    """Make a backbone of `model`'s own modules, nothing copied and only the last layer left out.

    Args:
        model: a classifier.
        stages: stage name to a module made of `model`'s modules, in the order in which they run.
        last: path in `model` of the last layer, an `nn.Linear` or `nn.Conv2d`; what enters it are the
            features.
        preprocessing: how an image becomes the input.
        pooling: how many modules at the end of the last stage `model` runs behind `last` (see `Backbone`).
        blocks: classes of its blocks (see `Backbone`).
        auxiliary: paths of heads that are left out too, since only training uses them.

    Returns:
        The backbone; its `source_names` map `model`'s state-dict keys to its own.

    Raises:
        GraftError: a parameter or buffer outside the last layer is in no stage, or in two.
    """
    layer = model.get_submodule(last)
    assert isinstance(layer, nn.Conv2d | nn.Linear)
    width = layer.in_channels if isinstance(layer, nn.Conv2d) else layer.in_features
    source_names = names_in(stages, model, (last, *auxiliary))
    dropped = (_head_path(last, source_names),)
    return Backbone(
        stages,
        width,
        preprocessing,
        source_names,
        dropped,
        pooling=pooling,
        blocks=blocks,
        auxiliary=auxiliary,
    )


def names_in(stages: Mapping[str, nn.Module], model: nn.Module, left_out: Sequence[str]) -> dict[str, str]:
    """Key in `model`'s state dict to the backbone's, for what is not below one of the paths `left_out`.

    Raises:
        GraftError: a parameter or buffer is in no stage.
    """
    without = tuple(f"{path}." for path in left_out)
    kept = {key: tensor for key, tensor in named_tensors(model).items() if not key.startswith(without)}
    ours = {id(tensor): f"stages.{key}" for key, tensor in named_tensors(nn.ModuleDict(stages)).items()}
    if missed := [key for key, tensor in kept.items() if id(tensor) not in ours]:
        raise GraftError(f"backbone: no stage holds {', '.join(missed[:3])} of {type(model).__name__}")
    saved = model.state_dict()
    return {key: ours[id(tensor)] for key, tensor in kept.items() if key in saved}


def source_network(backbone: Backbone, head: SourceHead) -> Backbone:
    """The network that the source was solved with: `backbone`'s stages, whose last ends in `head`.

    Nothing is copied. Its features are the source's logits `(N, S)`.
    """
    stages = dict(backbone.stages.items())
    name, last = stages.popitem()
    if head.replaces:
        assert isinstance(last, nn.Sequential)
        stages[name] = nn.Sequential(*last[: -head.replaces], head.layers)
    else:
        stages[name] = nn.Sequential(last, head.layers)
    return Backbone(stages, head.sources(backbone.width), backbone.preprocessing)


def _head_path(last: str, others: Mapping[str, str]) -> str:
    """The outermost module around `last` that holds none of the other keys.

    Many replace `model.classifier`, not `model.classifier[1]`, when they fine-tune; their heads' keys
    must be recognised too.
    """
    path = last
    while "." in path and not any(key.startswith(f"{path.rpartition('.')[0]}.") for key in others):
        path = path.rpartition(".")[0]
    return path
