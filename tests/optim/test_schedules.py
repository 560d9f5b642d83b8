"""The rate of every group at every step is the closed form, and ratios between groups stay."""

import itertools
import math

import pytest
import torch

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


def test_a_warm_up_longer_than_the_run_still_runs() -> None:
    opt = optimizer()
    seen = rates(cosine(opt, Span(4, 4), warmup_epochs=3), opt, 4)
    assert all(later[1] > earlier[1] for earlier, later in itertools.pairwise(seen))


def test_step_falls_by_gamma() -> None:
    opt = optimizer()
    schedule = step(opt, Span(40, 4), step_size=2, gamma=0.5)
    assert schedule["interval"] == "epoch"
    assert [high for _, high in rates(schedule, opt, 5)] == pytest.approx([1, 1, 0.5, 0.5, 0.25])


def test_plateau_watches_validation_loss() -> None:
    opt = optimizer()
    schedule = plateau(opt, Span(40, 4), factor=0.1, patience=1)
    assert schedule["monitor"] == "val/loss"
    for loss in (1.0, 1.0, 1.0):
        schedule["scheduler"].step(loss)
    assert [group["lr"] for group in opt.param_groups] == pytest.approx([0.01, 0.1])


def test_constant_is_no_schedule() -> None:
    assert constant(optimizer(), Span(40, 4)) is None
