"""L-BFGS that solves a convex problem to its end in one step, as a logistic regression is solved."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from graft.runs.log import say


class LBFGS(Optimizer):
    """Minimises loss + Σ ½·weight_decay·‖w‖² over what trains, until the gradient is all but zero.

    Liu and Nocedal 1989, https://doi.org/10.1007/BF01589116, with strong Wolfe line search. The closure must
    be the loss of all data, the same at each call. With mean cross-entropy over N images and a linear head
    this is scikit-learn's `LogisticRegression` at C = 1 / (N · weight_decay).

    `torch.optim.LBFGS` takes one group and no weight decay; it does the work here.

    Args:
        params: parameter groups; each has its own `weight_decay`.
        lr: the first step that each line search tries.
        weight_decay: of groups that say nothing.
        max_iter: the most iterations; ending by them is told.
        tolerance_grad: the largest entry of the gradient at which it is solved.
        history_size: how many earlier steps approximate the curvature.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        weight_decay: float = 1e-3,
        max_iter: int = 1000,
        tolerance_grad: float = 1e-5,
        history_size: int = 20,
    ) -> None:
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "max_iter": max_iter,
            "tolerance_grad": tolerance_grad,
            "history_size": history_size,
        }
        super().__init__(params, defaults)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Solve; returns the closure's loss where it began.

        Args:
            closure: computes the loss of all data and its gradients.
        """
        assert closure is not None, "the closure is the problem to solve"
        settings = self.defaults
        decays = [
            (parameter, group["weight_decay"])
            for group in self.param_groups
            for parameter in group["params"]
            if parameter.requires_grad
        ]
        solver = torch.optim.LBFGS(
            [parameter for parameter, _ in decays],
            lr=self.param_groups[0]["lr"],
            max_iter=settings["max_iter"],
            max_eval=10 * settings["max_iter"],
            tolerance_grad=settings["tolerance_grad"],
            # By the gradient alone: a small change may also be a short step.
            tolerance_change=0.0,
            history_size=settings["history_size"],
            line_search_fn="strong_wolfe",
        )

        def penalised() -> Tensor:
            with torch.enable_grad():
                loss: Tensor = closure()
            penalty = torch.zeros_like(loss)
            for parameter, decay in decays:
                if decay and parameter.grad is not None:
                    parameter.grad.add_(parameter.detach(), alpha=decay)
                    penalty += 0.5 * decay * parameter.detach().square().sum()
            return loss.detach() + penalty

        first = solver.step(penalised)  # type: ignore[no-untyped-call]
        state = solver.state[solver._params[0]]
        steepest = max(float(p.grad.abs().max()) for p, _ in decays if p.grad is not None)
        if state["n_iter"] >= settings["max_iter"] and steepest > settings["tolerance_grad"]:
            end = f"optimizer.max_iter={settings['max_iter']} with a gradient of {steepest:.1g}"
            say(f"warning: optimizer=lbfgs stopped at {end}")
        return first
