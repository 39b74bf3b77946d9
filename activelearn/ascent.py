"""Pure gradient ascent of a surrogate on a region of a constrained space, from many starts at once.

A spectral projected gradient: each step goes towards the nearest point to where the gradient leads that
fulfils the linear constraints and, made linear where the step begins, the nonlinear ones; it is brought back
inside and shortened until the objective rises.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
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
LEAST_GAIN = 1e-14
"""Of the objective's size: what rounding leaves."""
_A_LITTLE = 1e-4
"""In the region's scale: how near another of several constraints in one must be to be seen."""
_SMALLEST = 1e-300


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


def ascend(
    objective: Objective, region: Region, starts: Tensor, steps: int = 200, least_gain: float = LEAST_GAIN
) -> Ascent:
    """Climb from each start to a point around which nothing allowed is higher, to first order.

    Args:
        objective: What is to become large.
        region: What holds all along.
        starts: `n x f`, float64; those outside are brought to points nearby that are inside.
        steps: At most so many from each.
        least_gain: Share of the objective's size; a start that gains less in a step has arrived.

    Raises:
        InputError: If the region has no point, a start cannot be brought inside, or the objective or its
            gradient there is not finite.

    Source: Birgin, Martinez and Raydan, SIAM J. Optim. 10, 1196 (2000), without its memory, so that no
    step falls; the lengths are by turns the two of Barzilai and Borwein, of the projected gradient, which
    knows how the constraints bend.
    """
    points = _looked_at(objective, torch.arange(len(starts)), _inside(region, starts))
    if bad := points.row[~points.is_finite()].tolist():
        wrong = "the objective or its gradient there is not finite"
        raise InputError(Problem(f"start {bad[0]}", wrong, "Start elsewhere."))
    steepest = (region.scale * points.gradient).abs().amax(1)
    still = torch.zeros_like(points.z)
    climbers = _Climbers(points, _FIRST_STEP / steepest.clamp_min(_SMALLEST), still, still)
    path, arrived = [points], torch.zeros(len(starts), dtype=torch.bool)
    for step in range(steps):
        further, left = _step(objective, region, climbers, step % 2 == 0, least_gain)
        risen = further.points.value > climbers.points.value
        path.append(further.points.at(risen))
        arrived[further.points.row[~left]] = True
        climbers = further.at(left)
        if not left.any():
            break
    return _told(region, path, arrived)


@dataclass(frozen=True)
class _Points:
    """Points of some starts: which start, the free amounts, the objective and its slope, `n` and `n x f`."""

    row: Tensor
    z: Tensor
    value: Tensor
    gradient: Tensor

    def at(self, rows: Tensor) -> _Points:
        return _Points(self.row[rows], self.z[rows], self.value[rows], self.gradient[rows])

    def put(self, rows: Tensor, others: _Points) -> _Points:
        """Return them with others in some places, `m`, int64."""
        pairs = [(getattr(self, one.name), getattr(others, one.name)) for one in fields(self)]
        return _Points(*(mine.index_copy(0, rows, theirs) for mine, theirs in pairs))

    def is_finite(self) -> Tensor:
        return self.value.isfinite() & self.gradient.isfinite().all(1)


@dataclass(frozen=True)
class _Climbers:
    """Starts that are on their way.

    Attributes:
        points: Where they are.
        length: `n`, of the step along the gradient.
        pull: `n x f`, the projected gradient before the last step, per scale.
        moved: `n x f`, the last step, in scales; 0 before the first.
    """

    points: _Points
    length: Tensor
    pull: Tensor
    moved: Tensor

    def at(self, rows: Tensor) -> _Climbers:
        return _Climbers(self.points.at(rows), self.length[rows], self.pull[rows], self.moved[rows])


def _step(
    objective: Objective, region: Region, climbers: _Climbers, shorter: bool, least_gain: float
) -> tuple[_Climbers, Tensor]:
    """Return where a step leads, and who may get further, `n`, bool."""
    here = climbers.points
    tangent = region.linearised(here.z)
    pull = _towards(region, here, climbers.length, tangent) / climbers.length[:, None]
    length = _length(climbers, pull, region.scale * here.gradient, shorter)
    step = _towards(region, here, length, tangent)
    promised = (region.scale * here.gradient * step).sum(1)
    worth_it = (step.abs().amax(1) > _LEAST_STEP) & (promised > least_gain * here.value.abs())
    there = _searched(objective, region, here, region.scale * step, promised, worth_it)
    gain = there.value - here.value
    after = _Climbers(there, length, step / length[:, None], (there.z - here.z) / region.scale)
    return after, (gain > 0) & (gain > least_gain * there.value.abs())


def _towards(region: Region, here: _Points, length: Tensor, tangent: tuple[Tensor, Tensor]) -> Tensor:
    """Return the way to the nearest allowed point to where the gradient leads, `n x f`, in scales.

    Args:
        region: Its nonlinear constraints count as linear.
        here: Where the way begins.
        length: `n`, of the step along the gradient.
        tangent: Room and slope of the nonlinear constraints.
    """
    ahead = here.z + length[:, None] * region.scale.square() * here.gradient
    if not region.nonlinear:
        return (region.project(ahead) - here.z) / region.scale
    room, slope = tangent
    rhs = torch.einsum("ncf,nf->nc", slope, here.z) - room.clamp_min(0)
    target = region.project_within(ahead, slope, rhs)
    target = torch.where(target.isfinite(), target, here.z)
    # A constraint may be the least of several, and another of them count a little further on.
    way = target - here.z
    far = (way / region.scale).abs().amax(1, keepdim=True)
    ahead_a_little = here.z + way * (_A_LITTLE / far.clamp_min(_A_LITTLE))
    room, slope_there = region.linearised(ahead_a_little)
    rhs_there = torch.einsum("ncf,nf->nc", slope_there, ahead_a_little) - room
    rhs_there = rhs_there.minimum(torch.einsum("ncf,nf->nc", slope_there, here.z))  # so that it may stay
    both = torch.cat([slope, slope_there], 1), torch.cat([rhs, rhs_there], 1)
    nearer = region.project_within(ahead, *both)
    return torch.where(nearer.isfinite(), nearer - here.z, way) / region.scale


def _length(climbers: _Climbers, pull: Tensor, gradient: Tensor, shorter: bool) -> Tensor:
    """Return how long each step along the gradient is to be, `n`.

    Args:
        climbers: With the last step and the pull before it.
        pull: `n x f`, the pull now.
        gradient: `n x f`, per scale.
        shorter: Which of the two lengths.
    """
    change = climbers.pull - pull
    moved, bent = climbers.moved.square().sum(1), (climbers.moved * change).sum(1)
    known = bent / change.square().sum(1) if shorter else moved / bent
    flat = torch.where(moved > 0, _GROWTH, 1.0) * climbers.length
    longest = _LONGEST_STEP / gradient.abs().amax(1).clamp_min(_SMALLEST)
    return torch.where(bent > 0, known, flat).minimum(longest)


def _searched(
    objective: Objective, region: Region, here: _Points, way: Tensor, promised: Tensor, worth_it: Tensor
) -> _Points:
    """Return the first points along a way, ever nearer, at which the objective has risen; else its beginning.

    Args:
        objective: What is to rise.
        region: What holds at the points; those outside its nonlinear constraints are brought in.
        here: Where the way begins.
        way: `n x f`.
        promised: `n`, the rise along the whole way by the gradient.
        worth_it: `n`, bool, who is to move at all.
    """
    found, share = here, torch.ones_like(promised)
    left = worth_it.nonzero()[:, 0]
    for _ in range(_SHORTENINGS):
        if not len(left):
            break
        z = region.bring_in(here.z[left] + share[left, None] * way[left], _CORRECTIONS)
        inside = z.isfinite().all(1)
        at = _looked_at(objective, here.row[left], torch.where(inside[:, None], z, here.z[left]))
        expected, begun = share[left] * promised[left], here.value[left]
        risen = inside & at.is_finite() & (at.value > begun + _RISE * expected)
        found = found.put(left[risen], at.at(risen))
        # Where the parabola through both values and the slope is highest, within reason.
        best = expected / (2 * (begun + expected - at.value))
        factor = torch.where(inside & best.isfinite(), best, 0.5).clamp(0.1, 0.5)
        share[left] *= factor
        left = left[~risen]
    return found


def _looked_at(objective: Objective, row: Tensor, z: Tensor) -> _Points:
    """Return points with the objective and its slope."""
    z = z.detach().requires_grad_()
    value = objective(z)
    # A row's value depends on the row alone, so that one sum gives the slopes of all.
    (gradient,) = torch.autograd.grad(value.sum(), z)
    return _Points(row, z.detach(), value.detach(), gradient)


def _inside(region: Region, starts: Tensor) -> Tensor:
    """Return starts, those outside brought in.

    Raises:
        InputError: If that fails.
    """
    outside = ~region.is_feasible(starts)
    if not outside.any():
        return starts
    projected = region.project(starts[outside])
    inside = starts.index_copy(0, outside.nonzero()[:, 0], region.bring_in(projected))
    if bad := (~inside.isfinite().all(1)).nonzero()[:, 0].tolist():
        missed = region.constraints.violations(region.amounts(region.project(starts[bad[:1]])[0]))
        wrong = f"it cannot be brought into the region; {', '.join(map(str, missed))}"
        raise InputError(Problem(f"start {bad[0]}", wrong, "Start elsewhere."))
    return inside


def _told(region: Region, path: Sequence[_Points], arrived: Tensor) -> Ascent:
    """Return the points of all steps by start and step."""
    steps = torch.cat([torch.full_like(points.row, step) for step, points in enumerate(path)])
    row, z, value, gradient = (
        torch.cat([getattr(points, one.name) for points in path]) for one in fields(_Points)
    )
    order = row.argsort(stable=True)
    last = torch.bincount(row, minlength=len(arrived)).cumsum(0) - 1
    row, z, value = row[order], z[order], value[order]
    return Ascent(
        start=row,
        step=steps[order],
        z=z,
        value=value,
        gradient=region.within_plane(gradient[order]),
        best=z[last],
        best_value=value[last],
        arrived=arrived,
    )
