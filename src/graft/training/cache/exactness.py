"""Why stored boundary tensors would not give the run that images give."""

from collections.abc import Iterable

import pytorch_lightning as pl
from torch import nn

from graft.configuration.run_config import RunConfig
from graft.features.keys import same_transform
from graft.freezing import FreezePlan
from graft.freezing.parts import parts
from graft.training.assembly import Parts

# What a callback that looks at batches overrides.
BATCH_HOOKS = tuple(
    f"on_{part}_batch_{when}" for part in ("train", "validation") for when in ("start", "end")
)
OURS = ("graft.", "pytorch_lightning.")


def reasons_against(
    config: RunConfig, run: Parts, callbacks: Iterable[pl.Callback], processes: int
) -> list[str]:
    """Why training on stored tensors would differ from training on images; empty where it would not."""
    loading, module, plan = run.loading, run.module, run.plan
    drawn = not same_transform(loading.training, loading.evaluation)
    regularizer = module.regularizer
    against = {
        _first_moving(plan, module.backbone.stages): not plan.prefix(0),
        "the augmentation may draw each image anew in every epoch (cache.views=10 stores 10 views of each)": (
            drawn and config.cache.views is None
        ),
        "mix blends the images themselves": module.mix is not None,
        "distill.teacher looks at the images": module.distill is not None,
        "the regularizer looks at more than weights": (
            regularizer is not None and not getattr(regularizer, "sees_weights_alone", False)
        ),
        "trainer.overfit_batches reads only a few images": bool(config.trainer.get("overfit_batches")),
        "several processes train": processes > 1,
    }
    reasons = [reason for reason, holds in against.items() if holds]
    for callback in callbacks:
        kind = type(callback)
        hooks = [getattr(kind, hook) for hook in BATCH_HOOKS if hasattr(kind, hook)]
        if any(not str(hook.__module__).startswith(OURS) for hook in hooks):
            reasons.append(f"the callback {kind.__name__} may look at the images of a batch")
    return reasons


def _first_moving(plan: FreezePlan, stages: nn.ModuleDict) -> str:
    """Why there is no frozen prefix."""
    stem = next(iter(stages))
    trains = any(plan.treatment(p, 0).trains for p, _, _ in parts(stages) if p.stage_name == stem)
    what = "trains" if trains else "has normalisation layers whose statistics move"
    return f"nothing is frozen from the stem on: {stem} {what} from the first epoch"


def reasons_against_solving(head: nn.Module, moves: bool) -> list[str]:
    """Why a head cannot be solved once and for all, on a backbone that ever changes where it `moves`."""
    layers = list(head) if isinstance(head, nn.Sequential) else [head]
    dense = isinstance(head, nn.Sequential) and isinstance(layers[-1], nn.Linear)
    trained = any(p.numel() for layer in layers[:-1] for p in layer.parameters())
    reasons = {
        "the backbone must be frozen whole, in all epochs (freeze=frozen)": moves,
        "the head must be one dense layer on what does not train (head=linear)": not dense or trained,
    }
    return [reason for reason, holds in reasons.items() if holds]
