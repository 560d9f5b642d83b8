"""The rate of every group at every step is the closed form, and ratios between groups stay."""

import itertools
import math
from typing import Any

import pytest
import torch
from pytorch_lightning.callbacks import EarlyStopping

from graft.errors import GraftError
from graft.optim import Span, constant, cosine, plateau, step


def optimizer() -> torch.optim.Optimizer:
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (0.1, 1.0)]
    return torch.optim.SGD(groups)


def rates(schedule: dict[str, object], opt: torch.optim.Optimizer, times: int) -> list[list[float]]:
    seen = []
    for _ in range(times):
        seen.append([group["lr"] for group in opt.param_groups])
        opt.step()
        schedule["scheduler"].step()  # type: ignore[attr-defined]
    return seen


@pytest.mark.parametrize(("warmup", "final"), [(0.0, 0.0), (2.0, 0.0), (1.5, 0.1)])
def test_cosine_is_its_closed_form(warmup: float, final: float) -> None:
    opt = optimizer()
    seen = rates(cosine(opt, Span(40, 4), warmup, final), opt, 41)
    first = round(warmup * 4)
    for index, (low, high) in enumerate(seen):
        if index < first:
            factor = (index + 1) / (first + 1)
        else:
            factor = final + (1 - final) * 0.5 * (1 + math.cos(math.pi * (index - first) / (40 - first)))
        assert high == pytest.approx(factor)
        assert low == pytest.approx(0.1 * factor)
    assert seen[40][1] == pytest.approx(final)
    # The last step of the run is before that, a trace above.
    assert seen[39][1] - final == pytest.approx((1 - final) * math.sin(math.pi / 2 / (40 - first)) ** 2)


def test_a_warm_up_longer_than_the_run_still_runs() -> None:
    opt = optimizer()
    seen = rates(cosine(opt, Span(4, 4), warmup_epochs=3), opt, 4)
    assert all(later[1] > earlier[1] for earlier, later in itertools.pairwise(seen))


def test_step_falls_by_gamma() -> None:
    opt = optimizer()
    seen = rates(step(opt, Span(40, 4), step_size=2, gamma=0.5), opt, 20)
    assert [high for _, high in seen] == pytest.approx([1] * 8 + [0.5] * 8 + [0.25] * 4)


def test_plateau_watches_validation_loss() -> None:
    opt = optimizer()
    schedule = plateau(opt, Span(40, 4), factor=0.1, patience=1)
    assert schedule["monitor"] == "val/loss"
    for loss in (1.0, 1.0):
        schedule["scheduler"].step(loss)
    assert [group["lr"] for group in opt.param_groups] == pytest.approx([0.01, 0.1])


@pytest.mark.parametrize("patience", [1, 2, 3])
@pytest.mark.parametrize(("losses", "delta"), [([1.0] * 6, 0.0), ([1 - 1e-6 * n for n in range(6)], 1e-5)])
def test_plateau_and_early_stopping_count_alike(losses: list[float], delta: float, patience: int) -> None:
    opt = optimizer()
    scheduler = plateau(opt, Span(40, 4), patience=patience, min_delta=delta)["scheduler"]
    stopping = EarlyStopping("val/loss", patience=patience, min_delta=delta)
    fell = stopped = None
    for epoch, loss in enumerate(losses):
        scheduler.step(loss)
        if fell is None and opt.param_groups[1]["lr"] < 1.0:
            fell = epoch
        if stopped is None and stopping._evaluate_stopping_criteria(torch.tensor(loss))[0]:
            stopped = epoch
    # Epoch 0 is the lowest, so these are the ones after it that are no better.
    assert fell == stopped == patience


def test_the_smallest_fall_counts_unless_it_is_said_otherwise() -> None:
    opt = optimizer()
    scheduler = plateau(opt, Span(40, 4), patience=1)["scheduler"]
    for loss in (1.0, 1.0 - 1e-9, 1.0 - 2e-9):
        scheduler.step(loss)
    assert opt.param_groups[1]["lr"] == 1.0


def test_constant_leaves_the_rates_alone() -> None:
    opt = optimizer()
    assert rates(constant(opt, Span(40, 4)), opt, 5) == [[0.1, 1.0]] * 5


def test_cosine_begins_anew_with_each_phase_where_it_is_told_to() -> None:
    opt = optimizer()
    span = Span(40, 4, phases=lambda: [0, 3, 5])
    seen = [high for _, high in rates(cosine(opt, span, 1.0, 0.1, restart=True), opt, 40)]
    for begin, end in ((0, 12), (12, 20), (20, 40)):
        alone = optimizer()
        expected = rates(cosine(alone, Span(end - begin, 4), 1.0, 0.1), alone, end - begin)
        assert seen[begin:end] == pytest.approx([high for _, high in expected])
    plain = optimizer()
    once = [high for _, high in rates(cosine(plain, span, 1.0, 0.1), plain, 40)]
    assert once[4:] == sorted(once[4:], reverse=True)


@pytest.mark.parametrize("make", [constant, cosine, step])
def test_the_head_follows_the_strategy_s_word_and_the_backbone_does_not(make: Any) -> None:
    def named() -> torch.optim.Optimizer:
        groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "name": n} for n in ("backbone", "head")]
        return torch.optim.SGD(groups, lr=1.0)

    plain, scaled = named(), named()
    expected = rates(make(plain, Span(40, 4)), plain, 40)
    word = Span(40, 4, head_rate=lambda epoch: 0.1 if epoch >= 5 else 1.0)
    for index, (backbone, head) in enumerate(rates(make(scaled, word), scaled, 40)):
        assert backbone == expected[index][0]
        assert head == pytest.approx(expected[index][1] * (0.1 if index >= 20 else 1.0))


def test_plateau_refuses_rates_by_phase() -> None:
    span = Span(40, 4, phases=lambda: [0, 5], head_rate=lambda epoch: 0.1 if epoch >= 5 else 1.0)
    with pytest.raises(GraftError, match=r"scheduler=plateau keeps no rates by phase"):
        plateau(optimizer(), span)
