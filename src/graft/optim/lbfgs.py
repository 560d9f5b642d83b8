"""Logistic regression solved to its end by L-BFGS: the head of a frozen backbone, for one penalty or many."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

# With more axes than this, finding them would take longer than it saves.
MOST_AXES = 4096


class Minimum(NamedTuple):
    """What solves the problem at one penalty.

    Attributes:
        penalty: λ.
        weight: `(C, D)` float64.
        bias: `(C,)` float64; zeros where there is none.
        loss: what was minimised, without the penalty.
        gradient: the largest entry of the gradient, along axes of unit curvature.
    """

    penalty: float
    weight: Tensor
    bias: Tensor
    loss: float
    gradient: float


@dataclass(frozen=True)
class LBFGS:
    """Solves a head of one dense layer, as the option `optimizer=lbfgs` says.

    scikit-learn's `LogisticRegression` solves the same problem, but smooths no labels, and takes hundreds of
    steps where features are correlated. Here the features are turned to their principal axes and scaled to
    unit curvature first, so that some ten steps do; that changes no solution.

    Attributes:
        weight_decay: λ; None: chosen among many by what was not trained on.
        max_iter: the most steps of L-BFGS (Liu and Nocedal 1989, https://doi.org/10.1007/BF01589116) a λ.
        tolerance_grad: solved where no entry of the gradient is larger.
    """

    weight_decay: float | None = None
    max_iter: int = 1000
    tolerance_grad: float = 1e-5

    def minima(
        self,
        features: Tensor,
        classes: int,
        loss: Callable[[Tensor], Tensor],
        penalties: Iterable[float],
        bias: bool = True,
    ) -> Iterator[Minimum]:
        """The minima of loss(F Wᵀ + b) + ½ λ ‖W‖² over W and b, each begun where the one before ended.

        With mean cross-entropy over N images as the loss this is scikit-learn's `LogisticRegression` at
        C = 1 / (N λ), of two classes at 2 / (N λ). Biases have no penalty.

        Args:
            features: `(N, D)`.
            classes: C.
            loss: of logits `(N, C)` float64; convex.
            penalties: each λ > 0; strong ones first, which are quick to solve.
            bias: whether there is one.
        """
        turned, axes, variance = principal_axes(features.double())
        # The curvature of softmax cross-entropy where all classes are equally likely.
        curvature = (classes - 1) / classes**2
        bias_scale = curvature**-0.5 if bias else 0.0
        weight, shift = turned.new_zeros(classes, turned.shape[1]), turned.new_zeros(classes)
        for penalty in penalties:
            scale = (curvature * variance + penalty).rsqrt()
            weight, shift, gradient = self._descend(
                lambda w, b, scale=scale, penalty=penalty: (  # type: ignore[misc]
                    loss((turned * scale) @ w.T + b * bias_scale) + 0.5 * penalty * (w * scale).square().sum()
                ),
                weight / scale,
                shift / bias_scale if bias else shift,
            )
            weight, shift = weight * scale, shift * bias_scale
            reached = float(loss(turned @ weight.T + shift))
            yield Minimum(penalty, weight if axes is None else weight @ axes.T, shift, reached, gradient)

    def _descend(
        self, objective: Callable[[Tensor, Tensor], Tensor], weight: Tensor, bias: Tensor
    ) -> tuple[Tensor, Tensor, float]:
        """Where the objective's gradient is all but zero, and the gradient's largest entry there."""
        place = [weight.clone().requires_grad_(), bias.clone().requires_grad_()]
        solver = torch.optim.LBFGS(
            place,
            max_iter=self.max_iter,
            max_eval=10 * self.max_iter,
            tolerance_grad=self.tolerance_grad,
            # Only the gradient decides: a small change may also be a short step.
            tolerance_change=0.0,
            history_size=20,
            line_search_fn="strong_wolfe",
        )

        def look() -> Tensor:
            solver.zero_grad()
            total = objective(*place)
            total.backward()  # type: ignore[no-untyped-call]
            return total

        with torch.enable_grad():
            solver.step(look)  # type: ignore[no-untyped-call]
            look()
        steepest = max(float(part.grad.abs().max()) for part in place if part.grad is not None)
        return place[0].detach(), place[1].detach(), steepest


def principal_axes(features: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
    """Features `(N, D)` along their R ≤ min(N, D) principal axes.

    A penalised solution has no weights but in the span of the features, so nothing is lost.

    Returns:
        The features `(N, R)`; the axes `(D, R)`, orthonormal, or None where the features stay as they are;
        and the mean square along each, `(R,)`.
    """
    count, width = features.shape
    if min(count, width) > MOST_AXES:
        return features, None, features.square().mean(0)
    span = torch.linalg.qr(features.T).Q if count < width else None
    inside = features if span is None else features @ span
    variance, turn = torch.linalg.eigh(inside.T @ inside / count)
    return inside @ turn, turn if span is None else span @ turn, variance.clamp(min=0)
