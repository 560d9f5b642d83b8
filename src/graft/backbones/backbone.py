"""What a backbone is: named, ordered stages that can be run from any boundary to any other."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from graft.backbones.depth import Blocks
from graft.backbones.inputs import Input
from graft.backbones.preprocessings import AnyPreprocessing
from graft.backbones.source_head import SourceHead
from graft.errors import GraftError


class Backbone(nn.Module):
    """Inputs to features `(N, D)`, through ordered stages, stem first.

    An input is a tensor, of images `(N, 3, H, W)`, or a mapping of tensors `(N, …)`; between two stages
    there is one tensor, with N in front and of a shape that does not change from batch to batch. The last
    stage ends in whatever pooling and flattening gives `(N, D)`, so running all stages is all there is to
    do. No stage may change its input in place: the tensor between two stages, the boundary, is what the
    feature cache stores.

    Args:
        stages: name to module, in the order in which they run. They are held, not copied.
        width: D, the number of features.
        preprocessing: how a sample becomes the input.
        source_names: key in the state dict of the library that the stages come from, to key in this
            backbone's; lets the library's own weight files load.
        dropped: module paths, in that library's model, of the heads that were left out; their keys are
            ignored when weights are loaded.
        source_head: the layers that gave the source's logits `(N, S)`; None where they are not known.
        pooling: how many modules at the end of the last stage that library's model runs only behind its last
            layer, which is then a 1 × 1 convolution with a ReLU (SqueezeNet's); 0: that layer is linear.
        blocks: classes of the modules that are a layer each where rates decay by depth (see `depths`); none:
            a stage is one.
        splits: whether the stages can run apart. Where they cannot, all but the last hand on the input.
        rebuilt: keys of the configuration's node with the values that build it again without the hub, where
            the node's own would ask it.
        auxiliary: module paths, in that model, of the classifiers that its own training alone used, which are
            left out too: no source's logits come of them.

    Attributes:
        stages: the stages as an `nn.ModuleDict`.
        source_head: as above. It is no part of the backbone: neither trained nor saved with it, nor moved to
            its device. `load_weights` replaces it.

    Raises:
        GraftError: there is no stage, or a parameter or buffer stands in two places, so that freezing
            the one would freeze the other.
    """

    def __init__(
        self,
        stages: Mapping[str, nn.Module],
        width: int,
        preprocessing: AnyPreprocessing,
        source_names: Mapping[str, str] | None = None,
        dropped: Sequence[str] = (),
        source_head: SourceHead | None = None,
        pooling: int = 0,
        blocks: Blocks = (),
        splits: bool = True,
        rebuilt: Mapping[str, object] | None = None,
        auxiliary: Sequence[str] = (),
    ) -> None:
        super().__init__()
        if not stages:
            raise GraftError("backbone: it needs at least one stage")
        self.stages = nn.ModuleDict(stages)
        self.width = width
        self.preprocessing: Any = preprocessing
        self.source_names = dict(source_names or {})
        self.dropped = tuple(dropped)
        self.auxiliary = tuple(auxiliary)
        # Held in a tuple, so that it is no submodule.
        self.source_head = source_head
        self.pooling = pooling
        self.blocks = blocks
        self.splits = splits
        self.rebuilt = dict(rebuilt or {})
        first: dict[int, str] = {}
        for name, tensor in named_tensors(self).items():
            if id(tensor) in first:
                raise GraftError(
                    f"backbone: {first[id(tensor)]} and {name} are one tensor; a stage owns its own"
                )
            first[id(tensor)] = name

    @property
    def stage_names(self) -> list[str]:
        """The stages' names, stem first."""
        return list(self.stages)

    def __len__(self) -> int:
        """How many stages there are."""
        return len(self.stages)

    def forward(self, given: Input, start: int = 0, stop: int | None = None) -> Tensor:
        """Run `stages[start:stop]`.

        Args:
            given: preprocessed; with `start`, the boundary tensor before that stage.
            start: index of the first stage to run.
            stop: index of the first stage not to run; None runs to the end.

        Returns:
            Features `(N, D)`; with `stop`, the boundary tensor before that stage. Splitting anywhere
            gives the same bits: `backbone(backbone(x, stop=k), start=k)` equals `backbone(x)`.
        """
        for stage in list(self.stages.values())[start:stop]:
            given = stage(given)
        # A stage gives a tensor; without a stage to run, the tensor before it was given.
        assert isinstance(given, Tensor)
        return given


def named_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Every parameter and buffer of `module` by name, one that stands in two places under both names."""
    return {
        **dict(module.named_parameters(remove_duplicate=False)),
        **dict(module.named_buffers(remove_duplicate=False)),
    }
