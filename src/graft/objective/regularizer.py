"""What every regulariser can do, and the one that does nothing."""

from typing import Protocol

from torch import Tensor, nn

from graft.backbones import Backbone
from graft.backbones.inputs import Input


class Regularizer(Protocol):
    """A term that is added to the training loss.

    One that is an `nn.Module` trains along: its parameters are in the optimizer, and its state dict is in the
    checkpoints; neither is in the bundle. Its buffers are those of the first process when training begins.

    Attributes:
        watches: whether `term` needs the boundary tensors; without them the model is run whole.
        sees_weights_alone: whether `term` looks at nothing of the batch but its device and dtype, so that
            stored boundary tensors may stand in the place of images; one that does not say so looks.
    """

    watches: bool

    def prepare(self, backbone: Backbone, head: nn.Module) -> None:
        """Take references and copies, once, when the source weights are loaded and nothing has trained.

        A resumed run comes here before its checkpoint is loaded, so what is copied is the source's again;
        without weights (`backbone.weights=null`) it is the new network of the same seed.
        """

    def term(self, given: Input, boundaries: list[Tensor], target: Tensor) -> Tensor | None:
        """The scalar to add to the loss of one batch, or None where there is nothing to add.

        Args:
            given: `(B, 3, H, W)`, augmented, as the model saw them.
            boundaries: what came out of each stage, stem first, the last being the features `(B, D)`;
                empty unless `watches`.
            target: `(B,)` classes, or of mixed images `(B, C)` shares of the classes, float, that sum to 1.
        """


def none() -> None:
    """No regulariser: nothing is computed and nothing is logged."""
