"""Experiments whose amounts run freely: those of a candidate's components, or of all solvents at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from botorch.acquisition.acquisition import AcquisitionFunction
from botorch.exceptions.errors import CandidateGenerationError
from botorch.optim.optimize import optimize_acqf
from torch import Tensor

from activelearn.ascent import ascend
from activelearn.asked import Asked, Proposals, best_of, highest, said_of
from activelearn.constraints import LeastIfPresent
from activelearn.regions import Region
from surrogates.errors import InputError, Problem

_AROUND, _STEPS = 4, 50
"""Points of a region besides a candidate's own amounts from which these are improved, in so many steps."""
_RAW, _STARTS = 2048, 10
"""Points of a region that are looked at, and those of them from which BoTorch's optimiser starts."""
_NEIGHBOUR = 0.2
"""Of the range of amounts: points nearer than this lead to one optimum."""
_TRACE = 1e-8


def polished(asked: Asked, found: Proposals) -> Proposals:
    """Improve the amounts of each proposal, whose components stay, beside those before it.

    One that a laboratory could no longer tell from another, or from what is known, stays, as does one that
    would leave what the model knows where that is asked.
    """
    if asked.acquisition.kind == "thompson":
        return found
    x, value, moved = found.x.clone(), found.value.clone(), torch.zeros(len(found), dtype=torch.bool)
    for place in range(len(found)):
        others = torch.cat([x[:place], x[place + 1 :]])
        region = region_of(asked, x[place])
        if region is None:
            continue
        worth = worth_in(asked, region, x[:place])
        starts = torch.cat([x[place, list(region.free)][None], region.sample(_AROUND, asked.seed)])
        climbed = ascend(worth, region, starts, _STEPS)
        as_it_was = climbed.value[0]  # the first start is the candidate
        value[place] = as_it_was
        # Where a path ends beside another proposal, a point on the way there may still be better.
        better = climbed.z[climbed.value.argsort(descending=True, stable=True)]
        better = without_traces(better[: int((climbed.value > as_it_was).sum())])
        standing = may_stand(asked, region, better, others).nonzero()[:, 0]
        if len(standing):
            z = better[standing[0]]
            x[place], moved[place] = region.amounts(z), True
            value[place] = worth(z[None])[0]
    candidate = found.candidate.masked_fill(moved, -1)
    return Proposals(x, candidate, value, said_of(asked, x))


def continuous(asked: Asked, q: int) -> Proposals:
    """Choose amounts of all solvents at once, one experiment after the other, by BoTorch's optimiser."""
    e = asked.experiments
    if len(e.space.salts) > 1:
        wrong = f"{len(e.space.salts)} salts; how: continuous takes the amounts of one"
        raise InputError(Problem("space", wrong, "Give one salt, or how: mixed."))
    region = region_of_all(asked)
    x, values = torch.zeros(0, len(e.variables.names), dtype=torch.float64), []
    for place in range(q):
        z, value = best_in_region(worth_in(asked, region, x), region, asked.seed + place)
        z = without_traces(z)
        standing = may_stand(asked, region, z, x).nonzero()[:, 0]
        if not len(standing):
            known = " that the model knows" if asked.avoid_unknown else ""
            wrong = f"no amounts{known} are left after {place} proposals; {q} were asked for"
            raise InputError(Problem("space", wrong, "Ask for fewer, or loosen a constraint."))
        x = torch.cat([x, region.amounts(z[standing[0]])[None]])
        values.append(float(value[standing[0]]))
    value_of = torch.tensor(values, dtype=torch.float64)
    return Proposals(x, torch.full((q,), -1), value_of, said_of(asked, x))


def best_in_region(worth: Callable[[Tensor], Tensor], region: Region, seed: int) -> tuple[Tensor, Tensor]:
    """Return points of a region and what they are worth, the best first: those climbed to, then others.

    Args:
        worth: `n x f` to `n`, differentiable.
        region: All its constraints hold for each point returned.
        seed: Of the points that are looked at first.
    """
    raw = region.sample(_RAW, seed)
    with torch.no_grad():
        seen = worth(raw)
    order = seen.argsort(descending=True, stable=True)
    starts = _apart(raw[order], region)
    climbed = torch.cat([_climb(worth, region, start) for start in starts])
    # BoTorch's optimiser may end outside of a curved constraint, or early: what it found is climbed on from.
    points = torch.cat([ascend(worth, region, climbed).best, climbed, raw[order]])
    points = points[region.is_feasible(points)]
    with torch.no_grad():
        values = worth(points)
    order = values.argsort(descending=True, stable=True)
    return points[order], values[order]


def _apart(points: Tensor, region: Region) -> Tensor:
    """Return the first of some points, and the next that are none of its neighbours nor of each other's."""
    left, chosen = points / region.scale, []
    for _ in range(_STARTS):
        if not len(left):
            break
        chosen.append(left[0])
        left = left[(left - left[0]).norm(dim=1) > _NEIGHBOUR]
    return torch.stack(chosen) * region.scale


def _climb(worth: Callable[[Tensor], Tensor], region: Region, start: Tensor) -> Tensor:
    """Return where BoTorch's optimiser gets from a start, `1 x f`, inside; the start where it fails."""
    nonlinear = region.nonlinear_inequalities()
    try:
        found, _ = optimize_acqf(
            _OfPoints(worth),
            bounds=region.bounds(),
            q=1,
            num_restarts=1,
            inequality_constraints=region.linear_inequalities() or None,
            equality_constraints=region.linear_equalities() or None,
            nonlinear_inequality_constraints=nonlinear or None,
            batch_initial_conditions=start.view(1, 1, -1),
            options={"batch_limit": 1, "maxiter": 200},
            return_acq_values=False,
            retry_on_optimization_warning=False,
        )
    except CandidateGenerationError:  # it ended outside of a curved constraint
        return start[None]
    return region.bring_in(found.view(1, -1))


class _OfPoints(AcquisitionFunction):
    """A function of points, `n`, as BoTorch's optimiser takes it, of `n x 1 x f`."""

    def __init__(self, worth: Callable[[Tensor], Tensor]) -> None:
        torch.nn.Module.__init__(self)  # it has no model of its own
        self._worth = worth

    def forward(self, X: Tensor) -> Tensor:
        """Return the value of each point."""
        return self._worth(X.squeeze(-2))


def worth_in(asked: Asked, region: Region, before: Tensor) -> Callable[[Tensor], Tensor]:
    """Return what amounts of a region are worth, `n x f` to `n`, beside the proposals before them."""
    function = function_of(asked, before)

    def worth(z: Tensor) -> Tensor:
        value: Tensor = function(asked.experiments.of_region(region, z).unsqueeze(-2))
        return value

    return worth


def function_of(asked: Asked, before: Tensor) -> AcquisitionFunction:
    """Return BoTorch's function of one more experiment beside the proposals before it, `p x d`."""
    e = asked.experiments
    base = e.baseline
    best = best_of(asked, base)
    base = highest(e, base)
    pending = torch.cat([e.pending_rows(), e.rows(e.mixtures(before))]) if len(before) else e.pending_rows()
    waiting = pending if len(pending) else None
    return asked.beside(base).function(e.surrogate, best, e.measured_rows(base), waiting, asked.seed)


def region_of(asked: Asked, x: Tensor, may_vanish: bool = False) -> Region | None:
    """Return where the amounts of a mixture's components may go, None where nothing can vary.

    Of what a space lists several, as temperatures, the amount runs from the lowest to the highest; of a
    mixture whose fractions are multiples of a step, each component that is present keeps a step at least,
    unless it `may_vanish`.
    """
    e, space = asked.experiments, asked.experiments.space
    k, s = len(space.solvents), len(space.salts)
    solvents = [i for i in range(k) if x[i] > 0]
    salts = [i for i in range(k, k + s) if x[i] > 0]
    free = solvents if len(solvents) > 1 else []
    fixed = {} if len(solvents) > 1 else {i: float(x[i]) for i in solvents}
    for columns, values in ((salts, space.molality_mol_kg), ([k + s], space.temperature_K)):
        if len(values) > 1:
            free = free + columns
        else:
            fixed |= dict.fromkeys(columns, values[0])
    if not free:
        return None
    constraints = e.constraints
    if space.fraction_step is not None and not may_vanish:
        least = LeastIfPresent(
            f"at least {space.fraction_step:g}, if any", tuple(range(k)), space.fraction_step
        )
        constraints = replace(constraints, asked=(*constraints.asked, least))
    return Region.of(constraints, free, fixed)


def region_of_all(asked: Asked) -> Region:
    """Return where the amounts of all solvents of a space may go at once.

    Raises:
        InputError: If nothing can vary.
    """
    space = asked.experiments.space
    k = len(space.solvents)
    last = [max(space.molality_mol_kg), space.temperature_K[0]]
    whole = torch.tensor([1 / k] * k + last, dtype=torch.float64)
    region = region_of(asked, whole, may_vanish=True)
    if region is None:
        raise InputError(Problem("space", "nothing in it can vary", "Give several solvents, or how: pool."))
    return region


def without_traces(z: Tensor) -> Tensor:
    """Return points with 0 for amounts that rounding has left."""
    return torch.where(z.abs() < _TRACE, 0.0, z)


def may_stand(asked: Asked, region: Region, z: Tensor, others: Tensor) -> Tensor:
    """Return whether points may be proposed beside others, `n`, bool.

    They fulfil all, a laboratory can tell them from the others and from what is known already, and the model
    knows them where that is asked.

    Args:
        asked: What for.
        region: Of the points.
        z: `n x f`.
        others: `m x d`, amounts of other proposals.
    """
    e = asked.experiments
    x = region.amounts(z)
    may = region.is_feasible(z) & ~e.is_beside_known(x) & ~e.is_beside(x, others)
    if asked.avoid_unknown and may.any():
        may[may.clone()] = said_of(asked, x[may]).in_domain
    return may
