"""The LightningModule: backbone, head, the objective, and the metrics of each epoch."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypedDict

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import FSDPStrategy
from torch import Tensor, nn
from torch.optim import Optimizer
from torchmetrics import MeanMetric

from graft.backbones import Backbone
from graft.backbones.inputs import Input, count_of, filled_up
from graft.data.mixing import Mix
from graft.errors import GraftError
from graft.freezing import FreezePlan
from graft.objective import Regularizer
from graft.objective.behaviour import outputs
from graft.objective.distillation import Distillation
from graft.optim import Span, parameter_groups, weight_penalty
from graft.optim.groups import ParameterGroup
from graft.processes import collectives
from graft.sources.prediction import ReadableBatch
from graft.tasks import Task
from graft.tasks.tally import Tally
from graft.training.lightning_internals import NAME_OF_HOOK

# Steps between two looks at whether the loss is still a number, where to look is to wait for the device.
LOOK_EVERY = 50


class Labels(TypedDict):
    """What every batch has: `(B,)` classes, and `(B,)` which images they are of."""

    target: Tensor
    index: Tensor


class Batch(Labels, total=False):
    """Inputs of B samples; or in `boundary` the tensors `(B, …)` before the stage of the number `start`."""

    input: Input
    boundary: Tensor
    start: int
    unlabelled: "Batch"


class Predicted(NamedTuple):
    """What is predicted of a batch of samples, some of which could not be read.

    Attributes:
        indices: of the B that could be.
        probabilities: `(B, C)`, float64.
        failures: index of each of the others, and why.
        logits: `(B, C)`, float32.
        kept: `(B, …)`, what the module keeps beside them.
    """

    indices: list[int]
    probabilities: Tensor
    failures: list[tuple[int, str]]
    logits: Tensor
    kept: Tensor


class Rates(TypedDict):
    """What the parameter groups are made by; see `graft.optim.parameter_groups`."""

    lr: float
    head_lr: float | str | None
    weight_decay: float
    layer_decay: float


class TransferModule(pl.LightningModule):
    """A backbone with a new head.

    Args:
        backbone: images `(N, 3, H, W)` to features `(N, D)`.
        head: features `(N, D)` to logits `(N, C)`.
        task: says the loss, what is tallied and what is predicted.
        optimizer: called with the parameter groups; may be left out, with `schedule`, `rates` and `plan`,
            where the module is only tested.
        schedule: called with the optimizer and the `Span` of the run.
        rates: of the parameter groups.
        plan: of freezing, which says the phases and may change the head's rate.
        mix: what happens to a training batch before anything sees it, or None.
        distill: adds what a teacher says to the training loss, or None.
        channels_last: lay images and convolutions' weights out as NHWC, which is faster on most hardware.
        regularizer: gives the term that is added to the training loss; None adds nothing.
        temperature: what logits are divided by where images are predicted.
        keep: what a test or a prediction keeps beside the logits, `(B, …)` of features `(B, D)` and logits
            `(B, C)`; None keeps nothing.
    """

    backbone: Backbone
    head: nn.Module
    task: Task

    def __init__(
        self,
        backbone: Backbone,
        head: nn.Module,
        *,
        task: Task,
        optimizer: Callable[[list[ParameterGroup]], Optimizer] | None = None,
        schedule: Callable[[Optimizer, Span], Mapping[str, object] | None] | None = None,
        rates: Rates | None = None,
        plan: FreezePlan | None = None,
        mix: Mix | None = None,
        distill: Distillation | None = None,
        channels_last: bool = False,
        regularizer: Regularizer | None = None,
        temperature: float = 1.0,
        keep: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.optimizer_factory = optimizer
        self.schedule = schedule
        self.plan = plan
        self.task = task
        self.mix = mix
        self.distill = distill
        self.channels_last = channels_last
        if channels_last:
            self.backbone.to(memory_format=torch.channels_last)
        self.regularizer = regularizer
        if regularizer is not None:
            regularizer.prepare(self.backbone, self.head)
        self.groups: list[ParameterGroup] = []
        if rates:
            self.set_rates(rates)
        # Not `self.log`, whose running mean no checkpoint has.
        self.terms = MeanMetric(nan_strategy="disable")
        self.tallies = nn.ModuleDict({f"{name}_tally": task.tally() for name in ("train", "val", "test")})
        self.temperature = temperature
        self.keep = keep
        # Of a test: index, label and logits, `(B,)`, `(B,)` and `(B, C)`, of each batch, and what is kept.
        self.outputs: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []

    def __setattr__(self, name: str, value: Any) -> None:
        """As any module's, but quick for the name of the hook that runs: Lightning sets it often."""
        if name == NAME_OF_HOOK:
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def set_rates(self, rates: Rates) -> None:
        """Put all parameters into the optimizer's groups, those that the regulariser brings too."""
        self.groups = parameter_groups(self.backbone, self.head, **rates, **self.brought())

    def brought(self) -> dict[str, nn.Module]:
        """What trains beside backbone and head, by the name of its parameter group."""
        return {"source_head": self.regularizer} if isinstance(self.regularizer, nn.Module) else {}

    def forward(self, given: Input, start: int = 0) -> Tensor:
        """Inputs of N samples, or boundary tensors before stage `start`, to logits `(N, C)`."""
        logits: Tensor = self.head(self.backbone(self.laid_out(given), start=start))
        return logits

    def laid_out(self, given: Input) -> Input:
        """Images, or maps of them, as NHWC where that is asked for."""
        if self.channels_last and isinstance(given, Tensor) and given.ndim == 4:
            return given.contiguous(memory_format=torch.channels_last)
        return given

    def tally(self, name: str) -> Tally:
        """The pooled numbers of `train`, `val` or `test`."""
        tally = self.tallies[f"{name}_tally"]
        assert isinstance(tally, Tally)
        return tally

    def on_fit_start(self) -> None:
        """Let all processes know what the first one asked the source, in whichever way they share weights."""
        regularizer: Any = self.regularizer
        if isinstance(regularizer, nn.Module):
            for buffer in regularizer.buffers():
                buffer.copy_(collectives.of_first(buffer))

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:  # noqa: D102
        (given, start), target = entering(batch), batch["target"]
        if self.mix is not None:
            assert isinstance(given, Tensor)
            given, target = self.mix(given, target)
        logits, boundaries, added = self._passed(given, start, batch)
        loss, weight = self.task.loss(logits, target)
        if self.distill is not None:
            loss = self.distill(given, logits, loss)
        total = _own_share(loss, weight, len(target)) + self._regularize(given, boundaries, target) + added
        if looks_each_step(total.device):
            self._check_finite(total, "step")
        elif batch_index % LOOK_EVERY == LOOK_EVERY - 1:
            self._check_sums()
        self.tally("train").update(logits, target, loss, weight)
        return total

    def _check_finite(self, loss: Tensor, when: str) -> None:
        if not math.isfinite(value := loss.item()):
            where = f"epoch {self.current_epoch + 1}, {when} {self.global_step}"
            raise GraftError(f"the training loss became {value} in {where}; a lower optimizer.lr may help")

    def _check_sums(self) -> None:
        """Refuse to go on where a loss of this epoch was no number; a sum that it entered is none since."""
        self._check_finite(self.tally("train").loss_sum + self._sums()[0], "by step")

    def _passed(self, given: Input, start: int, batch: Batch) -> tuple[Tensor, list[Tensor], Tensor | float]:
        """Logits, what came out of each stage if the regulariser asks for it, and what else to minimise."""
        features, boundaries = self.features(given, start)
        return self.head(features), boundaries, 0.0

    def features(self, given: Input, start: int) -> tuple[Tensor, list[Tensor]]:
        """Features `(B, D)`, and what came out of each stage where the regulariser asks for it."""
        given = self.laid_out(given)
        if self.regularizer is None or not self.regularizer.watches:
            return self.backbone(given, start=start), []
        boundaries = outputs(self.backbone, given)
        return boundaries[-1], boundaries

    def _regularize(self, given: Input, boundaries: list[Tensor], target: Tensor) -> Tensor | float:
        """The regulariser's term, logged as a mean of its own, so that `train/loss` stays the plain one."""
        if self.regularizer is None:
            return 0.0
        if (term := self.regularizer.term(given, boundaries, target)) is None:
            return 0.0
        self.terms.update(term.detach(), count_of(given))
        return term

    def validation_step(self, batch: Batch, batch_index: int) -> None:  # noqa: D102
        self.tally("val").update(self(*entering(batch)), batch["target"])

    def on_test_epoch_start(self) -> None:  # noqa: D102
        self.outputs = []
        self.tally("test").reset()

    def test_step(self, batch: Batch, batch_index: int) -> None:  # noqa: D102
        (given, start), labels = entering(batch), batch["target"]
        # As when boundary tensors are computed for the cache, so that both give the same bits.
        loader: Any = self.trainer.test_dataloaders
        logits, kept = self._answered(filled_up(given, loader.batch_size), start, len(labels))
        self.tally("test").update(logits, labels)
        self.outputs.append((batch["index"].cpu(), labels.cpu(), logits.float().cpu(), kept))

    def predict_step(self, batch: ReadableBatch, batch_index: int) -> Predicted:
        """What is predicted of a batch of `collate_readable`."""
        indices, given, failures = batch
        if not indices:
            return Predicted(indices, torch.empty(0), failures, torch.empty(0), torch.empty(0))
        outputs, kept = self._answered(given, 0, len(indices))
        logits = outputs.float().cpu()
        probabilities = self.task.predictions(logits.double(), self.temperature)
        return Predicted(indices, probabilities, failures, logits, kept)

    def _answered(self, given: Input, start: int, count: int) -> tuple[Tensor, Tensor]:
        """The logits `(count, C)` of the first inputs, and on the CPU what is kept of them, `(count, …)`."""
        features = self.backbone(self.laid_out(given), start=start)
        logits: Tensor = self.head(features)
        if self.keep is None:
            return logits[:count], torch.empty(count, 0)
        kept = self.keep(features[:count].float().cpu(), logits[:count].float().cpu())
        return logits[:count], kept

    def on_train_epoch_end(self) -> None:  # noqa: D102
        self._check_sums()
        self._report("train")
        trainable = sum(p.numel() for p in self.parameters() if p.requires_grad)
        self.log("trainable_parameters", self._of_all(trainable))
        self.log("train/penalty", self._of_all(weight_penalty(self.groups)))
        if self._sums()[1] > 0:
            self.log("train/regularizer", self.terms.compute())
            self.terms.reset()

    def _of_all(self, total: float) -> float:
        """A sum over the parameters, of which each process holds a part under FSDP, else all."""
        if not isinstance(self.trainer.strategy, FSDPStrategy):
            return float(total)
        return float(collectives.summed(torch.tensor(float(total), device=self.device)))

    def on_validation_epoch_end(self) -> None:  # noqa: D102
        self._report("val")

    def on_test_epoch_end(self) -> None:  # noqa: D102
        self._report("test", reset=False)

    def _report(self, name: str, reset: bool = True) -> None:
        tally = self.tally(name)
        self.log_dict({f"{name}/{key}": value for key, value in tally.compute().items()})
        if reset:
            tally.reset()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what the epoch has tallied so far, on all processes; weights that are lost are not saved."""
        self._check_sums()
        checkpoint["tally"] = {key: collectives.summed(n) for key, n in self.tally("train").counts().items()}
        checkpoint["terms"] = [collectives.summed(value.detach().cpu().clone()) for value in self._sums()]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with the tally of an epoch that was left in its middle; what all had counted, one has."""
        if self.trainer.global_rank > 0:
            return
        self.tally("train").set_counts(checkpoint["tally"])
        for sums, saved in zip(self._sums(), checkpoint["terms"], strict=True):
            sums.copy_(saved)

    def _sums(self) -> tuple[Tensor, Tensor]:
        """What the mean of the regulariser's term is made of: its weighted sum, and the weights'."""
        total, weight = self.terms.mean_value, self.terms.weight
        assert isinstance(total, Tensor)
        assert isinstance(weight, Tensor)
        return total, weight

    def configure_optimizers(self) -> Any:  # noqa: D102
        plan = self.plan
        assert self.optimizer_factory is not None
        assert self.schedule is not None
        assert plan is not None
        optimizer = self.optimizer_factory(self.groups)
        steps = int(self.trainer.estimated_stepping_batches)
        # Not the steps shared out among the epochs, of which trainer.max_steps may leave some out.
        an_epoch = math.ceil(self.trainer.num_training_batches / self.trainer.accumulate_grad_batches)
        span = Span(steps, max(1, an_epoch), phases=lambda: plan.phases, head_rate=plan.head_rate)
        schedule = self.schedule(optimizer, span)
        return {"optimizer": optimizer, "lr_scheduler": schedule} if schedule else optimizer


def entering(batch: Batch) -> tuple[Input, int]:
    """What enters the backbone, and the first stage that it enters."""
    return (batch["boundary"], batch["start"]) if "boundary" in batch else (batch["input"], 0)


def looks_each_step(device: torch.device) -> bool:
    """Whether the loss is there at once; a GPU is still computing it, and to look is to wait."""
    return device.type == "cpu"


def _own_share(loss: Tensor, weight: Tensor | None, count: int) -> Tensor:
    """What makes the mean over processes of their losses the mean of the whole batch.

    Gradients are averaged over the processes, of which some may have fewer images of a batch. This one has
    `count`, and its loss was divided by the weight, or by the count where that is None.
    """
    if collectives.size() == 1:
        return loss
    weighed = loss.new_tensor(count) if weight is None else weight
    return loss * (weighed * collectives.size() / collectives.summed(weighed))
