"""The LightningModule of two domains: a source that has labels, and a target that has none in training."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from graft.adaptation import AdaBN, Adaptation
from graft.adaptation.adaptation import Domain
from graft.adaptation.selection import Validated, all_scores
from graft.adaptation.statistics import TargetStatistics
from graft.backbones.inputs import Input, joined
from graft.configuration.metric_names import SCORED
from graft.data.randomness import random_stream
from graft.errors import GraftError
from graft.processes import collectives
from graft.training.module import Batch, Rates, TransferModule, entering
from graft.training.running_statistics import MOST, first, take_statistics

# From indices of target samples `(M,)` and what is predicted of them `(M,)` to a share that is right.
Oracle = Callable[[NDArray[np.int64], NDArray[np.int64]], float]


class AdaptingModule(TransferModule):
    """A backbone with a new head that learns from a source, and adapts to a target beside.

    Args:
        adaptation: gives the terms that are added to the training loss; None: the source trains alone.
        select: which of `all_scores` chooses the epoch.
        norm: which statistics BatchNorm goes by where they move: `joint`, those of both domains' samples
            together; `separate`, each domain's own, in training and later; `source`: the target passes by the
            source's running ones.
        oracle: says how right the target's validation is, for the record alone; None: nobody knows.
        rates: as `TransferModule`'s, and the rest.
    """

    def __init__(
        self,
        *parts: nn.Module,
        adaptation: Adaptation | None,
        select: str,
        norm: str,
        oracle: Oracle | None,
        rates: Rates | None,
        **settings: Any,
    ) -> None:
        super().__init__(*parts, **settings)  # type: ignore[arg-type]
        self.adaptation = adaptation
        self.select = select
        self.norm = norm
        self.oracle = oracle
        self.statistics = TargetStatistics(self.backbone)
        if self.apart and not self.statistics.names:
            word = "adapt=adabn" if self.retakes else "adapt.norm=separate"
            raise GraftError(f"{word}: the backbone has no BatchNorm layers with statistics to keep apart")
        if rates:
            self.set_rates(rates)
        # Sum and number of steps of each term of the epoch, `(2,)`.
        self.step_sums: dict[str, Tensor] = {}
        self.steps = 1
        self._source: list[tuple[Tensor, ...]] = []
        self._target: list[tuple[Tensor, ...]] = []

    @property
    def retakes(self) -> bool:
        """Whether the target's statistics are taken anew from its training samples."""
        return isinstance(self.adaptation, AdaBN)

    @property
    def apart(self) -> bool:
        """Whether the target has running statistics of its own."""
        return self.retakes or (self.norm == "separate" and self.adaptation is not None)

    def brought(self) -> dict[str, nn.Module]:
        """As `TransferModule.brought`, and what the adaptation trains."""
        own: dict[str, nn.Module] = (
            {"adaptation": self.adaptation} if isinstance(self.adaptation, nn.Module) else {}
        )
        return {**super().brought(), **own}

    def configure_optimizers(self) -> Any:  # noqa: D102
        self.steps = max(1, int(self.trainer.estimated_stepping_batches))
        return super().configure_optimizers()

    def _passed(self, given: Input, start: int, batch: Batch) -> tuple[Tensor, list[Tensor], Tensor | float]:
        if self.adaptation is None or "unlabelled" not in batch:
            return super()._passed(given, start, batch)
        source, boundaries, target = self._both(given, start, *entering(batch["unlabelled"]))
        step = self.adaptation.step(source, target, self.global_step / self.steps)
        for name, value in {**step.terms, **step.measures}.items():
            now = torch.stack([value.detach().float(), torch.ones_like(value, dtype=torch.float32)])
            self.step_sums[name] = self.step_sums[name] + now if name in self.step_sums else now
        return source.logits, boundaries, sum(step.terms.values(), start=source.logits.new_zeros(()))

    def _both(
        self, given: Input, start: int, other: Input, begin: int
    ) -> tuple[Domain, list[Tensor], Domain]:
        """What the network makes of both domains, and what came out of each stage for the source."""
        # Where one has stored tensors and the other has not, both enter where the later one does.
        given, other = self._up_to(given, start, begin), self._up_to(other, begin, start)
        start = max(start, begin)
        moving = self.statistics.moving()
        if self.norm == "joint" and moving:
            count = len(given) if isinstance(given, Tensor) else len(next(iter(given.values())))
            features, boundaries = self.features(joined([given, other]), start)
            logits = self.head(features)
            source = Domain(features[:count], logits[:count])
            target = Domain(features[count:], logits[count:])
            return source, [boundary[:count] for boundary in boundaries], target
        features, boundaries = self.features(given, start)
        source = Domain(features, self.head(features))
        how = self.statistics.of_target() if self.norm == "separate" else self.statistics.still()
        with how:
            features = self.backbone(self.laid_out(other), start=start)
        return source, boundaries, Domain(features, self.head(features))

    def _up_to(self, given: Input, start: int, stop: int) -> Input:
        """What the stages from `start` to `stop`, which stand still, make of an input."""
        if start >= stop:
            return given
        with torch.no_grad():
            tensors: Tensor = self.backbone(self.laid_out(given), start=start, stop=stop)
        return tensors

    def on_train_epoch_end(self) -> None:  # noqa: D102
        super().on_train_epoch_end()
        for name in sorted(self.step_sums):
            total, steps = collectives.summed(self.step_sums[name])
            self.log(f"adapt/{name}", total / steps)
        self.step_sums = {}

    def on_validation_epoch_start(self) -> None:
        """Take the target's statistics anew where the method does."""
        self._source, self._target = [], []
        if self.retakes and not self.trainer.sanity_checking:
            self.retake()

    def retake(self) -> None:
        """Take the statistics of all BatchNorm layers from the target's training samples, in order."""
        loading: Any = self.trainer.datamodule  # type: ignore[attr-defined]

        def run(batch: Batch) -> None:
            strategy, precision = self.trainer.strategy, self.trainer.precision_plugin
            batch = strategy.batch_to_device(precision.convert_input(batch))
            with precision.forward_context():
                self.backbone(self.laid_out(batch["input"]))

        was = self.training
        with torch.inference_mode(False), self.statistics.of_target(), random_stream(0):
            batches = first(loading.beside.training_in_order(), MOST)
            take_statistics(self.backbone, self.statistics.names, batches, run)
        self.train(was)

    def validation_step(self, batch: Any, batch_index: int, dataloader_idx: int = 0) -> None:
        """Of the source or, where labels lack, of the target."""
        given, start = entering(batch)
        if "target" in batch:
            features, _ = self.features(given, start)
            logits = self.head(features)
            self.tally("val").update(logits, batch["target"])
            self._source.append(_kept(batch["index"], batch["target"], logits, features))
            return
        if self.apart:
            with self.statistics.of_target():
                features = self.backbone(self.laid_out(given), start=start)
        else:
            features = self.backbone(self.laid_out(given), start=start)
        self._target.append(_kept(batch["index"], self.head(features), features))

    def on_validation_epoch_end(self) -> None:  # noqa: D102
        super().on_validation_epoch_end()
        if self.trainer.sanity_checking:
            return
        _, labels, logits, features = _all(self._source, 4)
        index, target_logits, target_features = _all(self._target, 3)
        self._source, self._target = [], []
        validated = Validated(labels, logits, features, target_logits, target_features)
        scores = all_scores(validated)
        self.log(SCORED, scores[self.select])
        self.log_dict({f"scores/{name}": value for name, value in scores.items()})
        if self.oracle is not None and len(index):
            self.log("oracle/accuracy", self.oracle(index, target_logits.argmax(1)))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """As `TransferModule`'s, with what the epoch has had of each term, on all processes."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["adaptation"] = {
            name: collectives.summed(self.step_sums[name]).cpu() for name in sorted(self.step_sums)
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """As `TransferModule`'s."""
        super().on_load_checkpoint(checkpoint)
        if self.trainer.global_rank == 0:
            device = self.device
            self.step_sums = {name: sums.to(device) for name, sums in checkpoint["adaptation"].items()}

    def settle(self) -> None:
        """Leave the network with the target's statistics, where it has some of its own."""
        if self.apart:
            self.statistics.exchange()


def _kept(*tensors: Tensor) -> tuple[Tensor, ...]:
    """On the CPU, floating point in single precision."""
    return tuple((t.detach().float() if t.is_floating_point() else t.detach()).cpu() for t in tensors)


def _all(batches: list[tuple[Tensor, ...]], columns: int) -> list[NDArray[Any]]:
    """The columns of all batches of all processes, in the order of the first, which are indices."""
    if own := [torch.cat(column).numpy() for column in zip(*batches, strict=True)]:
        given = own
    else:
        given = [np.zeros((0, 0) if column >= columns - 2 else 0) for column in range(columns)]
    gathered = collectives.gathered(given)
    if len(gathered) > 1:
        given = [np.concatenate(column) for column in zip(*gathered, strict=True)]
    order = np.argsort(given[0], kind="stable")
    return [column[order] for column in given]
