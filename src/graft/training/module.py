"""The LightningModule: backbone, head, the objective, and the metrics of each epoch."""

from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, softmax
from torch.optim import Optimizer

from graft.backbones import Backbone
from graft.data.prediction import ReadableBatch
from graft.errors import GraftError
from graft.optim import Span, parameter_groups, weight_penalty
from graft.regularization import Regularizer
from graft.regularization.behaviour import outputs
from graft.training.metrics import Tally

Batch = dict[str, Tensor]


class TransferModule(pl.LightningModule):
    """A backbone with a new head.

    Args:
        backbone: images `(N, 3, H, W)` to features `(N, D)`.
        head: features `(N, D)` to logits `(N, C)`.
        classes: C.
        optimizer: called with the parameter groups; may be left out, with `schedule` and `rates`, where
            the module is only tested.
        schedule: called with the optimizer and the `Span` of the run.
        rates: `lr`, `head_lr` and `weight_decay` of the parameter groups.
        label_smoothing: share of the target spread over all classes, in training only.
        class_weights: `(C,)` weight of each class in the training loss, or None.
        channels_last: lay images and convolutions' weights out as NHWC, which is faster on most hardware.
        regularizer: gives the term that is added to the training loss; None adds nothing.
    """

    backbone: Backbone
    head: nn.Module
    class_weights: Tensor | None

    def __init__(
        self,
        backbone: Backbone,
        head: nn.Module,
        *,
        classes: int,
        optimizer: Callable[[list[dict[str, Any]]], Optimizer] | None = None,
        schedule: Callable[[Optimizer, Span], dict[str, Any] | None] | None = None,
        rates: dict[str, float] | None = None,
        label_smoothing: float = 0.0,
        class_weights: Tensor | None = None,
        channels_last: bool = False,
        regularizer: Regularizer | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.optimizer_factory = optimizer
        self.schedule = schedule
        self.groups = parameter_groups(backbone, head, **rates) if rates else []
        self.label_smoothing = label_smoothing
        self.register_buffer("class_weights", class_weights, persistent=False)
        self.channels_last = channels_last
        if channels_last:
            self.backbone.to(memory_format=torch.channels_last)
        self.regularizer = regularizer
        if regularizer is not None:
            regularizer.prepare(self.backbone, self.head)
        self.tallies = nn.ModuleDict({f"{name}_tally": Tally(classes) for name in ("train", "val", "test")})
        self.outputs: list[tuple[Tensor, Tensor]] = []

    def forward(self, images: Tensor) -> Tensor:
        """Images `(N, 3, H, W)` to logits `(N, C)`."""
        if self.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        logits: Tensor = self.head(self.backbone(images))
        return logits

    def tally(self, name: str) -> Tally:
        """The pooled numbers of `train`, `val` or `test`."""
        found = self.tallies[f"{name}_tally"]
        assert isinstance(found, Tally)
        return found

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:  # noqa: D102
        logits, boundaries = self._watched(batch["image"])
        loss = cross_entropy(
            logits.float(), batch["label"], weight=self.class_weights, label_smoothing=self.label_smoothing
        )
        if not torch.isfinite(loss):
            step = f"epoch {self.current_epoch + 1}, step {self.global_step}"
            raise GraftError(
                f"the training loss became {loss.item()} in {step}; a lower optimizer.lr may help"
            )
        weight = None if self.class_weights is None else self.class_weights[batch["label"]].sum()
        self.tally("train").update(logits, batch["label"], loss, weight)
        return loss + self._regularize(batch["image"], boundaries)

    def _watched(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits, and what came out of each stage where the regulariser asks for it."""
        if self.regularizer is None or not self.regularizer.watches:
            return self(images), []
        if self.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        boundaries = outputs(self.backbone, images)
        return self.head(boundaries[-1]), boundaries

    def _regularize(self, images: Tensor, boundaries: list[Tensor]) -> Tensor | float:
        """The regulariser's term, logged as a mean of its own, so that `train/loss` stays the plain one."""
        term = None if self.regularizer is None else self.regularizer.term(images, boundaries)
        if term is None:
            return 0.0
        self.log("train/regularizer", term.detach(), on_step=False, on_epoch=True, batch_size=len(images))
        return term

    def validation_step(self, batch: Batch, batch_index: int) -> None:  # noqa: D102
        self.tally("val").update(self(batch["image"]), batch["label"])

    def on_test_epoch_start(self) -> None:  # noqa: D102
        self.outputs = []
        self.tally("test").reset()

    def test_step(self, batch: Batch, batch_index: int) -> None:  # noqa: D102
        logits = self(batch["image"])
        self.tally("test").update(logits, batch["label"])
        self.outputs.append((batch["index"].cpu(), softmax(logits.float(), dim=1).cpu()))

    def predict_step(self, batch: ReadableBatch, batch_index: int) -> ReadableBatch:
        """A batch of `collate_readable` with probabilities `(B, C)` in place of its images."""
        indices, images, failures = batch
        return (indices, softmax(self(images).float(), dim=1).cpu(), failures) if indices else batch

    def on_train_epoch_end(self) -> None:  # noqa: D102
        self._report("train")
        trainable = sum(p.numel() for p in self.parameters() if p.requires_grad)
        self.log("trainable_parameters", float(trainable))
        self.log("train/penalty", weight_penalty(self.groups))

    def on_validation_epoch_end(self) -> None:  # noqa: D102
        self._report("val")

    def on_test_epoch_end(self) -> None:  # noqa: D102
        self._report("test", reset=False)

    def _report(self, name: str, reset: bool = True) -> None:
        tally = self.tally(name)
        self.log_dict({f"{name}/{key}": value for key, value in tally.compute().items()})
        if reset:
            tally.reset()

    def configure_optimizers(self) -> Any:  # noqa: D102
        assert self.optimizer_factory is not None
        assert self.schedule is not None
        optimizer = self.optimizer_factory(self.groups)
        steps = int(self.trainer.estimated_stepping_batches)
        epochs = max(1, self.trainer.max_epochs or 1)
        schedule = self.schedule(optimizer, Span(steps, max(1, steps // epochs)))
        return {"optimizer": optimizer, "lr_scheduler": schedule} if schedule else optimizer
