"""How the next experiments are chosen out of a pool: gradients, Bayesian, and what either must beat."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import numpy as np
import torch
from sklearn.ensemble import ExtraTreesRegressor
from torch import Tensor

from activelearn.acquisition import Acquisition, Kind
from activelearn.ascent import ascend
from activelearn.constraints import Constraints
from activelearn.experiments import Experiments
from activelearn.landscape import TRACE
from activelearn.pool import DrawsKind, JointPosterior, choose, choose_of_draws
from activelearn.regions import Region
from activelearn.spaces import MixtureSpace
from campaigns.arenas import Arena, Ensemble, SpaceMixtures
from campaigns.learning import Learner, Learnt, LearntNetworks
from surrogates.forest import mean_and_variance
from surrogates.prior_gp import PriorGPPredictor

Name = Literal[
    "gradient",
    "gradient-ucb",
    "gradient-path",
    "bayesian",
    "bayesian-ei",
    "ucb",
    "thompson",
    "greedy",
    "ensemble-ei",
    "ensemble-thompson",
    "trees",
    "trees-ucb",
    "maximin",
    "random",
]
STRATEGIES: tuple[Name, ...] = get_args(Name)
SHORTLIST, _BASELINE = 500, 64
"""Candidates that are looked at together, and measured ones among which the best is looked for."""
_TREES = 200
_KAPPA, _BOLD, _TREES_KAPPA = 1.0, 2.0, 1.0
"""Standard deviations in the upper bounds of gradients, of processes and of trees."""
_CLIMBED = 2
"""Measured mixtures, the best, from which gradients are followed beside the first ones."""
_STEPS, _LEAST_GAIN = 10, 1e-5
"""At most so many, and of the logarithm's size: candidates lie further apart than what is left."""


@dataclass(frozen=True)
class View:
    """What a strategy knows when it is asked.

    Attributes:
        arena: The candidates.
        measured: `m` places in the pool, in the order of measurement.
        values: `m`, what came out, in the target's unit; NaN of what failed.
        starts: How many of them, the first, were there before the campaign.
        learnt: From them, of the distance from the prior; None for strategies that do not look at it.
        seed: Of all draws of this round.
    """

    arena: Arena
    measured: tuple[int, ...]
    values: tuple[float, ...]
    starts: int
    learnt: Learnt | LearntNetworks | None
    seed: int

    @property
    def free(self) -> Tensor:
        """Whether each candidate has not been measured, `n`, bool."""
        free = torch.ones(len(self.arena), dtype=torch.bool)
        free[list(self.measured)] = False
        return free

    @property
    def process(self) -> Learnt:
        """The process that was learnt.

        Raises:
            ValueError: If none was, for a strategy that is not known to need it.
        """
        if not isinstance(self.learnt, Learnt):
            raise ValueError("no process was learnt for this strategy; see `learner`")
        return self.learnt

    @property
    def networks(self) -> LearntNetworks:
        """The networks that were trained.

        Raises:
            ValueError: If none were, for a strategy that is not known to need them.
        """
        if not isinstance(self.learnt, LearntNetworks):
            raise ValueError("no networks were trained for this strategy; see `learner`")
        return self.learnt

    @property
    def worked(self) -> list[int]:
        """Places of what was measured and did not fail."""
        return [place for place, value in zip(self.measured, self.values, strict=True) if np.isfinite(value)]

    @property
    def best(self) -> float:
        """The highest value that was measured; where all failed, the highest that was expected before."""
        return float(np.nanmax(self.values)) if self.worked else float(self.arena.prior_mean.max())


Strategy = Callable[[View, int], list[int]]
"""Takes what is known and how many are asked for, and returns places in the pool, all new."""


def strategy(name: Name) -> Strategy:
    """Return a strategy."""
    return _STRATEGIES[name]


def needs_gradients(name: Name) -> bool:
    """Return whether a strategy follows gradients, which only a space of mixtures has."""
    return name.startswith("gradient")


def learner(name: Name) -> Learner | None:
    """Return what learns for a strategy between rounds; None of those that look at measurements alone."""
    if name in ("trees", "trees-ucb", "maximin", "random"):
        return None
    return LearntNetworks.of if name.startswith("ensemble") else Learnt.of


def _random(view: View, q: int) -> list[int]:
    free = view.free.nonzero()[:, 0].numpy()
    return [int(place) for place in np.random.default_rng(view.seed).choice(free, q, replace=False)]


def _maximin(view: View, q: int) -> list[int]:
    """Take the candidates furthest from all that are measured, one after the other."""
    positions = view.arena.positions
    distance = torch.cdist(positions, positions[list(view.measured)]).amin(1)
    distance[list(view.measured)] = -1.0  # others may lie where these do
    chosen = []
    for _ in range(q):
        place = int(distance.argmax())
        chosen.append(place)
        distance = torch.minimum(distance, (positions - positions[place]).norm(dim=1))
        distance[place] = -1.0
    return chosen


def _trees(view: View, q: int, kappa: float) -> list[int]:
    """Take what extremely randomised trees hold highest, with `kappa` standard deviations between them."""
    inputs, values = view.arena.descriptors, np.array(view.values)
    if not view.worked:  # there is nothing to learn from
        return _random(view, q)
    trees = ExtraTreesRegressor(_TREES, max_features=1.0, random_state=view.seed)
    trees.fit(inputs[view.worked], values[np.isfinite(values)])
    mean, variance = map(torch.from_numpy, mean_and_variance(trees, inputs))
    return _highest(mean + kappa * variance.sqrt(), view.free, q)


def _highest(values: Tensor, free: Tensor, q: int) -> list[int]:
    """Return the places of the highest values among those that are free."""
    order = values.masked_fill(~free, -torch.inf).argsort(descending=True, stable=True)
    return [int(place) for place in order[:q]]


def _acquire(view: View, q: int, kind: Kind) -> list[int]:
    """Take a batch by an acquisition function, out of those that are best alone."""
    mean, std = view.process.mean_and_std(view.arena)
    free = view.free
    if kind == "mean":
        return _highest(mean, free, q)
    # Of what is best alone, improvements and draws agree with the upper bound.
    short = torch.tensor(_highest(mean + _BOLD * std, free, min(max(SHORTLIST, q), int(free.sum()))))
    worked = torch.tensor(view.worked, dtype=torch.int64)
    if not len(worked) and kind == "log-nei":
        kind = "log-ei"
    base = worked[mean[worked].argsort(descending=True)[:_BASELINE]]
    both = view.process.joint(view.arena, torch.cat([short, base]))
    noise = float(view.process.process.noise) * float(view.process.scale(view.arena).mean()) ** 2
    posterior = JointPosterior(*both, noise, len(short), 0)
    chosen = choose(Acquisition(kind, _BOLD), posterior, view.best, q, view.seed)
    return [int(place) for place in short[chosen.places]]


def _by_members(view: View, q: int, kind: DrawsKind) -> list[int]:
    """Take a batch by what each member of an ensemble holds possible."""
    said = view.networks.members(view.arena)
    # Members stand in one order: of a single proposal a round, the same one would speak each time.
    order = torch.randperm(len(said), generator=torch.Generator().manual_seed(view.seed))
    free = view.free.nonzero()[:, 0]
    chosen = choose_of_draws(kind, said[order][:, free], view.best, q)
    return [int(place) for place in free[chosen.places]]


def _gradient(view: View, q: int, kappa: float) -> list[int]:
    """Climb the mean from what is best and from the starts; take the candidates nearest to the ends."""
    values = np.array(view.values)
    order = np.argsort(-np.where(np.isfinite(values), values, -np.inf), kind="stable")
    begun = [*dict.fromkeys([*order[:_CLIMBED].tolist(), *range(view.starts)])]
    ends, worth = _climbed(view, begun, _STEPS, kappa)
    return _nearest(view, ends, worth, q)


def _path(view: View, q: int) -> list[int]:
    """Take one step more on the path of the mean's gradient from each start, in their order."""
    rounds = (len(view.measured) - view.starts) // q
    ends, _ = _climbed(view, [*range(view.starts)], rounds + 1, 0.0)
    return _nearest(view, ends, -torch.arange(len(ends)), q)


def _climbed(view: View, begun: list[int], steps: int, kappa: float) -> tuple[Tensor, Tensor]:
    """Return where the paths from some of what was measured have led after so many steps, and its worth.

    Args:
        view: What is known.
        begun: `s`, which of the measured mixtures.
        steps: At most so many.
        kappa: Standard deviations added to the mean that is climbed.

    Returns:
        Amounts, `s` rows, and what is believed of them, `s`.
    """
    mixtures = view.arena.mixtures
    if mixtures is None or mixtures.model is None:
        raise ValueError("gradients need a space and a model")
    space, constraints, model = mixtures.space, mixtures.constraints, mixtures.model
    x = mixtures.rows[torch.tensor(view.measured)[begun]]
    k = len(space.solvents)
    T = torch.tensor(space.temperature_K, dtype=torch.float64)
    kept = torch.stack([k + x[:, k:-1].argmax(1), (x[:, -1:] - T).abs().argmin(1)], dim=1)
    believed = _predictor(view, mixtures, model)
    e = Experiments(space, constraints, model)
    ends, worth = torch.empty_like(x), x.new_empty(len(x))
    for salt, temperature in kept.unique(dim=0).tolist():
        some = (kept == kept.new_tensor([salt, temperature])).all(1)
        region = _region(space, constraints, salt, space.temperature_K[temperature])
        objective = partial(_believed, e, believed, region, kappa=kappa)
        climbed = ascend(objective, region, x[some][:, list(region.free)], steps, _LEAST_GAIN)
        ends[some], worth[some] = region.amounts(climbed.best), climbed.best_value
    return ends, worth


def _region(space: MixtureSpace, constraints: Constraints, salt: int, temperature_K: float) -> Region:
    """Return where the amounts of all solvents and of one salt may go at a temperature."""
    k, last = len(space.solvents), len(constraints.variables) - 1
    fixed = {last: temperature_K}
    if len(space.molality_mol_kg) > 1:
        return Region.of(constraints, [*range(k), salt], fixed)
    return Region.of(constraints, [*range(k)], {**fixed, salt: space.molality_mol_kg[0]})


def _predictor(view: View, mixtures: SpaceMixtures, model: Ensemble) -> PriorGPPredictor:
    """Return what has been learnt, of any amounts, with gradients."""
    learnt, table = view.process, mixtures.table
    features = model.features.of(table)
    bound, process = model.bind(table), learnt.process
    return PriorGPPredictor(
        bound, features, mixtures.told, process, learnt.shift, learnt.spread, doubt=learnt.doubt
    ).double()


def _believed(
    e: Experiments, predictor: PriorGPPredictor, region: Region, z: Tensor, *, kappa: float
) -> Tensor:
    """Return what is believed of amounts, `n`, with `kappa` standard deviations of what is not known."""
    x, k = region.amounts(z), len(e.space.solvents)
    fractions = x[:, :k] + TRACE  # a solvent that is absent would have no slope
    x = torch.cat([fractions / fractions.sum(1, keepdim=True), x[:, k:]], dim=1)
    batch = e.mixtures(x).packed()
    location, scale = predictor.location(batch)
    mean, variance = predictor.process.mean_and_variance(predictor.inputs_of(batch))
    believed: Tensor = location + scale * (mean + kappa * variance.sqrt())
    return believed


def _nearest(view: View, ends: Tensor, worth: Tensor, q: int) -> list[int]:
    """Return the candidates nearest to the ends, the best end first; then what lies around the best."""
    mixtures = view.arena.mixtures
    if mixtures is None:
        raise ValueError("amounts need a space")
    x = mixtures.rows
    width = (x.amax(0) - x.amin(0)).clamp_min(1e-9)
    width[: len(mixtures.space.solvents)] = 1.0
    free, chosen = view.free, []
    order = worth.argsort(descending=True, stable=True).tolist()
    for end in [ends[i] for i in order] + [ends[order[0]]] * q:
        distance = ((x - end) / width).norm(dim=1).masked_fill(~free, torch.inf)
        place = int(distance.argmin())
        chosen.append(place)
        free[place] = False
        if len(chosen) == q:
            break
    return chosen


_STRATEGIES: Mapping[Name, Strategy] = {
    "gradient": partial(_gradient, kappa=0.0),
    "gradient-ucb": partial(_gradient, kappa=_KAPPA),
    "gradient-path": _path,
    "bayesian": partial(_acquire, kind="log-nei"),
    "bayesian-ei": partial(_acquire, kind="log-ei"),
    "ucb": partial(_acquire, kind="ucb"),
    "thompson": partial(_acquire, kind="thompson"),
    "greedy": partial(_acquire, kind="mean"),
    "ensemble-ei": partial(_by_members, kind="log-ei"),
    "ensemble-thompson": partial(_by_members, kind="thompson"),
    "trees": partial(_trees, kappa=0.0),
    "trees-ucb": partial(_trees, kappa=_TREES_KAPPA),
    "maximin": _maximin,
    "random": _random,
}
