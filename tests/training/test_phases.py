"""Phases in a whole fit: rates, gradients and what they are computed from, at every step."""

import math

import pytest

from graft.freezing import FreezeUnfreeze, Frozen, Full, Gradual, LastK, LpFt
from graft.freezing.apply import FreezeCallback
from graft.optim import constant, cosine, plateau, step


def test_a_switch_is_seen_by_rates_and_gradients_in_its_first_step(transfer, plan, trainer, loader):
    switched = plan(LpFt(epochs=9, patience=1), epochs=4)
    module = transfer(lr=0.0, plan=switched)
    module.groups[-1]["lr"] = module.groups[-2]["lr"] = 1.0
    seen = []

    class Sees(FreezeCallback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            head = trainer.optimizers[0].param_groups[-1]["lr"]
            trains = next(pl_module.backbone.parameters()).requires_grad
            seen.append((trainer.current_epoch, head, trains))

        def on_train_epoch_end(self, trainer, pl_module):
            # A loss that never falls.
            self.plan.observe(trainer.current_epoch, 1.0)

    trainer(epochs=4, callbacks=[Sees(switched)]).fit(module, loader(8, 4), loader(4, 4))
    probe, tune = (1.0, False), (0.1, True)
    assert [tuple(row[1:]) for row in seen] == [probe] * 4 + [tune] * 4


class Records(FreezeCallback):
    """Notes every group's rate at every step."""

    def on_train_start(self, trainer, pl_module):
        super().on_train_start(trainer, pl_module)
        self.rates = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.rates.append({group["name"]: group["lr"] for group in trainer.optimizers[0].param_groups})


def half_cosine(done, whole):
    return 0.5 * (1 + math.cos(math.pi * done / whole))


EPOCHS, STEPS = 6, 2
SCHEDULES = {
    "constant": (constant, lambda step, starts: 1.0),
    "cosine": (cosine, lambda step, starts: half_cosine(step, EPOCHS * STEPS)),
    "restart": (
        lambda optimizer, span: cosine(optimizer, span, restart=True),
        lambda step, starts: half_cosine(
            step - max(s * STEPS for s in starts if s * STEPS <= step),
            min([s * STEPS for s in starts if s * STEPS > step] or [EPOCHS * STEPS])
            - max(s * STEPS for s in starts if s * STEPS <= step),
        ),
    ),
    "step": (
        lambda optimizer, span: step(optimizer, span, step_size=2, gamma=0.5),
        lambda step, starts: 0.5 ** (step // STEPS // 2),
    ),
    # The loss never falls: the rates do after the second epoch, and after every two more.
    "plateau": (
        lambda optimizer, span: plateau(optimizer, span, factor=0.1, patience=2),
        lambda step, starts: 0.1 ** max(0, (step // STEPS - 1) // 2),
    ),
}
STRATEGIES = {
    "full": (Full, [0]),
    "frozen": (Frozen, [0]),
    "last_k": (lambda: LastK(1), [0]),
    "freeze_unfreeze": (lambda: FreezeUnfreeze(2), [0, 2]),
    "gradual": (lambda: Gradual(2), [0, 2, 4]),
    "lp_ft": (lambda: LpFt(3), [0, 3]),
}


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("freeze", STRATEGIES)
def test_every_group_s_rate_at_every_step_is_the_closed_form(
    transfer, plan, trainer, loader, freeze, schedule
):
    make, starts = STRATEGIES[freeze]
    build, factor = SCHEDULES[schedule]
    phased = plan(make(), EPOCHS)
    if (freeze, schedule) == ("lp_ft", "plateau"):
        pytest.skip("refused: see tests/optim/test_schedules.py")
    module = transfer(lr=0.0, schedule=build, plan=phased)
    base = {"backbone": 0.3, "backbone_no_decay": 0.2, "head": 2.0, "head_no_decay": 1.0}
    for group in module.groups:
        group["lr"] = base[group["name"]] * 1e-30  # so small that no weight and so no loss moves
    records = Records(phased)
    trainer(epochs=EPOCHS, callbacks=[records]).fit(module, loader(8, 4), loader(4, 4))
    assert len(records.rates) == EPOCHS * STEPS
    for index, rates in enumerate(records.rates):
        for name, rate in rates.items():
            head = 0.1 if freeze == "lp_ft" and name.startswith("head") and index >= 3 * STEPS else 1.0
            expected = base[name] * 1e-30 * factor(index, starts) * head
            assert rate == pytest.approx(expected, rel=1e-9), (name, index)
