"""Pure gradient ascent of a surrogate on a region of a constrained space, from many starts at once.

A spectral projected gradient: each step goes towards the nearest point to where the gradient leads that
fulfils the linear constraints and, made linear where the step begins, the nonlinear ones; it is brought back
inside and shortened until the objective rises.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from activelearn.regions import Region
from surrogates.errors import InputError, Problem
from surrogates.prediction import MemberPredictor

Objective = Callable[[Tensor], Tensor]
"""Takes `n x f` free amounts and returns `n`, float64, differentiable, each row on its own."""

_FIRST_STEP = 0.1
"""Length of a start's first step, in the region's scale."""
_LONGEST_STEP = 10.0
_GROWTH = 4.0
_RISE = 1e-4
"""Share of the rise that the gradient promises which a step must bring."""
_SHORTENINGS = 30
_CORRECTIONS = 6
"""Of a step that has left the nonlinear constraints."""
_LEAST_STEP = 1e-10
"""In the region's scale, along every amount: a start that would move less has arrived."""
_LEAST_GAIN = 1e-13
"""Of the objective's size; a start that gains less has arrived."""


@dataclass(frozen=True)
class Ascent:
    """Where `n` starts have gone: `p` points, by start and then by step, with what was known of each.

    Attributes:
        start: `p`, int64, whose path the point is on.
        step: `p`, int64; 0 is the start.
        z: `p x f`, the free amounts.
        value: `p`, the objective; it never falls along a path.
        gradient: `p x f`, its slope along each free amount within the plane of the linear equalities:
            of fractions that sum to 1 the slopes sum to 0.
        best: `n x f`, where each start has ended.
        best_value: `n`, the objective there.
        arrived: `n`, bool, whether it could get no higher; else the steps were used up.
    """

    start: Tensor
    step: Tensor
    z: Tensor
    value: Tensor
    gradient: Tensor
    best: Tensor
    best_value: Tensor
    arrived: Tensor

    def table(self, names: Sequence[str]) -> pd.DataFrame:
        """Return the points as people read them: `start`, `step`, the amounts, `value`, `gradient_` of each.

        Args:
            names: Of the `f` free amounts.
        """
        amounts = dict(zip(names, self.z.T.numpy(), strict=True))
        slopes = {f"gradient_{n}": g for n, g in zip(names, self.gradient.T.numpy(), strict=True)}
        ends = {"start": self.start.numpy(), "step": self.step.numpy()}
        return pd.DataFrame({**ends, **amounts, "value": self.value.numpy(), **slopes})


def mean(predictor: MemberPredictor, mixtures: Callable[[Tensor], Any]) -> Objective:
    """Return the mean of a bound predictor as an objective, in the target's unit.

    Args:
        predictor: Its gradients pass through what mixes molecules; those are embedded already.
        mixtures: Makes the batch of `n x f` free amounts.
    """

    def objective(z: Tensor) -> Tensor:
        return predictor.member_outputs(mixtures(z))[0].mean(0).double()

    return objective


def optimistic_mean(predictor: MemberPredictor, mixtures: Callable[[Tensor], Any], kappa: float) -> Objective:
    """Return the mean plus `kappa` calibrated epistemic standard deviations, in the target's unit.

    Args:
        predictor: As of `mean`.
        mixtures: As of `mean`.
        kappa: 0 is the mean; below 0 what is unknown is shunned.
    """

    def objective(z: Tensor) -> Tensor:
        means, variances = (part.double() for part in predictor.member_outputs(mixtures(z)))
        differ = (means - means.mean(0)).square().sum(0) / (len(means) - 1)
        epistemic, _ = predictor.calibration.apply(differ, variances.mean(0))
        return means.mean(0) + kappa * epistemic.sqrt()

    return objective


def ascend(objective: Objective, region: Region, starts: Tensor, steps: int = 200) -> Ascent:
    """Climb from each start to a point around which nothing allowed is higher, to first order.

    Args:
        objective: What is to become large.
        region: What holds all along.
        starts: `n x f`, float64; those outside are brought to the nearest points inside.
        steps: At most so many from each.

    Raises:
        InputError: If the region has no point, a start cannot be brought inside, or the objective or its
            gradient there is not finite.

    Source: Birgin, Martinez and Raydan, SIAM J. Optim. 10, 1196 (2000), without its memory, so that no
    step falls; the length is Barzilai's and Borwein's, of the projected gradient.
    """
    z = _inside(region, starts)
    value, gradient = _looked_at(objective, z)
    if bad := (~(value.isfinite() & gradient.isfinite().all(1))).nonzero()[:, 0].tolist():
        wrong = "the objective or its gradient there is not finite"
        raise InputError(Problem(f"start {bad[0]}", wrong, "Start elsewhere."))
    climb = _Climb(z, value, gradient, _first_steps(region, gradient))
    rows, path = torch.arange(len(z)), [(torch.arange(len(z)), z, value, gradient)]
    return _climb(objective, region, climb, rows, path, steps)
