"""One fine-tuning by any freeze strategy, as `graft train` does it, without what a run leaves behind.

Graft's backbone, head, freeze plan, parameter groups and schedule, AdamW, batches of even sizes, stages run
once while they are frozen, and the epoch with the lowest validation loss. No image is altered.
"""

import copy
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from search import Part, images
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LambdaLR

from graft.backbones import Backbone
from graft.freezing.apply import apply
from graft.freezing.plan import FreezePlan
from graft.freezing.strategies import FreezeStrategy, Prepares
from graft.models.head import linear
from graft.optim import Span, cosine
from graft.optim.groups import parameter_groups


class Data(NamedTuple):
    """A draw's parts, each images `(N, 3, H, W)` and labels `(N,)`."""

    train: Part
    val: Part
    test: Part


@dataclass(frozen=True)
class Settings:
    """What a training is told beside its strategy; as shipped for trained networks not torchvision's."""

    lr: float = 3e-4
    head_lr: float = 1e-2
    layer_decay: float = 1.0
    batch: int = 32
    epochs: int = 10


def read(root: Path, task: str, draw: int, backbone: Backbone) -> Data:
    """A draw's images as the backbone wants them."""
    file = root / f"{task}-{draw}.csv"
    parts = [images(file, root, part, backbone) for part in ("train", "val", "test")]
    return Data(*((x.contiguous(memory_format=torch.channels_last), y) for x, y in parts))


def tuned(
    backbone: Backbone,
    strategy: FreezeStrategy,
    data: Data,
    given: Settings,
    seed: int,
    head: nn.Sequential | None = None,
) -> dict[str, Any]:
    """Train `backbone` in place; what validation and test say of the best epoch, and of the last.

    The backbone is left with the last epoch's weights. `head`: what to begin with; None: a new one.
    """
    started = time.process_time()
    torch.manual_seed(seed)
    head = head or linear(backbone.width, len(torch.unique(data.train[1])))
    if isinstance(strategy, Prepares):
        strategy.prepare(backbone.stages)
    plan = FreezePlan(strategy, backbone.stages, given.epochs)
    groups = parameter_groups(
        backbone,
        head,
        lr=given.lr,
        head_lr=given.head_lr,
        weight_decay=0.01,
        layer_decay=given.layer_decay,
    )
    optimizer = torch.optim.AdamW([dict(group) for group in groups])
    count = len(data.train[1])
    batches = math.ceil(count / given.batch)
    span = Span(given.epochs * batches, batches, lambda: plan.phases, plan.head_rate)
    schedule = cosine(optimizer, span, warmup_epochs=0.5)["scheduler"]
    assert isinstance(schedule, LambdaLR)
    model = nn.ModuleDict({"backbone": backbone, "head": head})
    below, train, val = 0, data.train[0], data.val[0]
    best: dict[str, Any] = {"val/loss": math.inf}
    for epoch in range(given.epochs):
        apply(plan, backbone.stages, epoch)
        if plan.prefix(epoch) != below:
            below = plan.prefix(epoch)
            train, val = (run(backbone, part[0], 0, below) for part in (data.train, data.val))
        for places in torch.randperm(count).tensor_split(batches):
            loss = cross_entropy(head(backbone(train[places], start=below)), data.train[1][places])
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
        model.eval()
        measured = judged(head(run(backbone, val, below)), data.val[1])
        if measured["loss"] < best["val/loss"]:
            kept = copy.deepcopy(model.state_dict())
            best = {"epoch": epoch, "val/loss": measured["loss"], "val/accuracy": measured["accuracy"]}
    last = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    final = judged(head(run(backbone, data.test[0])), data.test[1])
    model.load_state_dict(kept)
    chosen = judged(head(run(backbone, data.test[0])), data.test[1]) if best["epoch"] < epoch else final
    model.load_state_dict(last)
    row = best | {f"test/{name}": value for name, value in chosen.items()}
    row |= {f"last/{name}": value for name, value in final.items()}
    return row | {"seconds": round(time.process_time() - started, 1)}


@torch.no_grad()
def run(backbone: Backbone, inputs: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
    """What stages `start` to `stop` give, in evaluation mode."""
    return torch.cat([backbone(some, start=start, stop=stop) for some in torch.split(inputs, 64)])


@torch.no_grad()
def judged(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """Accuracy and log loss."""
    right = (logits.argmax(1) == labels).float().mean().item()
    return {"accuracy": round(right, 5), "loss": round(cross_entropy(logits, labels).item(), 5)}
