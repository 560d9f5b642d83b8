"""Whether a run reads stored boundary tensors, in which epochs, and what is said about it."""

from typing import NamedTuple

import pytorch_lightning as pl

from graft.configuration.run_config import RunConfig
from graft.data import SampleDataModule
from graft.errors import GraftError
from graft.features.folder import sized
from graft.features.keys import same_transform
from graft.models.head import standardizes
from graft.training.adapting import AdaptingModule
from graft.training.assembly import Parts
from graft.training.cache.exactness import reasons_against, reasons_against_solving
from graft.training.cache.feature_cache import FeatureCache
from graft.training.module import TransferModule


class Decision(NamedTuple):
    """Whether stored tensors are read.

    Attributes:
        cache: what gives them; None: every epoch reads images.
        beside: what gives those of a second domain, in the same epochs.
        line: what to say about it; empty where nothing is frozen, so that nothing could be stored.
    """

    cache: FeatureCache | None
    line: str
    beside: FeatureCache | None = None

    def put_in(self, loading: SampleDataModule) -> None:
        """Let the loaders read what is stored."""
        loading.cache = self.cache
        if loading.beside is not None:
            loading.beside.cache = self.beside


def decide(config: RunConfig, parts: Parts, trainer: pl.Trainer, processes: int) -> Decision:
    """Whether the run, of so many processes, reads stored boundary tensors; nothing is computed yet.

    Raises:
        GraftError: something in the configuration needs them, and they cannot be had.
    """
    if config.solves:
        return _for_solving(config, parts, trainer)
    loading, module, plan = parts.loading, parts.module, parts.plan
    views, stages = config.cache.views, module.backbone.stages
    wanted = wish(config, module)
    if config.cache.features in ("off", False):
        if wanted:
            raise GraftError(f"{wanted} needs stored features; leave cache.features=off out")
        return Decision(None, "")
    if not (wanted or plan.prefix(0)):
        return Decision(None, "")
    callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    reasons = reasons_against(config, parts, callbacks, processes)
    if standardizes(module.head) and (views or plan.prefix(0) < len(stages)):
        reasons.append("head.standardize wants one set of features: a frozen backbone and no cache.views")
    if config.trainer.get("limit_train_batches") is not None and not wanted:
        reasons.append("trainer.limit_train_batches trains on few of the images")
    if reasons:
        return _none(wanted, "; ".join(reasons))
    if views and same_transform(loading.training, loading.evaluation):
        raise GraftError(f"{wanted} does nothing: this augmentation draws nothing, so all views are alike")
    cache = FeatureCache(config, parts, trainer, wanted)
    beside = _of_target(config, parts, trainer, wanted)
    caches = [cache, beside] if beside else [cache]
    lines, why = [], ""
    for start, end in zip(plan.phases, [*plan.phases[1:], plan.epochs], strict=True):
        stop = plan.prefix(start)
        # What only one epoch reads is worth storing for later runs only.
        if not stop or (start > 0 and end - start < 2 and not wanted):
            continue
        counts = [held.lacking(stop, end - start) for held in caches]
        lacking, size = sum(count for count, _ in counts), max(size for _, size in counts)
        if lacking and cache.probed.draws:
            return _none(wanted, "what is frozen draws at random, in evaluation mode too")
        if why := cache.store.room_for(lacking * size) or "":
            if wanted and start == 0:
                return _none(wanted, why)
            continue
        for held in caches:
            held.sizes[stop] = size
        name = module.backbone.stage_names[stop - 1]
        to_do = _to_do(lacking, size, loading.data.kind.plural)
        lines.append(f"epochs {start + 1}-{end} train on what {name} gives ({to_do})")
    if not lines:
        return _none(wanted, why)
    how = f", {views} augmented views of each {loading.data.kind.noun}" if views else ""
    if cache.fast:
        how += ", in bfloat16, validation too; the test runs the whole network at trainer.precision"
    return Decision(cache, f"cache: {'; '.join(lines)}{how}, in {cache.store.path}", beside)


def _of_target(
    config: RunConfig, parts: Parts, trainer: pl.Trainer, wanted: str | None = None
) -> FeatureCache | None:
    """The cache of the target's tensors; None without a target, or where its statistics are its own."""
    module, beside = parts.module, parts.loading.beside
    if beside is None or (isinstance(module, AdaptingModule) and module.retakes):
        return None
    return FeatureCache(config, parts, trainer, wanted, beside)


def _for_solving(config: RunConfig, parts: Parts, trainer: pl.Trainer) -> Decision:
    """A head that is solved reads all features once, stored or not."""
    module, plan = parts.module, parts.plan
    stages = module.backbone.stages
    if reasons := reasons_against_solving(module.head, plan.prefix() < len(stages)):
        raise GraftError(f"optimizer=lbfgs is not possible: {'; '.join(reasons)}")
    cache, beside = FeatureCache(config, parts, trainer, None), _of_target(config, parts, trainer)
    if config.cache.features in ("off", False):
        return Decision(cache, "", beside)
    counts = [held.lacking(len(stages), 1) for held in (cache, beside) if held]
    lacking, size = sum(count for count, _ in counts), max(size for _, size in counts)
    if why := cache.store.room_for(lacking * size):
        return Decision(cache, f"cache: not used: {why}", beside)
    for held in (cache, beside):
        if held:
            held.sizes[len(stages)] = size
    to_do = _to_do(lacking, size, parts.loading.data.kind.plural)
    line = f"cache: the head is solved on features ({to_do}), in {cache.store.path}"
    return Decision(cache, line, beside)


def _to_do(lacking: int, size: int, plural: str) -> str:
    return f"{lacking:,} {plural} to compute, {sized(lacking * size)}" if lacking else "all stored already"


def wish(config: RunConfig, module: TransferModule) -> str | None:
    """The word of the configuration that cannot do without stored tensors, or None."""
    if standardizes(module.head):
        return "head.standardize=true"
    if config.cache.views is not None:
        return f"cache.views={config.cache.views}"
    return "cache.features=on" if config.cache.features in ("on", True) else None


def _none(wanted: str | None, why: str) -> Decision:
    if wanted:
        raise GraftError(f"{wanted} is not possible: {why}")
    return Decision(None, f"cache: not used: {why}")
