"""Co-tuning: the source's head is trained on, towards what its classes have to do with the target's."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from graft.backbones import Backbone, SourceHead
from graft.backbones.inputs import Input


class CoTuning(nn.Module):
    """λ · mean_i −Σ_s p(s | t_i) log softmax(h(f_i))_s, f_i being an image's features and t_i its class.

    You, Kou, Long and Wang 2020, Co-Tuning for transfer learning, NeurIPS 33. h is the head of the source
    task, which fine-tuning else throws away. p(s | t), of source classes s and target classes t, is estimated
    once before anything trains, the paper's direct way: the mean of the source network's p(s | x) over the
    training images x of class t. Its reverse way is not here: it chooses and calibrates a regression on
    held-out labels, which in Graft are for choosing the epoch.

    Mixed images (`mix`) are drawn to the same mixture of their classes' rows. Label smoothing and class
    weights are the classification's alone. The head trains in every epoch, as the new one does, whatever
    is frozen; a backbone that never trains learns nothing from it.

    Args:
        weight: λ; the paper's experiments have 2.3.

    Attributes:
        source_head: to the logits `(N, S)` of the source's classes, from features `(N, D)` or, where
            `replaces` is not 0, from what enters the backbone's pooling (see `SourceHead`).
        relation: p(s | t) `(C, S)`, a target class a row; zeros until it is known.
    """

    watches = True
    relation: Tensor

    def __init__(self, weight: float = 2.3) -> None:
        super().__init__()
        self.weight = weight
        self.source_head: nn.Module = nn.Identity()
        self.register_buffer("relation", torch.zeros(0, 0))
        self.replaces = 0
        self.entering: Tensor | None = None

    def adopt(self, source_head: SourceHead, width: int, classes: int) -> None:
        """Take the source's head, on features of this width, before the optimizer is made; C is `classes`."""
        self.relation = torch.zeros(classes, source_head.sources(width))
        self.source_head = source_head.layers.train()
        self.replaces = source_head.replaces

    def prepare(self, backbone: Backbone, head: nn.Module) -> None:
        """Look at what enters the backbone's pooling, which is no boundary, where the head takes that."""
        if self.replaces:
            pooling = list(backbone.stages[backbone.stage_names[-1]].children())[-self.replaces]
            pooling.register_forward_pre_hook(self._keep)

    def _keep(self, pooling: nn.Module, inputs: tuple[Tensor]) -> None:
        # Validation comes here too, where nobody asks for it.
        if self.training:
            (self.entering,) = inputs

    def term(self, given: Input, boundaries: list[Tensor], target: Tensor) -> Tensor:  # noqa: D102
        relation = self.relation.float()
        expected = relation[target] if target.ndim == 1 else target.float() @ relation
        entering, self.entering = (self.entering if self.replaces else boundaries[-1]), None
        logits: Tensor = self.source_head(entering)
        return self.weight * cross_entropy(logits.float(), expected)
