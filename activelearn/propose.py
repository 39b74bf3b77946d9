"""The experiments to do next: out of a pool, with amounts that run freely, or the one and then the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
import torch
from botorch.acquisition.acquisition import AcquisitionFunction
from botorch.exceptions.errors import CandidateGenerationError
from botorch.optim.optimize import optimize_acqf
from torch import Tensor

from activelearn.acquisition import Acquisition, joint
from activelearn.ascent import ascend
from activelearn.constraints import LeastIfPresent
from activelearn.experiments import Experiments
from activelearn.mixture_masks import MixtureMask
from activelearn.pool import JointPosterior, choose
from activelearn.regions import Region
from activelearn.screening import Engine, Score, Screen, in_process, run
from surrogates.errors import InputError, Problem
from surrogates.prediction import Prediction

How = Literal["pool", "mixed", "continuous"]
SHORTLIST = 1000
"""Candidates of a pool that are looked at together, the best alone: of 11,340 of them 500 to 4,000 gave
batches of 20 whose expected improvement was the same within 0.5 %."""
_BESIDE_FAILED = 64
"""Candidates of a finely stepped pool that one failure may rule out."""
_BASELINE = 64
"""Measured mixtures of highest mean among which the best is looked for."""
_AROUND, _STEPS = 4, 50
"""Points of a region besides a candidate's own amounts from which these are improved, in so many steps."""
_RAW, _STARTS = 2048, 10
"""Points of a region that are looked at, and those of them from which BoTorch's optimiser starts."""
_NEIGHBOUR = 0.2
"""Of the range of amounts: points nearer than this lead to one optimum."""
_APART = 1e-3
"""Of the range of amounts: two proposals nearer than this are one."""
_TRACE = 1e-8
_UNKNOWN = -1e30
"""Score of what is to be avoided."""


@dataclass(frozen=True)
class Proposals:
    """`q` experiments, the first chosen first.

    Attributes:
        x: `q x d`, amounts as `MixtureVariables` has them; all feasible, no two the same.
        candidate: `q`, int64, which of the space's candidates it is; -1 of amounts between them.
        value: `q`, the acquisition value beside the proposals before it.
        prediction: What the model says of them.
    """

    x: Tensor
    candidate: Tensor
    value: Tensor
    prediction: Prediction

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Asked:
    """What experiments are asked for.

    Attributes:
        experiments: The candidates, the model, and what is known.
        acquisition: What makes an experiment worth doing.
        mask: Which candidates of the pool fulfil the constraints; None if none are asked.
        avoid_unknown: Whether candidates outside the model's domain are left out.
        seed: Of all draws.
    """

    experiments: Experiments
    acquisition: Acquisition
    mask: MixtureMask | None
    avoid_unknown: bool = False
    seed: int = 0


def propose(asked: Asked, q: int, how: How, engine: Engine = in_process) -> Proposals:
    """Return the `q` experiments that are worth most, each beside those before it.

    Args:
        asked: What for.
        q: How many.
        how: `pool`, candidates as they are; `mixed`, their components with the best amounts; `continuous`,
            the best amounts of all solvents with the one salt of a space.
        engine: Who scores a pool.

    Raises:
        InputError: If there are not so many candidates, or amounts, that fulfil all.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # small matrices: more threads than free cores are many times slower
    try:
        if how == "continuous":
            return _continuous(asked, q)
        found = _from_pool(asked, q, engine)
        return found if how == "pool" else _polished(asked, found)
    finally:
        torch.set_num_threads(threads)


def _from_pool(asked: Asked, q: int, engine: Engine) -> Proposals:
    """Choose candidates of the space, jointly out of those that are best alone."""
    e = asked.experiments
    base = e.baseline
    best = _best(asked, base)
    candidates = _shortlist(asked, q, best, engine)
    batch = e.space.at(candidates).to(torch.float64)
    base = _highest(e, base)
    pending = e.pending_rows()
    mean, covariance = joint(e.surrogate, torch.cat([e.rows(batch), pending, e.measured_rows(base)]))
    said = e.predictor.predict(batch)
    noise = float(said.aleatoric.double().mean())
    acquisition = asked.acquisition
    if not len(base) and acquisition.kind == "log-nei":
        acquisition = replace(acquisition, kind="log-ei")
    posterior = JointPosterior(mean, covariance, noise, len(candidates), len(pending))
    chosen = choose(acquisition, posterior, best, q, asked.seed)
    x = e.variables.rows(batch[chosen.places], e.table)
    return Proposals(x, candidates[chosen.places], chosen.values, _of(said, chosen.places))


def _shortlist(asked: Asked, q: int, best: float, engine: Engine) -> Tensor:
    """Return the candidates that are best alone, int64, without those that were measured or are pending."""
    e = asked.experiments
    taken = sum(len(one.batch) for one in (e.measured, e.pending) if one is not None)
    taken += 0 if e.failed is None else _BESIDE_FAILED * len(e.failed.batch)
    score = asked.acquisition.score(best)
    score = partial(_known_first, score=score) if asked.avoid_unknown else score
    # Without salt, the candidates of all salts are one mixture.
    listed = (max(SHORTLIST, q) + taken) * (len(e.space.salts) if 0 in e.space.molality_mol_kg else 1)
    screen = Screen(e.space, e.model.bind(e.space.table), score, listed, mask=asked.mask)
    *_, standing = run(screen, engine)
    top = standing.top[standing.top["in_domain"]] if asked.avoid_unknown else standing.top
    candidates = torch.from_numpy(top["candidate"].astype(np.int64))
    amounts = e.variables.rows(e.space.at(candidates).to(torch.float64), e.space.table)
    first = np.sort(np.unique(amounts.numpy(), axis=0, return_index=True)[1])
    candidates = candidates[first][~e.is_taken(amounts[first])][: max(SHORTLIST, q)]
    if len(candidates) < q:
        left = f"{len(candidates)} candidate{'s are' * (len(candidates) != 1) or ' is'} left"
        why = ", in the model's domain" if asked.avoid_unknown else ""
        wrong = f"{left} that fulfil all and were not measured{why}; {q} were asked for"
        raise InputError(Problem("space", wrong, "Ask for fewer, widen the space or loosen a constraint."))
    return candidates


def _known_first(prediction: Prediction, score: Score) -> Tensor:
    """Return the score of what the model knows, and a very low one of the rest."""
    return torch.where(prediction.in_domain, score(prediction), _UNKNOWN)


def _best(asked: Asked, base: Tensor) -> float:
    """Return the best that was measured of what could be a candidate, else the highest mean of a draw."""
    e = asked.experiments
    if e.measured is not None and len(base):
        return float(e.measured.values[base].max())
    generator = torch.Generator().manual_seed(asked.seed)
    drawn = torch.randint(len(e.space), (SHORTLIST,), generator=generator)
    batch = e.space.at(drawn)
    may = e.constraints.is_feasible(e.variables.rows(batch, e.space.table))
    return float(e.predictor.predict(batch).mean[may if may.any() else ~may].max())


def _highest(e: Experiments, base: Tensor) -> Tensor:
    """Return those of the measured mixtures that the model holds highest."""
    if len(base) <= _BASELINE:
        return base
    with torch.no_grad():
        mean, _ = joint(e.surrogate, e.measured_rows(base))
    return base[mean.argsort(descending=True)[:_BASELINE]]


def _polished(asked: Asked, found: Proposals) -> Proposals:
    """Improve the amounts of each proposal, whose components stay, beside those before it.

    One that would become the same as another, or leave what the model knows where that is asked, stays.
    """
    if asked.acquisition.kind == "thompson":
        return found
    x, value, moved = found.x.clone(), found.value.clone(), torch.zeros(len(found), dtype=torch.bool)
    for place in range(len(found)):
        others = torch.cat([x[:place], x[place + 1 :]])
        region = _region_of(asked, x[place])
        if region is None:
            continue
        worth = worth_in(asked, region, x[:place])
        starts = torch.cat([x[place, list(region.free)][None], region.sample(_AROUND, asked.seed)])
        climbed = ascend(worth, region, starts, _STEPS)
        order = climbed.best_value.argsort(descending=True, stable=True)
        as_it_was = climbed.value[0]  # the first start is the candidate
        better = order[climbed.best_value[order] > as_it_was]
        value[place] = as_it_was
        for z in _without_traces(climbed.best[better]):
            if _may_stand(asked, region, z, others):
                x[place], moved[place] = region.amounts(z), True
                value[place] = worth(z[None])[0]
                break
    candidate = found.candidate.masked_fill(moved, -1)
    return Proposals(x, candidate, value, _said(asked, x))


def _continuous(asked: Asked, q: int) -> Proposals:
    """Choose amounts of all solvents at once, one experiment after the other, by BoTorch's optimiser."""
    e = asked.experiments
    if len(e.space.salts) > 1:
        wrong = f"{len(e.space.salts)} salts; how: continuous takes the amounts of one"
        raise InputError(Problem("space", wrong, "Give one salt, or how: mixed."))
    region = region_of_all(asked)
    x, values = torch.zeros(0, len(e.variables.names), dtype=torch.float64), []
    for place in range(q):
        z, value = best_in_region(worth_in(asked, region, x), region, asked.seed + place)
        for point, its_value in zip(_without_traces(z), value, strict=True):
            if _may_stand(asked, region, point, x):
                x = torch.cat([x, region.amounts(point)[None]])
                values.append(float(its_value))
                break
        else:
            known = " that the model knows" if asked.avoid_unknown else ""
            wrong = f"no amounts{known} are left after {place} proposals; {q} were asked for"
            raise InputError(Problem("space", wrong, "Ask for fewer, or loosen a constraint."))
    value_of = torch.tensor(values, dtype=torch.float64)
    return Proposals(x, torch.full((q,), -1), value_of, _said(asked, x))


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
    e = asked.experiments
    base = e.baseline
    best = _best(asked, base)
    base = _highest(e, base)
    pending = torch.cat([e.pending_rows(), e.rows(e.mixtures(before))]) if len(before) else e.pending_rows()
    acquisition = asked.acquisition
    if not len(base) and acquisition.kind == "log-nei":
        acquisition = replace(acquisition, kind="log-ei")
    waiting = pending if len(pending) else None
    function = acquisition.function(e.surrogate, best, e.measured_rows(base), waiting, asked.seed)

    def worth(z: Tensor) -> Tensor:
        value: Tensor = function(e.of_region(region, z).unsqueeze(-2))
        return value

    return worth


def _region_of(asked: Asked, x: Tensor, may_vanish: bool = False) -> Region | None:
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
            fixed |= dict.fromkeys(columns, values[0])  # a candidate's are float32
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
    region = _region_of(asked, whole, may_vanish=True)
    if region is None:
        raise InputError(Problem("space", "nothing in it can vary", "Give several solvents, or how: pool."))
    return region


def _without_traces(z: Tensor) -> Tensor:
    """Return points with 0 for amounts that rounding has left."""
    return torch.where(z.abs() < _TRACE, 0.0, z)


def _may_stand(asked: Asked, region: Region, z: Tensor, others: Tensor) -> bool:
    """Return whether a point fulfils all, is no other proposal nor known already, and the model knows it."""
    e = asked.experiments
    x = region.amounts(z)
    if not bool(region.is_feasible(z[None])[0]) or bool(e.is_taken(x[None])[0]):
        return False
    others = torch.cat([others, e.known])  # what is known too: gradients lead there again
    apart = (others - x).abs()[:, list(region.free)] / region.scale
    elsewhere = (others - x).abs() > e.same
    elsewhere[:, list(region.free)] = False
    if bool(((apart.amax(1) < _APART) & ~elsewhere.any(1)).any()):
        return False
    return not asked.avoid_unknown or bool(_said(asked, x[None]).in_domain[0])


def _said(asked: Asked, x: Tensor) -> Prediction:
    """Return what the model says of amounts, `q`: each mixture by its own components alone."""
    e = asked.experiments
    return e.predictor.predict(e.mixtures(x).packed())


def _of(prediction: Prediction, places: Tensor) -> Prediction:
    parts = (getattr(prediction, name)[places] for name in Prediction.__dataclass_fields__)
    return Prediction(*parts)
